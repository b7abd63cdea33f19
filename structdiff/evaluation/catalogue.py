"""The catalogue of metrics: everything that any table, plot or report of structdiff shows, explained once.

A new metric is an entry in a file of ``structdiff/evaluation/metrics/``; a new file of them is named in ``_GROUPS``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from structdiff.errors import InputError
from structdiff.evaluation.metrics import campaign, design, distribution, motifbench, prediction, validity
from structdiff.evaluation.metrics.metric import Direction, Metric, Scope

__all__ = ["CATALOGUE", "Direction", "Metric", "Scope", "metric", "shown"]

_VERDICT = "verdict: "  # how columns of verdicts begin, each of which is named by what was asked
_NOTHING = 1e-6  # what is smaller comes from rounding
_GROUPS = (
    campaign.METRICS, validity.METRICS, design.METRICS, distribution.METRICS, prediction.METRICS, motifbench.METRICS,
)  # fmt: skip


def _joined() -> Iterator[tuple[str, Metric]]:
    seen: set[str] = set()
    for each in (entry for group in _GROUPS for entry in group):
        if each.name in seen:
            raise ValueError(f"two metrics are called {each.name}")
        seen.add(each.name)
        yield each.name, each


#: Every metric by its name, in the order in which tables show them.
CATALOGUE: Mapping[str, Metric] = MappingProxyType(dict(_joined()))
_TABLE: Mapping[str, Metric] = {each.name: each for each in campaign.TABLE}


def metric(name: str) -> Metric:
    """What a metric is, by its name; raises InputError with the nearest name where there is none."""
    if name.startswith(_VERDICT):
        return Metric(name=name, label=f"verdict on {name.removeprefix(_VERDICT)!r}", group="What was asked",
                      formula="what the design reached of this, and whether that is what was asked (docs/design.md "
                      "says when; each design's NAME.confidence.json what was asked); of a fold plan, which nobody "
                      "asked for, only what was reached")  # fmt: skip
    if name in _TABLE:
        return _TABLE[name]
    if name not in CATALOGUE:
        message = "there is no such metric (structdiff explain lists them)"
        raise InputError(message, key="metric", found=name, suggest_from=CATALOGUE)
    return CATALOGUE[name]


def shown(name: str, value: float, *, digits: int = 3) -> str:
    """A value of a metric as tables show it: shares in per cent, "-" where there is none.

    >>> shown("rama_favoured", 0.9731), shown("chain_breaks", float("nan"))
    ('97.3', '-')
    """
    if value != value:
        return "-"
    number = value * metric(name).scale
    return "0" if abs(number) < _NOTHING else f"{number:.{digits}g}"
