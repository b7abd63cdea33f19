"""The stages with a tiny network: files, columns, sequences, refolding by a command, and a report."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from structdiff import judgement, pipeline
from structdiff.campaign import sequences, stages
from structdiff.campaign.columns import campaign_columns
from structdiff.campaign.finished_files import is_whole
from structdiff.campaign.manifest import Manifest
from structdiff.campaign.plan import PACKING_WEIGHTS
from structdiff.campaign.refolding import complex_of, named_as_designed
from structdiff.campaign.report import write_campaign_report
from structdiff.campaign.run import Listener, Run, Selection, folder_results, write_tables
from structdiff.errors import InputError, StructdiffError
from structdiff.evaluation.backbone import Backbone
from structdiff.evaluation.catalogue import CATALOGUE
from structdiff.output.prediction import Verdict, chain_sequences
from structdiff.spec.chain import ChainSpec
from structdiff.spec.complex import ComplexSpec
from structdiff.spec.contig_grammar import parse_contigs
from structdiff.spec.contigs import every_chain
from structdiff.spec.rebuilding import parse_noise, parse_part
from structdiff.spec.symmetry import Symmetry
from structdiff.structure.complex import build_complex
from structdiff.structure.files import read_structure
from structdiff.verdicts import handedness_verdicts

MOTIF = Path(__file__).parents[2] / "examples" / "5tpn_site_v.pdb"
COPY = "import shutil, sys; assert open(sys.argv[1]).read()[0] == '>'; shutil.copy(sys.argv[2], sys.argv[3])"


def made(campaign, folder: Path, selection: Selection | None = None, failures: list | None = None) -> list:
    run = Run(campaign, folder, selection or Selection(), range(campaign.spec.num_designs))
    listener = Listener(on_failure=lambda work, error: (failures if failures is not None else []).append(str(error)))
    with Manifest(folder) as manifest:
        run.prepare(manifest)
        run.work(manifest, listener)
        write_tables(folder_results(manifest), folder)
        return run.results(manifest)


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
        job = pipeline.job_of(campaign.spec, number)
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


def test_other_settings_of_a_stage_are_another_run(planned, tmp_path) -> None:
    made(planned(1, refold="none"), tmp_path)
    more = planned(2, refold="none")
    Run(more, tmp_path, Selection(), range(2)).check_folder()
    with pytest.raises(InputError, match=r"design_1 is here from another run .seed was 0 and is 1 now"):
        Run(planned(1, seed=1), tmp_path, Selection(), range(1)).check_folder()
    # Refolding can be added to what is there.
    (result,) = made(planned(1), tmp_path)
    assert result.columns["sc_rmsd"] > 0


def files(folder: Path, *names: str) -> dict[str, bytes]:
    """The structures and scores of these designs, and what was refolded of them."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for name in names
        for path in (folder / f"{name}.cif", folder / f"{name}.confidence.json", folder / f"refolded/{name}.cif")
    }


@pytest.mark.parametrize("settings", [{}, {"avoid": "C", "temperature": 1.0}])
@pytest.mark.parametrize("begun", [1, 2])
def test_more_sequences_and_more_backbones_are_added_to_what_is_there(planned, tmp_path, settings, begun) -> None:
    made(planned(2, sequences=begun, **settings), tmp_path / "grown")
    last = ["design_1", "design_2"] if begun == 1 else ["design_1_2", "design_2_1"]
    before = {name: (tmp_path / "grown" / name).stat().st_mtime_ns for name in files(tmp_path / "grown", *last)}
    results = made(planned(3, sequences=4, **settings), tmp_path / "grown")
    first = "" if begun == 1 else "_1"
    names = {f"design_{n}{tail}" for n in (1, 2, 3) for tail in (first, "_2", "_3", "_4")}
    assert {each.name for each in results if each.complete} == names
    assert len(results) == 12
    assert before == {name: (tmp_path / "grown" / name).stat().st_mtime_ns for name in before}
    # What was added later is what it would have been at once.
    made(planned(3, sequences=4, **settings), tmp_path / "whole")
    added = [f"design_{n}_{k}" for n in (1, 2, 3) for k in (2, 3, 4)]
    assert files(tmp_path / "grown", *added) == files(tmp_path / "whole", *added)
    # Fewer change nothing, and the same again finds nothing to do.
    assert len(made(planned(3, sequences=2, **settings), tmp_path / "grown")) == 12
    assert {name: (tmp_path / "grown" / name).stat().st_mtime_ns for name in before} == before


def test_single_residues_are_what_they_may_be(planned, tmp_path) -> None:
    results = made(planned(1, sequences=3, allow_at="A1-2=PG,A10=W", refold="none", judge="none"), tmp_path)
    letters = [each.sequences["A"][1] for each in results]
    assert len(letters) == 3
    assert all(set(each[:2]) <= set("PG") and each[9] == "W" for each in letters)


@pytest.mark.parametrize(
    ("allow_at", "contigs", "says"),
    [
        ("A5=W", "3/A168-172/3-4", "keeps its type"),
        ("A1-5=W", "3/A168-172/3", "keeps its type"),
        ("A30=W", "3/A168-172/3-4", "no such residue"),
        ("A3-1=W", "3/A168-172/3-4", "runs backwards"),
    ],
)
def test_letters_that_no_design_can_have_are_refused_before_any_is_drawn(planned, allow_at, contigs, says) -> None:
    with pytest.raises(InputError, match=says):
        planned(9, allow_at=allow_at, contigs=contigs)


def test_letters_that_one_of_the_designs_cannot_have_are_refused_before_it_is_drawn(
    planned, tmp_path, monkeypatch
) -> None:
    campaign = planned(6, contigs="3/A168-172/1-3", allow_at="A10=W", refold="none", judge="none")
    lengths = [len(layout) for layout in pipeline.layouts(campaign.spec)]
    drawn, failures = [], []
    plain = pipeline.design

    def noted(*given, numbers, **more):
        drawn.extend(numbers)
        return plain(*given, numbers=numbers, **more)

    monkeypatch.setattr(pipeline, "design", noted)
    results = made(campaign, tmp_path, failures=failures)
    able = [number for number, length in enumerate(lengths) if length >= 10]
    assert 0 < len(able) < 6
    assert sorted(drawn) == sorted(each.number for each in results) == able
    assert len(failures) == 6 - len(able)
    assert all("no such residue" in each for each in failures)
    assert all(each.sequences["A"][1][9] == "W" for each in results)


def test_a_sequence_that_is_kept_altogether_needs_no_network(planned, published_weights, tmp_path) -> None:
    asked = {"contigs": every_chain(), "noise": parse_noise("1"), "keep_sequence": "all"}
    failures: list = []
    (first, second) = made(planned(1, asked=asked, sequences=2, refold="none"), tmp_path, failures=failures)
    assert not failures
    given = chain_sequences(read_structure(MOTIF))["A"]
    for each in (first, second):
        assert each.sequences["A"][1] == given
        assert each.complete
        structure = read_structure(tmp_path / f"{each.name}.cif")
        assert "NZ" in structure.atoms.name[structure.atoms.resolved]  # side chains are there


def prepared(campaign, folder: Path) -> list[str]:
    """What is told of a folder before work begins."""
    notes: list[str] = []
    with Manifest(folder) as manifest:
        Run(campaign, folder, Selection(), range(campaign.spec.num_designs)).prepare(manifest, on_note=notes.append)
    return notes


@pytest.mark.parametrize("settings", [{}, {"sequences": 2}, {"avoid": "C"}])
@pytest.mark.parametrize(
    ("suffix", "damage"),
    [(".cif", b"junk\n"), (".cif", b""), (".cif", b"data_x\n"), (".cif", None), (".confidence.json", None),
     (".residue_map.json", b"\x00" * 500), (".pdb", None)],
)  # fmt: skip
def test_a_damaged_file_of_a_finished_design_is_made_again(planned, tmp_path, settings, suffix, damage) -> None:
    campaign = planned(2, refold="none", judge="none", **settings)
    name = made(campaign, tmp_path)[0].name
    path = tmp_path / f"{name}{suffix}"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    (note,) = prepared(campaign, tmp_path)
    assert path.name in note
    assert "damaged files count as missing" in note
    failures: list = []
    assert len(made(campaign, tmp_path, failures=failures)) == 2 * campaign.settings.sequences
    assert not failures
    assert path.read_bytes() == whole
    assert not prepared(campaign, tmp_path)


def test_a_structure_that_is_cut_between_two_lines_is_damaged(planned, tmp_path) -> None:
    path = tmp_path / f"{made(planned(1, refold='none', judge='none'), tmp_path)[0].name}.cif"
    lines = path.read_text().splitlines(keepends=True)
    assert is_whole(path)
    path.write_text("".join(lines[:-12]))
    assert not is_whole(path)
    path.write_text("".join(lines)[:-1])
    assert not is_whole(path)


def test_a_design_and_what_was_made_of_it_are_made_again_in_their_order(planned, published_weights, tmp_path) -> None:
    campaign = planned(2, sequence_model="proteinmpnn", sequences=2)
    made(campaign, tmp_path)
    paths = [tmp_path / name for name in ("design_1_1.cif", "refolded/design_1_1.cif", "backbones/design_1.cif")]
    before = [path.read_bytes() for path in paths]
    for path in paths:
        path.write_bytes(b"junk")
    failures: list = []
    results = made(campaign, tmp_path, failures=failures)
    assert not failures
    assert len(results) == 4
    assert all(each.complete for each in results)
    assert [path.read_bytes() for path in paths] == before
    assert "judge" in recorded_of(tmp_path, "design_1_1")


def test_a_damaged_design_takes_no_other_out_of_the_report(planned, tmp_path) -> None:
    results = made(planned(6, refold="none", contigs="12/A168-172/12"), tmp_path)
    known = [("1abc_A", Backbone.from_structure(read_structure(tmp_path / "design_2.cif")))]
    (tmp_path / "design_1.cif").write_bytes(b"junk\n")
    with Manifest(tmp_path) as manifest:
        text = write_campaign_report(manifest, results, tmp_path, known).read_text()
    assert "the files of design_1 are damaged" in text
    assert "design_2 is a near-copy of 1abc_A" in text


def recorded_of(folder: Path, name: str) -> dict:
    return json.loads((folder / f"{name}.confidence.json").read_text())["provenance"]


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


@pytest.mark.parametrize("model", ["own", "proteinmpnn"])
@pytest.mark.parametrize("settings", [{}, {"temperature": 2.0, "sequences": 2}])
def test_chains_that_are_alike_in_the_file_get_one_sequence(
    planned, published_weights, dimer, tmp_path, model, settings
) -> None:
    asked = {"motif": str(dimer), "contigs": every_chain(), "noise": parse_noise("1")}
    campaign = planned(2, asked=asked, refold="none", judge="none", sequence_model=model, **settings)
    results = made(campaign, tmp_path)
    assert len(results) == 2 * campaign.settings.sequences
    for each in results:
        one, other = (letters for _, letters in each.sequences.values())
        assert one == other


def test_chains_of_which_other_residues_are_open_are_not_alike(planned, dimer, tmp_path) -> None:
    keep = {"keep_sequence": parse_part("A168-170", "keep_sequence")}
    asked = {"motif": str(dimer), "contigs": every_chain(), "noise": parse_noise("1"), **keep}
    (result,) = made(planned(1, asked=asked, refold="none", judge="none"), tmp_path)
    one, other = (letters for _, letters in result.sequences.values())
    assert one[:3] == "KSA"
    assert one != other


@pytest.mark.parametrize("model", ["own", "proteinmpnn"])
def test_copies_of_a_symmetric_design_get_one_sequence(planned, published_weights, tmp_path, model) -> None:
    asked = {"motif": None, "contigs": parse_contigs("8 6"), "symmetry": Symmetry(group="C3"), "fold_plan": "none"}
    settings = {"sequences": 2, "temperature": 2.0, "allow_at": "A2=W"}
    campaign, failures = planned(1, asked=asked, refold="none", judge="none", sequence_model=model, **settings), []
    results = made(campaign, tmp_path, failures=failures)
    assert not failures
    assert len(results) == 2
    for each in results:
        letters = [text for _, text in each.sequences.values()]
        assert len(letters) == 6
        assert letters == letters[:2] * 3
        assert letters[0][1] == "W"
        if model == "proteinmpnn":  # which has its side chains, of all copies, and judges again
            told = {verdict["name"]: verdict for verdict in each.verdicts}
            assert told["symmetry"]["met"], told["symmetry"]["reached"]


@pytest.mark.parametrize("symmetry", [None, Symmetry(group="C3")])
def test_side_chains_that_were_built_are_judged_too(planned, published_weights, tmp_path, symmetry) -> None:
    """Hands and clashes are those of the file; they were told of the backbone that was drawn alone."""
    asked = {"contigs": parse_contigs("8 A168-172"), "symmetry": symmetry}
    campaign = planned(1, asked=asked, refold="none", judge="none", sequence_model="proteinmpnn", avoid="GP")
    (one,) = made(campaign, tmp_path)
    structure = read_structure(tmp_path / f"{one.name}.cif")
    job = pipeline.job_of(campaign.spec, 0)
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


def test_sequences_of_another_kind_are_refused_where_the_networks_own_are_part_of_the_designs(
    planned, tmp_path
) -> None:
    made(planned(1, refold="none"), tmp_path)
    with pytest.raises(InputError, match="begun with the network's own sequences"):
        Run(planned(1, refold="none", avoid="C"), tmp_path, Selection(), range(1)).check_folder()


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
