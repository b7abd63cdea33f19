"""Metrics of a set beside natural chains: do they have the same distribution."""

from __future__ import annotations

from structdiff.evaluation.metrics.metric import Metric

_GROUP = "Distribution"
_SPACES = {
    "shape": "our embedding of the CA geometry",
    "descriptors": "simple descriptors (secondary structure, radius of gyration, contact order, contacts)",
}


def _of_space(space: str, words: str) -> tuple[Metric, ...]:
    """The measures of two sets of points in one space."""
    title = {"shape": "fold shape", "descriptors": "descriptors"}[space]
    return (
        Metric(name=f"frechet_{space}", label=f"Fréchet distance, {title}", group=_GROUP, scope="set", better="lower",
               formula=f"squared distance of the means plus trace of C1 + C2 - 2 (C1 C2)^1/2 of both sets in {words}",
               source="Heusel et al., NeurIPS 2017; Dowson & Landau 1982"),
        Metric(name=f"frechet_ratio_{space}", label=f"Fréchet distance over natural halves', {title}", group=_GROUP,
               scope="set", better="lower", natural=(0.0, 1.5), formula="Fréchet distance to natural chains over that "
               "between two random halves of natural chains, all sets of the same size and lengths; 1 is as natural"),
        Metric(name=f"precision_{space}", label=f"precision, {title}", group=_GROUP, scope="set", unit="%",
               better="higher", formula=f"share of structures within reach of a natural chain in {words}: nearer than "
               "that chain's 5th natural neighbour", source="Kynkäänniemi et al., NeurIPS 2019"),
        Metric(name=f"recall_{space}", label=f"recall, {title}", group=_GROUP, scope="set", unit="%", better="higher",
               formula="share of natural chains within reach of a structure: nearer than its 5th neighbour of the set",
               source="Kynkäänniemi et al., NeurIPS 2019"),
        Metric(name=f"density_{space}", label=f"density, {title}", group=_GROUP, scope="set", better="higher",
               formula="number of natural chains a structure is within reach of, over 5; about 1 for natural chains",
               source="Naeem et al., ICML 2020"),
        Metric(name=f"coverage_{space}", label=f"coverage, {title}", group=_GROUP, scope="set", unit="%",
               better="higher", formula="share of natural chains that have a structure within their reach",
               source="Naeem et al., ICML 2020"),
    )  # fmt: skip


METRICS = tuple(metric for space, words in _SPACES.items() for metric in _of_space(space, words))
