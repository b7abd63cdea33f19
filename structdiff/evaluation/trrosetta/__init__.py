"""trRosetta as a judge: what an independent network expects of a sequence, beside what a design looks like."""

from structdiff.evaluation.trrosetta.judge import LONGEST, SHORTEST, Judgement, judge_design
from structdiff.evaluation.trrosetta.network import Expectation, expect, expect_each

__all__ = ["LONGEST", "SHORTEST", "Expectation", "Judgement", "expect", "expect_each", "judge_design"]
