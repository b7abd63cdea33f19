"""Metal ions of a predicted complex laid where most atoms of the receptor would bind them.

Vinardo's hydrogen bonds from a metal stand for its bonds to oxygen and nitrogen. Three things are not Vinardo's: metals
have radii of their own; soft ones bind sulphur, at the distances of its bonds; and they rather bind that, and nitrogen,
than oxygen: both count twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import gemmi
import numpy as np
import torch
from torch import Tensor

from structdiff.docking.asked_contacts import AskedContacts
from structdiff.docking.maps import Maps, build_maps, occupied
from structdiff.evaluation.ligand_atom_types import RADII, AtomTypes
from structdiff.typing import Float, Int

#: Å, such that surfaces overlap by about 0.45 Å where a metal is bonded to oxygen.
_METAL_RADII = {12: 0.95, 19: 1.6, 25: 1.0, 26: 0.95, 27: 0.95, 28: 0.95, 29: 0.95, 30: 0.95}
_SOFT = (26, 27, 28, 29, 30, 47, 48, 78, 79, 80)
_NITROGEN, _SULPHUR, _SULPHUR_RADIUS = 7, 16, 1.7
_SPACING, _FINE = 0.5, 0.1  # Å between points that are looked at, and about the best
_BOX, _MARGIN = 32.0, 3.0  # Å, the side of what is looked at together, and how far beyond what it is laid at
_KEPT = 512  # points of a box
_APART = 3.0  # Å between ions


@dataclass(frozen=True, kw_only=True)
class IonPlace:
    """Where an ion is laid (Å), and what that is worth (kcal/mol)."""

    position: Float[np.ndarray, "3"]
    energy: float


def is_metal(element: int) -> bool:
    """Whether an element binds as metals do."""
    return element not in RADII and gemmi.Element(element).is_metal


def best_place(
    ion: AtomTypes,
    element: int,
    receptor: Float[np.ndarray, "atom 3"],
    types: AtomTypes,
    elements: Int[np.ndarray, " atom"],
    asked: AskedContacts | None,
) -> IonPlace:
    """The best place for a metal ion in a receptor (Å), whose atoms have these types and elements.

    asked: what it is to be near to, beside which alone it is looked for then, and what it is to keep away from.
    """
    ions = receptor[np.array([is_metal(int(each)) for each in elements])]
    if element in _SOFT:
        receptor, types = _as_soft_metals_have_it(receptor, types, elements)
    ion = replace(ion, radius=np.array([_METAL_RADII.get(element, ion.radius[0])], np.float32))

    def lowest(low: np.ndarray, high: np.ndarray, spacing: float) -> tuple[Tensor, Tensor]:
        maps = build_maps(ion, receptor, types, low, high, spacing)
        values = maps.values[0].flatten()
        if asked is not None:
            values = values + asked.energy(_places(maps, torch.arange(len(values)))[:, None])[0]
        kept = values.topk(min(_KEPT, len(values)), largest=False).indices
        place = _places(maps, kept)
        return place, values[kept] + _crowding(place, ions)

    near, margin = receptor, _MARGIN
    if asked is not None and asked.leads:
        near, margin = asked.points(), asked.farthest + _MARGIN
    found = [lowest(low, low + _BOX, _SPACING) for low in _corners(near, margin)]
    places, cost = (torch.cat(each) for each in zip(*found, strict=True))
    best = places[cost.argmin()].numpy().astype(np.float64)
    places, cost = lowest(best - _SPACING, best + _SPACING, _FINE)
    return IonPlace(position=places[cost.argmin()].numpy(), energy=float(cost.min()))


def _as_soft_metals_have_it(
    receptor: Float[np.ndarray, "atom 3"], types: AtomTypes, elements: Int[np.ndarray, " atom"]
) -> tuple[Float[np.ndarray, "more 3"], AtomTypes]:
    """A receptor whose sulphurs bind, and once more all of them and the nitrogens that do."""
    sulphur = elements == _SULPHUR
    radius = np.where(sulphur, np.float32(_SULPHUR_RADIUS), types.radius)
    types = replace(types, radius=radius, acceptor=types.acceptor | sulphur)
    twice = np.flatnonzero(sulphur | (types.acceptor & (elements == _NITROGEN)))
    rows = np.concatenate([np.arange(len(elements)), twice])
    return receptor[rows], types.rows(rows)


def _corners(points: Float[np.ndarray, "point 3"], margin: float) -> Iterator[Float[np.ndarray, "3"]]:
    """The corners of boxes that hold some points (Å) and what is about them."""
    low, high = points.min(0) - margin, points.max(0) + margin
    for box in occupied(points, low, _BOX):
        if (low + _BOX * box < high).all():
            yield low + _BOX * box


def _crowding(places: Float[Tensor, "point 3"], ions: np.ndarray) -> Float[Tensor, " point"]:
    """What it costs (kcal/mol) to be as near to other ions as charges do not allow."""
    if not len(ions):
        return torch.zeros(len(places))
    apart = torch.cdist(places, torch.from_numpy(ions).float(), compute_mode="donot_use_mm_for_euclid_dist")
    return (_APART - apart).clamp(min=0.0).square().sum(-1)


def _places(maps: Maps, numbers: Int[Tensor, " point"]) -> Float[Tensor, "point 3"]:
    """Where points of a grid are (Å), by their numbers in the order of its values."""
    return torch.stack(torch.unravel_index(numbers, maps.values.shape[1:]), -1) * maps.spacing + maps.origin
