"""Chains move as pieces: out of each other, to what they are to touch, and no atom of one against another of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation

from structdiff.chemistry.components import component
from structdiff.constraints.chain_poses import ChainPoses
from structdiff.diffusion.sampler import SamplingConfig
from structdiff.evaluation.accuracy import accuracy
from structdiff.features.requests import Proximity
from structdiff.options import RunOptions
from structdiff.pipeline import predict
from structdiff.spec.chain import ChainSpec
from structdiff.spec.complex import BondSpec, ComplexSpec, ContactSpec, Site
from structdiff.spec.template import TemplateSpec
from structdiff.structure.complex import build_complex
from structdiff.structure.files import read_structure
from tests.features.test_templates import LETTERS, ZIPPER


def chains(*letters: str, bonds=()):
    specs = tuple(
        ChainSpec(ids=(name,), kind="protein", sequence=text) for name, text in zip("ABCD", letters, strict=False)
    )
    return build_complex(ComplexSpec(chains=specs, bonds=bonds))


@pytest.fixture(scope="module")
def zipper():
    """Two helices side by side: the structure, all of its atoms resolved, and their positions (Å)."""
    given = read_structure(ZIPPER)
    given = given.select(given.atoms.resolved)
    return given, torch.from_numpy(given.atoms.positions)


def of_chain(structure, row):
    return np.flatnonzero(structure.atom_chain == row)


def alphas(structure, positions):
    rows = [of_chain(structure, row) for row in (0, 1)]
    return [positions[each[structure.atoms.name[each] == "CA"]].numpy() for each in rows]


def moved(structure, positions, contacts=(), *, group=None, sigma=8.0):
    group = np.zeros(len(structure.atoms), np.int32) if group is None else group
    poses = ChainPoses(structure, group, contacts)
    with torch.inference_mode():
        return poses.project(positions[None], sigma)[0].clone()


def rigid(structure, before, after):
    for row in range(len(structure.chains)):
        rows = of_chain(structure, row)[::7]
        assert np.allclose(cdist(before[rows], before[rows]), cdist(after[rows], after[rows]), atol=2e-3)


def test_chains_that_stand_well_stay_bit_by_bit(zipper):
    structure, positions = zipper
    assert torch.equal(moved(structure, positions), positions)


def test_a_chain_that_was_drawn_through_another_is_parted_from_it(zipper):
    structure, positions = zipper
    first, second = (of_chain(structure, row) for row in (0, 1))
    through = positions.clone()
    cross = torch.from_numpy(Rotation.from_euler("x", 90, degrees=True).as_matrix()).float()
    centre = positions[first].mean(0)
    through[second] = (positions[second] - positions[second].mean(0)) @ cross.T + centre
    assert cdist(*alphas(structure, through)).min() < 4.0
    done = moved(structure, through)
    assert cdist(*alphas(structure, done)).min() > 4.4
    rigid(structure, through, done)


def test_chains_turn_to_what_they_are_to_touch(zipper):
    """Three contacts between far sides: only by turning can a helix have them."""
    structure, positions = zipper
    turned = positions.clone()
    second = of_chain(structure, 1)
    about = torch.from_numpy(Rotation.from_euler("xyz", [170, 40, 100], degrees=True).as_matrix()).float()
    turned[second] = (positions[second] - positions[second].mean(0)) @ about.T + positions[second].mean(0) + 25.0
    residue, first = structure.atoms.residue, of_chain(structure, 0)
    near = cdist(positions[first], positions[second])
    pairs = {(int(residue[first[i]]), int(residue[second[j]])) for i, j in np.argwhere(near < 4.5)}
    told = sorted(pairs)[:: max(1, len(pairs) // 4)]
    contacts = [
        Proximity(name="asked", first=np.flatnonzero(residue == i), second=np.flatnonzero(residue == j), bound=6.0)
        for i, j in told
    ]
    done = moved(structure, turned, contacts)
    for each in contacts:
        assert cdist(turned[each.first], turned[each.second]).min() > 10.0
        assert cdist(done[each.first], done[each.second]).min() <= each.bound
    assert cdist(*alphas(structure, done)).min() > 4.4
    rigid(structure, turned, done)


def test_places_to_keep_away_from_are_left(zipper):
    structure, positions = zipper
    first, second = (of_chain(structure, row) for row in (0, 1))
    assert cdist(positions[first], positions[second]).min() < 5.0
    done = moved(structure, positions, [Proximity(name="asked", first=first, second=second, bound=10.0, avoid=True)])
    assert cdist(done[first], done[second]).min() >= 10.0


def test_chains_in_one_template_or_joined_by_a_bond_are_one_piece(zipper):
    structure, positions = zipper
    far = [Proximity(name="asked", first=of_chain(structure, 0), second=of_chain(structure, 1), bound=30.0, avoid=True)]
    held = np.ones(len(structure.atoms), np.int32)
    assert torch.equal(moved(structure, positions, far, group=held), positions)
    bond = BondSpec(atom1=Site(chain="A", residue=1, atom="SG"), atom2=Site(chain="B", residue=1, atom="SG"))
    for bonds, pieces in (((), 2), ((bond,), 1)):
        joined = chains("CAG", "CAG", bonds=bonds)
        assert ChainPoses(joined, np.zeros(len(joined.atoms), np.int32), ()).count == pieces


def test_ligands_lie_against_a_polymer_and_not_in_it():
    specs = (
        ChainSpec(ids=("A",), kind="protein", sequence=LETTERS),
        *(ChainSpec(ids=(name,), kind="ligand", smiles="c1ccccc1O") for name in "LM"),
    )
    structure = build_complex(ComplexSpec(chains=specs))
    given = read_structure(ZIPPER)
    first = np.flatnonzero((given.atom_chain == 0) & given.atoms.resolved)
    place = {(int(given.atoms.residue[row]), str(given.atoms.name[row])): row for row in first}
    protein = of_chain(structure, 0)
    rows = [place.get((int(structure.atoms.residue[row]), str(structure.atoms.name[row])), -1) for row in protein]
    protein, rows = protein[np.array(rows) >= 0], [row for row in rows if row >= 0]
    structure = structure.select(np.isin(np.arange(len(structure.atoms)), protein) | (structure.atom_chain > 0))
    protein, near, far = (of_chain(structure, row) for row in range(3))
    positions = torch.zeros(len(structure.atoms), 3)
    positions[protein] = torch.from_numpy(given.atoms.positions[rows])
    ring = torch.tensor([[np.cos(a), np.sin(a), 0.0] for a in np.arange(6) * np.pi / 3] + [[2.0, 0.0, 0.0]])
    middle = positions[protein].mean(0)
    positions[near], positions[far] = middle + 1.4 * ring.float(), middle + 1.4 * ring.float() + 40.0
    held = np.where(structure.atom_chain == 0, 1, 0)
    done = moved(structure, positions, group=held)
    for ligand in (near, far):
        assert not 2.6 < cdist(positions[protein], positions[ligand]).min() < 5.0
        assert 2.6 < cdist(done[protein], done[ligand]).min() < 5.0
    rigid(structure, positions, done)


def test_ligands_alone_leave_each_other():
    ligand = ChainSpec(ids=("L", "M"), kind="ligand", ccd=("BEN",))
    structure = build_complex(ComplexSpec(chains=(ligand,)))
    size = len(structure.atoms) // 2
    ideal = torch.tensor(component("BEN").ideal_positions[:size])
    positions = torch.cat([ideal, ideal + 0.5])
    apart = moved(structure, positions)
    assert torch.cdist(apart[:size], apart[size:]).min() > 2


def test_nothing_moves_while_noise_leaves_no_shape_or_there_is_one_chain(zipper):
    structure, positions = zipper
    far = [Proximity(name="asked", first=of_chain(structure, 0), second=of_chain(structure, 1), bound=30.0, avoid=True)]
    assert torch.equal(moved(structure, positions, far, sigma=100.0), positions)
    alone = chains(LETTERS)
    crowd = torch.zeros(len(alone.atoms), 3)
    assert torch.equal(moved(alone, crowd), crowd)


def test_the_same_comes_of_any_batch(zipper):
    structure, positions = zipper
    second = of_chain(structure, 1)
    into = positions.clone()
    into[second] -= 0.7 * (positions[second].mean(0) - positions[of_chain(structure, 0)].mean(0))
    poses = ChainPoses(structure, np.zeros(len(structure.atoms), np.int32), ())
    both = poses.project(torch.stack([positions, into]), 8.0)
    assert torch.equal(both[1], poses.project(into[None], 8.0)[0])
    assert torch.equal(both[0], positions)


def test_known_structures_are_docked_by_contacts():
    templates = tuple(
        TemplateSpec(path=ZIPPER, chains=(name,), template_chains=(name,), force=True, threshold=1.0) for name in "AB"
    )
    contacts = tuple(
        ContactSpec(token1=Site(chain="A", residue=one), token2=Site(chain="B", residue=other), force=True)
        for one, other in ((2, 2), (9, 13), (16, 16), (23, 27), (30, 30))
    )
    chains = tuple(ChainSpec(ids=(name,), kind="protein", sequence=LETTERS) for name in "AB")
    spec = ComplexSpec(chains=chains, templates=templates, constraints=contacts)
    (found,) = predict(spec, seed=1, options=RunOptions(sampling=SamplingConfig(steps=10)))
    asked = [each for each in found.verdicts if each.name.startswith(("contact", "template"))]
    assert len(asked) == 7
    assert all(each.met for each in asked)
    values = accuracy(found.structure, read_structure(ZIPPER))
    assert values["dockq"] > 0.23
    assert cdist(*alphas(found.structure, torch.from_numpy(found.structure.atoms.positions))).min() > 4.4
