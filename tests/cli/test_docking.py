"""Docked ligands and chains on the command line: what is done with them, and what is told of them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from structdiff.docking.gnina_atoms import GninaAtoms
from structdiff.docking.gnina_networks import Default2018
from structdiff.docking.pose_scorer import gnina_networks, scored_poses
from structdiff.evaluation.accuracy import accuracy
from structdiff.kernels import ligand_docking
from structdiff.structure.files import read_structure
from tests.docking.examples import streptavidin
from tests.features.test_templates import LETTERS, ZIPPER
from tests.structure.comparison import DATA

COMPLEX = """sequences:
  - protein: {id: A, sequence: MKTAYIAKQR}
  - ligand: {id: L, ccd: BTN}
  - ligand: {id: M, ccd: GOL}
  - ligand: {id: N, ccd: CL}
"""

ZIPPER_COMPLEX = f"""sequences:
  - protein: {{id: [A, B], sequence: {LETTERS}}}
templates:
  - {{pdb: {ZIPPER}, chain_id: A, template_id: A, force: true, threshold: 1.0}}
  - {{pdb: {ZIPPER}, chain_id: B, template_id: B, force: true, threshold: 1.0}}
"""


@pytest.fixture
def short_search(monkeypatch):
    monkeypatch.setattr("structdiff.docking.search._ROUNDS", 2)
    monkeypatch.setattr("structdiff.docking.placement._POSES", 16)


def predicted(command, weights, tmp_path, out, *more, text=COMPLEX):
    (tmp_path / "x.yaml").write_text(text)
    code, _, errors = command("predict", "x.yaml", "--weights", weights, "--no-relax", "--seed", 1, "--out", out,
                              "--pose-scoring", "vinardo", *more)  # fmt: skip
    assert (code, errors) == (0, [])
    return tmp_path / out


def positions(folder: Path, number: int = 1):
    """Positions and chain names of all atoms."""
    structure = read_structure(folder / f"x_{number}.cif")
    return structure.atoms.positions, structure.chains.name[structure.atom_chain]


def facts(folder: Path) -> dict:
    return json.loads((folder / "x_1.confidence.json").read_text())


def row(folder: Path) -> dict[str, str]:
    with (folder / "predictions.csv").open() as file:
        return next(csv.DictReader(file))


def test_free_ligands_alone_are_laid_elsewhere(command, weights, tmp_path, short_search) -> None:
    docked, drawn = (predicted(command, weights, tmp_path, out, *more)
                     for out, more in (("docked", ()), ("drawn", ("--no-dock",))))  # fmt: skip
    (one, chain), (other, _) = positions(docked), positions(drawn)
    still = np.isin(chain, ["A", "N"])
    # As they are but for the frame that a file is written in.
    assert distances(one[still]) == pytest.approx(distances(other[still]), abs=5e-3)
    assert np.abs(distances(one) - distances(other)).max() > 0.5
    assert facts(docked)["provenance"]["sampling"]["dock"] is True
    assert facts(drawn)["provenance"]["sampling"]["dock"] is False


def distances(points):
    return np.linalg.norm(points[:, None] - points[None], axis=-1)


def test_scores_are_told(command, weights, tmp_path, short_search) -> None:
    docked, drawn = (predicted(command, weights, tmp_path, out, *more)
                     for out, more in (("docked", ()), ("drawn", ("--no-dock",))))  # fmt: skip
    biotin, glycerol = facts(docked)["ligands"]
    assert (biotin["chains"], biotin["components"]) == (["L"], ["BTN"])
    assert (biotin["heavy_atoms"], biotin["torsions"]) == (16, 5)
    assert (glycerol["chains"], glycerol["torsions"]) == (["M"], 2)
    assert float(row(docked)["ligand_score: L"]) == pytest.approx(biotin["vinardo_kcal_per_mol"], abs=0.006)
    assert "ligand_score: N" not in row(docked)
    assert biotin["vinardo_kcal_per_mol"] < facts(drawn)["ligands"][0]["vinardo_kcal_per_mol"]
    laid = {each["chains"][0]: each for each in facts(docked)["docked"]}
    assert laid["L"]["components"] == ["BTN"]
    assert not laid["L"]["site_was_asked_for"]
    assert laid["L"]["margin_kcal_per_mol"] >= 0
    assert all(0 < each["chance_within_2_angstrom"] < 1 for each in laid.values())
    assert "docked" not in facts(drawn)


def test_what_networks_say_of_a_pose_is_told(command, weights, tmp_path, short_search, monkeypatch) -> None:
    """Where GNINA's weights are; parameters are at random here."""
    with torch.random.fork_rng(devices=[]):
        network = Default2018().eval().requires_grad_(False)
    monkeypatch.setattr("structdiff.docking.pose_scorer.gnina_networks", lambda: (network,))
    monkeypatch.setattr("structdiff.options.gnina_is_here", lambda: True)
    judged = predicted(command, weights, tmp_path, "judged", "--pose-scoring", "auto")
    plain = predicted(command, weights, tmp_path, "plain")
    laid = {each["chains"][0]: each for each in facts(judged)["docked"]}
    assert laid.keys() == {"L", "M"}
    for each in laid.values():
        assert 0 < each["gnina_pose_probability"] < 1
        assert each["gnina_affinity_pk_spread"] == 0
        assert "gnina_affinity_pk" in each
    assert not any("gnina" in key for each in facts(plain)["docked"] for key in each)
    assert facts(judged)["provenance"]["sampling"]["pose_scoring"] == "gnina"
    assert "pose_scoring" not in facts(plain)["provenance"]["sampling"]


def test_networks_that_are_not_here_are_refused_before_anything_is_computed(command, weights, tmp_path, monkeypatch):
    monkeypatch.setenv("STRUCTDIFF_CACHE", str(tmp_path / "cache"))
    (tmp_path / "x.yaml").write_text(COMPLEX)
    for choice, words in (("gnina", "structdiff weights fetch gninatorch"), ("gnins", "did you mean 'gnina'")):
        code, _, (error,) = command("predict", "x.yaml", "--weights", weights, "--pose-scoring", choice, "--out", "o")
        assert code == 2
        assert words in error
    assert not (tmp_path / "o").exists()


def test_networks_are_not_asked_to_choose_among_no_poses(command, weights, tmp_path):
    (tmp_path / "x.yaml").write_text(COMPLEX)
    asked = ("--weights", weights, "--pose-scoring", "gnina", "--no-dock", "--out", "o")
    code, _, (error,) = command("predict", "x.yaml", *asked)
    assert (code, "pose_scoring: without docking there are no poses" in error) == (2, True)
    assert not (tmp_path / "o").exists()


def test_nothing_is_told_where_there_is_no_ligand(command, weights, tmp_path) -> None:
    text = "sequences:\n  - protein: {id: A, sequence: MKTAYIAKQR}\n"
    folder = predicted(command, weights, tmp_path, "out", text=text)
    assert not {"ligands", "docked"} & set(facts(folder))
    assert not [name for name in row(folder) if name.startswith("ligand_score")]


def test_several_ligands_of_a_chain_have_a_column_each(command, weights, tmp_path, short_search) -> None:
    text = COMPLEX.replace("ccd: GOL", "ccd: [GOL, GOL]")
    (tmp_path / "x.yaml").write_text(text)
    code, _, (warning,) = command("predict", "x.yaml", "--weights", weights, "--no-relax", "--seed", 1, "--out", "out")
    assert code == 0
    assert "no bond joins GOL" in warning
    folder = tmp_path / "out"
    assert [name for name in row(folder) if name.startswith("ligand_score")] == [
        "ligand_score: L", "ligand_score: M", "ligand_score: M (2)"
    ]  # fmt: skip
    assert len(facts(folder)["ligands"]) == 3


def test_the_same_again_is_the_same_and_each_sample_is_docked_by_itself(
    command, weights, tmp_path, short_search
) -> None:
    one, two = (predicted(command, weights, tmp_path, out, "--samples", 2) for out in ("one", "two"))
    for number in (1, 2):
        assert (one / f"x_{number}.cif").read_bytes() == (two / f"x_{number}.cif").read_bytes()
    assert np.abs(distances(positions(one, 1)[0]) - distances(positions(one, 2)[0])).max() > 0.5


def test_evaluation_has_the_score(command, tmp_path) -> None:
    for name in ("1stp.pdb.gz", "4i39.cif.gz"):
        (tmp_path / name).write_bytes((DATA / name).read_bytes())
    assert command("evaluate", "1stp.pdb.gz", "4i39.cif.gz", "--out", "out", "--quiet")[0] == 0
    found = {
        each["name"]: each for each in json.loads((tmp_path / "out" / "evaluation.json").read_text())["structures"]
    }
    assert found["1stp"]["ligand_score"] == pytest.approx(-5.417, abs=0.005)  # as the vina package has it
    assert "ligand_score" not in found["4i39"]  # tied to the protein


def test_evaluation_asks_networks_of_ligands(command, tmp_path, monkeypatch) -> None:
    for name in ("1stp.pdb.gz", "4i39.cif.gz"):
        (tmp_path / name).write_bytes((DATA / name).read_bytes())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Default2018().eval().requires_grad_(False)
    structure, rows = streptavidin()
    with monkeypatch.context() as patch:
        # In this order: the second module takes the function from the first when it is imported.
        patch.setattr("structdiff.docking.pose_measure.gnina_networks", lambda: (network,))
        patch.setattr("structdiff.docking.pose_scorer.gnina_networks", lambda: (network,))
        receptor = ~np.isin(np.arange(len(structure.atoms)), rows)
        positions = structure.atoms.positions
        pose = torch.from_numpy(positions[rows])[None]
        wanted = scored_poses(GninaAtoms.of(structure), positions, receptor, rows, pose)
        more = ("--judge-ligands", "gnina", "--out", "out", "--quiet")
        assert command("evaluate", "1stp.pdb.gz", "4i39.cif.gz", *more)[0] == 0
        said = {}
        for name in ("4i39.cif.gz", "1stp.pdb.gz"):
            code, output, _ = command("evaluate", name, "--judge-ligands", "gnina", "--out", name[:4])
            said[name[:4]] = " ".join(output.split())
            assert code == 0
    assert "note: no ligands for gnina to judge: free ones of 5 heavy atoms and more" in said["4i39"]
    assert "no ligands for gnina" not in said["1stp"]
    data = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    found = {each["name"]: each for each in data["structures"]}
    assert found["1stp"]["gnina_pose_probability"] == pytest.approx(float(wanted.probability[0]), abs=1e-5)
    assert found["1stp"]["gnina_affinity_pk"] == pytest.approx(float(wanted.affinity[0]), abs=1e-5)
    assert not any("gnina" in key for key in found["4i39"])  # tied to the protein
    assert data["provenance"]["judge_ligands"] == "gnina"


@pytest.mark.parametrize(
    ("choice", "words"), [("gnina", "structdiff weights fetch gninatorch"), ("gnin", "did you mean 'gnina'")]
)
def test_evaluation_refuses_networks_that_are_not_here(command, tmp_path, monkeypatch, choice, words) -> None:
    monkeypatch.setenv("STRUCTDIFF_CACHE", str(tmp_path / "cache"))
    gnina_networks.cache_clear()
    (tmp_path / "1stp.pdb.gz").write_bytes((DATA / "1stp.pdb.gz").read_bytes())
    code, _, (error,) = command("evaluate", "1stp.pdb.gz", "--judge-ligands", choice, "--out", "out")
    assert code == 2
    assert words in error


@pytest.mark.skipif(not ligand_docking.available(), reason="it takes minutes without the kernel")
def test_known_chains_are_docked_with_nothing_told_and_it_says_how_surely(command, tmp_path):
    (tmp_path / "x.yaml").write_text(ZIPPER_COMPLEX)
    code, _, errors = command("predict", "x.yaml", "--out", "out", "--seed", 1)
    assert (code, errors) == (0, [])
    assert accuracy(read_structure(tmp_path / "out" / "x_1.cif"), read_structure(Path(ZIPPER)))["dockq"] > 0.8
    facts = json.loads((tmp_path / "out" / "x_1.confidence.json").read_text())
    (body,) = facts["docked_chains"]
    assert body["chains"] == ["B"]
    assert body["contacts_were_asked_for"] is False
    assert body["margin_kcal_per_mol"] > 2.0
    assert facts["iptm"] > 0.5
    code, _, _ = command("predict", "x.yaml", "--out", "drawn", "--seed", 1, "--no-dock")
    facts = json.loads((tmp_path / "drawn" / "x_1.confidence.json").read_text())
    assert "docked_chains" not in facts
