"""``structdiff design``: files, the motif kept, going on after an interruption, and what the options mean."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from structdiff import pipeline
from structdiff.cli.design import asked_design
from structdiff.errors import InputError
from structdiff.structure.files import read_structure

CONTIGS = "5/A163-181/5-8"


def designs(motif: Path, weights: Path, *more: object) -> tuple:
    return ("design", "--motif", motif, "--contigs", CONTIGS, "--weights", weights, *more)


def names(folder: Path) -> list[str]:
    with (folder / "designs.csv").open() as table:
        return [row["name"] for row in csv.DictReader(table)]


def contents(folder: Path) -> dict[str, bytes]:
    """Every file but the manifest, which holds times."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("manifest")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def backbone(structure, chain: str, numbers: range) -> np.ndarray:
    atoms, residues = structure.atoms, structure.residues
    wanted = np.isin(residues.author_seq_id, list(numbers)) & (structure.chains.name[residues.chain] == chain)
    rows = [row for row in range(len(atoms)) if wanted[atoms.residue[row]] and atoms.name[row] in ("N", "CA", "C", "O")]
    return atoms.positions[rows]


def test_designs_keep_the_motif_where_it_was(command, motif, weights, tmp_path) -> None:
    code, shown, errors = command(*designs(motif, weights, "-n", 2, "--no-relax"))
    assert (code, errors) == (0, [])
    assert names(tmp_path / "designs") == ["design_1", "design_2"]
    assert "design_2" in shown
    assert "2/3" in shown  # an untrained network's chain that was not relaxed is no backbone
    given = backbone(read_structure(motif), "A", range(163, 182))
    made = read_structure(tmp_path / "designs" / "design_1.cif")
    assert len(given) == 19 * 4
    np.testing.assert_allclose(backbone(made, "A", range(6, 25)), given, atol=2e-3)
    record = json.loads((tmp_path / "designs" / "design_1.residue_map.json").read_text())
    assert record["residues"][0]["design"]["number"] == 6
    assert record["residues"][0]["motif"]["number"] == 163
    confidence = json.loads((tmp_path / "designs" / "design_1.confidence.json").read_text())
    assert "dock" not in confidence["provenance"]["sampling"]  # which is of predictions alone


def test_the_same_command_goes_on_where_it_stopped(command, motif, weights, tmp_path, monkeypatch) -> None:
    whole = designs(motif, weights, "-n", 3, "--no-relax", "--batch-size", 1)
    command(*whole, "--out", "at_once")
    complete, made = pipeline.design, []

    def stopped(spec, **details):
        if len(made) == 2:
            raise KeyboardInterrupt
        for each in complete(spec, **details):
            made.append(each)
            yield each

    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "design", stopped)
        code, _, errors = command(*whole, "--out", "in_two")
    assert code == 130
    assert errors[-1] == "interrupted: 2 of 3 designs are finished in in_two; the same command again goes on"
    assert names(tmp_path / "in_two") == ["design_1", "design_2"]
    code, output, errors = command(*whole, "--out", "in_two")
    assert code == 0
    assert errors == ["2 of 3 designs are in in_two already and are kept"]
    assert output.startswith("1 backbone of ")  # the estimate is of what is left
    assert contents(tmp_path / "in_two") == contents(tmp_path / "at_once")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_leave_whole_files_only(motif, weights, tmp_path, number) -> None:
    run = subprocess.Popen(
        [sys.executable, "-m", "structdiff", *map(str, designs(motif, weights, "-n", 5000, "--batch-size", 1))],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell may have told its children to ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    folder = tmp_path / "designs"
    deadline = time.monotonic() + 120
    while not (folder / "designs.csv").exists() and run.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    run.send_signal(number)
    shown, errors = run.communicate(timeout=60)
    made = names(folder)
    assert run.returncode == 128 + number
    assert shown.startswith("5000 backbones of 29 to 32 residues: about ")
    said = f"interrupted: {len(made)} of 5000 designs are finished in designs; the same command again goes on"
    assert errors.splitlines()[-1] == said
    assert "Traceback" not in errors
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]
    for name in made:
        assert len(read_structure(folder / f"{name}.cif").residues) >= 5 + 19 + 5
        assert json.loads((folder / f"{name}.confidence.json").read_text())["name"] == name


def test_another_run_in_the_folder_is_refused(command, motif, weights, tmp_path) -> None:
    command(*designs(motif, weights, "--no-relax"))
    before = contents(tmp_path / "designs")
    for more, difference in (
        (("--seed", 5), "seed was 0 and is 5 now"),
        (("--steps", 4), "sampling.steps was 3 and is 4 now"),
        (("--guidance", 2), "sampling.guidance was 1.0 and is 2.0 now"),
        (("--hotspots", "A165"), 'spec.hotspots (["A165"]) was not given and is now'),
    ):
        code, _, errors = command(*designs(motif, weights, "--no-relax", *more))
        assert code == 2
        assert difference in errors[0]
        assert "--overwrite" in errors[0]
    motif.write_text(motif.read_text().replace(" LEU A ", " ILE A "))
    code, _, errors = command(*designs(motif, weights, "--no-relax"))
    foreign, refusal = errors
    assert "CG CD2 of ILE 158 of chain A" in foreign
    assert "spec.motif_sha256" in refusal
    assert contents(tmp_path / "designs") == before
    code, _, errors = command(*designs(motif, weights, "--no-relax", "--seed", 5, "--overwrite"))
    assert errors[0] == foreign
    (note,) = errors[1:]  # of leucines made isoleucines
    assert code == 0
    assert "lacks atoms of what is kept" in note
    assert contents(tmp_path / "designs") != before


def test_a_run_whose_designs_are_called_as_sequences_of_another_is_refused(command, motif, weights, tmp_path) -> None:
    two = ("--name", "y", "--sequences", 2, "--sequence-model", "own")
    assert command(*designs(motif, weights, "--no-relax", *two))[0] == 0
    before = contents(tmp_path / "designs")
    assert "y_1_2" in names(tmp_path / "designs")
    code, _, errors = command(*designs(motif, weights, "--no-relax", "--name", "y_1", "-n", 2))
    assert code == 2
    assert "is a design of the run y here, which y_1 would replace" in errors[-1]
    assert contents(tmp_path / "designs") == before
    # Runs beside each other whose designs have names of their own.
    assert command(*designs(motif, weights, "--no-relax", "--name", "y_2", "-n", 2))[0] == 0
    assert command(*designs(motif, weights, "--no-relax", *two))[0] == 0
    code, _, errors = command(*designs(motif, weights, "--no-relax", *two, "-n", 2))
    assert code == 2
    assert "is a design of the run y_2 here" in errors[-1]
    assert command(*designs(motif, weights, "--no-relax", *two, "-n", 2, "--overwrite"))[0] == 2


def test_parts_are_merged_only_when_all_can_be_read(command, motif, weights, tmp_path) -> None:
    for seed, part in enumerate(("a", "b")):
        assert command(*designs(motif, weights, "--no-relax", "--name", part, "--seed", seed, "--out", part))[0] == 0
    manifest = tmp_path / "b" / "manifest.sqlite"
    whole = manifest.read_bytes()
    manifest.write_bytes(b"x" * len(whole))
    code, _, errors = command("campaign", "merge", "a", "b", "--out", "all")
    assert code == 2
    assert "b/manifest.sqlite" in errors[-1]
    assert not list((tmp_path / "all").glob("*.cif"))
    manifest.write_bytes(whole)
    assert command("campaign", "merge", "a", "b", "--out", "all")[0] == 0
    assert names(tmp_path / "all") == ["a_1", "b_1"]


def test_more_designs_later_are_those_of_one_run(command, motif, weights, tmp_path) -> None:
    command(*designs(motif, weights, "-n", 1, "--no-relax"))
    command(*designs(motif, weights, "-n", 2, "--no-relax", "--batch-size", 1))
    command(*designs(motif, weights, "-n", 2, "--no-relax", "--batch-size", 1, "--out", "once"))
    second = "design_2.confidence.json"
    assert (tmp_path / "designs" / second).read_bytes() == (tmp_path / "once" / second).read_bytes()


def test_overwriting_leaves_nothing_of_the_other_run(command, motif, weights, tmp_path) -> None:
    command(*designs(motif, weights, "-n", 3, "--no-relax", "--trajectory", 2))
    command(*designs(motif, weights, "-n", 1, "--no-relax", "--name", "other"))
    code, _, errors = command(*designs(motif, weights, "--no-relax", "--seed", 9))
    assert code == 2
    assert "design_1 is here from another run" in errors[0]
    assert command(*designs(motif, weights, "--no-relax", "--seed", 9, "--overwrite"))[0] == 0
    folder = tmp_path / "designs"
    assert names(folder) == ["other_1", "design_1"]
    assert not [path.name for path in folder.iterdir() if path.name.startswith(("design_2", "design_3"))]
    assert not (folder / "design_1.trajectory.cif").exists()
    assert [line.split("|")[0] for line in (folder / "sequences.fasta").read_text().splitlines() if line[0] == ">"] == [
        ">other_1_A",
        ">design_1_A",
    ]


def test_filters_and_ranks_are_shown(command, motif, weights, tmp_path) -> None:
    code, shown, errors = command(*designs(motif, weights, "-n", 2, "--no-relax", "--filter", "plddt > 100"))
    assert (code, errors) == (0, [])
    assert "0 of 2 designs pass the filter" in shown
    assert "plddt > 100  rejects     2, alone     2" in shown
    assert "structdiff weights fetch proteinmpnn" in shown
    page = (tmp_path / "designs" / "report.html").read_text()
    assert "no design passes the filter" in page
    code, shown, _ = command("campaign", "status", "designs")
    assert (code, shown.count("backbone"), shown.count("refold")) == (0, 1, 1)
    code, shown, _ = command("campaign", "report", "designs", "--filter", "plddt < 100")
    assert (code, shown.strip()) == (0, "designs/report.html")
    with (tmp_path / "designs" / "designs.csv").open() as table:
        assert [row["accepted"] for row in csv.DictReader(table)] == ["true"] * 2
    for option, told in (("--filter", "refold_hotspots_touched > 0"), ("--rank-by", "refold_hotspots_touched")):
        code, _, errors = command("campaign", "report", "designs", option, told)
        assert code == 2
        assert "not measured of any of these designs" in errors[0]


def test_a_part_is_every_nth_design(command, motif, weights, tmp_path) -> None:
    command(*designs(motif, weights, "-n", 5, "--no-relax", "--refold", "none", "--part", "2/3"))
    assert names(tmp_path / "designs") == ["design_2", "design_5"]
    code, _, errors = command(*designs(motif, weights, "-n", 2, "--part", "3/3"))
    assert code == 2
    assert "this part has none of the designs" in errors[0]


def test_a_dry_run_draws_every_layout_and_writes_nothing(command, motif, weights, tmp_path) -> None:
    code, shown, errors = command("design", "--motif", motif, "--contigs", CONTIGS, "-n", 7, "--dry-run")
    assert (code, errors) == (0, [])
    assert "6-24 = A163-181" in shown
    assert "design_5" in shown
    assert "and 2 more" in shown
    assert "7 backbones of" in shown
    assert shown.endswith("nothing was computed or written\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["motif.pdb"]


def test_a_dry_run_tells_what_will_hardly_be_what_was_meant(command, motif, weights) -> None:
    kept = ("design", "--partial", motif, "--keep-sequence", "all", "--sequences", 2, "--dry-run")
    code, _, errors = command(*kept)
    assert (code, len(errors)) == (0, 1)
    assert errors[0].startswith("note: every residue keeps its amino acid")
    assert command(*kept, "--quiet")[2] == []


def test_a_length_alone_is_unconditional(command, weights, tmp_path) -> None:
    code, shown, _ = command("design", "--length", "12-14", "--weights", weights, "--seed", 3, "--name", "free")
    assert code == 0
    assert "motif" not in shown
    assert 12 <= len(read_structure(tmp_path / "designs" / "free_1.cif").residues) <= 14


def test_a_trajectory_ends_in_the_design(command, motif, weights, tmp_path) -> None:
    import gemmi

    code, _, _ = command(*designs(motif, weights, "--no-relax", "--trajectory", 1))
    assert code == 0
    models = gemmi.read_structure(str(tmp_path / "designs" / "design_1.trajectory.cif"))
    frames = [np.array([atom.pos.tolist() for chain in m for r in chain for atom in r]) for m in models]
    made = read_structure(tmp_path / "designs" / "design_1.cif")
    assert len(frames) == 3 + 1
    np.testing.assert_allclose(frames[-1], made.atoms.positions[made.atoms.resolved], atol=2e-3)
    # Without relaxation, the last step is the design itself; the first is still far from it.
    np.testing.assert_allclose(frames[-2], frames[-1], atol=5e-3)
    assert np.abs(frames[0] - frames[-1]).max() > 10


def test_options_win_over_the_file(tmp_path, motif) -> None:
    path = tmp_path / "binder.yaml"
    path.write_text(f"name: binder\nmotif: {motif.name}\ncontigs: 10/A163-181/10\nnum_designs: 9\nseed: 4\n")
    spec = asked_design(path, {"contigs": "20/A170-175", "num_designs": 2, "seed": None, "fixed_sequence": False})
    assert (spec.name, spec.num_designs, spec.seed, spec.fixed_sequence) == ("binder", 2, 4, False)
    assert str(spec.contigs) == "20/A170-175"
    assert Path(spec.motif or "").samefile(motif)
    with pytest.raises(InputError, match="hotspots"):
        asked_design(path, {"hotspots": "A150"})


def test_a_length_alone_is_one_new_chain_in_a_file_and_on_the_command_line(tmp_path) -> None:
    """An option replaces the file's length too; contigs that say more than a length stay and must fit it."""
    path = tmp_path / "chain.yaml"
    path.write_text("length: 30-40\nsymmetry: C3\n")
    spec = asked_design(path, {})
    assert spec == asked_design(None, {"name": "chain", "length": "30-40", "symmetry": "C3"})
    assert (str(spec.contigs), spec.length) == ("30-40", (30, 40))
    other = asked_design(path, {"length": "50"})
    assert (str(other.contigs), other.length) == ("50", (50, 50))
    path.write_text("contigs: 10-20 10-20\nlength: 30-40\n")
    with pytest.raises(InputError, match=r"length: .*20-40"):
        asked_design(path, {"length": "50"})
    with pytest.raises(InputError, match=r"--contigs, --length, or a file"):
        asked_design(None, {"seed": 1})


def test_wishes_reach_the_request() -> None:
    spec = asked_design(
        None,
        {
            "motif": "m.pdb", "contigs": "12/A5-8", "length": "16", "hotspots": "A5,A7", "keep_away": "A6",
            "secondary_structure": "H12?4", "burial": "B8E8", "cyclic": "A",
        },
    )  # fmt: skip
    assert list(map(str, spec.hotspots)) == ["A5", "A7"]
    assert list(map(str, spec.keep_away)) == ["A6"]
    assert (spec.length, spec.cyclic) == ((16, 16), ("A",))
    assert (spec.secondary_structure, spec.burial) == ("HHHHHHHHHHHH????", "BBBBBBBBEEEEEEEE")


def test_quiet_says_nothing(command, weights) -> None:
    assert command("design", "--length", "12", "--weights", weights, "--quiet") == (0, "", [])
