"""trRosetta as a judge: what an independent network expects of a sequence, beside what a design looks like."""

from structdiff.evaluation.trrosetta.network import Expectation, expect, load_networks

__all__ = ["Expectation", "expect", "load_networks"]
