"""Chains of known structure laid against each other, where neither network nor request says enough of how they stand.

What templates hold as one piece is a body. The largest stays where it was drawn, the others are docked one after the
other against all that is there; each where its atoms are best off of all ways to touch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import KDTree
from torch import Tensor

from structdiff.docking.chain_search import FoundPoses, Meeting, found_poses
from structdiff.docking.pose_choice import MOST_MARGIN, chance_of
from structdiff.docking.rigid_poses import RigidPoses
from structdiff.docking.work import ChainSearch, OnPart, nobody
from structdiff.evaluation.ligand_atom_types import AtomTypes
from structdiff.features.chain_folds import one_thread
from structdiff.features.requests import Proximity
from structdiff.geometry.superposition import superposition
from structdiff.structure.tables import ChainKind, Structure
from structdiff.typing import Bool, Float, Int

_KNOWN = 0.7  # of a body's atoms that templates give the places of, at least
_FEWEST = 10  # residues of a body
_ALIKE = 5.0  # Å between poses of one kind
#: The logarithm of the odds that a pose is right, without any margin and for each kcal/mol of it (validation split,
#: half of them with side chains built anew).
_TOLD, _UNTOLD = (-1.0, 1.8), (-1.7, 1.4)
_POLYMERS = (ChainKind.PROTEIN, ChainKind.DNA, ChainKind.RNA)


@dataclass(frozen=True, kw_only=True, eq=False)
class DockedChains:
    """A body that was docked.

    rows: of its atoms; others: of those of the polymers that it was docked to, loose: of these those of no body, which
    stand where the network drew them. energy: of its pose (kcal/mol). margin: kcal/mol by which it is better than any
    other kind of pose that was found, and than none. told: whether contacts between it and the others were asked for.
    chance: that it is acceptable (a DockQ of 0.23 and more), where the structures are right.
    """

    rows: Int[np.ndarray, " atom"]
    others: Int[np.ndarray, " other"]
    loose: Int[np.ndarray, " loose"]
    energy: float
    margin: float
    told: bool
    chance: float


@dataclass(frozen=True, kw_only=True, eq=False)
class ChainDocking:
    """Which bodies of a structure are docked: rows of the atoms of each, the largest first; and what is asked.

    piece: the rigid piece that each chain is part of.
    """

    structure: Structure
    types: AtomTypes
    piece: Int[np.ndarray, " chain"]
    bodies: tuple[np.ndarray, ...]
    asked: tuple[Proximity, ...]

    @classmethod
    def of(
        cls,
        structure: Structure,
        piece: Int[np.ndarray, " chain"],
        held: Bool[np.ndarray, " atom"],
        asked: Sequence[Proximity] = (),
    ) -> ChainDocking | None:
        """The docking of a complex; None where there are not two bodies.

        piece: the rigid piece that each chain is part of. held: atoms that templates give the places of.
        """
        protein = (structure.chains.kind == ChainKind.PROTEIN)[structure.atom_chain]
        bodies = []
        for number in np.unique(piece).tolist():
            own = (piece == number)[structure.atom_chain]
            residues = np.unique(structure.atoms.residue[own & protein])
            if len(residues) >= _FEWEST and held[own & protein].mean() >= _KNOWN:
                bodies.append(np.flatnonzero(own))
        if len(bodies) < 2:
            return None
        return cls(structure=structure, types=AtomTypes.of(structure), piece=piece, asked=tuple(asked),
                   bodies=tuple(sorted(bodies, key=len, reverse=True)))  # fmt: skip

    def parts(self) -> list[ChainSearch]:
        """The work that there is."""
        there, found = self._standing(), []
        for rows in self.bodies[1:]:
            found.append(self._part(rows, there))
            there[rows] = True
        return found

    def placed(
        self,
        positions: Float[Tensor, "atom 3"],
        generator: torch.Generator,
        on_part: OnPart = nobody,
        sample: int = 0,
    ) -> tuple[Float[Tensor, "atom 3"], tuple[DockedChains, ...]]:
        """Positions (Å) of all atoms with each body where it is best off, on the CPU; and what is known of each.

        Of poses those are taken that meet most of what is asked, the drawn one among them. on_part: told of each body
        that has been docked. sample: by 1 and more, the first body that is docked is put into the second best kind of
        pose and so on, for bodies that are the same in all samples have the same best pose.
        """
        places, docked = positions.numpy().copy(), []
        there, company = self._standing(), self._company(places)
        with one_thread():
            for number, (rows, along) in enumerate(zip(self.bodies[1:], company, strict=True)):
                kind = 0 if number else sample
                docked.append(self._docked(rows, along, places, there, generator, kind))
                on_part(self._part(rows, there))
                there[rows] = True
        return torch.from_numpy(places), tuple(docked)

    def _docked(
        self, rows: np.ndarray, along: np.ndarray, places: np.ndarray, there: np.ndarray, generator: torch.Generator,
        kind: int,
    ) -> DockedChains:  # fmt: skip
        """Moves a body, and what goes along with it, among places to its best pose of a kind with what is there."""
        body = np.isin(np.arange(len(places)), rows)
        structure = self.structure.with_positions(places)
        meeting = Meeting(structure=structure, types=self.types, still=there, body=body, asked=self.asked)
        found = found_poses(meeting, generator)
        still = np.flatnonzero(there)
        best, alike = self._of_kind(kind, found, still, rows, torch.from_numpy(places[still]))
        pose = found.poses[best : best + 1]
        places[along] = pose.placed(torch.from_numpy(places[along]) - found.anchor)[0].numpy()
        margin = self._margin(found, best, alike)
        told = self._told(rows, still)
        return DockedChains(
            rows=rows, others=still, loose=np.setdiff1d(still, np.concatenate(self.bodies)),
            energy=float(found.cost[best]), margin=margin, told=told,
            chance=chance_of(margin, _TOLD if told else _UNTOLD),
        )  # fmt: skip

    def _of_kind(
        self, number: int, found: FoundPoses, still: np.ndarray, rows: np.ndarray, others: Float[Tensor, "other 3"]
    ) -> tuple[int, list[RigidPoses]]:
        """The row of the best pose of a kind, counted from 0, or of the last kind; and poses that are the same.

        Of poses that meet most of what is asked, each kind has the best that is like none before.
        """
        least, seen, best = found.missed.min(), list[RigidPoses](), -1
        own: list[RigidPoses] = []
        for row in np.lexsort((found.cost.numpy(), found.missed.numpy())).tolist():
            pose = found.poses[row : row + 1]
            if found.missed[row] > least or number < 0:
                break
            if not seen or float(_apart(found, pose, seen).min()) > _ALIKE:
                best, own = row, [pose, *self._equivalent(found, pose, still, rows, others)]
                seen, number = [*seen, *own], number - 1
        return best, own

    def _margin(self, found: FoundPoses, best: int, alike: Sequence[RigidPoses]) -> float:
        """By how much (kcal/mol) a pose is better than the best of those that are not like it and meet as much.

        To be far from everything, at no energy at all, is one of these.
        """
        other = (_apart(found, found.poses, alike).amin(1) > _ALIKE) & (found.missed <= found.missed[best])
        least = min([0.0, *found.cost[other].tolist()])
        return min(max(least - float(found.cost[best]), 0.0), MOST_MARGIN)

    def _equivalent(
        self, found: FoundPoses, pose: RigidPoses, still: np.ndarray, rows: np.ndarray, others: Float[Tensor, "other 3"]
    ) -> list[RigidPoses]:
        """Of two equal chains the pose in which the pair is the same, with the other chain first."""
        atoms, residue = self.structure.atoms, self.structure.residues.name[self.structure.atoms.residue]
        equal = len(still) == len(rows) and (atoms.name[still] == atoms.name[rows]).all()
        if not (equal and (residue[still] == residue[rows]).all()):
            return []
        back = superposition(pose.placed(found.points)[0], others)
        return [RigidPoses.of(found.points, back.apply(others)[None])]

    def _told(self, rows: np.ndarray, others: np.ndarray) -> bool:
        """Whether anything is asked to be near a body that it is docked to: what comes later does not lead it."""
        return any(
            not each.avoid and bool(np.isin(own, rows).any() and np.isin(other, others).any())
            for each in self.asked
            for own, other in ((each.first, each.second), (each.second, each.first))
        )

    def _part(self, rows: np.ndarray, there: np.ndarray) -> ChainSearch:
        residue = self.structure.atoms.residue
        return ChainSearch(residues=len(np.unique(residue[rows])), others=len(np.unique(residue[there])))

    def _standing(self) -> Bool[np.ndarray, " atom"]:
        """Which atoms stay where they were drawn: the largest body, and polymers that are no bodies."""
        polymer = np.isin(self.structure.chains.kind, _POLYMERS)
        there = np.isin(self.piece, self.piece[polymer])[self.structure.atom_chain]
        there[np.concatenate(self.bodies[1:])] = False
        return there

    def _company(self, positions: Float[np.ndarray, "atom 3"]) -> list[np.ndarray]:
        """Of each body but the first the rows of its atoms and of those of ligands and water that lie on it."""
        owner = np.full(len(positions), -1)
        for number, rows in enumerate(self.bodies):
            owner[rows] = number
        polymers = np.flatnonzero(self._standing() | (owner >= 0))
        free = np.setdiff1d(np.arange(len(positions)), polymers)
        if len(free):
            distance, nearest = (np.asarray(each) for each in KDTree(positions[polymers]).query(positions[free]))
            piece = self.piece[self.structure.atom_chain[free]]
            for number in np.unique(piece).tolist():
                own = np.flatnonzero(piece == number)
                first = int(own[np.argmin(distance[own])])
                owner[free[own]] = owner[polymers[int(nearest[first])]]
        return [np.flatnonzero(owner == number) for number in range(1, len(self.bodies))]


def _apart(found: FoundPoses, poses: RigidPoses, others: Sequence[RigidPoses]) -> Float[Tensor, "pose other"]:
    """Root mean square deviations (Å) of the body in poses from it in others."""
    own, second = (each.coordinates(found.points) for each in (poses, RigidPoses.joined(*others)))
    return torch.cdist(own, second, compute_mode="donot_use_mm_for_euclid_dist")
