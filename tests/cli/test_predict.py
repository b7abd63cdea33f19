"""``structdiff predict``: several inputs, formats, samples and seeds."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest

from structdiff import complex_jobs, design_jobs, pipeline
from structdiff.errors import StructdiffError
from structdiff.kernels import libraries, native
from structdiff.structure.files import read_structure

FASTA = ">A|protein\nMKTAYIAK\n>B|dna\nGATC\n>L|ccd\nGOL\n"


def predict(weights: Path, *more: object) -> tuple:
    return ("predict", *more, "--weights", weights, "--no-relax")


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_complex_from_fasta(command, weights, tmp_path) -> None:
    (tmp_path / "small.fasta").write_text(FASTA)
    code, shown, errors = command(*predict(weights, "small.fasta"))
    assert (code, errors) == (0, [])
    assert "1 of 1 input predicted: 1 structure in predictions" in shown
    for suffix in ("cif", "pdb"):
        made = read_structure(tmp_path / "predictions" / f"small_1.{suffix}")
        assert made.chains.name.tolist() == ["A", "B", "L"]
        assert made.atoms.resolved.all()
        assert len(made.residues) == 8 + 4 + 1


@pytest.mark.parametrize("mode", ["reference", "auto"])
def test_provenance_names_the_kernels(command, weights, tmp_path, mode: str) -> None:
    (tmp_path / "small.fasta").write_text(">A|protein\nMKTAYIAK\n")
    native.set_mode(mode)
    try:
        assert command(*predict(weights, "small.fasta"))[0] == 0
        expected = f"native ({libraries.cpu_level()})" if native.available("cpu") else "reference"
    finally:
        native.set_mode(None)
    facts = json.loads((tmp_path / "predictions/small_1.confidence.json").read_text())
    assert facts["provenance"]["kernels"] == expected
    assert mode == "auto" or expected == "reference"


def test_the_others_go_on_when_one_input_fails(command, weights, tmp_path) -> None:
    (tmp_path / "good.fasta").write_text(">A|protein\nMKTAY\n")
    (tmp_path / "bad.fasta").write_text(">A|protein\nMK4AY\n")
    (tmp_path / "also.yaml").write_text("sequences:\n  - protein: {id: A, sequence: MKTAY}\n")
    code, shown, errors = command(*predict(weights, "good.fasta", "bad.fasta", "also.yaml"))
    assert code == 2
    assert len(errors) == 1
    assert errors[0].startswith("error: bad.fasta")
    assert "2 of 3 inputs predicted: 2 structures" in shown
    assert "failed: bad.fasta" in shown.splitlines()
    assert {"good_1.cif", "also_1.cif"} < set(files(tmp_path / "predictions"))


def test_a_fault_of_the_program_stops_only_its_input(command, weights, tmp_path, monkeypatch) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.fasta").write_text(">A|protein\nMKTAY\n")
    sound = pipeline.predict

    def broken(spec, **details):
        if spec.name == "one":
            raise RuntimeError("a fault")
        return sound(spec, **details)

    monkeypatch.setattr(pipeline, "predict", broken)
    code, _, errors = command(*predict(weights, "one.fasta", "two.fasta"))
    assert code == 2
    assert errors == ["error: one.fasta: unexpected RuntimeError: a fault (--debug shows where)"]
    assert "two_1.cif" in files(tmp_path / "predictions")


def test_a_full_disk_ends_the_run(command, weights, tmp_path, monkeypatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    for name in ("one", "two"):
        (tmp_path / f"{name}.fasta").write_text(">A|protein\nMKTAY\n")
    monkeypatch.setattr("structdiff.structure.files.tempfile.NamedTemporaryFile", full)
    code, _, errors = command(*predict(weights, "one.fasta", "two.fasta"))
    assert (code, errors) == (2, ["error: predictions: the disk is full; what is finished is safe"])


def test_of_a_list_of_jobs_each_is_counted_and_the_others_go_on(command, weights, tmp_path) -> None:
    sequences = [{"proteinChain": {"sequence": "MKTAY"}}]
    jobs = [{"name": name, "sequences": sequences} for name in ("one", "one", "three")]
    (tmp_path / "jobs.json").write_text(json.dumps(jobs))
    code, shown, errors = command(*predict(weights, "jobs.json"))
    assert code == 2
    assert len(errors) == 1
    assert "two inputs have this name" in errors[0]
    assert "2 of 3 inputs predicted: 2 structures" in shown
    assert "three_1.cif" in files(tmp_path / "predictions")


def test_a_job_of_a_list_that_cannot_be_read_is_told_and_the_others_go_on(command, weights, tmp_path) -> None:
    jobs = [
        {"name": name, "dialect": "alphafoldserver", "version": 1, "sequences": [{"proteinChain": chain}]}
        for name, chain in (
            ("one", {"sequence": "MKTAYIAK"}),
            ("two", {"sequence": "MKTAYIAK", "count": 0}),
            ("three", {"sequence": "MKT1", "count": 1}),
            ("four", {"sequence": "MKTAYIAK", "count": 1}),
        )
    ]
    (tmp_path / "jobs.json").write_text(json.dumps(jobs, indent=1))
    code, shown, errors = command(*predict(weights, "jobs.json"))
    assert code == 2
    assert "2 of 4 inputs predicted" in shown
    assert len(errors) == 2
    for error, said in zip(
        errors, ("[2].sequences[1].proteinChain.count", "jobs.json:34: sequence: letter '1'"), strict=True
    ):
        assert error.startswith("error: jobs.json:")
        assert said in error
    assert {path.name for path in (tmp_path / "predictions").glob("*.cif")} == {"one_1.cif", "four_1.cif"}


def test_samples_and_seeds(command, weights, tmp_path) -> None:
    (tmp_path / "x.yaml").write_text("seeds: [3, 8]\nsequences:\n  - protein: {id: A, sequence: MKTAY}\n")
    command(*predict(weights, "x.yaml", "--samples", 2))
    made = [json.loads((tmp_path / "predictions" / f"x_{k}.confidence.json").read_text()) for k in (1, 2, 3, 4)]
    assert [(each["provenance"]["seed"], each["provenance"]["sample"]) for each in made] == [
        (3, 0),
        (3, 1),
        (8, 0),
        (8, 1),
    ]
    assert [verdict["name"] for verdict in made[0]["verdicts"]] == ["backbone", "handedness"]
    command(*predict(weights, "x.yaml", "--seed", 8, "--out", "alone"))
    first = read_structure(tmp_path / "alone" / "x_1.cif").atoms.positions
    assert abs(first - read_structure(tmp_path / "predictions" / "x_3.cif").atoms.positions).max() < 2e-3


def test_the_best_of_a_complex_is_shown_first(command, weights, tmp_path) -> None:
    (tmp_path / "x.fasta").write_text(">A|protein\nMKTAY\n")
    command(*predict(weights, "x.fasta", "--samples", 4))
    changes = {1: (False, 0.9), 2: (True, 0.1), 3: (True, 0.3), 4: (False, 0.2)}  # whether met, ranking score
    for number, (met, score) in changes.items():
        path = tmp_path / "predictions" / f"x_{number}.confidence.json"
        facts = json.loads(path.read_text())
        facts["verdicts"] = [{**each, "met": met} for each in facts["verdicts"]]
        path.write_text(json.dumps({**facts, "ranking_score": score}))
    _, shown, _ = command(*predict(weights, "x.fasta", "--samples", 4))
    assert [line.split()[0] for line in shown.splitlines() if line.startswith("x_")] == ["x_3", "x_2", "x_1", "x_4"]


@pytest.mark.parametrize("name", ["[x]", "a:cat:b", "[bold]"])
def test_names_are_shown_as_they_are(command, weights, tmp_path, name: str) -> None:
    (tmp_path / f"{name}.fasta").write_text(">A|protein\nMKTAY\n")
    _, shown, _ = command(*predict(weights, f"{name}.fasta"))
    row = next(line.split() for line in shown.splitlines() if line.startswith(f"{name}_1 "))
    assert row[-1] == f"predictions/{name}_1.cif"


def test_formats(command, weights, tmp_path) -> None:
    (tmp_path / "x.fasta").write_text(">A|protein\nMKTAY\n")
    for name, suffixes in (("cif", {".cif"}), ("pdb", {".pdb"}), ("both", {".cif", ".pdb"})):
        code, shown, _ = command(*predict(weights, "x.fasta", "--format", name, "--out", name))
        assert code == 0
        assert {Path(each).suffix for each in files(tmp_path / name)} - {".json", ".csv"} == suffixes
        assert f"x_1.{min(suffixes)[1:]}" in shown


def test_finished_predictions_are_kept_and_other_runs_refused(command, weights, tmp_path, monkeypatch) -> None:
    (tmp_path / "x.fasta").write_text(">A|protein\nMKTAY\n")
    command(*predict(weights, "x.fasta"))

    def never(*_: object, **__: object) -> None:
        raise AssertionError("predicted again")

    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "predict", never)
        code, shown, errors = command(*predict(weights, "x.fasta"))
        assert code == 0
        assert errors == ["x is in predictions already and is kept"]
        assert "1 of 1 input predicted" in shown
        (tmp_path / "x.fasta").write_text(">A|protein\nMKTAW\n")
        code, _, errors = command(*predict(weights, "x.fasta"))
        assert code == 2
        assert (
            "x_1 is here from another run (spec.sequences[0].protein.sequence was MKTAY and is MKTAW now)" in errors[0]
        )
        assert "--name" not in errors[0]
    assert command(*predict(weights, "x.fasta", "--overwrite"))[0] == 0


def test_a_format_that_was_left_out_is_added_without_predicting_again(command, weights, tmp_path, monkeypatch) -> None:
    (tmp_path / "x.fasta").write_text(FASTA)
    command(*predict(weights, "x.fasta", "--out", "once"))
    command(*predict(weights, "x.fasta", "--format", "cif"))

    def never(*_: object, **__: object) -> None:
        raise AssertionError("predicted again")

    monkeypatch.setattr(pipeline, "predict", never)
    code, _, errors = command(*predict(weights, "x.fasta"))
    assert (code, errors) == (0, ["x is in predictions already and is kept"])
    assert (tmp_path / "predictions/x_1.pdb").read_bytes() == (tmp_path / "once/x_1.pdb").read_bytes()


def test_a_trajectory_of_what_is_kept_is_not_left_out_without_a_word(command, weights, motif, tmp_path) -> None:
    (tmp_path / "x.fasta").write_text(">A|protein\nMKTAY\n")
    design = ("design", "--length", 12, "--weights", weights, "--no-relax", "--refold", "none")
    for first, name in ((predict(weights, "x.fasta"), "x_1"), (design, "design_1")):
        assert command(*first)[0] == 0
        code, _, errors = command(*first, "--trajectory", 1)
        assert code == 0
        assert errors[-1] == f"note: {name}: kept as made before, without a trajectory; --overwrite draws anew"
        command(*first, "--trajectory", 1, "--overwrite")
        assert "trajectory" not in command(*first, "--trajectory", 1)[2][-1]


@pytest.mark.parametrize("suffix", ["cif", "pdb", "confidence.json"])
def test_damaged_files_count_as_missing(command, weights, tmp_path, suffix: str) -> None:
    (tmp_path / "x.fasta").write_text(">A|protein\nMKTAY\n")
    command(*predict(weights, "x.fasta", "--samples", 2))
    path = tmp_path / "predictions" / f"x_1.{suffix}"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    code, _, errors = command(*predict(weights, "x.fasta", "--samples", 2))
    assert code == 0
    assert errors == [f"note: damaged files count as missing, to be made again: x_1.{suffix}",
                      "1 of 2 structures of x are in predictions already and are kept"]  # fmt: skip
    assert path.read_bytes() == whole


def test_samples_that_are_there_are_not_made_again(command, weights, tmp_path, monkeypatch) -> None:
    (tmp_path / "x.fasta").write_text(">A|protein\nMKTAY\n")
    command(*predict(weights, "x.fasta", "--samples", 3, "--out", "once"))
    command(*predict(weights, "x.fasta", "--samples", 1))
    sound, asked = pipeline.predict, []

    def listened(spec, **details):
        asked.append(details["places"])
        return sound(spec, **details)

    monkeypatch.setattr(pipeline, "predict", listened)
    code, _, errors = command(*predict(weights, "x.fasta", "--samples", 3))
    assert (code, errors) == (0, ["1 of 3 structures of x are in predictions already and are kept"])
    assert asked == [[1, 2]]
    first, second = (read_structure(tmp_path / f / "x_3.cif").atoms.positions for f in ("once", "predictions"))
    assert abs(first - second).max() < 2e-3


def test_two_inputs_of_one_name_do_not_overwrite_each_other(command, weights, tmp_path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.fasta").write_text(">A|protein\nMKTAY\n")
    code, _, errors = command(*predict(weights, "a/x.fasta", "b/x.fasta"))
    assert code == 2
    assert "b/x.fasta: name: two inputs have this name, the other is in a/x.fasta" in errors[0]


def test_what_is_wrong_with_an_input_is_told_before_others_are_predicted(
    command, weights, tmp_path, monkeypatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise StructdiffError("drawn")

    for folder, letters in (("a", "MKTAY"), ("b", "MKTAY"), ("c", "MKTB")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{'y' if folder == 'c' else 'x'}.fasta").write_text(f">A|protein\n{letters}\n")
    monkeypatch.setattr(pipeline, "predict", broken)
    code, shown, errors = command(*predict(weights, "a/x.fasta", "b/x.fasta", "c/y.fasta"))
    assert code == 2
    assert ["drawn" in line for line in errors] == [False, False, True]
    assert "two inputs have this name" in errors[0]
    assert "0 of 3 inputs predicted" in shown


def test_names_that_differ_in_case_only_are_not_one_file_on_disks_that_ignore_case(command, weights, tmp_path) -> None:
    sequences = [{"proteinChain": {"sequence": "MKTAY"}}]
    jobs = [{"name": name, "sequences": sequences} for name in ("p53", "P53", "straße")]
    (tmp_path / "jobs.json").write_text(json.dumps(jobs))
    code, shown, errors = command(*predict(weights, "jobs.json"))
    assert code == 2
    assert len(errors) == 1
    assert "name: p53 differs in upper and lower case only" in errors[0]
    assert "2 of 3 inputs predicted" in shown
    before = files(tmp_path / "predictions")
    (tmp_path / "STRASSE.fasta").write_text(">A|protein\nMKTAY\n")
    for more in ((), ("--overwrite",)):
        code, _, errors = command(*predict(weights, "STRASSE.fasta", *more))
        assert code == 2
        assert "name: straße_1 differs in upper and lower case only" in errors[0]
    assert files(tmp_path / "predictions") == before


def test_before_a_run_it_says_what_it_will_need(command, weights, tmp_path) -> None:
    (tmp_path / "small.fasta").write_text(FASTA)
    _, shown, _ = command(*predict(weights, "small.fasta", "-n", 2))
    assert shown.startswith("small\n  2 structures of 12 residues (18 tokens): about ")
    assert "small\n  2 structures" not in command(*predict(weights, "small.fasta", "-n", 2))[1]  # all are there


def test_a_dry_run_names_what_constraints_may_name(command, weights, tmp_path) -> None:
    (tmp_path / "asked.yaml").write_text(
        "sequences:\n  - protein: {id: A, sequence: MKTAYM, modifications: [{position: 1, ccd: MSE}]}\n"
        "  - ligand: {id: L, smiles: CCO}\nconstraints:\n"
        "  - pocket: {binder: L, contacts: [[A, 3]], max_distance: 5}\n"
    )
    code, shown, errors = command(*predict(weights, "asked.yaml", "--dry-run"))
    assert (code, errors) == (0, [])
    assert shown.splitlines()[:4] == [
        "asked", "  A  protein of 6 residues, modified: MSE 1", "  L  ligand LIG, atoms C1 C2 O1",
        "  pocket L - A/3, within 5 Å",
    ]  # fmt: skip
    assert "1 structure of 6 residues" in shown
    assert [path.name for path in tmp_path.iterdir()] == ["asked.yaml"]


def test_what_cannot_fit_is_refused_before_its_tables_are_made(command, weights, tmp_path, monkeypatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("tables of pairs were made")

    for module in (complex_jobs, design_jobs):
        monkeypatch.setattr(module, "build_features", never)
    monkeypatch.setenv("STRUCTDIFF_MEMORY_GIB", "0.0001")
    (tmp_path / "large.fasta").write_text(">A|protein\n" + "MKTAYIAK" * 40)
    free = ("design", "--length", 320, "--weights", weights)
    for asked, name in ((predict(weights, "large.fasta"), "large.fasta: "), (free, "")):
        code, _, errors = command(*asked)
        assert code == 2
        assert errors[0].startswith(f"error: {name}320 tokens need about")
    for asked, told in ((predict(weights, "large.fasta"), "A  protein of 320 residues"), (free, "1-320 new")):
        code, shown, errors = command(*asked, "--dry-run")
        assert code == 0
        assert told in shown
        assert len(errors) == 1
        assert errors[0].startswith("warning: this machine has too little memory for it: 320 tokens need about")


def test_an_atom_that_a_ligand_has_not_is_told_with_what_asks_for_it(command, weights, tmp_path) -> None:
    (tmp_path / "asked.yaml").write_text(
        "sequences:\n  - protein: {id: A, sequence: MKTAYM}\n  - ligand: {id: L, smiles: CCO}\nconstraints:\n"
        "  - contact: {token1: [A, 3], token2: [L, C99]}\n"
    )
    code, _, errors = command(*predict(weights, "asked.yaml"))
    assert code == 2
    assert errors == [
        "error: asked.yaml: contact A/3 - L/1/C99: L/1 has no such atom (found 'C99'; allowed: C1, C2, O1)"
    ]


def test_a_warning_names_the_input_it_is_of(command, weights, tmp_path) -> None:
    """The same words of a second input were not shown at all."""
    for name in ("one.yaml", "two.yaml"):
        (tmp_path / name).write_text("sequences:\n  - ligand: {id: L, smiles: CC(F)Cl}\n")
    code, _, errors = command(*predict(weights, "one.yaml", "two.yaml", "--dry-run"))
    assert code == 0
    assert len(errors) == 2
    for name, error in zip(("one.yaml", "two.yaml"), errors, strict=True):
        assert error.startswith(f"warning: {name}: ligand L: no stereochemistry is given for C2")
