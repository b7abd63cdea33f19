"""What is asked of a ligand while it is docked: atoms that it is to be near to, or to keep away from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import KDTree
from torch import Tensor

from structdiff.features.requests import Proximity
from structdiff.typing import Bool, Float, Int

#: kcal/mol/Å², and Å beyond which it is a cone: what is far away is led and not torn.
STIFF, LINEAR = 1.0, 4.0
#: What is aimed at, of the distance that is asked for.
AIMED = 0.9


@dataclass(frozen=True, kw_only=True, eq=False)
class AskedContacts:
    """Atoms of a ligand and places (Å) of others, the nearest of which are to come within a distance that is aimed at
    (Å), or are not to (``avoid``).
    """

    own: tuple[Int[Tensor, " own"], ...]
    others: tuple[Float[Tensor, "other 3"], ...]
    aimed: tuple[float, ...]
    avoid: tuple[bool, ...]

    @classmethod
    def of(
        cls, asked: Sequence[Proximity], rows: np.ndarray, places: np.ndarray, there: Bool[np.ndarray, " atom"],
        docked: Sequence[np.ndarray] | None = None,
    ) -> AskedContacts | None:  # fmt: skip
        """Those between the ligand of these rows and atoms that are there; None if there are none.

        docked: rows of all molecules that are docked one after the other, this one too. Of several that one contact
        names any may be meant: it is of the first of the largest that can meet it. What they are to keep away from is
        of all of them. Without docked, contacts are of what has half of the atoms that they name.
        """
        found = []
        for each in asked:
            for own, other in ((each.first, each.second), (each.second, each.first)):
                mine, theirs = np.flatnonzero(np.isin(rows, own)), other[there[other] & ~np.isin(other, rows)]
                if not (len(mine) and len(theirs)):
                    continue
                if docked is None:
                    meant = 2 * len(mine) >= len(own)
                else:
                    largest = all(len(mine) >= np.isin(molecule, own).sum() for molecule in docked)
                    met = _meet(places[own[there[own]]], places[theirs], each.bound)
                    meant = each.avoid or (largest and not met)
                if meant:
                    aimed = each.bound / AIMED if each.avoid else each.bound * AIMED
                    found.append((torch.from_numpy(mine), torch.from_numpy(places[theirs]), aimed, each.avoid))
        if not found:
            return None
        own, others, aimed, avoid = zip(*found, strict=True)
        return cls(own=own, others=others, aimed=aimed, avoid=avoid)

    @property
    def leads(self) -> bool:
        """Whether it is to be near to anything."""
        return not all(self.avoid)

    def points(self) -> Float[np.ndarray, "point 3"]:
        """The places (Å) that it is to be near to, where it leads."""
        near = [other for other, avoid in zip(self.others, self.avoid, strict=True) if not avoid]
        return torch.cat(near).numpy().astype(np.float64)

    @property
    def farthest(self) -> float:
        """The greatest distance (Å) that is aimed at."""
        return max(aimed for aimed, avoid in zip(self.aimed, self.avoid, strict=True) if not avoid)

    def missed(self, positions: Float[Tensor, "pose atom 3"]) -> Int[Tensor, " pose"]:
        """How many are not met, by what was asked for and not by what is aimed at."""
        count = torch.zeros(len(positions), dtype=torch.int64)
        for own, other, aimed, avoid in zip(self.own, self.others, self.aimed, self.avoid, strict=True):
            nearest = (
                torch.cdist(positions[:, own], other, compute_mode="donot_use_mm_for_euclid_dist").flatten(1).amin(1)
            )
            count += nearest < aimed * AIMED if avoid else nearest > aimed / AIMED
        return count

    def arrays(self) -> dict[str, np.ndarray]:
        """The same for the native kernel."""
        return {
            "own_start": _starts(self.own), "own": _joined(self.own), "place_start": _starts(self.others),
            "place": _joined(self.others), "bound": np.array(self.aimed, np.float32),
            "avoid": np.array(self.avoid, np.uint8),
        }  # fmt: skip

    def energy(
        self, positions: Float[Tensor, "pose atom 3"]
    ) -> tuple[Float[Tensor, " pose"], Float[Tensor, "pose atom 3"]]:
        """What is missing (kcal/mol), and its gradient."""
        total, gradient = positions.new_zeros(len(positions)), torch.zeros_like(positions)
        pose = torch.arange(len(positions))
        for own, other, aimed, avoid in zip(self.own, self.others, self.aimed, self.avoid, strict=True):
            distance = torch.cdist(positions[:, own], other, compute_mode="donot_use_mm_for_euclid_dist")
            nearest, pair = distance.flatten(1).min(1)
            atom, place = own[pair // len(other)], other[pair % len(other)]
            wrong = (aimed - nearest if avoid else nearest - aimed).clamp(min=0.0)
            near = wrong.clamp(max=LINEAR)
            total = total + STIFF * near * (2 * wrong - near)
            arrow = positions[pose, atom] - place
            slope = 2 * STIFF * near / nearest.clamp(min=1e-3) * (-1 if avoid else 1)
            gradient[pose, atom] += slope[:, None] * arrow
        return total, gradient


def _starts(parts: Sequence[Tensor]) -> np.ndarray:
    return np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64)


def _joined(parts: Sequence[Tensor]) -> np.ndarray:
    return np.concatenate([np.zeros(0, np.int64), *(part.flatten().numpy() for part in parts)])


def _meet(some: Float[np.ndarray, "some 3"], others: Float[np.ndarray, "other 3"], bound: float) -> bool:
    """Whether any of some places is within a bound (Å) of any of others."""
    return len(some) > 0 and bool(KDTree(others).query(some)[0].min() <= bound)
