"""GNINA's networks: what they are shown of atoms, what they say of poses, and when they choose among them."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from structdiff.docking import pose_measure, pose_scorer
from structdiff.docking.gnina_atoms import NUM_CHANNELS, GninaAtoms
from structdiff.docking.gnina_grid import POINTS, SPACING, densities
from structdiff.docking.gnina_networks import Default2018, Dense, network_of
from structdiff.docking.placement import LigandDocking
from structdiff.docking.pose_scorer import GNINA, PoseScores, gnina_networks, scored_poses
from structdiff.evaluation.subject import Subject
from structdiff.published_weights import full_names, is_present
from structdiff.structure.build import ChainSequence, build_structure
from structdiff.structure.tables import ChainKind
from tests.docking.examples import ligand, streptavidin
from tests.docking.gnina_cases import CASES, GOLDEN

# The weights come from a package index and are no part of the project; .ci/run fetches them.
needs_weights = pytest.mark.skipif(
    not all(is_present(name) for name in full_names(GNINA)), reason="structdiff weights fetch gnina"
)


@pytest.fixture
def random_networks(monkeypatch):
    """One small stand-in of each kind, with parameters at random."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        networks = tuple(network.eval().requires_grad_(False) for network in (Default2018(), Dense()))
    monkeypatch.setattr(pose_scorer, "gnina_networks", lambda: networks)
    return networks


def channels(structure, residue, of="receptor"):
    """The channel of each atom of the first residue of a name."""
    rows = np.flatnonzero(structure.residues.name[structure.atoms.residue] == residue)
    rows = rows[structure.atoms.residue[rows] == structure.atoms.residue[rows[0]]]
    own = getattr(GninaAtoms.of(structure), of)
    return dict(zip(structure.atoms.name[rows].tolist(), own[rows].tolist(), strict=True))


def test_what_atoms_of_a_receptor_are():
    residues = ("MET", "SER", "TYR", "PRO", "HIS", "LYS", "ASP", "ALA")
    chains = [ChainSequence(name="A", kind=ChainKind.PROTEIN, residues=residues)]
    chains += [
        ChainSequence(name=name, kind=ChainKind.LIGAND, residues=(code,))
        for name, code in zip("LMNO", ("ZN", "CA", "MG", "CL"), strict=True)
    ]
    peptide = build_structure(chains)
    aliphatic, hetero, aromatic, ring_hetero, halogen, nitrogen, donor, oxygen, hydroxyl, sulphur = range(10)
    assert channels(peptide, "SER") == {
        "N": donor, "CA": hetero, "C": hetero, "O": oxygen, "CB": hetero, "OG": hydroxyl
    }  # fmt: skip
    assert channels(peptide, "PRO")["N"] == nitrogen
    assert channels(peptide, "ALA")["CB"] == aliphatic
    tyrosine = channels(peptide, "TYR")
    assert (tyrosine["CG"], tyrosine["CZ"], tyrosine["OH"]) == (aromatic, ring_hetero, hydroxyl)
    assert channels(peptide, "MET")["SD"] == sulphur
    assert channels(peptide, "LYS")["NZ"] == donor
    assert sorted(channels(peptide, "ASP")[name] for name in ("OD1", "OD2")) == [oxygen, hydroxyl]
    assert [channels(peptide, code)[code] for code in ("CA", "ZN", "MG", "CL")] == [11, 12, 13, halogen]


def test_what_atoms_of_a_ligand_are():
    biotin = channels(ligand("BTN"), "BTN", "ligand")
    assert (biotin["S1"], biotin["N1"], biotin["O3"], biotin["O11"], biotin["O12"]) == (11, 8, 9, 9, 10)
    atp = channels(ligand("ATP"), "ATP", "ligand")
    assert (atp["PA"], atp["N6"], atp["N1"], atp["C2"], atp["C4'"]) == (12, 8, 7, 3, 1)
    radius = GninaAtoms.of(ligand("ATP")).radius
    assert sorted(set(radius.round(2).tolist())) == pytest.approx([1.7, 1.8, 1.9, 2.1])


def one_atom(place, radius=2.0, channel=0, middle=(0.0, 0, 0)):
    return densities(torch.tensor([place]), torch.tensor([channel]), torch.tensor([radius]), torch.tensor(middle), 3)


def test_a_density_is_a_bell_with_a_parabola_about_it():
    half = SPACING / 2
    grid = one_atom([half, half, half], channel=1)  # at the point [24, 24, 24]
    assert grid.shape == (3, POINTS, POINTS, POINTS)
    assert (grid[[0, 2]] == 0).all()
    line = grid[1, 24:, 24, 24]
    for steps in range(8):
        q = steps * SPACING / 2.0
        expected = math.exp(-2 * q * q) if q <= 1 else math.exp(-2) * (2 * q - 3) ** 2 if q < 1.5 else 0.0
        assert float(line[steps]) == pytest.approx(expected, abs=1e-6)
    assert torch.equal(grid[1, 24, 24, 24:], line)


def test_densities_add_up_and_move_with_their_middle():
    places = torch.tensor([[0.3, 1.0, -2.0], [1.2, 0.4, -1.0], [-30.0, 0, 0]])
    kind, radius = torch.tensor([0, 0, 1]), torch.tensor([1.9, 1.7, 2.0])
    grid = densities(places, kind, radius, torch.zeros(3), 3)
    apart = [one_atom(place.tolist(), float(r)) for place, r in zip(places[:2], radius[:2], strict=True)]
    torch.testing.assert_close(grid, apart[0] + apart[1])  # and the third is too far away
    shift = torch.tensor([5.0, -3, 2])
    torch.testing.assert_close(densities(places + shift, kind, radius, shift, 3), grid, atol=1e-5, rtol=0)


def test_an_atom_at_the_edge_is_cut_and_does_not_come_in_at_the_other_side():
    edge = SPACING * (POINTS - 1) / 2
    grid = one_atom([0.25, 0.25, edge])
    assert float(grid[0, 24, 24, -1]) == pytest.approx(1.0)
    assert (grid[..., :40] == 0).all()


def test_published_names_are_those_of_our_networks():
    def published(network):
        names = {}
        for name, value in network.state_dict().items():
            part = name.split(".")
            if part[0] == "convolutions":
                part = [f"unit{int(part[1]) + 1}_conv", part[2]]
            elif part[0] == "enter":
                part = ["data_enc_init_conv", part[1]]
            elif part[0] == "bottlenecks":
                part = [f"data_enc_level{part[1]}_bottleneck", part[2]]
            elif part[0] == "blocks":
                kind = {"norms": "batchnorm_conv", "convolutions": "conv"}[part[2]]
                part = [f"dense_block_{part[1]}", f"data_enc_level{part[1]}_{kind}{part[3]}", part[4]]
            else:
                part = [f"{part[0]}_output", part[1]]
            names[".".join(part)] = value
        return names

    for kind in (Default2018, Dense):
        made = kind().eval()
        read = network_of(published(made))
        assert isinstance(read, kind)
        assert not read.training
        grid = torch.rand(1, 2 * NUM_CHANNELS, POINTS, POINTS, POINTS)
        with torch.inference_mode():
            for one, other in zip(made(grid), read(grid), strict=True):
                assert torch.equal(one, other)
    with pytest.raises(RuntimeError, match="Missing key"):
        network_of({})


def test_poses_are_judged_alike_whatever_else_is(random_networks):
    case = CASES["biotin"]()
    atoms, places = GninaAtoms.of(case.structure), case.structure.atoms.positions
    found = scored_poses(atoms, places, case.receptor, case.ligand, case.poses)
    assert ((found.probability > 0) & (found.probability < 1)).all()
    assert found.probability.std() > 0
    alone = scored_poses(atoms, places, case.receptor, case.ligand, case.poses[2:3])
    torch.testing.assert_close(alone.probability, found.probability[2:3])
    torch.testing.assert_close(alone.affinity, found.affinity[2:3])
    # Where the ligand lies in the structure itself, and what is no receptor, does not matter.
    elsewhere = places.copy()
    elsewhere[case.ligand] = 0.0
    again = scored_poses(atoms, elsewhere, case.receptor, case.ligand, case.poses)
    assert torch.equal(again.affinity, found.affinity)
    naked = scored_poses(atoms, places, np.zeros_like(case.receptor), case.ligand, case.poses)
    torch.testing.assert_close(naked.affinity, naked.affinity[:1].expand(4), atol=1e-4, rtol=0)
    assert not torch.allclose(naked.affinity, found.affinity)


@pytest.mark.parametrize("name", CASES)
@needs_weights
def test_the_published_networks_say_what_the_published_packages_say(name):
    case, golden = CASES[name](), json.loads(GOLDEN.read_text())[name]
    atoms = GninaAtoms.of(case.structure)
    found = scored_poses(atoms, case.structure.atoms.positions, case.receptor, case.ligand, case.poses)
    assert max(golden["probability"]) - min(golden["probability"]) > 0.5, "the golden numbers must be able to tell"
    for values, key in (
        (found.probability, "probability"), (found.affinity, "affinity"), (found.affinity_spread, "spread")
    ):  # fmt: skip
        np.testing.assert_allclose(values, golden[key], rtol=0, atol=1e-4)
    assert len(gnina_networks()) == 5


@pytest.fixture
def biotin_docking(monkeypatch):
    """Docking of biotin, begun far away, with a short search."""
    monkeypatch.setattr("structdiff.docking.search._ROUNDS", 4)
    monkeypatch.setattr("structdiff.docking.placement._POSES", 32)
    structure, rows = streptavidin()
    known = np.ones(len(structure.atoms), bool)
    known[rows] = False
    docking = LigandDocking.of(structure, known, ())
    assert docking is not None
    return docking


def laid(docking, *, judged, parts=None):
    start = torch.from_numpy(docking.structure.atoms.positions).clone()
    start[docking.ligands[0]] += 30.0
    on_part = (lambda _: None) if parts is None else parts.append
    return docking.placed(start, torch.Generator().manual_seed(0), on_part, judged=judged)


def test_networks_choose_where_they_are_asked(biotin_docking, random_networks):
    done: list = []
    _, (first,) = laid(biotin_docking, judged=False)
    chosen, (second,) = laid(biotin_docking, judged=True, parts=done)
    again, _ = laid(biotin_docking, judged=True)
    assert first.scores is None
    assert first.margin >= 0
    assert second.scores is not None
    assert torch.equal(chosen, again)
    assert {type(part) for part in done} == {type(part) for part in biotin_docking.parts(judged=True)}
    assert biotin_docking.parts(judged=True)[-1] == done[-1]
    assert biotin_docking.parts() == biotin_docking.parts(judged=True)[:-1]


def test_what_networks_choose_is_laid(biotin_docking, monkeypatch):
    seen = []

    def last(atoms, positions, receptor, ligand, poses):
        seen.append((receptor.copy(), ligand, poses))
        sure = torch.zeros(len(poses))
        sure[-1] = 1.0
        return PoseScores(probability=sure, affinity=torch.zeros(len(poses)), affinity_spread=torch.zeros(len(poses)))

    monkeypatch.setattr("structdiff.docking.placement.scored_poses", last)
    placed, (docked,) = laid(biotin_docking, judged=True)
    (receptor, rows, poses), *more = seen
    assert not more
    assert (receptor == biotin_docking.receptor).all()
    assert not receptor[rows].any()
    assert 1 < len(poses) <= 20
    assert torch.equal(placed[rows], poses[-1])
    assert docked.margin < 0
    assert docked.chance > 0.5


def test_a_ligand_that_lies_at_nothing_is_no_right_pose(random_networks, monkeypatch):
    monkeypatch.setattr(pose_measure, "gnina_networks", lambda: random_networks)
    structure, biotin = streptavidin()
    measure = pose_measure.gnina_measure()
    near = measure(subject := Subject(name="near", path=Path("near.cif"), structure=structure))
    assert near["gnina_pose_probability"] > 0
    assert not subject.notes
    positions = structure.atoms.positions.copy()
    positions[biotin] += 500.0
    far = dataclasses.replace(structure, atoms=dataclasses.replace(structure.atoms, positions=positions))
    apart = measure(subject := Subject(name="far", path=Path("far.cif"), structure=far))
    assert apart == dict.fromkeys(pose_measure.GNINA_NAMES, 0.0)
    assert subject.notes == ["far has a ligand more than 8 Å from all else, which counts as 0 for gnina"]


@needs_weights
def test_the_pose_of_the_crystal_is_surer_than_one_beside_it():
    case = CASES["biotin"]()
    atoms = GninaAtoms.of(case.structure)
    right, _, _, wrong = scored_poses(
        atoms, case.structure.atoms.positions, case.receptor, case.ligand, case.poses
    ).probability.tolist()
    assert right > 0.95
    assert wrong < 0.3
    alone = dataclasses.replace(atoms, receptor=np.full_like(atoms.receptor, 0))
    changed = scored_poses(alone, case.structure.atoms.positions, case.receptor, case.ligand, case.poses[:1])
    assert float(changed.probability[0]) < right - 0.05
