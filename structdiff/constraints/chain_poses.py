"""Where the chains of a complex stand: each moves as one piece until it is where contacts want it, and in no other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from structdiff.constraints.piece_poses import GOOD, ROUNDS, STARTS, STARTS_TURNED, PieceAtoms, Pieces, Poses
from structdiff.features.requests import Proximity
from structdiff.structure.tables import ChainKind, Structure
from structdiff.typing import Float

_LARGEST_SIGMA = 40.0  # Å of noise, above which nothing has a place
_SHAPED = 8.0  # Å of noise, above which chains that nothing holds have no shape that could overlap
_SEARCHED = 2.0  # Å of noise, above which a chain may still turn right round
#: Å from atoms that stand for residues to where others begin: CA atoms of different chains are 5.5 Å apart and more.
_RADIUS = {"CA": 2.75, "P": 2.4, "C1'": 2.4, "N1": 2.2}
_LIGAND_CONTACT = 4.5  # Å from a ligand of which nothing is asked to the nearest polymer
_MOST = 400  # points that are looked at while other poses are tried


class ChainPoses:
    """Moves the chains of a complex as rigid pieces: contacts between them are met, and none stands in another.

    Chains that bonds join, or that a template or a helix holds together, are one piece. Contacts that are left to
    forces on atoms tear a chain to where it is to touch another; and of chains that were drawn one through the other
    the forces cancel.

    Args:
        structure: the molecules, all of whose atoms are seen.
        group: the template or helix of each atom, 0 for none.
        contacts: what is asked; those within a piece are the chain's own affair. Ligands of which nothing is asked
            are to lie against a polymer, if there is any.
    """

    def __init__(self, structure: Structure, group: np.ndarray, contacts: Sequence[Proximity]) -> None:
        piece = rigid_pieces(structure, group)[structure.atom_chain]
        self.count = int(piece.max(initial=-1)) + 1
        asked = [each for each in contacts if not set(piece[each.first]) & set(piece[each.second])]
        points, radius = _points(structure)
        ligand = (structure.chains.kind == ChainKind.LIGAND)[structure.atom_chain]
        #: Whether anything is asked of how pieces stand to each other.
        self.asked = bool(asked)
        self.atoms = PieceAtoms(
            piece=torch.from_numpy(piece),
            count=self.count,
            points=torch.from_numpy(points),
            radius=torch.from_numpy(radius),
            ligand=torch.from_numpy(np.flatnonzero(ligand)),
            contacts=(*asked, *_beside_polymers(structure, piece, asked)),
        )
        solid = np.ones(self.count, bool)
        solid[piece[~ligand]] = False
        solid[piece[group > 0]] = True
        self.solid = torch.from_numpy(solid)

    def project(self, positions: Float[Tensor, "sample atom 3"], sigma: float) -> Float[Tensor, "sample atom 3"]:
        """Positions with the pieces moved, while noise leaves them a shape."""
        if self.count < 2 or sigma > _LARGEST_SIGMA:
            return positions
        with torch.inference_mode(False), torch.no_grad():
            own = positions.detach().clone().cpu()
            done = torch.stack([self._moved(each, sigma) for each in own])
        return done.to(positions)

    def energy(self, positions: Float[Tensor, "sample atom 3"]) -> Float[Tensor, " sample"]:
        """Nothing is preferred of single atoms."""
        return positions.new_zeros(positions.shape[0])

    def most_work(self, sigma: float) -> np.ndarray:
        """What one projection takes where nothing stands well: rounds of descents, contacts and distances in them."""
        if self.count < 2 or sigma > _LARGEST_SIGMA:
            return np.zeros(3)
        points, contacts = len(self.atoms.points) * (sigma <= _SHAPED), len(self.atoms.contacts)
        of_ligands = float(len(self.atoms.ligand) * len(self.atoms.piece))
        fine = np.array([1.0, contacts, points**2 + of_ligands])
        if sigma <= _SEARCHED:
            return ROUNDS * fine
        tried = STARTS_TURNED if contacts else STARTS
        coarse = np.array([1.0, contacts, tried * (min(points, _MOST) ** 2 + of_ligands)])
        return ROUNDS * (2 * fine + coarse)

    def _moved(self, positions: Float[Tensor, "atom 3"], sigma: float) -> Float[Tensor, "atom 3"]:
        shaped = self.solid | (sigma <= _SHAPED)
        fine = Pieces(self.atoms, positions, shaped)
        still = Poses.still(1, self.count)
        if float(fine.cost(still)) <= GOOD:
            return positions
        poses, cost = fine.descended(still)
        if sigma > _SEARCHED and float(cost) > GOOD:
            coarse = Pieces(self.atoms, positions, shaped, most=_MOST)
            tried, costs = coarse.descended(coarse.starts(turned=bool(self.atoms.contacts)))
            other, other_cost = fine.descended(tried.of(int(costs.argmin())))
            if float(other_cost) < float(cost):
                poses = other
        return fine.placed(poses, positions)


def rigid_pieces(structure: Structure, group: np.ndarray) -> np.ndarray:
    """The piece (chain,) of each chain: chains that a bond or a group (atom,), 0 for none, joins are in one."""
    chain, count = structure.atom_chain, len(structure.chains)
    first, second = chain[structure.bonds.atom_1], chain[structure.bonds.atom_2]
    held = np.flatnonzero(group)
    size = count + int(group.max(initial=0)) + 1
    rows, columns = np.concatenate([first, chain[held]]), np.concatenate([second, count + group[held]])
    joined = coo_array((np.ones(len(rows)), (rows, columns)), shape=(size, size))
    _, label = connected_components(joined, directed=False)
    return np.unique(label[:count], return_inverse=True)[1].astype(np.int64)


def _beside_polymers(structure: Structure, piece: np.ndarray, asked: Sequence[Proximity]) -> list[Proximity]:
    """A contact with any polymer for each piece of ligands of which no contact is asked."""
    ligand = (structure.chains.kind == ChainKind.LIGAND)[structure.atom_chain]
    polymers = np.flatnonzero(~ligand & (structure.chains.kind != ChainKind.WATER)[structure.atom_chain])
    known = {int(row) for each in asked if not each.avoid for end in (each.first, each.second) for row in piece[end]}
    free = sorted(set(piece[ligand].tolist()) - set(piece[polymers].tolist()) - known)
    if not len(polymers):
        return []
    return [
        Proximity(name="a polymer", first=np.flatnonzero(piece == number), second=polymers, bound=_LIGAND_CONTACT)
        for number in free
    ]


def _points(structure: Structure) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the atoms that stand for residues of polymers, and their radii (Å)."""
    ligand = (structure.chains.kind == ChainKind.LIGAND)[structure.atom_chain]
    radius = np.array([_RADIUS.get(name, 0.0) for name in structure.atoms.name.tolist()], np.float32)
    rows = np.flatnonzero((radius > 0) & ~ligand)
    return rows, radius[rows]
