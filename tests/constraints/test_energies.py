"""Every energy moves a structure towards what it prefers, says what was reached, and refuses what is not there."""

import numpy as np
import pytest
import torch

from structdiff.constraints.burial import burial_term
from structdiff.constraints.energy_descent import EnergyDescent, Reached, Term
from structdiff.constraints.energy_terms import build_term
from structdiff.constraints.ideal_pieces import ideal_helix
from structdiff.constraints.obstacles import obstacle_terms
from structdiff.constraints.placed_atoms import PlacedAtoms
from structdiff.constraints.point_cloud import CloudFit, read_points
from structdiff.errors import InputError, StructdiffError
from structdiff.spec.energy_text import energy_from_dict
from structdiff.structure.build import ChainSequence, build_structure
from structdiff.structure.tables import ChainKind

COUNT = 24


@pytest.fixture(scope="module")
def placed():
    chains = [ChainSequence(name=name, kind=ChainKind.PROTEIN, residues=("UNK",) * COUNT) for name in "AB"]
    structure = build_structure(chains)
    keep = np.isin(structure.atoms.name, ("N", "CA", "C", "O"))
    structure = structure.select(keep)
    return PlacedAtoms(structure=structure, new=np.ones(2 * COUNT, bool), held=np.zeros(len(structure.atoms), int))


@pytest.fixture
def start():
    helix = ideal_helix(COUNT).reshape(-1, 3)
    return torch.from_numpy(np.concatenate([helix, helix + [0.0, 22.0, 5.0]]))[None]


def followed(term, placed, positions, rounds=30, sigma=2.0):
    descent = EnergyDescent([term], placed.residue)
    for _ in range(rounds):
        positions = descent.project(positions, sigma)
    return positions


@pytest.mark.parametrize(
    "asked",
    [
        {"radius_of_gyration": {"target": 15.0}},
        {"radius_of_gyration": {"target": 9.0, "chains": "A"}},
        {"contacts": {"chains": "A,B", "least": 12}},
        {"contacts": {"chains": "A", "least": 40}},
        {"distance": {"between": "A1,B1", "at_most": 10}},
        {"distance": {"between": "A1:N,B-1:C", "at_least": 62}},
        {"angle": {"atoms": "A1,A12,B12", "value": 90}},
        {"clash": {"distance": 3.0}},
    ],
    ids=lambda asked: f"{next(iter(asked))}",
)
def test_what_is_asked_is_reached(asked, placed, start):
    term = build_term(energy_from_dict(asked), placed)
    if "clash" in asked:
        start = start.clone()
        start[0, 4 * COUNT :] -= torch.tensor([0.0, 20.0, 5.0])
    assert not term.reached(start[0]).met
    assert term.reached(followed(term, placed, start)[0]).met


def test_residues_move_as_a_whole(placed, start):
    term = build_term(energy_from_dict({"distance": {"between": "A1,B1", "at_most": 10}}), placed)
    moved = followed(term, placed, start, rounds=5)

    def bonds(positions):
        own = positions[0].reshape(-1, 4, 3)
        return (own[:, 0] - own[:, 1]).norm(dim=-1)

    torch.testing.assert_close(bonds(moved), bonds(start), atol=1e-9, rtol=0)


def test_an_energy_acts_within_its_schedule(placed, start):
    for schedule, sigma, acts in (
        ("early", 10.0, True),
        ("early", 0.5, False),
        ("late", 20.0, False),
        ("4-1", 2.0, True),
    ):
        term = build_term(energy_from_dict({"radius_of_gyration": {"target": 12, "schedule": schedule}}), placed)
        moved = followed(term, placed, start, rounds=1, sigma=sigma)
        assert torch.equal(moved, start) is not acts


def test_more_weight_moves_further_and_never_too_far(placed, start):
    def distance(weight):
        term = build_term(energy_from_dict({"radius_of_gyration": {"weight": weight}}), placed)
        return float((followed(term, placed, start, rounds=1) - start).norm(dim=-1).max())

    assert 0 < distance(0.1) < distance(1.0) < distance(1e6) <= 6.0 + 1e-6


def test_gradients_of_values_agree_with_differences(placed, start):
    generator = torch.Generator().manual_seed(0)
    positions = start[0] + 0.3 * torch.randn(start[0].shape, generator=generator, dtype=torch.float64)
    direction = torch.randn(positions.shape, generator=generator, dtype=torch.float64)
    for asked in ({"radius_of_gyration": {"target": 9}}, {"contacts": {"chains": "A,B", "least": 5}},
                  {"angle": {"atoms": "A1,A12,B12", "value": 120}}):  # fmt: skip
        term = build_term(energy_from_dict(asked), placed)
        place = positions.clone().requires_grad_(True)
        (gradient,) = torch.autograd.grad(term.value(place), place)
        step = 1e-5
        difference = (term.value(positions + step * direction) - term.value(positions - step * direction)) / (2 * step)
        assert float((gradient * direction).sum()) == pytest.approx(float(difference), rel=1e-4)


def test_burial_counts_neighbours(placed, start):
    close = start.clone()
    close[0, 4 * COUNT :] -= torch.tensor([0.0, 13.0, 5.0])
    letters = "?" * 10 + "BBBB" + "?" * (2 * COUNT - 14)
    term = burial_term(letters, placed)
    assert term is not None
    before = float(term.value(close[0]))
    assert float(term.value(followed(term, placed, close)[0])) < before - 1
    assert burial_term("?" * 2 * COUNT, placed) is None


def test_obstacles_turn_with_the_motif(placed, start):
    held = np.zeros(len(placed.structure.atoms), int)
    held[4 * COUNT :] = 1
    new = np.repeat([True, False], COUNT)
    structure = placed.structure.with_positions(start[0].numpy().astype(np.float32))
    own = PlacedAtoms(structure=structure, new=new, held=held)
    wall = start[0, 20:60].numpy() + [0.0, 1.0, 0.0]
    (term,) = obstacle_terms(own, wall.astype(np.float32))
    turn = torch.linalg.qr(torch.from_numpy(np.random.default_rng(2).normal(size=(3, 3))))[0]
    turn = turn * torch.linalg.det(turn)
    moved = start[0] @ turn.T + 7
    assert float(term.value(moved)) == pytest.approx(float(term.value(start[0])), rel=1e-4)
    assert float(term.value(followed(term, own, start)[0])) < 0.3 * float(term.value(start[0]))
    assert obstacle_terms(own, np.zeros((0, 3))) == []


def test_a_cloud_is_found_wherever_it_lies(tmp_path):
    points = np.array([[x, y, 0.3 * x * y] for x in range(0, 30, 4) for y in range(0, 12, 4)], float)
    turn = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))[0]
    turn *= np.linalg.det(turn)
    moved = torch.from_numpy(points @ turn.T + [100, -50, 3])
    assert float(CloudFit(points).deviation(moved)) < 0.05
    assert float(CloudFit(points).deviation(moved * 2)) > 1
    file = tmp_path / "points.xyz"
    file.write_text("C 1 2 3\nC 4 5 6\nC -1 0 2.5\nC 7 7 7\n")
    assert read_points(file).tolist()[2] == [-1, 0, 2.5]
    file.write_text("1 2 3\n")
    with pytest.raises(InputError, match="four points"):
        read_points(file)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"radius_of_gyration": {"chains": "C"}}, "no such chain.*'C'.*A, B"),
        ({"distance": {"between": "A1,A99", "at_most": 5}}, "residues 1 to 24.*A99"),
        ({"distance": {"between": "A1,A2:CB", "at_most": 5}}, "no such atom.*'CB'"),
    ],
)
def test_what_the_design_does_not_have_is_refused(asked, says, placed):
    with pytest.raises(InputError, match=says):
        build_term(energy_from_dict(asked), placed)


def test_a_function_of_ones_own(placed, start, tmp_path):
    file = tmp_path / "own.py"
    file.write_text("def pull(positions, structure):\n    return positions[:, 0].square().mean()\n")
    term = build_term(energy_from_dict({"function": {"file": str(file), "name": "pull", "weight": 50}}), placed)
    moved = followed(term, placed, start)
    assert float(moved[0, :, 0].square().mean()) < 0.8 * float(start[0, :, 0].square().mean())
    (tmp_path / "wrong.py").write_text("def fail(positions, structure):\n    return positions.nothing\n")
    wrong = build_term(energy_from_dict({"function": {"file": str(tmp_path / "wrong.py"), "name": "fail"}}), placed)
    with pytest.raises(InputError, match=r"wrong\.py:2.*fail failed: AttributeError"):
        wrong.value(start)
    with pytest.raises(InputError, match=r"no such function.*'push'.*pull"):
        build_term(energy_from_dict({"function": {"file": str(file), "name": "push"}}), placed)
    broken = Term(name="odd", asked="", weight=1.0, levels=(9.0, 0.0), has_goal=False, value=lambda x: x.sum(1),
                  reached=lambda x: Reached(text="", met=True))  # fmt: skip
    with pytest.raises(StructdiffError, match="odd: an energy is one number"):
        EnergyDescent([broken], placed.residue).project(start, 1.0)
