"""``structdiff sequence`` over many sequences and files: what is kept, gone on with, and never replaced."""

from __future__ import annotations

import csv
import errno
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from structdiff.cli import sequence_run
from structdiff.inverse_folding import files
from structdiff.structure.files import read_structure
from tests.inverse_folding.conftest import random_weights  # noqa: F401 - a fixture, used by all

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture
def cro(tmp_path: Path) -> Path:
    return Path(shutil.copy(DATA / "1orc.pdb.gz", tmp_path / "cro.pdb.gz"))


def names(folder: Path) -> list[str]:
    with (folder / "sequences.csv").open() as table:
        return [row["name"] for row in csv.DictReader(table)]


def test_an_interrupted_backbone_goes_on_where_it_was(
    command: Callable, cro: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("sequence", cro, "-n", "5", "--no-pack", "-t", "1", "--out")
    assert command(*arguments, "whole")[0] == 0
    monkeypatch.setattr("structdiff.inverse_folding.design.ROWS_AT_ONCE", 2 * 71)
    write, calls = files.write_designed, []

    def interrupted(*given: object) -> object:
        calls.append(len(given[2]))  # type: ignore[arg-type]
        if len(calls) == 2:
            raise KeyboardInterrupt
        return write(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(files, "write_designed", interrupted)
    code, _, errors = command(*arguments, "part")
    assert code == 130
    assert "interrupted: 2 finished sequences in part" in errors[-1]
    assert names(tmp_path / "part") == ["cro_1", "cro_2"]
    before = (tmp_path / "part" / "cro_1.cif").stat().st_mtime_ns
    calls[:] = [0, 0, 0]
    code, shown, _ = command(*arguments, "part")
    assert (code, calls[3:]) == (0, [2, 1])
    assert "5 sequences in part" in shown
    assert (tmp_path / "part" / "cro_1.cif").stat().st_mtime_ns == before
    for name in ("sequences.csv", "sequences.fasta", *(f"cro_{number}.cif" for number in range(1, 6))):
        assert (tmp_path / "part" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_structure_that_was_removed_is_made_again(command: Callable, cro: Path, tmp_path: Path) -> None:
    arguments = ("sequence", cro, "-n", "3", "--no-pack", "--out", "found", "--quiet")
    assert command(*arguments)[0] == 0
    gone = tmp_path / "found" / "cro_2.cif"
    content = gone.read_bytes()
    gone.unlink()
    assert command(*arguments)[0] == 0
    assert gone.read_bytes() == content
    assert names(tmp_path / "found") == ["cro_1", "cro_2", "cro_3"]


def test_a_structure_that_was_damaged_is_made_again(command: Callable, cro: Path, tmp_path: Path) -> None:
    arguments = ("sequence", cro, "-n", "3", "--no-pack", "--out", "out")
    assert command(*arguments)[0] == 0
    structure = tmp_path / "out" / "cro_2.cif"
    before = structure.read_bytes()
    structure.write_bytes(before[: len(before) // 2])
    code, _, errors = command(*arguments)
    assert code == 0
    assert errors == ["note: damaged files count as missing, to be made again: cro_2.cif"]
    assert structure.read_bytes() == before


def test_a_full_disk_ends_the_run_and_is_said_once(
    command: Callable, cro: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = shutil.copy(cro, tmp_path / "other.pdb.gz")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("structdiff.structure.files.tempfile.NamedTemporaryFile", lambda **_: full())
    code, _, errors = command("sequence", cro, other, "--no-pack", "--out", "out")
    assert (code, errors) == (2, ["error: out: the disk is full; what is finished is safe"])


def test_files_of_others_are_not_replaced(command: Callable, cro: Path, tmp_path: Path) -> None:
    for name in ("cro_1.cif", "sequences.fasta"):
        mine = tmp_path / name
        mine.write_text("mine\n")
        code, _, errors = command("sequence", cro, "-n", "1", "--no-pack", "--out", ".")
        assert code == 2
        assert errors[0].startswith(f"error: {name}: this file would be replaced")
        assert mine.read_text() == "mine\n"
        mine.unlink()
    other = Path(shutil.copy(DATA / "1o1z.cif.gz", tmp_path / "cro_1.cif"))
    content = other.read_bytes()
    for more in ((), ("--overwrite",)):
        code, _, errors = command("sequence", cro, other, "-n", "1", "--no-pack", "--out", ".", *more)
        assert code == 2
        assert "a sequence of" in errors[0]
        assert other.read_bytes() == content


def test_a_damaged_record_can_be_overwritten(command: Callable, cro: Path, tmp_path: Path) -> None:
    arguments = ("sequence", cro, "-n", "1", "--no-pack", "--out", "found", "--quiet")
    assert command(*arguments)[0] == 0
    record = tmp_path / "found" / "cro.sequences.json"
    for damage in ('{"x":', '{"provenance": {}, "rows": 5, "sequences": []}'):
        record.write_text(damage)
        assert command(*arguments) == (
            2,
            "",
            [f"error: found/{record.name}: this file was damaged; delete it, or use --overwrite"],
        )
        assert command(*arguments, "--overwrite") == (0, "", [])
        assert json.loads(record.read_text())["rows"][0]["name"] == "cro_1"


def test_what_differs_from_another_run_is_named(command: Callable, cro: Path) -> None:
    arguments = ("sequence", cro, "-n", "1", "--no-pack", "--out", "found", "--quiet")
    assert command(*arguments)[0] == 0
    _, _, errors = command(*arguments, "--bias", "K=1")
    assert 'another run (asked.bias was "" and is K=1 now)' in errors[0]


def test_ligands_are_written_as_sdf_and_go_with_their_sequence(command: Callable, tmp_path: Path) -> None:
    file = shutil.copy(DATA / "4i39.cif.gz", tmp_path / "lov.cif.gz")
    arguments = ("sequence", file, "--no-pack", "--design", "A20-22", "--out", "made")
    assert command(*arguments, "-n", 2)[0] == 0
    assert names(tmp_path / "made") == ["lov_1", "lov_2"]
    assert (tmp_path / "made" / "lov_2.ligands.sdf").read_text().startswith("A HC4")
    assert command(*arguments, "-n", 1, "--overwrite")[0] == 0
    assert [path.name for path in (tmp_path / "made").glob("*.sdf")] == ["lov_1.ligands.sdf"]


def test_bonds_of_designed_side_chains_to_what_stays_are_told(command: Callable, tmp_path: Path) -> None:
    """The flavin of a LOV domain is bonded to a cysteine, which is designed."""
    file = shutil.copy(DATA / "4i39.cif.gz", tmp_path / "lov.cif.gz")
    arguments = ("sequence", file, "-n", "1", "--no-pack")
    told = "bonds of side chains that are designed lead to what stays, and are left out: A69 SG - A201 C1"
    assert f"note: lov: {told}" in command(*arguments, "--out", "found")[2]
    assert not [line for line in command(*arguments, "--fix", "A69", "--out", "kept")[2] if "bonds" in line]
    kept = read_structure(tmp_path / "kept" / "lov_1.cif")
    atoms, bonds = kept.atoms, kept.bonds
    pairs = {
        (str(atoms.name[one]), str(atoms.name[other])) for one, other in zip(bonds.atom_1, bonds.atom_2, strict=True)
    }
    assert pairs & {("SG", "C1"), ("C1", "SG")}


@pytest.mark.parametrize(
    "asked",
    [
        ("--allow-at", "A41-45=DE", "--allow-at", "A45=EK"),
        ("--ban-at", "A41-45=ACDFGHIKLM", "--ban-at", "A45=NPQRSTVWY"),
        ("--allow-at", "A45=DE", "--ban-at", "A40-50=D"),
        ("--allow-at", "A41,A43-44=K,A45=DE", "--ban-at", "A41=C,A45=D"),
        ("--bias", "E=-100", "--bias-at", "A44-45=E=900", "--bias-at", "A45=E=100,D=5"),
    ],
)
def test_all_that_is_asked_of_one_residue_holds(
    command: Callable, cro: Path, tmp_path: Path, asked: tuple[str, ...]
) -> None:
    assert command("sequence", cro, *asked, "-n", "1", "-t", "9", "--no-pack", "--out", "found", "--quiet")[0] == 0
    designed = read_structure(tmp_path / "found" / "cro_1.cif").residues
    assert designed.name[designed.author_seq_id == 45].tolist() == ["GLU"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--fix", "A20-30", "--allow-at", "A25=DE"), "allow_at: no residue of these is designed (found 'A25=DE')"),
        (("--fix", "A20-30", "--ban-at", "A21-22=C"), "ban_at: no residue of these is designed"),
        (("--allow-at", "A25=DE", "--allow-at", "A25=KR"), "no amino acid is left that is allowed before too"),
        (("--fix", "A20-30", "--bias-at", "A25=D=1"), "bias_at: no residue of these is designed (found 'A25=D=1')"),
        (("--bias-at", "A25=D"), "bias_at: expected letter=number (found 'D'"),
        (("--bias-at", "A25"), "bias_at: expected residues=biases (found 'A25'"),
        (("--bias-at", "A25=DE=1"), "bias_at: not the letter of an amino acid (found 'DE'"),
        (("--bias-at", "A25=J=1"), "bias_at: not the letter of an amino acid (found 'J'"),
        (("--bias", "K=1,k=2"), "bias: this letter is given twice (found 'k=2')"),
        (("--bias", "K=inf"), "infinite"),
        (
            ("--model", "membrane_mpnn", "--buried", "A20-30", "--interface", "A30"),
            "buried: residues that are at the inter",
        ),
        (("--side-chain-context",), "every residue is designed"),
    ],
)
def test_refusals(command: Callable, cro: Path, tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
    code, _, errors = command("sequence", cro, *arguments, "--out", "found", "--no-pack")
    assert code == 2
    assert says in errors[0]
    assert not (tmp_path / "found").exists()


def test_tables_are_not_written_for_every_file(
    command: Callable, cro: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are put together from all records of the folder: once a file would be quadratic."""
    written: list[Path] = []
    monkeypatch.setattr(files, "write_tables", written.append)
    copies = [shutil.copy(cro, tmp_path / f"copy{number}.pdb.gz") for number in range(3)]
    assert command("sequence", *copies, "-n", "1", "--no-pack", "--out", "found")[0] == 0
    assert len(written) == 1
    monkeypatch.setattr(sequence_run, "_TABLES_SECONDS", 0.0)
    assert command("sequence", *copies, "-n", "1", "--no-pack", "--out", "found")[0] == 0
    assert len(written) == 5
