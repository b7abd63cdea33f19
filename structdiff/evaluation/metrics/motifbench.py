"""Metrics of MotifBench, of one problem and of all thirty."""

from __future__ import annotations

from structdiff.evaluation.metrics.metric import Metric

_GROUP = "MotifBench"
_SOURCE = "Zheng et al., MotifBench, arXiv:2502.12479 (2025)"

METRICS = (
    Metric(name="motifbench_success", label="successful designs", group=_GROUP, scope="problem", unit="%",
           better="higher", source=_SOURCE, formula="share of designs of which a refolded sequence has the backbone "
           "within 2 Å and the motif's backbone within 1 Å"),
    Metric(name="motifbench_geometry", label="designs that hold the motif", group=_GROUP, scope="problem", unit="%",
           better="higher", source=_SOURCE, formula="share of designs of the right length with the motif's backbone "
           "within 1 Å and sound geometry: no chain break, no D residue; nothing is refolded"),
    Metric(name="motifbench_solutions", label="unique solutions", group=_GROUP, scope="problem", better="higher",
           source=_SOURCE, formula="clusters at TM 0.6 of the successful designs, of 100"),
    Metric(name="motifbench_novelty", label="novelty", group=_GROUP, scope="problem", better="higher",
           source=_SOURCE,
           formula="1 less the highest TM-score to a reference chain, mean over the clusters of successful designs"),
    Metric(name="motifbench_score", label="MotifBench score", group=_GROUP, scope="set", better="higher",
           source=_SOURCE, formula="mean over the 30 problems of 105 n / (n + 5), n the unique solutions"),
)  # fmt: skip
