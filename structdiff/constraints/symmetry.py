"""Symmetric assemblies: one copy is drawn, the others are made from it by the operators of the group."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from structdiff.diffusion.guidance import Denoiser
from structdiff.features.schema import Features
from structdiff.geometry.point_groups import SymmetryGroup
from structdiff.geometry.superposition import superposition
from structdiff.structure.tables import ChainKind
from structdiff.typing import Bool, Float, Int

_UNIT_RADIUS, _UNIT_GROWTH = 2.9, 0.38  # Å: a chain of L residues is a ball of 2.9 L^0.38
_FAR = 1e6


class SymmetricCopies:
    """The copies of asymmetric units that the network sees: of each unit itself and of the copies nearest to it.

    Copies are ranked by their shortest distance between centre atoms (CA) to the unit; an operator and its inverse
    are equally near and come one after the other. Only copies that the finished assembly holds count, as seen from its
    first copy.

    Args:
        group: the operators.
        seen: how many copies beside the unit.
        units: features of the units, as a batch.
    """

    def __init__(self, group: SymmetryGroup, seen: int, units: Features) -> None:
        device = units.token.mask.device
        rotations, translations = (torch.from_numpy(x).float().to(device) for x in group.relatives)
        self.group, self.seen = group, seen
        self.rotations, self.translations = rotations, translations
        self.unmoved = torch.from_numpy(group.unmoved).float().to(device)
        rows = np.arange(len(rotations))
        known = group.inverses >= 0
        twin = np.where(known, np.minimum(rows, group.inverses), rows)
        self._twin = torch.from_numpy(twin).to(device)
        self._absent = torch.ones(len(rotations), dtype=torch.bool, device=device)
        self._absent[torch.from_numpy(group.relative_rows[0, 1:]).to(device)] = False
        self.token_mask = units.token.mask
        self.protein = units.token.mask & (units.token.kind == ChainKind.PROTEIN)
        self.num_slots = units.num_slots
        slots = torch.arange(units.num_tokens, device=device) * units.num_slots
        self.centre = slots + units.token.centre
        counts = self.token_mask.sum(1)
        total = (1 + seen) * units.num_tokens
        token = torch.arange(total, device=device).expand(len(counts), total)
        copy, place = token // counts[:, None], token % counts[:, None]
        source = torch.where(copy <= seen, copy * units.num_tokens + place, 0)
        atom = source[..., None] * self.num_slots + torch.arange(self.num_slots, device=device)
        self._source, self._exists = atom.flatten(1), (copy <= seen).repeat_interleave(self.num_slots, 1)

    def centres(self, positions: Float[Tensor, "sample atom 3"]) -> Float[Tensor, "sample token 3"]:
        """The centre atom of each token (Å)."""
        return torch.take_along_dim(positions, self.centre[..., None], 1)

    def distances(self, positions: Float[Tensor, "sample atom 3"]) -> Float[Tensor, "sample relative"]:
        """The shortest distance (Å) between centre atoms of the unit and of each of ``group.relatives``."""
        centres = self.centres(positions)
        found = centres.new_full((len(centres), len(self.rotations)), _FAR)
        for row in torch.unique(self._twin).tolist():
            image = centres @ self.rotations[row].T + self.translations[row]
            apart = torch.cdist(centres, image)
            apart = apart.masked_fill(~(self.token_mask[:, :, None] & self.token_mask[:, None]), _FAR)
            found[:, row] = apart.flatten(1).amin(1)
        return found[:, self._twin]

    def nearest(self, positions: Float[Tensor, "sample atom 3"]) -> Int[Tensor, "sample seen"]:
        """Rows of ``group.relatives`` of the nearest copies, the nearest first."""
        distance = self.distances(positions).masked_fill(self._absent, 2 * _FAR)
        return distance.argsort(dim=1, stable=True)[:, : self.seen]

    def beside(
        self, positions: Float[Tensor, "sample atom 3"], chosen: Int[Tensor, "sample seen"]
    ) -> Float[Tensor, "sample context_atom 3"]:
        """The unit and the chosen copies, in the order of `structdiff.features.copies.side_by_side`."""
        moved = torch.einsum("skij,saj->skai", self.rotations[chosen], positions)
        moved = moved + self.translations[chosen][:, :, None]
        every = torch.cat([positions[:, None], moved], 1).flatten(1, 2)
        return torch.take_along_dim(every, self._source[..., None], 1) * self._exists[..., None]


class SymmetricDenoiser:
    """A denoiser of asymmetric units that shows the network each with its nearest copies, and takes the unit's part.

    The network does not know where the axes are: it places what it sees about the middle of what it sees. So the
    middle is put where the noisy unit's own place says, as far as that can be believed at this noise level, and shifts
    along an axis, which no operator notices, are taken back.
    """

    def __init__(self, denoise: Denoiser, copies: SymmetricCopies) -> None:
        self.denoise, self.copies = denoise, copies

    def __call__(self, positions: Tensor, sigma: Tensor, previous: Tensor | None, /) -> Tensor:
        """Denoised units."""
        copies = self.copies
        chosen = copies.nearest(positions if previous is None else previous)
        before = None if previous is None else copies.beside(previous, chosen)
        denoised = self.denoise(copies.beside(positions, chosen), sigma, before)[:, : positions.shape[1]]
        return denoised + self._shift(positions, sigma, chosen)[:, None]

    def _shift(self, positions: Tensor, sigma: Tensor, chosen: Tensor) -> Float[Tensor, "sample 3"]:
        copies = self.copies
        count = copies.token_mask.sum(1)
        weight = copies.token_mask[..., None] / count[:, None, None]
        middle = (copies.centres(positions) * weight).sum(1)
        along = middle @ copies.unmoved.T
        mean_turn = (torch.eye(3).to(positions) + copies.rotations[chosen].sum(1)) / (1 + chosen.shape[1])
        spread = assembly_radius(copies.group, count.float()).square() / 3
        believed = spread / (spread + sigma.square() / count)
        change = (believed - 1)[:, None] * (middle - along)
        return torch.einsum("sij,sj->si", mean_turn, change) - along


def assembly_radius(group: SymmetryGroup, residues: Float[Tensor, " sample"]) -> Float[Tensor, " sample"]:
    """About how far (Å) from the centre or axis units stand whose neighbours touch, from their number of residues."""
    unit = _UNIT_RADIUS * residues**_UNIT_GROWTH
    if group.name.startswith("C"):
        return unit / math.sin(math.pi / max(len(group), 2))
    return unit if group.is_helix else unit * math.sqrt(len(group)) / 2


class PlacedMotif:
    """Moves each unit, as one rigid piece, so that its motif lies where its file has it in the frame of the group.

    reference: motif positions in Å [sample, atom, 3]; held: which atoms these are [sample, atom].
    """

    def __init__(self, reference: Float[Tensor, "sample atom 3"], held: Bool[Tensor, "sample atom"]) -> None:
        self.reference, self.held = reference, held

    def project(self, positions: Float[Tensor, "sample atom 3"], sigma: float) -> Float[Tensor, "sample atom 3"]:
        """Positions with the motif superposed on its place, never mirrored."""
        return superposition(positions, self.reference, mask=self.held).apply(positions)

    def energy(self, positions: Float[Tensor, "sample atom 3"]) -> Float[Tensor, " sample"]:
        """Nothing is preferred: the place is enforced."""
        return positions.new_zeros(positions.shape[0])


def context_chains(group: SymmetryGroup, chosen: Sequence[int]) -> list[int]:
    """Which copies of the assembly (from 0) the unit and the chosen ``relatives`` of its first copy are."""
    rows = group.relative_rows[0].tolist()
    return [0, *(rows.index(row) for row in chosen)]
