"""Motifs: groups of atoms that keep their shape, each group free to stand anywhere."""

from __future__ import annotations

import torch
from torch import Tensor

from structdiff.features.schema import Features
from structdiff.geometry.superposition import superposition
from structdiff.typing import Bool, Float

_REACH = 5.0  # Å, how far a motif's correction carries its surroundings along
_INERTIA = 0.5  # weight of staying, beside that of going along


class MotifHold:
    """Holds each motif group rigid: its atoms are laid, as one piece, where the prediction has put them.

    What the motif has to move for that, residues next to it move along with, less and less over some 5 Å, so that
    chains are not torn where they enter and leave it.

    Args:
        reference: motif positions in Å [sample, atom, 3].
        groups: for each motif group, which atoms it holds [sample, group, atom].
        mask: atoms that exist [sample, atom].
        num_slots: atoms a token may hold; atom = token * num_slots + slot.
    """

    def __init__(
        self,
        reference: Float[Tensor, "sample atom 3"],
        groups: Bool[Tensor, "sample group atom"],
        *,
        mask: Bool[Tensor, "sample atom"],
        num_slots: int,
    ) -> None:
        self.reference, self.groups, self.mask, self.num_slots = reference, groups, mask, num_slots

    @classmethod
    def from_features(cls, features: Features, *, groups: int | None = None) -> MotifHold:
        """The motifs that the conditions of a batch hold fixed.

        groups: how many there are at most; without it they are counted, for which the host waits for the device.
        """
        condition = features.condition
        held_tokens = condition.motif_group * condition.structure_fixed
        count = groups
        if count is None:
            count = int(held_tokens.max()) if held_tokens.numel() else 0
        tokens = held_tokens[:, None] == torch.arange(1, count + 1, device=held_tokens.device)[:, None]
        atoms = tokens.repeat_interleave(features.num_slots, 2) & condition.motif_mask[:, None]
        return cls(condition.motif_positions, atoms, mask=features.atom.mask, num_slots=features.num_slots)

    def repeat(self, samples: int) -> MotifHold:
        """Each entry ``samples`` times in a row."""
        reference, groups, mask = (x.repeat_interleave(samples, 0) for x in (self.reference, self.groups, self.mask))
        return MotifHold(reference, groups, mask=mask, num_slots=self.num_slots)

    def project(self, positions: Float[Tensor, "sample atom 3"], sigma: float) -> Float[Tensor, "sample atom 3"]:
        """Positions with every held atom replaced by the motif, superposed group by group and never mirrored."""
        if self.groups.shape[1] == 0:
            return positions
        laid = positions
        for index in range(self.groups.shape[1]):
            held = self.groups[:, index]
            moved = superposition(self.reference, positions, mask=held).apply(self.reference)
            laid = torch.where(held[..., None], moved, laid)
        held = self.groups.any(1)
        carried = positions + self._carried(positions, laid - positions, held)
        return torch.where(held[..., None], laid, torch.where(self.mask[..., None], carried, positions))

    def _carried(
        self, positions: Float[Tensor, "sample atom 3"], shift: Float[Tensor, "sample atom 3"], held: Tensor
    ) -> Float[Tensor, "sample atom 3"]:
        """How each token goes along with the held tokens around it, the same for all of its atoms."""
        centre, _ = self._token_means(positions, self.mask)
        shift, counts = self._token_means(shift, held)
        weight = torch.exp(-0.5 * (torch.cdist(centre, centre) / _REACH).square()) * (counts > 0)[:, None]
        along = (weight @ shift) / (weight.sum(-1, keepdim=True) + _INERTIA)
        return along.repeat_interleave(self.num_slots, 1)

    def _token_means(self, values: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
        chosen = chosen.unflatten(1, (-1, self.num_slots))
        counts = chosen.sum(2)
        total = (values.unflatten(1, (-1, self.num_slots)) * chosen[..., None]).sum(2)
        return total / counts.clamp(min=1)[..., None], counts

    def energy(self, positions: Float[Tensor, "sample atom 3"]) -> Float[Tensor, " sample"]:
        """Nothing is preferred: the motif is enforced."""
        return positions.new_zeros(positions.shape[0])
