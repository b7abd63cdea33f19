"""Motifs: groups of atoms that keep their shape, each group free to stand anywhere."""

from __future__ import annotations

import torch
from torch import Tensor

from structdiff.features.schema import Features
from structdiff.geometry.superposition import superposition
from structdiff.typing import Bool, Float


class MotifHold:
    """Holds each motif group rigid: its atoms are laid, as one piece, where the prediction has put them.

    Args:
        reference: motif positions in Å [sample, atom, 3].
        groups: for each motif group, which atoms it holds [sample, group, atom].
    """

    def __init__(self, reference: Float[Tensor, "sample atom 3"], groups: Bool[Tensor, "sample group atom"]) -> None:
        self.reference, self.groups = reference, groups

    @classmethod
    def from_features(cls, features: Features) -> MotifHold:
        """The motifs that the conditions of a batch hold fixed."""
        condition = features.condition
        held_tokens = condition.motif_group * condition.structure_fixed
        count = int(held_tokens.max()) if held_tokens.numel() else 0
        tokens = held_tokens[:, None] == torch.arange(1, count + 1, device=held_tokens.device)[:, None]
        atoms = tokens.repeat_interleave(features.num_slots, 2) & condition.motif_mask[:, None]
        return cls(condition.motif_positions, atoms)

    def repeat(self, samples: int) -> MotifHold:
        """Each entry ``samples`` times in a row."""
        return MotifHold(self.reference.repeat_interleave(samples, 0), self.groups.repeat_interleave(samples, 0))

    def project(self, positions: Float[Tensor, "sample atom 3"], sigma: float) -> Float[Tensor, "sample atom 3"]:
        """Positions with every held atom replaced by the motif, superposed group by group and never mirrored."""
        for index in range(self.groups.shape[1]):
            held = self.groups[:, index]
            laid = superposition(self.reference, positions, mask=held).apply(self.reference)
            positions = torch.where(held[..., None], laid, positions)
        return positions

    def energy(self, positions: Float[Tensor, "sample atom 3"]) -> Float[Tensor, " sample"]:
        """Nothing is preferred: the motif is enforced."""
        return positions.new_zeros(positions.shape[0])
