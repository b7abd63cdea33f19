"""Metal ions laid where most atoms bind them."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from structdiff.docking import placement
from structdiff.docking.asked_contacts import AskedContacts
from structdiff.docking.ions import best_place, is_metal
from structdiff.docking.placement import LigandDocking
from structdiff.docking.pose_choice import chance_of
from structdiff.evaluation.ligand_atom_types import AtomTypes
from structdiff.structure.files import read_structure
from tests.structure.comparison import DATA

#: Corners of a tetrahedron.
CORNERS = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(3)
ZINC, CALCIUM = 30, 20


def types(count, radius, *, donor=False, acceptor=False):
    return AtomTypes(
        radius=np.full(count, radius, np.float32), hydrophobic=np.zeros(count, bool),
        donor=np.full(count, donor), acceptor=np.full(count, acceptor),
    )  # fmt: skip


ION = types(1, 1.2, donor=True)


def place(positions, element=ZINC, elements=None, asked=None):
    """Where an ion is laid among nitrogens that bind it."""
    count = len(positions)
    elements = np.full(count, 7) if elements is None else elements
    return best_place(ION, element, positions, types(count, 1.7, acceptor=True), elements, asked)


@pytest.mark.parametrize(
    ("element", "expected"), [(30, True), (20, True), (26, True), (17, False), (54, False), (6, False)]
)
def test_metals(element, expected):
    assert is_metal(element) == expected


def test_between_four_atoms_that_bind_it():
    found = place(2.1 * CORNERS)
    assert np.linalg.norm(found.position) < 0.3
    assert found.energy < -2.0


def test_sulphur_binds_soft_metals_alone():
    sulphurs = AtomTypes(radius=np.full(4, 2.0, np.float32), hydrophobic=np.zeros(4, bool), donor=np.zeros(4, bool),
                         acceptor=np.zeros(4, bool))  # fmt: skip
    soft, hard = (
        best_place(ION, element, 2.3 * CORNERS, sulphurs, np.full(4, 16), None) for element in (ZINC, CALCIUM)
    )
    assert np.linalg.norm(soft.position) < 0.3
    assert hard.energy > -0.5 > soft.energy


def test_ions_keep_apart():
    both = np.concatenate([2.1 * CORNERS, [[0.0, 0, 0]]])
    found = place(both, elements=np.array([7, 7, 7, 7, ZINC]))
    assert np.linalg.norm(found.position) > 2.0


def test_of_two_places_the_one_that_is_asked_for():
    both = np.concatenate([2.1 * CORNERS, 2.1 * CORNERS[:3] + [20.0, 0, 0]])
    assert np.linalg.norm(place(both).position) < 0.5
    asked = AskedContacts(own=(torch.tensor([0]),), others=(torch.from_numpy(both[4:5]).float(),), aimed=(3.0,),
                          avoid=(False,))  # fmt: skip
    assert abs(place(both, asked=asked).position[0] - 20.0) < 2.0


def test_a_receptor_that_was_drawn_all_apart():
    apart = np.concatenate([2.1 * CORNERS, np.random.default_rng(0).normal(size=(50, 3)) * 2000])
    began = time.perf_counter()
    assert np.linalg.norm(place(apart).position) < 0.3
    assert time.perf_counter() - began < 30


def test_ions_of_a_real_structure():
    """Two calciums at the active site of a polymerase, drawn elsewhere."""
    structure = read_structure(DATA / "5ugo.pdb.gz")
    structure = structure.select(structure.atoms.resolved)
    ions = np.flatnonzero(structure.atoms.element == CALCIUM)
    others = ~np.isin(structure.residues.name[structure.atoms.residue], ["CA", "HOH"])
    docking = LigandDocking.of(structure, others)
    assert docking.ions == tuple(ions.tolist())
    positions = torch.from_numpy(structure.atoms.positions.copy())
    positions[ions] = positions.mean(0)
    placed, docked = docking.placed(positions, torch.Generator().manual_seed(0))
    assert [each.rows.tolist() for each in docked] == [[row] for row in ions.tolist()]
    assert torch.equal(placed[others], positions[others])
    true = torch.from_numpy(structure.atoms.positions[ions])
    assert torch.cdist(placed[ions], true).amin(1).max() < 1.0


def test_what_is_asked_for_is_met_far_from_all_good_places():
    good = np.concatenate([2.1 * CORNERS + [8.0 * step, 0, 0] for step in range(40)])
    both = np.concatenate([good, [[150.0, 60.0, 0.0]]])
    near = torch.tensor([[150.0, 60.0, 0.0]])
    asked = AskedContacts(own=(torch.tensor([0]),), others=(near,), aimed=(5.0,), avoid=(False,))
    found = place(both, asked=asked)
    assert np.linalg.norm(found.position - near[0].numpy()) < 5.0
    assert found.energy < 0


def test_a_place_that_misses_by_far_has_hardly_a_chance():
    assert 0 < chance_of(-1e4, placement._IONS) < 1e-3
