"""Contacts between the copies of a symmetric assembly, while one of them is relaxed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from structdiff.constraints.repulsion import SKIN, Repulsion
from structdiff.geometry.point_groups import SymmetryGroup

_CLEARANCE = 3.0  # Å between backbone atoms of different copies
_ROUNDS, _LARGEST_SHIFT = 40, 0.4  # Å a round
_MOVES = 8.0  # Å, far more than relaxation moves anything: copies further away than this never touch


@dataclass(frozen=True, kw_only=True, eq=False)
class Images:
    """How other copies lie as seen from the one that is relaxed: rotations (copy, 3, 3), translations (copy, 3) in Å.

    With every operator there must be its inverse, so that each contact between two copies is seen from both.
    """

    rotations: np.ndarray
    translations: np.ndarray

    @classmethod
    def of(cls, group: SymmetryGroup) -> Images:
        """All copies of a group."""
        rotations, translations = group.relatives
        return cls(rotations=rotations, translations=translations)

    def about(self, centre: np.ndarray) -> Images:
        """The same operators for positions from which ``centre`` was subtracted."""
        moved = self.rotations @ centre + self.translations - centre
        return Images(rotations=self.rotations, translations=moved)

    def near(self, positions: np.ndarray) -> Images:
        """Those copies only that may touch the one at positions (atom, 3)."""
        middle = positions.mean(0)
        reach = 2 * np.linalg.norm(positions - middle, axis=1).max() + _MOVES
        kept = np.linalg.norm(self.rotations @ middle + self.translations - middle, axis=1) < reach
        return Images(rotations=self.rotations[kept], translations=self.translations[kept])


class ImageContacts:
    """Repulsion between a structure and its images, with its gradient written out.

    Half of the energy of each pair belongs to either copy. As images move along with the structure, the slope of the
    whole is twice that half's with images held, so no operator needs to be turned back.
    """

    def __init__(self, repulsion: Repulsion, images: Images) -> None:
        self.repulsion, self.images = repulsion, images
        self._rows = np.flatnonzero(repulsion.radius > 0)
        self._listed_at: np.ndarray | None = None

    def energy(self, sites: np.ndarray, stiffness: float) -> tuple[float, np.ndarray]:
        """Energy (kT) of a copy, and gradient (kT/Å), at positions (site, 3) of atoms and virtual atoms.

        stiffness in kT/Å².
        """
        gradient = np.zeros_like(sites)
        if not len(self.images.rotations) or not len(self._rows):
            return 0.0, gradient
        if self._listed_at is None or np.abs(sites - self._listed_at).max() > SKIN / 4:
            self._list(sites)
        turned = np.einsum("pij,pj->pi", self.images.rotations[self._copy], sites[self._other])
        arrow = sites[self._own] - turned - self.images.translations[self._copy]
        square = np.einsum("ij,ij->i", arrow, arrow) + 1e-8
        touching = np.flatnonzero(square < self._contact**2)
        distance = np.sqrt(square[touching])
        overlap = distance - self._contact[touching]
        force = arrow[touching] * (stiffness * overlap / distance)[:, None]
        for axis in range(3):
            gradient[:, axis] = np.bincount(self._own[touching], force[:, axis], len(sites))
        return 0.25 * stiffness * float(overlap @ overlap), gradient

    def _list(self, sites: np.ndarray) -> None:
        """Pairs of a site and an image of a site that nearly touch, in a fixed order."""
        self._listed_at = sites
        reach = 2 * float(self.repulsion.radius.max()) + SKIN
        tree = KDTree(sites[self._rows])
        own, other, copies = [], [], []
        for copy, (rotation, translation) in enumerate(
            zip(self.images.rotations, self.images.translations, strict=True)
        ):
            image = KDTree(sites[self._rows] @ rotation.T + translation)
            near = tree.query_ball_tree(image, reach)
            counts = [len(each) for each in near]
            own.append(np.repeat(self._rows, counts))
            other.append(self._rows[np.concatenate([sorted(each) for each in near]).astype(np.int64)])
            copies.append(np.full(sum(counts), copy))
        self._own, self._other, self._copy = (np.concatenate(each) for each in (own, other, copies))
        movable = self.repulsion.movable
        kept = movable[self._own] | movable[self._other]
        self._own, self._other, self._copy = self._own[kept], self._other[kept], self._copy[kept]
        self._contact = self.repulsion.contact(self._own, self._other)


def clearing_shift(positions: np.ndarray, group: SymmetryGroup) -> np.ndarray:
    """The shift (3,) in Å that parts a finished unit's backbone atoms (atom, 3) from its copies; 0 if they are apart.

    A motif is held through relaxation, so that where two copies' motifs are too near only the unit as a whole can go.
    """
    shift = np.zeros(3)
    images = Images.of(group).near(positions)
    for _ in range(_ROUNDS):
        own = positions + shift
        tree, push, count = KDTree(own), np.zeros(3), 0
        for rotation, translation in zip(images.rotations, images.translations, strict=True):
            image = own @ rotation.T + translation
            distance, nearest = map(np.asarray, tree.query(image, distance_upper_bound=_CLEARANCE))
            close = np.flatnonzero(np.isfinite(distance))
            between = own.mean(0) - image.mean(0)
            arrows = own[nearest[close]] - image[close] + between / max(float(np.linalg.norm(between)), 1e-6)
            lengths = np.maximum(np.linalg.norm(arrows, axis=1), 1e-6)
            push += ((_CLEARANCE - distance[close]) / lengths) @ arrows
            count += len(close)
        push -= group.unmoved @ push
        length = float(np.linalg.norm(push))
        if count == 0 or length < 1e-9:
            break
        shift += push / length * min(_LARGEST_SHIFT, 0.05 + length / count)
    return shift
