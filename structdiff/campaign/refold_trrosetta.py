"""Refolding by trRosetta, from each sequence alone, and structdiff's own network for all atoms."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from structdiff.campaign.refold_own import OwnRefolder
from structdiff.campaign.refolding import Refolded
from structdiff.features.chain_folds import LONGEST, SHORTEST
from structdiff.spec.chain import SEQUENCE_ALONE, ChainSpec
from structdiff.spec.complex import ComplexSpec

if TYPE_CHECKING:
    from structdiff.drawing import OnProgress


class TrRosettaRefolder(OwnRefolder):
    """Predicts as `OwnRefolder` does, but for chains that follow the fold which trRosetta expects of their sequence.

    A target, which has a template, and chains of other lengths are predicted as there.
    """

    def refold(self, complexes: Sequence[ComplexSpec], on_progress: OnProgress | None) -> Iterator[Refolded]:
        """The prediction of each complex, whose folds are made one after another."""
        yield from super().refold([_aligned(each) for each in complexes], on_progress)


def _aligned(spec: ComplexSpec) -> ComplexSpec:
    """The complex, its new protein chains with their own sequences as alignments."""
    templated = {name for each in spec.templates for name in each.chains or spec.chain_ids}

    def of(chain: ChainSpec) -> ChainSpec:
        follows = chain.kind == "protein" and not templated & set(chain.ids) and SHORTEST <= len(chain) <= LONGEST
        return dataclasses.replace(chain, msa=(SEQUENCE_ALONE,)) if follows else chain

    return dataclasses.replace(spec, chains=tuple(of(chain) for chain in spec.chains))
