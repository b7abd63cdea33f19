"""The slopes of poses, which are written out, are those of what the poses cost."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from structdiff.constraints.piece_poses import PieceAtoms, Pieces, Poses
from structdiff.features.requests import Proximity
from structdiff.geometry.rotations import random_rotation

PIECES, POSES = 3, 4


def complex_of(residues: int, ligand_atoms: int) -> tuple[PieceAtoms, Tensor]:
    """Two chains of points and a ligand that lie in each other, and what is asked of them."""
    generator = torch.Generator().manual_seed(residues)
    count = 2 * residues + ligand_atoms
    rows = np.arange(count)
    ligand = rows[2 * residues :]
    positions = 6.0 * torch.randn(count, 3, generator=generator)
    positions[residues] = positions[0]  # two atoms in one place have no direction apart
    return PieceAtoms(
        piece=torch.tensor([0] * residues + [1] * residues + [2] * ligand_atoms),
        count=PIECES,
        points=torch.arange(2 * residues),
        radius=torch.full((2 * residues,), 2.75),
        ligand=torch.from_numpy(ligand),
        contacts=(
            Proximity(name="far", first=rows[:3], second=ligand, bound=2.0),
            Proximity(name="near", first=rows[:residues], second=ligand, bound=50.0),
            Proximity(name="kept away", first=rows[residues : residues + 4], second=rows[:4], bound=20.0, avoid=True),
        ),
    ), positions


def plain_cost(pieces: Pieces, poses: Poses, positions: Tensor, shaped: Tensor) -> Tensor:
    """The same cost, of all atoms as they are placed, for autograd."""
    atoms, piece = pieces.atoms, pieces.atoms.piece
    arrow = positions - pieces.middle[piece]
    placed = torch.einsum("spij,pj->spi", poses.turn[:, piece], arrow) + (poses.shift + pieces.middle)[:, piece]

    def apart(rows: Tensor, others: Tensor, clearance: Tensor) -> Tensor:
        between = (piece[rows][:, None] != piece[others]) & shaped[piece[rows]][:, None] & shaped[piece[others]]
        distance = (placed[:, rows, None] - placed[:, None, others]).square().sum(-1)
        distance = torch.where(distance > 0, distance, 1.0).sqrt() * (distance > 0)
        return 0.3 * (clearance * between - distance).clamp(min=0.0).square().sum((1, 2))

    radius, every = atoms.radius, torch.arange(len(piece))
    total = apart(atoms.points, atoms.points, radius[:, None] + radius) / 2
    total = total + apart(atoms.ligand, every, torch.tensor(3.3))
    for each in atoms.contacts:
        nearest = torch.cdist(placed[:, each.first], placed[:, each.second]).flatten(1).amin(1)
        wrong = each.bound / 0.85 - nearest if each.avoid else nearest - 0.85 * each.bound
        total = total + wrong.clamp(min=0.0).square()
    return total


# Distances of up to 25 atoms on either side are taken one by one, those of more as products of matrices.
@pytest.mark.parametrize(("residues", "ligand_atoms"), [(6, 5), (40, 30)])
@pytest.mark.parametrize("shaped", [(True, True, True), (False, False, True), (True, False, True)])
def test_slopes_are_those_of_the_cost(residues: int, ligand_atoms: int, shaped: tuple[bool, ...]) -> None:
    atoms, positions = complex_of(residues, ligand_atoms)
    pieces = Pieces(atoms, positions, torch.tensor(shaped))
    generator = torch.Generator().manual_seed(1)
    turn = random_rotation(POSES, PIECES, generator=generator)
    poses = Poses(turn, 3.0 * torch.randn(POSES, PIECES, 3, generator=generator))
    by = torch.zeros(POSES, PIECES, 6, requires_grad=True)
    here = poses.moved(by)
    plain = plain_cost(pieces, here, positions, torch.tensor(shaped))
    (expected,) = torch.autograd.grad((plain + pieces.gone(here)).sum(), by)
    with torch.no_grad():
        cost = pieces.cost(poses)
        found = pieces.slopes(poses)
    assert torch.allclose(cost, plain, rtol=1e-3)
    assert float((found - expected).abs().max()) < 2e-3 * float(expected.abs().max())


def test_slopes_of_atoms_in_one_place_are_none_and_of_equally_near_ones_shared() -> None:
    """Along the line of two atoms at either side of a third: half of the push each, which is none in the sum."""
    positions = torch.tensor([[0.0, 0.0, 0.0], [4.0, 0.0, 0.0], [-4.0, 0.0, 0.0]])
    contact = Proximity(name="asked", first=np.array([0]), second=np.array([1, 2]), bound=1.0)
    nothing = torch.zeros(0, dtype=torch.int64)
    atoms = PieceAtoms(
        piece=torch.tensor([0, 1, 1]), count=2, points=nothing, radius=torch.zeros(0), ligand=nothing,
        contacts=(contact,),
    )  # fmt: skip
    pieces = Pieces(atoms, positions, torch.tensor([True, True]))
    still = Poses.still(1, 2)
    assert float(pieces.cost(still)) == pytest.approx((4.0 - 0.85) ** 2)
    assert torch.equal(pieces.slopes(still), torch.zeros(1, 2, 6))
    together = Pieces(atoms, torch.zeros(3, 3), torch.tensor([True, True]))
    together.cost(still)
    assert torch.equal(together.slopes(still), torch.zeros(1, 2, 6))
