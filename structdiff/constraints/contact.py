"""Distances asked for between sets of atoms: contacts, hotspots, places to keep away from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from structdiff.typing import Bool, Float, Int

_SOFTNESS = 1.0  # Å, how far the smooth minimum looks beyond the nearest pair
_STEEPNESS = 1.0  # kT/Å²
_SURROUNDINGS = 8.0  # Å, how far a moved end carries its neighbours along
_WHOLE_CHAIN = 16.0  # Å, the same where the other end is held: what is free comes nearly as a whole
_ROUNDS = 12  # the nearest pair may change once it has moved
_SWEEPS = 3  # one contact may undo another
_MARGIN = 0.85  # of the bound: what is aimed at, so that the bound itself is met


@dataclass(frozen=True, kw_only=True)
class Contact:
    """Asks that some atom of one set lies within ``bound`` (Å) of some atom of another; with ``avoid``, that none does.

    first, second: atom numbers. name: how the user wrote it.
    """

    name: str
    first: Int[Tensor, " m"]
    second: Int[Tensor, " n"]
    bound: float
    avoid: bool = False

    def distance(self, positions: Float[Tensor, "sample atom 3"]) -> Float[Tensor, " sample"]:
        """The shortest distance (Å) between the two sets."""
        return torch.cdist(positions[:, self.first], positions[:, self.second]).flatten(1).amin(1)

    def energy(self, positions: Float[Tensor, "sample atom 3"]) -> Float[Tensor, " sample"]:
        """Square of how far the smooth shortest distance is on the wrong side of the bound (kT)."""
        arrow = positions[:, self.first, None] - positions[:, None, self.second]
        distance = torch.sqrt(arrow.square().sum(-1) + 1e-6).flatten(1)
        nearest = -_SOFTNESS * torch.logsumexp(-distance / _SOFTNESS, 1)
        excess = self.bound / _MARGIN - nearest if self.avoid else nearest - _MARGIN * self.bound
        return _STEEPNESS * torch.relu(excess).square()


class Contacts:
    """Every sample's own contacts, enforced by moving both surroundings and preferred by an energy.

    mask: atoms that exist [sample, atom]. held: those of motifs, which are laid back in place afterwards: where one end
    is held and the other is not, the other goes the whole way.
    """

    def __init__(
        self,
        by_sample: Sequence[Sequence[Contact]],
        mask: Bool[Tensor, "sample atom"],
        *,
        held: Bool[Tensor, "sample atom"] | None = None,
    ) -> None:
        self.by_sample, self.mask = tuple(map(tuple, by_sample)), mask
        self.held = torch.zeros_like(mask) if held is None else held

    def project(self, positions: Float[Tensor, "sample atom 3"], sigma: float) -> Float[Tensor, "sample atom 3"]:
        """Positions in which the nearest pair of each contact has been brought to its distance.

        Each end moves half the way, or the free one all of it, and carries its surroundings along, less and less over
        8 Å, so that no bond is torn.
        Asking too much of one place (contacts that exclude each other) leaves some unmet: verdicts tell.
        """
        moved = positions.clone()
        for sample, contacts in enumerate(self.by_sample):
            for contact in contacts * _SWEEPS:
                for _ in range(_ROUNDS):
                    step = _approach(contact, moved[sample], self.held[sample])
                    if step is None:
                        break
                    moved[sample] += step * self.mask[sample, :, None]
        return moved

    def energy(self, positions: Float[Tensor, "sample atom 3"]) -> Float[Tensor, " sample"]:
        """The sum of each sample's contact energies (kT)."""
        energies = []
        for sample, contacts in enumerate(self.by_sample):
            own = positions[sample : sample + 1]
            energies.append(sum((contact.energy(own) for contact in contacts), own.sum((1, 2)) * 0))
        return torch.cat(energies)


def _approach(
    contact: Contact, positions: Float[Tensor, "atom 3"], held: Bool[Tensor, " atom"]
) -> Float[Tensor, "atom 3"] | None:
    """Displacements (Å) that bring the nearest pair of a contact within its bound, or out of it; None if it is so."""
    distance = torch.cdist(positions[contact.first], positions[contact.second])
    place = int(distance.argmin())
    ends = contact.first[place // len(contact.second)], contact.second[place % len(contact.second)]
    one, other = positions[ends[0]], positions[ends[1]]
    length = distance.flatten()[place].clamp(min=0.1)
    wanted = contact.bound / _MARGIN if contact.avoid else contact.bound * _MARGIN
    missing = (length - wanted).clamp(max=0.0) if contact.avoid else (length - wanted).clamp(min=0.0)
    if float(missing) == 0:
        return None
    fixed = [bool(held[end]) for end in ends]
    together = fixed[0] == fixed[1]
    shares = (0.5, 0.5) if together else (float(fixed[1]), float(fixed[0]))
    range_ = _SURROUNDINGS if together else _WHOLE_CHAIN
    reach = [torch.exp(-0.5 * ((positions - end).norm(dim=-1) / range_).square()) for end in (one, other)]
    if together:
        # What one end's surroundings take along of the other end is made up for, as far as bonds allow.
        missing = missing / (1 - torch.exp(-0.5 * (length / _SURROUNDINGS).square())).clamp(min=0.25)
    else:
        # What is held stays: were it to come along, the whole would drift and nothing come nearer.
        reach = [each * ~held for each in reach]
    return missing * (shares[0] * reach[0] - shares[1] * reach[1])[:, None] * ((other - one) / length)
