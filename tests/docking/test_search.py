"""The search for poses: what it begins with, what it changes, and that it finds what is there."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from structdiff.docking import search
from structdiff.docking.conformers import CONFORMERS, ligand_conformers
from structdiff.docking.placement import torsions_of
from structdiff.docking.search import descended, found_poses, random_poses, reshaped, rounds_for
from structdiff.evaluation.vinardo import ligand_scores
from structdiff.geometry.superposition import superposed_rmsd
from structdiff.geometry.torsions import wrapped
from tests.docking.examples import exact, landscape, ligand, shaken, streptavidin


@pytest.fixture(scope="module")
def biotin():
    structure, rows = streptavidin()
    return structure, rows, landscape(structure, rows)


def test_gradient_of_a_landscape_agrees_with_finite_differences(biotin):
    structure, rows, made = biotin
    poses = shaken(structure, rows, 4)
    direction = torch.randn(poses.shape, generator=torch.Generator().manual_seed(1))
    slopes = (made(poses)[1] * direction).sum((1, 2))
    # Linear between the points of the grid, so steps are short, and numbers of float32.
    ends = [made(poses + step * direction)[0].double() for step in (2e-3, -2e-3)]
    found = (ends[0] - ends[1]) / 4e-3
    assert found.numpy() == pytest.approx(slopes.numpy(), rel=0.05, abs=1.0)


def test_energy_with_the_receptor_is_that_of_the_score(biotin):
    structure, rows, made = biotin
    (score,) = ligand_scores(structure)
    between = made.receptor.read(torch.from_numpy(structure.atoms.positions[rows])[None], made.kind)[0].sum().item()
    assert between == pytest.approx(
        score.affinity * (1 + 0.05846 * score.torsions), abs=1.5
    )  # between points 0.4 Å apart


def test_energy_among_the_receptor_s_atoms_is_that_of_the_score(biotin):
    structure, rows, made = biotin
    (score,) = ligand_scores(structure)
    value, _ = exact(structure, rows, made).receptor.read(
        torch.from_numpy(structure.atoms.positions[rows])[None], made.kind
    )
    assert value.sum().item() == pytest.approx(score.affinity * (1 + 0.05846 * score.torsions), abs=0.02)


def test_gradient_among_the_receptor_s_atoms_agrees_with_finite_differences(biotin):
    structure, rows, made = biotin
    atoms, poses = exact(structure, rows, made).receptor, shaken(structure, rows, 4).double()
    atoms = dataclasses.replace(atoms, positions=atoms.positions.double())
    direction = torch.randn(poses.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    slopes = (atoms.read(poses, made.kind)[1] * direction).sum((1, 2))
    ends = [atoms.read(poses + step * direction, made.kind)[0].sum(1) for step in (1e-5, -1e-5)]
    assert ((ends[0] - ends[1]) / 2e-5).numpy() == pytest.approx(slopes.numpy(), rel=1e-3, abs=1e-3)


def test_the_last_way_down_is_by_the_receptor_s_atoms(biotin):
    structure, rows, made = biotin
    poses, _ = descended(made, shaken(structure, rows, 6), 30)
    atoms = exact(structure, rows, made)
    found, judged = search.refined(made, atoms.receptor, poses)
    energy = atoms(found)[0]
    assert torch.allclose(energy - atoms.own(found) / 2, judged, atol=1e-3)
    assert (energy <= atoms(poses)[0] + 1e-4).all()
    assert energy.min() < descended(made, poses, 30)[1].min() - 0.5  # maps are too shallow


def test_downhill_is_downhill(biotin):
    structure, rows, made = biotin
    poses = shaken(structure, rows, 6)
    _, energy = descended(made, poses, 30)
    assert (energy <= made(poses)[0]).all()
    assert energy.mean() < made(poses)[0].mean() - 1.0


def test_poses_begin_about_the_places():
    molecule = ligand("BTN")
    places = torch.tensor([[0.0, 0, 0], [50.0, 0, 0]])
    conformers = torch.from_numpy(molecule.atoms.positions)[None]
    poses = random_poses(torsions_of(molecule), conformers, places, 200, torch.Generator().manual_seed(0))
    near = torch.cdist(poses.mean(1), places).amin(1)
    assert near.max() < 1e-3
    assert {0, 50} == set(poses.mean(1)[:, 0].round().int().tolist())


def test_the_known_pose_is_found_in_its_pocket(biotin):
    structure, rows, made = biotin
    true = torch.from_numpy(structure.atoms.positions[rows])
    own = structure.select(np.isin(np.arange(len(structure.atoms)), rows))
    conformers = ligand_conformers(own)
    poses, energy = found_poses(made, conformers, true.mean(0)[None], 64, torch.Generator().manual_seed(0))
    assert (energy.diff() >= 0).all()
    assert (poses[0] - true).square().sum(-1).mean().sqrt() < 1.5
    assert energy[0] <= descended(made, true[None], 100)[1] + 0.5


@pytest.mark.parametrize(("code", "torsions", "rounds"), [("BNZ", 0, 50), ("BTN", 5, 50), ("NAD", 11, 110)])
def test_flexible_ligands_are_changed_oftener(code, torsions, rounds):
    turning = torsions_of(ligand(code))
    assert (len(turning), rounds_for(turning)) == (torsions, rounds)


def test_another_conformer_lies_where_the_pose_lay():
    molecule = ligand("NAD")
    torsions, conformers = torsions_of(molecule), ligand_conformers(molecule)
    poses = random_poses(torsions, conformers[:1], torch.zeros(1, 3), 20, torch.Generator().manual_seed(0))
    others = reshaped(torsions, conformers, poses, torch.Generator().manual_seed(1))
    assert wrapped(torsions.angles(others) - torsions.angles(poses)).abs().max() < 1e-4
    assert (others.mean(1) - poses.mean(1)).abs().max() < 1e-3
    assert superposed_rmsd(others, poses).median() < 2.0 < superposed_rmsd(conformers[1:], conformers[:-1]).median()
    # Bonds are those of the conformers, not of the pose.
    one, other = molecule.bonds.atom_1, molecule.bonds.atom_2
    lengths, known = ((each[:, one] - each[:, other]).norm(dim=-1) for each in (others, conformers))
    assert torch.cdist(lengths, known).amin(1).max() < 1e-3
    assert len(torch.cdist(lengths, known).argmin(1).unique()) > 5


def test_same_random_numbers_same_bits(biotin):
    structure, rows, made = biotin
    conformers = torch.from_numpy(structure.atoms.positions[rows])[None]
    places = conformers.mean(1)
    one, two, other = (
        found_poses(made, conformers, places, 16, torch.Generator().manual_seed(n))[0] for n in (1, 1, 2)
    )
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


def test_very_few_poses(biotin, monkeypatch):
    structure, rows, made = biotin
    monkeypatch.setattr(search, "_ROUNDS", search._RENEWED)
    conformers = torch.from_numpy(structure.atoms.positions[rows])[None]
    for count in (1, 3):
        poses, energy = found_poses(made, conformers, conformers.mean(1), count, torch.Generator().manual_seed(0))
        assert (len(poses), len(energy)) == (count, count)


@pytest.mark.parametrize("code", ["BTN", "HEM", "SF4", "SO4", "B12"])
def test_conformers(code):
    """Also of metals, cages and large rings, of which RDKit may make few or none."""
    molecule = ligand(code)
    found = ligand_conformers(molecule)
    assert found.dtype == torch.float32
    assert found.shape[1:] == (len(molecule.atoms), 3)
    assert 1 <= len(found) <= CONFORMERS + 1
    assert found.isfinite().all()
    assert torch.equal(found, ligand_conformers(molecule))
    one, other = molecule.bonds.atom_1, molecule.bonds.atom_2
    ideal = np.linalg.norm(molecule.atoms.positions[one] - molecule.atoms.positions[other], axis=1)
    # The one that was drawn has our own lengths; RDKit's are worse where metals are.
    own = (found[:, one] - found[:, other]).norm(dim=-1).numpy() - ideal
    assert np.abs(own[0]).max() < 0.1
    assert code in ("HEM", "SF4", "B12") or np.abs(own).max() < 0.25


def test_conformers_have_the_hand_of_the_drawn_one_and_the_drawn_one_its_own():
    molecule = ligand("BTN")
    mirrored = molecule.with_positions(molecule.atoms.positions * [1, 1, -1])
    names = molecule.atoms.name.tolist()
    centre = [names.index(name) for name in ("C4", "C5", "N2", "C2")]
    expected = volume(torch.from_numpy(molecule.atoms.positions), centre)
    assert all(np.sign(volume(each, centre)) == np.sign(expected) for each in ligand_conformers(mirrored))


def volume(positions, rows):
    one, two, three = positions[rows[1:]] - positions[rows[0]]
    return float(torch.linalg.det(torch.stack([one, two, three])))


@pytest.mark.parametrize("what", ["no molecule", "no room", "an error"])
def test_conformers_where_rdkit_makes_none(what, monkeypatch):
    from rdkit import Chem
    from rdkit.Chem import rdDistGeom

    def fails(*_):
        raise ValueError("bad conformer")

    if what == "no molecule":
        monkeypatch.setattr(Chem, "DetectChemistryProblems", lambda _: ["valence"])
    else:
        monkeypatch.setattr(rdDistGeom, "EmbedMultipleConfs", fails if what == "an error" else lambda *_: [])
    assert ligand_conformers(ligand("BTN")).shape == (1, 16, 3)
