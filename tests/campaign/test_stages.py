"""The stages with a tiny network: files, columns, sequences, refolding by a command, and a report."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import json
import math
import sys
import time

import numpy as np
import pytest

from structdiff import judgement
from structdiff.campaign import sequences, stages
from structdiff.campaign.columns import campaign_columns
from structdiff.campaign.manifest import Manifest
from structdiff.campaign.plan import PACKING_WEIGHTS
from structdiff.campaign.refolding import UntoldBondsWarning, complex_of, named_as_designed
from structdiff.campaign.report import write_campaign_report
from structdiff.campaign.run import Run, Selection
from structdiff.design_jobs import job_of
from structdiff.errors import InputError, StructdiffError
from structdiff.evaluation.backbone import Backbone
from structdiff.evaluation.catalogue import CATALOGUE
from structdiff.output.prediction import Verdict, chain_sequences
from structdiff.soundness import handedness_verdicts
from structdiff.spec.chain import ChainSpec
from structdiff.spec.complex import ComplexSpec
from structdiff.spec.contig_grammar import parse_contigs
from structdiff.spec.symmetry import Symmetry
from structdiff.structure.complex import build_complex
from structdiff.structure.files import read_structure
from tests.campaign.making import made, recorded_of
from tests.structure.comparison import DATA

COPY = "import shutil, sys; assert open(sys.argv[1]).read()[0] == '>'; shutil.copy(sys.argv[2], sys.argv[3])"


def test_from_backbone_to_ranked_designs(planned, tmp_path) -> None:
    campaign = planned(2, sequences=3, avoid="ACDE", temperature=2.0)
    results = made(campaign, tmp_path, Selection(filter="sc_rmsd < 0.001"))
    assert sorted(each.name for each in results) == [f"design_{n}_{k}" for n in (1, 2) for k in (1, 2, 3)]
    assert all(each.reasons[0].startswith("sc_rmsd < 0.001 (sc_rmsd is ") for each in results)
    assert set(results[0].columns) <= set(campaign_columns(campaign)) <= set(CATALOGUE)
    assert set(campaign_columns(campaign)) - set(results[0].columns) <= {"target_aligned_rmsd"}
    sequences = set()
    for each in results:
        structure = read_structure(tmp_path / f"{each.name}.cif")
        letters = chain_sequences(structure)["A"]
        assert letters == each.sequences["A"][1]
        assert letters[3:8] == "KSALL"  # 168 to 172 of the motif
        assert not set(letters[:3] + letters[8:]) & set("ACDE")
        sequences.add(letters)
        backbone = read_structure(tmp_path / "backbones" / f"{each.backbone}.cif")
        alpha = [s.atoms.positions[(s.atoms.name == "CA") & s.atoms.resolved] for s in (structure, backbone)]
        np.testing.assert_allclose(*alpha)
        assert json.loads((tmp_path / f"{each.name}.confidence.json").read_text())["name"] == each.name
        made_by = read_structure(tmp_path / "refolded" / f"{each.name}.cif").metadata["provenance"]
        assert (made_by["refolder"], made_by["weights_sha256"]) == ("own", campaign.weights_hash["refold"])
    assert len(sequences) == 6
    with (tmp_path / "designs.csv").open() as table:
        rows = list(csv.DictReader(table))
    assert [row["name"] for row in rows] == [f"design_{n}_{k}" for n in (1, 2) for k in (1, 2, 3)]
    assert {row["accepted"] for row in rows} == {"false"}
    assert (tmp_path / "sequences.fasta").read_text().count(">design_") == 6


def test_a_design_that_moved_is_judged_as_it_is(planned, tmp_path, monkeypatch) -> None:
    """A sequence moves atoms (side chains are packed, all is relaxed): table and files tell of what is in the file."""
    plain = sequences.sequences_for

    def moved(backbone, campaign, number, places, device):
        job = job_of(campaign.spec, number)
        for each in plain(backbone, campaign, number, places, device):
            positions = each.structure.atoms.positions.copy()
            positions[: len(positions) // 2] += 9.0
            structure = each.structure.with_positions(positions, resolved=each.structure.atoms.resolved)
            verdicts = judgement.finished_verdicts(job, structure)
            yield dataclasses.replace(each, structure=structure, verdicts=verdicts)

    monkeypatch.setattr(stages, "sequences_for", moved)
    for each in made(planned(1, refold="none", sequences=2), tmp_path):
        told = {verdict["name"]: verdict for verdict in each.verdicts}
        assert not told["motif"]["met"]
        assert "breaks" in told["backbone"]["reached"]
        assert each.columns["motif_rmsd"] > 0.5
        assert each.columns["chain_breaks"] >= 1
        assert each.columns["all_met"] is False
        assert json.loads((tmp_path / f"{each.name}.confidence.json").read_text())["verdicts"] == each.verdicts


def test_copies_of_known_chains_are_named(planned, tmp_path) -> None:
    results = made(planned(2, refold="none", contigs="12/A168-172/12"), tmp_path)
    known = [("1abc_A", Backbone.from_structure(read_structure(tmp_path / "design_2.cif")))]
    with Manifest(tmp_path) as manifest:
        text = write_campaign_report(manifest, results, tmp_path, known).read_text()
    assert "design_2 is a near-copy of 1abc_A (TM-score 1.00)" in text
    assert "design_1 is a near-copy" not in text
    assert "nearest_tm" in text


def test_a_command_can_refold(planned, tmp_path, monkeypatch) -> None:
    folder = tmp_path / "out"
    monkeypatch.chdir(tmp_path)  # paths in the command are those of the folder that it was given in
    command = f'{sys.executable} -S -c "{COPY}" {{fasta}} out/{{name}}.cif {{out}}/model.cif'
    results = made(planned(2, refold_command=command), folder)
    for each in results:
        assert each.columns["sc_rmsd"] == pytest.approx(0, abs=1e-3)
        assert each.columns["refold_motif_rmsd"] == pytest.approx(0, abs=1e-3)
        assert each.columns["sc_tm"] == pytest.approx(1, abs=1e-3)
        assert each.columns["refold_plddt"] == pytest.approx(each.columns["plddt"], abs=1)
        refolded = read_structure(folder / "refolded" / f"{each.name}.cif")
        assert refolded.metadata["provenance"] == {"refolder": command}


def test_chains_of_a_prediction_get_the_names_of_the_design() -> None:
    def complex_with(**letters: str):
        return build_complex(ComplexSpec(chains=tuple(
            ChainSpec(ids=(name,), kind="protein", sequence=text) for name, text in letters.items()
        )))  # fmt: skip

    design = complex_with(B="MKTAY", A="GSWLE", C="MKTAY")
    for given, expected in (
        ({"B": "MKTAY", "A": "GSWLE", "C": "MKTAY"}, ["B", "A", "C"]),
        ({"A": "MKTAY", "B": "GSWLE", "C": "MKTAY"}, ["B", "A", "C"]),  # named in order
        ({"X": "MKTAY", "Y": "GSWLE"}, ["B", "A"]),  # C is not needed
        ({"X": "MKTAY", "A": "WWWW", "Z": "GSWLE"}, ["B", "D", "A"]),
    ):
        found = named_as_designed(complex_with(**given), design, ["A", "B"])
        assert found.chains.name.tolist() == expected
    with pytest.raises(StructdiffError, match=r"sequence of chain A \(5 residues\); predicted: A \(6 residues\), B"):
        named_as_designed(complex_with(A="GSWLEG", B="MKTAY"), design, ["A", "B"])


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("fold {yml} --out {out}", "did you mean 'yaml'"),
        ("fold {yaml}", "told where to write"),
        ("fold --out {out}", "told its input"),
        ("fold '{yaml} {out}", "cannot be read"),
    ],
)
def test_commands_that_cannot_work_are_refused(planned, command: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        planned(1, refold_command=command)


def test_a_command_that_fails_is_the_designs_failure(planned, tmp_path) -> None:
    script = "import sys; sys.exit('no memory left')"
    failures: list[str] = []
    command = f'{sys.executable} -S -c "{script}" {{yaml}} {{out}}'
    (result,) = made(planned(1, refold_command=command), tmp_path, failures=failures)
    assert failures == [f"refold_command: {sys.executable} ended with 1: no memory left"]
    assert result.reasons == (f"not refolded: {failures[0]}",)
    assert not result.accepted


def test_a_command_that_hangs_is_ended_and_its_design_can_be_tried_again(planned, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    # The second design's command hangs the first time, once it has said so, and a program that it has started too.
    hang = (
        "import pathlib, shutil, subprocess, sys, time\n"
        "name, out = sys.argv[2:]\n"
        "with open('called', 'a') as file: file.write(name + ' ')\n"
        "if name == 'design_2' and not pathlib.Path('ready').exists():\n"
        "    print('waiting for a licence', flush=True)\n"
        '    late = \'import time; time.sleep(4); open("late", "w")\'\n'
        "    subprocess.run([sys.executable, '-S', '-c', late])\n"
        "shutil.copy(f'out/{name}.cif', out)\n"
    )
    (tmp_path / "fold.py").write_text(hang)
    command = f"{sys.executable} -S fold.py {{yaml}} {{name}} {{out}}"
    campaign = planned(3, refold_command=command, refold_timeout=1 / 60)
    failures: list[str] = []
    began = time.monotonic()
    results = made(campaign, tmp_path / "out", failures=failures)
    assert failures == [f"refold_command: {sys.executable} was ended after 0.0166667 minutes (refold_timeout): "
                        "waiting for a licence"]  # fmt: skip
    assert [each.name for each in results if not each.complete] == ["design_2"]
    assert (tmp_path / "called").read_text() == "design_1 design_2 design_3 "  # each once
    (tmp_path / "ready").touch()
    assert all(each.complete for each in made(campaign, tmp_path / "out", failures=failures))
    assert len(failures) == 1
    time.sleep(max(0.0, began + 6 - time.monotonic()))
    assert not (tmp_path / "late").exists()


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"refold_timeout": 5}, "only a command has a limit of time"),
        ({"refold_command": "fold {yaml} {out}", "refold_timeout": -1}, "must be a number of minutes"),
        ({"refold_command": "fold {yaml} {out}", "refold_timeout": float("nan")}, "must be a number of minutes"),
    ],
)
def test_limits_of_time_that_are_none_are_refused(planned, asked: dict, says: str) -> None:
    with pytest.raises(InputError, match=f"refold_timeout: {says}"):
        planned(1, **asked)


def test_other_settings_of_a_stage_are_another_run(planned, tmp_path) -> None:
    made(planned(1, refold="none"), tmp_path)
    more = planned(2, refold="none")
    Run(more, tmp_path, Selection(), range(2)).check_folder()
    with pytest.raises(InputError, match=r"design_1 is here from another run .seed was 0 and is 1 now"):
        Run(planned(1, seed=1), tmp_path, Selection(), range(1)).check_folder()
    # Refolding can be added to what is there.
    (result,) = made(planned(1), tmp_path)
    assert result.columns["sc_rmsd"] > 0


def test_the_record_names_what_a_sequence_was_made_with_and_judged_by(planned, published_weights, tmp_path) -> None:
    made(planned(1, sequences=2, refold="none", judge="none", contigs="12/A168-172/12"), tmp_path)
    assert "judge" not in recorded_of(tmp_path, "design_1_1")
    # A judge can be added to what is there.
    made(planned(1, sequences=2, refold="none", contigs="12/A168-172/12"), tmp_path)
    for place in (0, 1):
        record = recorded_of(tmp_path, f"design_1_{place + 1}")
        told = record["sequence"]
        assert (told["model"], told["weights"], told["index"]) == ("proteinmpnn", "proteinmpnn_v_48_020", place)
        assert (told["temperature"], told["side_chains"]) == (0.1, PACKING_WEIGHTS)
        hashes = [hashlib.sha256(name.encode()).hexdigest() for name in ("proteinmpnn_v_48_020", PACKING_WEIGHTS)]
        assert [told["weights_sha256"], told["side_chains_sha256"]] == hashes
        judge = "".join(f"trrosetta_{letter}" for letter in "abcde")
        assert record["judge"] == {
            "model": "trrosetta", "weights_sha256": hashlib.sha256(judge.encode()).hexdigest()
        }  # fmt: skip
        text = (tmp_path / f"design_1_{place + 1}.cif").read_text()
        assert '"temperature": 0.1' in text
        assert hashes[1] in text


def test_the_record_of_the_networks_own_sequences_has_the_temperature_that_was_taken(planned, tmp_path) -> None:
    made(planned(1, sequences=2, refold="none", avoid="C"), tmp_path)
    told = recorded_of(tmp_path, "design_1_2")["sequence"]
    assert (told["model"], told["temperature"]) == ("own", 1.0)
    assert not {"weights", "side_chains"} & told.keys()


@pytest.mark.parametrize("symmetry", [None, Symmetry(group="C3")])
def test_side_chains_that_were_built_are_judged_too(planned, published_weights, tmp_path, symmetry) -> None:
    """Hands and clashes are those of the file; they were told of the backbone that was drawn alone."""
    asked = {"contigs": parse_contigs("8 A168-172"), "symmetry": symmetry}
    campaign = planned(1, asked=asked, refold="none", judge="none", sequence_model="proteinmpnn", avoid="GP")
    (one,) = made(campaign, tmp_path)
    structure = read_structure(tmp_path / f"{one.name}.cif")
    job = job_of(campaign.spec, 0)
    first = structure.select(structure.atom_chain < 2)
    new, kept = (structure.atom_chain == chain for chain in (0, 1))
    if structure.chains.name[0] == "A":  # the kept chain's name
        new, kept = kept, new
    (hands,) = handedness_verdicts(first)
    assert [each["reached"] for each in one.verdicts if each["name"] == "handedness"] == [hands.reached]
    (row, *_) = np.flatnonzero(new & (structure.atoms.name == "CB"))
    (beside, *_) = np.flatnonzero(kept & (structure.atoms.name == "CA"))

    def clash(position: np.ndarray) -> Verdict:
        positions = structure.atoms.positions.copy()
        positions[row] = position
        moved = structure.with_positions(positions, resolved=structure.atoms.resolved)
        return {each.name: each for each in judgement.finished_verdicts(job, moved)}["clash with what is kept"]

    assert not clash(structure.atoms.positions[beside] + np.array([1.5, 0, 0], np.float32)).met
    assert clash(structure.atoms.positions[beside] + 90.0).reached != clash(structure.atoms.positions[beside]).reached


def test_molecules_of_a_structure_become_a_complex() -> None:
    chains = (
        ChainSpec(ids=("A", "B"), kind="protein", sequence="MKTAY"),
        ChainSpec(ids=("D",), kind="dna", sequence="GATC"),
        ChainSpec(ids=("L",), kind="ligand", ccd=("GOL",)),
    )
    structure = build_complex(ComplexSpec(chains=chains))
    names = structure.chains.name.copy()
    names[-1] = "A"  # files of the PDB name a ligand as the chain that it lies at
    found = complex_of(dataclasses.replace(structure, chains=dataclasses.replace(structure.chains, name=names)), "x")
    assert [chain.ids[0] for chain in found.chains] == ["A", "B", "D", "L1"]
    assert [chain.sequence for chain in found.chains] == ["MKTAY", "MKTAY", "GATC", ""]
    assert found.chains[-1].ccd == ("GOL",)


def test_a_ligand_that_is_not_the_dictionarys_is_refolded_as_itself(tmp_path) -> None:
    """Both dictionary and file have a LIG: refolded was the dictionary's, another molecule."""
    atoms = enumerate(("C1", "C2", "O3", "C4"))
    places = [(name, f"{1.5 * row:8.3f}{row % 2:8.3f}{0:8.3f}") for row, name in atoms]
    lines = [f"HETATM    1  {name:<3} LIG L   1    {place}  1.00  0.00           {name[0]}" for name, place in places]
    (tmp_path / "x.pdb").write_text("\n".join([*lines, "END", ""]))
    (chain,) = complex_of(read_structure(tmp_path / "x.pdb"), "x").chains
    assert (chain.smiles, chain.ccd) == ("CCOC", ())


def test_a_ligand_whose_double_bonds_no_file_tells_is_told(tmp_path) -> None:
    """Benzene by its places alone: it was refolded as cyclohexane without a word."""
    places = [(1.39 * math.cos(math.pi * row / 3), 1.39 * math.sin(math.pi * row / 3)) for row in range(6)]
    lines = [
        f"HETATM{row + 1:5d}  C{row + 1}  XYL L   1    {x:8.3f}{y:8.3f}{0:8.3f}  1.00  0.00           C"
        for row, (x, y) in enumerate(places)
    ]
    (tmp_path / "x.pdb").write_text("\n".join([*lines, "END", ""]))
    with pytest.warns(UntoldBondsWarning, match="ligand XYL of chain L is predicted as C1CCCCC1"):
        complex_of(read_structure(tmp_path / "x.pdb"), "x")
    ring = [(row, row % 6 + 1) for row in range(1, 7)]
    told = [f"CONECT{a:5d}{b:5d}" for a, b in ring for _ in range(1 + a % 2)]
    (tmp_path / "x.pdb").write_text("\n".join([*lines, *told, "END", ""]))
    assert complex_of(read_structure(tmp_path / "x.pdb"), "x").chains[0].smiles == "c1ccccc1"


def test_residues_of_chains_that_are_not_the_dictionarys_are_told() -> None:
    """4oz7: the atoms of 22W are not those of the dictionary's."""
    with pytest.raises(InputError, match="residue 22W of chain A is none of the dictionary's"):
        complex_of(read_structure(DATA / "4oz7.pdb.gz"), "x")
