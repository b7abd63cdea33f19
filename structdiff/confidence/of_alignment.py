"""Confidence in chains that follow an alignment: what trRosetta expects takes the place of the network's own.

The network cannot judge them: it takes whatever fold it is told for as good as the true one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from structdiff.confidence.scores import LARGEST_ERROR, ConfidenceLogits, bin_centres
from structdiff.evaluation.backbone import Backbone
from structdiff.features.chain_folds import ChainFold
from structdiff.features.tokens import TokenTable
from structdiff.structure.tables import Structure
from structdiff.trrosetta.reliability import Reliability, reliability
from structdiff.typing import Float

_FLOOR = 1e-9
_STEEPEST = 2.0  # a rise with the error, one over Å, for pairs of which nothing is known


@dataclass(frozen=True, kw_only=True)
class AlignedLogits:
    """Logits of one structure, as the network's head gives them: plddt [token, 50], pae and pde [token, token, 64]."""

    plddt: Tensor
    pae: Tensor
    pde: Tensor


def judged_by_alignments(
    logits: ConfidenceLogits, folds: Sequence[ChainFold], structure: Structure, tokens: TokenTable
) -> ConfidenceLogits:
    """The logits with those of chains with an alignment, and of pairs within each, as trRosetta expects them.

    structure: the finished one.
    """
    if not folds:
        return logits
    found = AlignedLogits(plddt=logits.plddt.clone(), pae=logits.pae.clone(), pde=logits.pde.clone())
    for own in folds:
        for name in own.chains:
            row = int(np.flatnonzero(structure.chains.name == name)[0])
            expected = chain_reliability(own, structure, row)
            here = np.flatnonzero(tokens.chain == row)
            place = torch.from_numpy(tokens.residue[here].astype(np.int64) - structure.chain_residues(row).start)
            rows = torch.from_numpy(here)
            pairs, residues = (rows[:, None], rows), (place[:, None], place)
            found.plddt[rows] = plddt_logits(expected.lddt[place], found.plddt.shape[-1]).to(found.plddt)
            found.pae[pairs] = spread_logits(expected.aligned_error[residues], found.pae.shape[-1]).to(found.pae)
            found.pde[pairs] = spread_logits(expected.distance_error[residues], found.pde.shape[-1]).to(found.pde)
    return found


def folds_of_copies(folds: Sequence[ChainFold], unit: Structure, copies: Structure) -> list[ChainFold]:
    """The folds as those of all copies of a unit that stand one after the other in a structure."""
    names, first = copies.chains.name.tolist(), unit.chains.name.tolist()
    return [
        replace(own, chains=tuple(name for each in own.chains for name in names[first.index(each) :: len(first)]))
        for own in folds
    ]


def chain_reliability(fold: ChainFold, structure: Structure, row: int) -> Reliability:
    """What to expect of the chain of that row in a structure."""
    chosen = structure.select(structure.atom_chain == row)
    cb = Backbone.from_structure(chosen).cb_or_ideal
    for place in np.flatnonzero(~np.isfinite(cb).all(-1)).tolist():  # caps have none
        cb[place] = chosen.atoms.positions[chosen.residue_atoms(place)].mean(0)
    return reliability(fold.distance, torch.from_numpy(cb).float())


def plddt_logits(values: Float[Tensor, " token"], bins: int) -> Float[Tensor, "token bin"]:
    """Logits whose mean is each lDDT (0 to 1): the two bins beside it share it."""
    place = (values * bins - 0.5).clamp(0.0, bins - 1.0)
    return (1.0 - (torch.arange(bins) - place[:, None]).abs()).clamp(min=_FLOOR).log()


def spread_logits(mean: Float[Tensor, "token token"], bins: int) -> Float[Tensor, "token token bin"]:
    """Logits of errors (Å) with these means: gamma distributions of shape 2, cut off where the bins end."""
    centres = bin_centres(bins, LARGEST_ERROR)
    slopes = torch.cat([torch.linspace(-_STEEPEST, 1.0, 400), torch.logspace(0.0, 1.6, 200)]).unique()
    means = (centres.log() - slopes[:, None] * centres).softmax(-1) @ centres
    slope = np.interp(mean.numpy(), means.flip(0).numpy(), slopes.flip(0).numpy())
    return centres.log() - torch.from_numpy(slope).float()[..., None] * centres
