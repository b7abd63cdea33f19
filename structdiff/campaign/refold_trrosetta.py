"""Refolding by trRosetta, from each sequence alone, and structdiff's own network for all atoms."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from structdiff.campaign.refold_own import OwnRefolder
from structdiff.campaign.refolding import Refolded
from structdiff.features.chain_folds import LONGEST, SHORTEST
from structdiff.spec.chain import ChainSpec
from structdiff.spec.complex import ComplexSpec

if TYPE_CHECKING:
    from structdiff.drawing import OnProgress


class TrRosettaRefolder(OwnRefolder):
    """Predicts as `OwnRefolder` does, but for chains that follow the fold which trRosetta expects of their sequence.

    A target, which has a template, and chains of other lengths are predicted as there.
    """

    def refold(self, complexes: Sequence[ComplexSpec], on_progress: OnProgress | None) -> Iterator[Refolded]:
        """The prediction of each complex, whose folds are made one after another."""
        with tempfile.TemporaryDirectory(prefix="structdiff-refold-") as folder:
            aligned = [_aligned(each, Path(folder)) for each in complexes]
            for found in super().refold(aligned, on_progress):
                yield dataclasses.replace(found, record={**found.record, "refolder": "trrosetta"})


def _aligned(spec: ComplexSpec, folder: Path) -> ComplexSpec:
    """The complex, its protein chains with their own sequences as alignments in files of a folder."""
    templated = {name for each in spec.templates for name in each.chains or spec.chain_ids}
    return dataclasses.replace(spec, chains=tuple(_of_chain(chain, templated, folder) for chain in spec.chains))


def _of_chain(chain: ChainSpec, templated: set[str], folder: Path) -> ChainSpec:
    if chain.kind != "protein" or templated & set(chain.ids) or not SHORTEST <= len(chain) <= LONGEST:
        return chain
    path = folder / f"{len(list(folder.iterdir()))}.a3m"
    path.write_text(f">{chain.ids[0]}\n{chain.sequence}\n", encoding="utf-8")
    return dataclasses.replace(chain, msa=str(path))
