"""Refolding with structdiff's own network."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from structdiff import pipeline
from structdiff.campaign.refolding import Refolded
from structdiff.spec.complex import ComplexSpec

if TYPE_CHECKING:
    from structdiff.drawing import OnProgress
    from structdiff.engine import Engine
    from structdiff.options import RunOptions


class OwnRefolder:
    """Predicts from the sequences alone, with the weights and sampling that are given; no conditions, no guidance.

    A target is given as a template. name: what the record calls it.
    """

    whole_target = False  # it would not fit into memory: that is why it was cropped

    def __init__(self, engine: Engine, options: RunOptions, *, seed: int, name: str) -> None:
        self.engine, self.seed, self.name = engine, seed, name
        self.options = dataclasses.replace(options, guidance=1.0, trajectory=0)

    def refold(self, complexes: Sequence[ComplexSpec], on_progress: OnProgress | None) -> Iterator[Refolded]:
        """The prediction of each complex, several drawn together."""
        found = pipeline.predict_each(
            complexes, seed=self.seed, options=self.options, engine=self.engine, on_progress=on_progress
        )
        for each in found:
            summary = each.confidence.summary()
            scores = {"refold_plddt": summary["mean_plddt_0_to_100"], "refold_ptm": summary["ptm"],
                      "refold_iptm": summary["iptm"], "refold_ipsae": summary["ipsae"]}  # fmt: skip
            made = {key: value for key, value in each.provenance.as_text().items() if key != "spec"}
            yield Refolded(structure=each.structure, scores=scores, record={"refolder": self.name, **made})
