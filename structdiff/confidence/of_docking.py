"""Confidence in ligands that were docked: no surer than poses of such a margin are right.

The network cannot judge them: a pose that fits looks like those that it has learnt from, wherever it is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from structdiff.confidence.of_alignment import AlignedLogits, plddt_logits, spread_logits
from structdiff.confidence.scores import LARGEST_ERROR, ConfidenceLogits, bin_centres, plddt_from_logits
from structdiff.docking.placement import DockedLigand
from structdiff.features.tokens import TokenTable

#: Errors (Å) of right poses, of wrong ones in the right site, and of wrong ones anywhere.
_RIGHT, _WRONG_TOLD, _WRONG = 1.5, 6.0, 18.0
#: lDDT of the atoms of the same.
_RIGHT_LDDT, _WRONG_TOLD_LDDT, _WRONG_LDDT = 0.9, 0.35, 0.1


def judged_by_docking(logits: ConfidenceLogits, docked: Sequence[DockedLigand], tokens: TokenTable) -> ConfidenceLogits:
    """The logits with errors between docked ligands and all else, and a pLDDT of these, of what docking allows.

    Of both, the network's and docking's, the less sure is taken for each pair and atom.
    """
    if not docked:
        return logits
    found = AlignedLogits(plddt=logits.plddt.clone(), pae=logits.pae.clone(), pde=logits.pde.clone())
    for each in docked:
        own = np.isin(tokens.atoms, each.rows).any(1)
        rows, others = (torch.from_numpy(np.flatnonzero(mask)) for mask in (own, ~own))
        chance, wrong = each.chance, _WRONG_TOLD if each.told else _WRONG
        for table in (found.pae, found.pde):
            errors = _mixed(chance, _RIGHT, wrong, table.shape[-1]).to(table)
            for pairs in ((rows[:, None], others), (others[:, None], rows)):
                table[pairs] = _less_sure(table[pairs], errors)
        expected = chance * _RIGHT_LDDT + (1 - chance) * (_WRONG_TOLD_LDDT if each.told else _WRONG_LDDT)
        known = torch.from_numpy(plddt_from_logits(found.plddt[rows])) / 100.0
        bins = found.plddt.shape[-1]
        found.plddt[rows] = plddt_logits(known.clamp(max=expected), bins).to(found.plddt)
    return found


def _mixed(chance: float, right: float, wrong: float, bins: int) -> Tensor:
    """Logits [bin] of errors that are right with this chance; means in Å."""
    shares = [spread_logits(torch.tensor([[mean]]), bins)[0, 0].softmax(-1) for mean in (right, wrong)]
    return (chance * shares[0] + (1 - chance) * shares[1]).clamp(min=1e-9).log()


def _less_sure(own: Tensor, errors: Tensor) -> Tensor:
    """Of each pair's logits [..., bin] and one distribution [bin] those of the greater mean error."""
    centres = bin_centres(len(errors), LARGEST_ERROR)
    greater = errors.float().softmax(-1) @ centres > own.float().softmax(-1) @ centres
    return torch.where(greater[..., None], errors, own)
