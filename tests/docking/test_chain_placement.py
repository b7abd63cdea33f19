"""Chains of known structure that are docked: a zipper of two helices, without being told how it stands."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from structdiff.docking import chain_search
from structdiff.docking.chain_placement import ChainDocking
from structdiff.docking.chain_search import FoundPoses
from structdiff.docking.rigid_poses import RigidPoses
from structdiff.evaluation.accuracy import accuracy
from structdiff.features.requests import Proximity
from structdiff.geometry.rotations import random_rotation
from structdiff.geometry.superposition import superposed_rmsd
from structdiff.kernels import ligand_docking
from structdiff.structure.build import ChainSequence, build_structure
from structdiff.structure.files import read_structure
from structdiff.structure.tables import ChainKind, Structure

ZIPPER = Path(__file__).parents[2] / "examples" / "problems" / "zipper.pdb"
pytestmark = pytest.mark.skipif(
    not ligand_docking.available(), reason="a search takes minutes without the native kernel"
)


@cache
def zipper() -> Structure:
    structure = read_structure(ZIPPER)
    return structure.select(structure.atoms.resolved)


def docking(asked=(), held: np.ndarray | None = None) -> ChainDocking | None:
    structure = zipper()
    held = np.ones(len(structure.atoms), bool) if held is None else held
    return ChainDocking.of(structure, np.arange(len(structure.chains)), held, asked)


def away() -> torch.Tensor:
    """The second chain somewhere else, turned."""
    structure = zipper()
    positions, own = torch.from_numpy(structure.atoms.positions.copy()), torch.from_numpy(structure.atom_chain == 1)
    turn = random_rotation(generator=torch.Generator().manual_seed(5))
    positions[own] = (positions[own] - positions[own].mean(0)) @ turn.mT + 60.0
    return positions


def placed(asked=(), seed: int = 0):
    own = docking(asked)
    assert own is not None
    return own.placed(away(), torch.Generator().manual_seed(seed))


@cache
def blind():
    return placed()


def dockq(positions: torch.Tensor) -> float:
    return accuracy(zipper().with_positions(positions.numpy()), zipper())["dockq"]


def test_a_zipper_is_closed_again_and_docking_is_sure_of_it():
    positions, (known,) = blind()
    assert dockq(positions) > 0.8
    assert known.margin > 2.0
    assert known.energy < -8.0
    assert known.chance > 0.8
    assert not known.told


def test_the_larger_chain_stays_and_the_other_keeps_its_shape():
    positions, (known,) = blind()
    before = away()
    still = torch.from_numpy(known.others)
    assert torch.equal(positions[still], before[still])
    own = torch.from_numpy(known.rows)
    assert float(superposed_rmsd(positions[own], before[own])) < 1e-3


def test_the_same_numbers_and_any_threads_give_the_same_bits():
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        again, _ = placed()
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(again, blind()[0])


def test_what_is_asked_for_is_met_even_where_other_poses_are_better():
    """The first residues of both chains lie together; the last of one is asked to lie at the first of the other."""
    structure = zipper()
    residue = structure.atoms.residue
    first, last = np.flatnonzero(residue == 0), np.flatnonzero(residue == len(structure.residues) - 1)
    contact = Proximity(name="contact", first=first, second=last, bound=6.0)
    assert float(torch.cdist(blind()[0][first], blind()[0][last]).min()) > 15.0
    positions, (known,) = placed((contact,))
    assert float(torch.cdist(positions[first], positions[last]).min()) <= 6.0
    assert known.told
    assert dockq(positions) < 0.5


def test_equal_chains_named_the_other_way_are_no_other_pose():
    """Where the second chain is to the first what the first is to the second now, the pair is the same."""
    own = docking()
    assert own is not None
    structure = zipper()
    rows = own.bodies[1]
    there = structure.atom_chain == structure.atom_chain[own.bodies[0][0]]
    places = away().numpy()
    points = torch.from_numpy(places[rows] - places[rows].mean(0))
    first, second = torch.from_numpy(places[there]), torch.from_numpy(places[rows])
    now = RigidPoses.of(points, second[None])
    (other,) = own._equivalent(SimpleNamespace(points=points), now, np.flatnonzero(there), rows, first)  # type: ignore[arg-type]
    swapped = torch.cat([other.placed(points)[0], first])
    assert float(superposed_rmsd(swapped, torch.cat([first, second]))) < 2.0  # the chains differ a little
    assert float((other.placed(points)[0] - second).norm(dim=-1).mean()) > 20.0


def test_a_margin_is_over_poses_of_other_kinds_that_meet_as_much_and_over_none():
    own = docking()
    assert own is not None
    turn = torch.eye(3).expand(4, 3, 3)
    poses = RigidPoses(turn=turn, middle=torch.tensor([[0.0, 0, 0], [1.0, 0, 0], [20.0, 0, 0], [40.0, 0, 0]]))

    def margin(*cost: float, missed=(0, 0, 0, 0)) -> float:
        found = FoundPoses(poses=poses, cost=torch.tensor(cost), missed=torch.tensor(missed), anchor=torch.zeros(3),
                           points=torch.randn(9, 3, generator=torch.Generator().manual_seed(0)))  # fmt: skip
        return own._margin(found, 0, [poses[:1]])

    assert margin(-9.0, -8.9, -6.0, -5.0) == pytest.approx(3.0)  # the second is of its kind
    assert margin(-9.0, -8.9, -6.0, -5.0, missed=(0, 0, 1, 0)) == pytest.approx(4.0)
    assert margin(-9.0, -8.9, -6.0, -5.0, missed=(0, 0, 1, 1)) == pytest.approx(9.0)
    assert margin(-3.0, -8.0, 5.0, 7.0) == pytest.approx(3.0)
    assert margin(130.0, 140.0, 150.0, 150.0) == 0.0
    assert margin(-30.0, 0.0, 0.0, 0.0) == 10.0


def test_other_samples_have_other_kinds_of_poses_of_which_docking_is_not_sure():
    own = docking()
    assert own is not None
    positions, (known,) = own.placed(away(), torch.Generator().manual_seed(0), sample=1)
    assert dockq(positions) < 0.5
    assert known.energy > blind()[1][0].energy + 1.0
    assert known.margin == 0.0
    assert known.chance < 0.3


def test_ligands_go_along_with_the_chain_that_they_lie_on():
    chains = [ChainSequence(name=name, kind=ChainKind.PROTEIN, residues=("ALA",) * count)
              for name, count in (("A", 12), ("B", 11))]  # fmt: skip
    ligands = [ChainSequence(name=name, kind=ChainKind.LIGAND, residues=(code,))
               for name, code in (("L", "BTN"), ("M", "GOL"))]  # fmt: skip
    structure = build_structure([*chains, *ligands])
    places = np.random.default_rng(0).normal(size=(len(structure.atoms), 3)).astype(np.float32)
    places[np.isin(structure.atom_chain, (1, 2))] += 50.0  # biotin lies on the second
    own = ChainDocking.of(structure, np.arange(4), structure.atom_chain < 2)
    assert own is not None
    (along,) = own._company(places)
    assert set(structure.atom_chain[along].tolist()) == {1, 2}


def test_chains_of_which_nothing_is_known_are_not_docked():
    structure = zipper()
    held = structure.atom_chain == 0
    assert docking(held=held) is None
    held[np.flatnonzero(structure.atom_chain == 1)[::2]] = True  # one half is not enough
    assert docking(held=held) is None


def test_the_work_is_known_before():
    own = docking()
    assert own is not None
    (part,) = own.parts()
    assert (part.residues, part.others) == (31, 31)
    heard = []
    own.placed(away(), torch.Generator().manual_seed(0), heard.append)
    assert heard == [part]


def peptides(*counts: int) -> Structure:
    """Chains of alanines, as rods beside each other."""
    structure = build_structure([
        ChainSequence(name="ABCD"[row], kind=ChainKind.PROTEIN, residues=("ALA",) * count)
        for row, count in enumerate(counts)
    ])  # fmt: skip
    places = np.random.default_rng(0).normal(size=(len(structure.atoms), 3))
    residue = (
        structure.atoms.residue
        - np.array([structure.chain_residues(row).start for row in range(len(counts))])[structure.atom_chain]
    )
    places[:, 2] += 1.5 * residue
    places[:, 0] += 30.0 * structure.atom_chain
    return structure.with_positions(places.astype(np.float32))


def quickly(monkeypatch) -> None:
    """Few poses and few steps."""
    for name, value in {"_DIRECTIONS": 3, "_TURNS": 5, "_COARSE": 8}.items():
        monkeypatch.setattr(chain_search, name, value)
    monkeypatch.setattr(chain_search, "_STAGES", ((6, 0.5, 2), (4, 2.0, 2), (3, None, 2)))


def test_contacts_with_what_is_docked_later_do_not_lead_a_body(monkeypatch):
    quickly(monkeypatch)
    structure = peptides(14, 12, 11)
    second, third = (np.flatnonzero(structure.atoms.residue == row) for row in (15, 30))
    contact = Proximity(name="contact", first=second, second=third, bound=6.0)
    own = ChainDocking.of(structure, np.arange(3), np.ones(len(structure.atoms), bool), (contact,))
    assert own is not None
    _, known = own.placed(torch.from_numpy(structure.atoms.positions), torch.Generator().manual_seed(0))
    assert [each.told for each in known] == [False, True]


def test_chains_that_nothing_holds_stay_and_are_known_to_be_loose(monkeypatch):
    quickly(monkeypatch)
    structure = peptides(12, 11, 10)
    before = torch.from_numpy(structure.atoms.positions)
    own = ChainDocking.of(structure, np.arange(3), structure.atom_chain != 1)
    assert own is not None
    positions, (known,) = own.placed(before, torch.Generator().manual_seed(0))
    chain = structure.atom_chain
    assert [set(chain[rows].tolist()) for rows in (known.rows, known.others, known.loose)] == [{2}, {0, 1}, {1}]
    assert torch.equal(positions[torch.from_numpy(chain != 2)], before[torch.from_numpy(chain != 2)])


@pytest.mark.parametrize("residue", ["GLY", "ALA"])
def test_few_beads_and_fewer_poses_than_are_asked_for_are_enough(monkeypatch, residue):
    quickly(monkeypatch)
    monkeypatch.setattr(chain_search, "_DIRECTIONS", 1)
    monkeypatch.setattr(chain_search, "_TURNS", 1)
    structure = build_structure([ChainSequence(name=name, kind=ChainKind.PROTEIN, residues=(residue,) * 10)
                                 for name in "AB"])  # fmt: skip
    own = ChainDocking.of(structure, np.arange(2), np.ones(len(structure.atoms), bool))
    assert own is not None
    nowhere = torch.zeros(len(structure.atoms), 3)
    positions, (known,) = own.placed(nowhere, torch.Generator().manual_seed(0), sample=5)
    assert bool(torch.isfinite(positions).all())
    assert 0.0 < known.chance < 1.0
