"""Which designs are kept, in what order, what rejects the others, and which condition to relax."""

from __future__ import annotations

import ast
import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from structdiff.campaign.filters import Condition, Filter
from structdiff.campaign.results import DesignResult
from structdiff.campaign.settings import BOLTZ
from structdiff.evaluation.catalogue import CATALOGUE
from structdiff.output.prediction import requested

#: What designs are ranked by where nothing else is asked for: the first of these that they have. Refolding by the
#: network that drew the design is worth less than a judge that had no part in it.
_RANKED_BY = ("sc_rmsd", "plddt")
_RANKED_BY_JUDGE = ("judge_log_likelihood", *_RANKED_BY)
#: What only refolding by networks inside structdiff gives.
_OWN_REFOLD = "refold_ptm"
#: Rejections in a row after which it is time for advice.
PATIENCE = 20
_COMPARISONS = {"Lt": "<", "LtE": "<=", "Gt": ">", "GtE": ">="}


def select(
    results: Iterable[DesignResult], wanted: Filter | None, rank_by: str | None = None, *, refolder: str | None = None
) -> list[DesignResult]:
    """Designs in order of merit, each with its rank and the reasons that speak against it.

    First those that no filter rejects, among them those that meet all that was asked, then by how much of it they meet,
    then by the column rank_by (the better first, as the catalogue says); equal ones in the order of their numbers.
    refolder: what refolded them, by its name.
    """
    judged = [dataclasses.replace(each, reasons=judge(each, wanted)) for each in results]
    column = rank_by or _best_column(judged, refolder)
    sign = -1.0 if _higher_is_better(column) else 1.0

    def merit(each: DesignResult) -> tuple:
        value = each.columns.get(column)
        asked = requested(each.verdicts)
        met = -sum(bool(verdict["met"]) for verdict in asked) / max(len(asked), 1)
        known = isinstance(value, int | float) and value == value
        order = sign * value if known and isinstance(value, int | float) else 0.0
        return (not each.complete, bool(each.reasons), met if asked else -1.0, not known, order, each.number)

    ranked = sorted(judged, key=merit)
    return [dataclasses.replace(each, rank=place) for place, each in enumerate(ranked, start=1)]


def _best_column(results: Sequence[DesignResult], refolder: str | None) -> str:
    """The column to rank by that says most."""
    known = {name for each in results for name, value in each.columns.items() if value is not None}
    others_refold = "sc_rmsd" in known and (_OWN_REFOLD not in known or refolder == BOLTZ)
    return next((name for name in (_RANKED_BY if others_refold else _RANKED_BY_JUDGE) if name in known), "plddt")


def judge(result: DesignResult, wanted: Filter | None) -> tuple[str, ...]:
    """Why a design is rejected; empty where it is not, or is not whole yet."""
    return wanted.failures(result.columns) if wanted is not None and result.complete else result.reasons


@dataclass(kw_only=True)
class Funnel:
    """Counts as designs come in: how many are kept, and what rejects the others.

    rejected_by: how many designs fail each condition. alone: how many fail no other. row: rejections since the last
    design that was kept.
    """

    wanted: Filter
    judged: int = 0
    kept: int = 0
    row: int = 0
    rejected_by: Counter[str] = field(default_factory=Counter)
    alone: Counter[str] = field(default_factory=Counter)
    _seen: list[Mapping] = field(default_factory=list)

    def add(self, result: DesignResult) -> str | None:
        """Counts a whole design; every PATIENCE rejections in a row the advice what to relax, else None."""
        failed = [each.text for each in self.wanted.conditions if each.failure(result.columns) is not None]
        self.judged += 1
        self._seen.append(result.columns)
        self.rejected_by.update(failed)
        if len(failed) == 1:
            self.alone.update(failed)
        self.row = self.row + 1 if failed else 0
        self.kept += not failed
        return self.advice() if self.row and self.row % PATIENCE == 0 else None

    def advice(self) -> str | None:
        """Which condition to relax, and how far, so that a tenth of what was seen would meet it."""
        if not self.rejected_by:
            return None
        text, count = (self.alone or self.rejected_by).most_common(1)[0]
        condition = next(each for each in self.wanted.conditions if each.text == text)
        how = "it alone rejects" if self.alone else "it rejects"
        relaxed = _relaxed(condition, self._seen)
        better = f"; {relaxed} would let a tenth of them through" if relaxed else ""
        return f"{self.row} designs in a row were rejected: relax {text!r} ({how} {count} of {self.judged}{better})"

    def lines(self) -> list[str]:
        """The histogram: a bar for each condition, longest first."""
        width = max((len(each.text) for each in self.wanted.conditions), default=0)
        lines = [f"{self.kept} of {self.judged} designs pass the filter"]
        for text, count in sorted(
            ((each.text, self.rejected_by[each.text]) for each in self.wanted.conditions), key=lambda pair: -pair[1]
        ):
            bar = "█" * round(20 * count / max(self.judged, 1))
            lines.append(f"  {text:<{width}}  rejects {count:>5}, alone {self.alone[text]:>5}  {bar}")
        return lines


def _relaxed(condition: Condition, seen: Sequence[Mapping]) -> str | None:
    """A comparison of one column with a number, moved to where a tenth of the designs meet it."""
    tree = condition.tree
    if not isinstance(tree, ast.Compare) or len(tree.ops) != 1 or not isinstance(tree.left, ast.Name):
        return None
    if not isinstance(tree.comparators[0], ast.Constant) or type(tree.ops[0]).__name__ not in _COMPARISONS:
        return None
    column, sign = tree.left.id, _COMPARISONS[type(tree.ops[0]).__name__]
    values = [each.get(column) for each in seen]
    known = sorted((each for each in values if isinstance(each, int | float)), reverse=sign[0] == ">")
    if not known:
        return None
    return f"{column} {sign[0]}= {known[max(0, -(-len(known) // 10) - 1)]:.4g}"


def _higher_is_better(column: str) -> bool:
    return column in CATALOGUE and CATALOGUE[column].better == "higher"
