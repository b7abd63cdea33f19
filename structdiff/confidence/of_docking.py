"""Confidence in what was docked: as sure as poses of such a margin are right.

The network cannot judge them: a pose that fits looks like those that it has learnt from, wherever it is.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from structdiff.confidence.of_alignment import AlignedLogits, plddt_logits, spread_logits
from structdiff.confidence.scores import LARGEST_ERROR, ConfidenceLogits, bin_centres, plddt_from_logits
from structdiff.docking.complex_docking import Docked
from structdiff.features.tokens import TokenTable

#: Errors (Å) of chains in wrong places, where contacts were asked for, and where not.
_WRONG_CHAIN_TOLD, _WRONG_CHAIN = 8.0, 18.0
#: Errors (Å) of right poses, of wrong ones in the right site, and of wrong ones anywhere.
_RIGHT, _WRONG_TOLD, _WRONG = 1.5, 6.0, 18.0
#: lDDT of the atoms of the same.
_RIGHT_LDDT, _WRONG_TOLD_LDDT, _WRONG_LDDT = 0.9, 0.35, 0.1


def judged_by_docking(logits: ConfidenceLogits, docked: Docked, tokens: TokenTable) -> ConfidenceLogits:
    """The logits with errors between what was docked and all else, and a pLDDT of ligands, of what docking allows.

    How chains stand docking knows better than the network, and its errors take the place of the network's; of ligands,
    and of chains that stand where the network drew them, the less sure of both is taken for each pair and atom.
    """
    if not docked.chains and not docked.ligands:
        return logits
    found = AlignedLogits(plddt=logits.plddt.clone(), pae=logits.pae.clone(), pde=logits.pde.clone())
    for body in docked.chains:
        bodies = np.setdiff1d(body.others, body.loose)
        own, others, loose = (torch.from_numpy(np.flatnonzero(np.isin(tokens.atoms, rows).any(1)))
                              for rows in (body.rows, bodies, body.loose))  # fmt: skip
        wrong = _WRONG_CHAIN_TOLD if body.told else _WRONG_CHAIN
        _set_errors(found, own, others, body.chance, wrong, known=True)
        _set_errors(found, own, loose, body.chance, wrong, known=False)
    for each in docked.ligands:
        own = np.isin(tokens.atoms, each.rows).any(1)
        rows, others = (torch.from_numpy(np.flatnonzero(mask)) for mask in (own, ~own))
        chance = each.chance
        _set_errors(found, rows, others, chance, _WRONG_TOLD if each.told else _WRONG, known=False)
        expected = chance * _RIGHT_LDDT + (1 - chance) * (_WRONG_TOLD_LDDT if each.told else _WRONG_LDDT)
        known = torch.from_numpy(plddt_from_logits(found.plddt[rows])) / 100.0
        bins = found.plddt.shape[-1]
        found.plddt[rows] = plddt_logits(known.clamp(max=expected), bins).to(found.plddt)
    return found


def _set_errors(
    logits: AlignedLogits, own: Tensor, others: Tensor, chance: float, wrong: float, *, known: bool
) -> None:
    """Errors between tokens that were docked and others: right with a chance, else so many Å.

    known: in place of those that the network has, and not only where it is surer.
    """
    for table in (logits.pae, logits.pde):
        errors = _mixed(chance, _RIGHT, wrong, table.shape[-1]).to(table)
        for pairs in ((own[:, None], others), (others[:, None], own)):
            table[pairs] = errors if known else _less_sure(table[pairs], errors)


def _mixed(chance: float, right: float, wrong: float, bins: int) -> Tensor:
    """Logits [bin] of errors that are right with this chance; means in Å."""
    shares = [spread_logits(torch.tensor([[mean]]), bins)[0, 0].softmax(-1) for mean in (right, wrong)]
    return (chance * shares[0] + (1 - chance) * shares[1]).clamp(min=1e-9).log()


def _less_sure(own: Tensor, errors: Tensor) -> Tensor:
    """Of each pair's logits [..., bin] and one distribution [bin] those of the greater mean error."""
    centres = bin_centres(len(errors), LARGEST_ERROR)
    greater = errors.float().softmax(-1) @ centres > own.float().softmax(-1) @ centres
    return torch.where(greater[..., None], errors, own)
