"""Symmetry groups of assemblies: the rotations (and shifts, along a helix) that carry one copy to every other."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np

_GOLDEN = (1 + 5**0.5) / 2
#: All entries that rotations of the polyhedral groups have when their two-fold axes are x, y and z.
_ENTRIES = np.array([0.0, 0.5, 1.0, _GOLDEN / 2, 1 / (2 * _GOLDEN)])
_SAME = 1e-6


@dataclass(frozen=True, kw_only=True, eq=False)
class SymmetryGroup:
    """The operators of an assembly: copy k is the first copy turned by ``rotations[k]`` and shifted by its translation.

    The first operator is the identity, to the last bit. rotations (copy, 3, 3), translations (copy, 3) in Å. Axes run
    through the origin: the main axis of Cn, Dn and helices is z, a two-fold axis of Dn is x; T, O and I have two-fold
    (O: four-fold) axes along x, y and z, and I a five-fold axis along (0, 1, golden ratio).
    """

    name: str
    rotations: np.ndarray
    translations: np.ndarray

    def __len__(self) -> int:
        return len(self.rotations)

    @property
    def is_helix(self) -> bool:
        """Whether copies are shifted along the axis; such a row of copies has ends, and is no finite group."""
        return bool(np.any(self.translations))

    @cached_property
    def relatives(self) -> tuple[np.ndarray, np.ndarray]:
        """How the other copies lie as seen from any one: rotations and translations, with the inverse of each.

        Of a point group these are its operators but the identity. A helix is seen as going on to both sides.
        """
        if not self.is_helix:
            return self.rotations[1:], self.translations[1:]
        inverse = np.swapaxes(self.rotations[1:], 1, 2)
        back = -np.einsum("kij,kj->ki", inverse, self.translations[1:])
        rotations = np.concatenate([self.rotations[1:], inverse])
        translations = np.concatenate([self.translations[1:], back])
        kept = _first_of_equals(rotations, translations)
        return rotations[kept], translations[kept]

    @cached_property
    def inverses(self) -> np.ndarray:
        """For each of ``relatives`` the row of its inverse."""
        rotations, translations = self.relatives
        backwards = np.swapaxes(rotations, 1, 2)
        shifts = -np.einsum("kij,kj->ki", backwards, translations)
        return _rows_of(backwards, shifts, rotations, translations)

    @cached_property
    def relative_rows(self) -> np.ndarray:
        """Row of ``relatives`` that leads from copy a to copy b (copy, copy); -1 from a copy to itself, and where a
        helix is longer than what is known of it."""
        count = len(self)
        inverse = np.swapaxes(self.rotations, 1, 2)
        rotations = np.einsum("aij,bjk->abik", inverse, self.rotations)
        apart = self.translations[None] - self.translations[:, None]
        translations = np.einsum("aij,abj->abi", inverse, apart)
        flat = _rows_of(rotations.reshape(-1, 3, 3), translations.reshape(-1, 3), *self.relatives)
        return flat.reshape(count, count)

    @cached_property
    def unmoved(self) -> np.ndarray:
        """Projection (3, 3) onto the directions that no operator turns: the axis of Cn and of a helix, else nothing."""
        turned = self.rotations.mean(0) if not self.is_helix else np.diag([0.0, 0.0, 1.0])
        return np.where(np.abs(turned) < _SAME, 0.0, turned)

    def apply(self, positions: np.ndarray) -> np.ndarray:
        """Every copy (copy, atom, 3) of positions (atom, 3) in Å, in double precision."""
        return positions.astype(np.float64) @ np.swapaxes(self.rotations, 1, 2) + self.translations[:, None]

    def joined(self, touching: np.ndarray) -> bool:
        """Whether contacts of these kinds (bool, one for each of ``relatives``) hold all copies together."""
        linked = np.zeros((len(self), len(self)), bool)
        known = self.relative_rows >= 0
        linked[known] = touching[self.relative_rows[known]]
        reached = np.zeros(len(self), bool)
        reached[0] = True
        while True:
            further = reached | linked[reached].any(0) | linked[:, reached].any(1)
            if (further == reached).all():
                return bool(reached.all())
            reached = further


def point_group(name: str) -> SymmetryGroup:
    """The point group of that name in Schoenflies' notation: C1, C2 ..., D2, D3 ..., T, O or I. Raises ValueError."""
    match = re.fullmatch(r"([CD])([1-9]\d{0,3})", name)
    if match is not None and (match[1] == "C" or int(match[2]) > 1):
        rotations = np.array([_about_z(2 * np.pi * k / int(match[2])) for k in range(int(match[2]))])
        if match[1] == "D":
            rotations = np.concatenate([rotations, rotations @ np.diag([1.0, -1.0, -1.0])])
    elif name in _GENERATORS:
        rotations = _closure(_GENERATORS[name]())
    else:
        raise ValueError(f"no point group is called {name!r}")
    rotations = np.where(np.abs(rotations) < 1e-15, 0.0, rotations)
    return SymmetryGroup(name=name, rotations=rotations, translations=np.zeros((len(rotations), 3)))


def helix(copies: int, *, rise: float, twist: float) -> SymmetryGroup:
    """Copies along z, each ``rise`` (Å) further and ``twist`` (radians) further round than the one before.

    The first copy is one in the middle, followed by its neighbours on either side and on outwards. Raises ValueError
    for fewer than two copies and for no rise at all.
    """
    if copies < 2 or rise == 0:
        raise ValueError("a helix has two copies or more, and a rise")
    places = sorted(range(-((copies - 1) // 2), copies // 2 + 1), key=lambda place: (abs(place), -place))
    return SymmetryGroup(
        name="helical",
        rotations=np.array([_about_z(twist * place) for place in places]),
        translations=np.array([[0.0, 0.0, rise * place] for place in places]),
    )


def _about_z(angle: float) -> np.ndarray:
    if angle == 0:
        return np.eye(3)
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])


def _about(axis: tuple[float, float, float], angle: float) -> np.ndarray:
    """Rodrigues' formula."""
    x, y, z = np.array(axis) / np.linalg.norm(axis)
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


_THREEFOLD = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
_GENERATORS = {
    "T": lambda: [np.diag([-1.0, -1.0, 1.0]), _THREEFOLD],
    "O": lambda: [_about((0.0, 0.0, 1.0), np.pi / 2), _THREEFOLD],
    "I": lambda: [np.diag([-1.0, -1.0, 1.0]), _THREEFOLD, _about((0.0, 1.0, _GOLDEN), 2 * np.pi / 5)],
}


def _closure(generators: list[np.ndarray]) -> np.ndarray:
    """All products of polyhedral rotations, the identity first, each entry brought to its exact value."""
    found = [np.eye(3)]
    generators = [_exact(each) for each in generators]
    for rotation in found:  # grows while it is walked through
        for generator in generators:
            product = _exact(generator @ rotation)
            if all(np.abs(product - other).max() > _SAME for other in found):
                found.append(product)
    return np.array(found)


def _exact(rotation: np.ndarray) -> np.ndarray:
    nearest = _ENTRIES[np.abs(np.abs(rotation)[..., None] - _ENTRIES).argmin(-1)]
    return np.copysign(nearest, rotation) * (nearest > 0)


def _differences(rotations: np.ndarray, translations: np.ndarray, others: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    turned = np.abs(rotations[:, None] - others[None]).max((2, 3))
    return np.maximum(turned, np.abs(translations[:, None] - shifts[None]).max(2))


def _first_of_equals(rotations: np.ndarray, translations: np.ndarray) -> np.ndarray:
    same = _differences(rotations, translations, rotations, translations) < _SAME
    return np.flatnonzero(same.argmax(1) == np.arange(len(rotations)))


def _rows_of(rotations: np.ndarray, translations: np.ndarray, others: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """For each operator the row of the equal one among others, -1 where there is none."""
    if not len(others):
        return np.full(len(rotations), -1)
    difference = _differences(rotations, translations, others, shifts)
    return np.where(difference.min(1) < _SAME, difference.argmin(1), -1)
