"""``structdiff sequence --score-only``: numbers of sequences that are there or given. Networks have random weights."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from structdiff.campaign.sequence_evaluation import likelihood_measure
from structdiff.evaluation.subject import Given, read_subject
from structdiff.inverse_folding import score_sequence
from structdiff.structure.files import read_structure
from tests.inverse_folding.conftest import random_weights  # noqa: F401 - a fixture, used by all

SCORING = ("--score-only", "--out", "found")


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "scores.csv").open() as table:
        return list(csv.DictReader(table))


def test_the_own_sequence_has_the_number_that_evaluate_gives(
    command: Callable, backbones: tuple[Path, Path], tmp_path: Path
) -> None:
    code, shown, _ = command("sequence", *backbones, "--model", "proteinmpnn", "--probabilities", *SCORING)
    assert code == 0
    assert "2 sequences scored in found" in shown
    first, second = rows(tmp_path / "found")
    subject = read_subject(backbones[0], "cro", Given())
    expected = likelihood_measure("proteinmpnn")(subject)["own_sequence_nll"]
    assert float(first["negative_log_likelihood"]) == pytest.approx(expected, abs=1e-4)
    record = json.loads((tmp_path / "found" / "peptides.scores.json").read_text())
    (entry,) = record["scores"]
    each = np.array(entry["residue_negative_log_likelihood"], float)
    for chain in "AB":
        own = [value for value, name in zip(each, record["residues"], strict=True) if name[0] == chain]
        assert entry["chain_negative_log_likelihood"][chain] == pytest.approx(np.nanmean(own), abs=1e-3)
    assert second["chains"].startswith("A:")
    place = record["residues"].index("A2")
    letter = entry["amino_acids"].index(entry["chains"]["A"][1])
    assert entry["log_probabilities"][place][letter] == pytest.approx(-each[place], abs=1e-3)
    assert np.exp(np.array(entry["log_probabilities"][place])).sum() == pytest.approx(1, abs=0.1)  # beside X
    assert not list((tmp_path / "found").glob("*.cif"))


def test_given_sequences_are_scored_in_every_way_that_they_are_written(
    command: Callable, backbones: tuple[Path, Path], tmp_path: Path
) -> None:
    """What structdiff wrote itself, chains by their order and by their names."""
    command("sequence", backbones[1], "-n", "1", "--no-pack", "--out", "made", "--temperature", "1")
    text = (tmp_path / "made" / "sequences.fasta").read_text()
    letters = dict(zip("AB", [line for line in text.splitlines() if line[0] != ">"], strict=True))
    (tmp_path / "all.fasta").write_text(
        f"{text}>in order\n{letters['A']}/{letters['B']}\n>named\nB:{letters['B'].lower()}/A:{letters['A']}\n>one\n"
        f"B:{letters['B']}\n"
    )
    code, _, _ = command("sequence", backbones[1], "--fasta", "all.fasta", *SCORING)
    assert code == 0
    found = rows(tmp_path / "found")
    assert [row["name"] for row in found] == [f"peptides_{number}" for number in (1, 2, 3, 4)]
    assert [row["header"].split(" ")[0] for row in found] == ["peptides_1_A", "in", "named", "one"]
    numbers = [row["negative_log_likelihood"] for row in found]
    assert numbers[0] == numbers[1] == numbers[2] != numbers[3]
    structure = read_structure(backbones[1])
    score = score_sequence(structure, model="ligandmpnn", sequences=letters)
    assert numbers[0] == f"{score.negative_log_likelihood:.4f}"
    assert score.sequences == letters
    # Another sequence is another number, and all of its letters count.
    whole = {chain: text.replace("X", "A") for chain, text in letters.items()}
    assert np.isnan(score_sequence(structure, sequences=whole).residue_negative_log_likelihood).sum() < np.isnan(
        score_sequence(structure).residue_negative_log_likelihood).sum()  # fmt: skip


def test_what_is_there_is_kept_and_another_run_refused(
    command: Callable, backbones: tuple[Path, Path], tmp_path: Path
) -> None:
    asked = ("sequence", backbones[0], *SCORING)
    assert command(*asked)[0] == 0
    before = (tmp_path / "found" / "cro.scores.json").stat().st_mtime_ns
    assert command(*asked)[0] == 0
    assert (tmp_path / "found" / "cro.scores.json").stat().st_mtime_ns == before
    code, _, errors = command(*asked, "--fix", "A20-30")
    assert code == 2
    assert "asked.fix was [] and is" in errors[0]
    assert command(*asked, "--fix", "A20-30", "--overwrite")[0] == 0
    assert rows(tmp_path / "found")[0]["scored_residues"] == "53"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("cro.pdb.gz", "--ban", "C"), "ban: nothing is designed with --score-only"),
        (("cro.pdb.gz", "--temperature", "0.5"), "temperature: nothing is designed with --score-only"),
        (("cro.pdb.gz", "--orders", "0"), "orders: must be a whole number"),
        (("cro.pdb.gz", "--fasta", "nowhere.fasta"), "nowhere.fasta: no such file"),
        (("cro.pdb.gz", "--fasta", "short.fasta"), "chain A has 71 residues, or the 64 with a backbone (found '3 let"),
        (("cro.pdb.gz", "--fasta", "odd.fasta"), "odd.fasta:3: expected amino acids (found '1'"),
        (("cro.pdb.gz", "--fasta", "none.fasta"), "none.fasta:1: a record begins with >"),
        (("peptides.pdb.gz", "--fasta", "short.fasta"), "short.fasta:1: the structure has 2 protein chains (A, B)"),
        (("peptides.pdb.gz", "--fasta", "named.fasta"), "named.fasta:1: expected each chain once, by its name"),
    ],
)
def test_refusals(
    command: Callable, backbones: tuple[Path, Path], tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    files = {"short": ">x\nMKT\n", "odd": ">x\n" + "A" * 64 + "\n>y\nMK1\n", "none": "MKT\n", "named": ">x\nC:MKT\n"}
    for name, text in files.items():
        (tmp_path / f"{name}.fasta").write_text(text)
    code, _, errors = command("sequence", *arguments, *SCORING)
    assert (code, len(errors)) == (2, 1)
    assert says in errors[0]
    assert not (tmp_path / "found").exists()


def test_options_of_scoring_are_refused_where_sequences_are_designed(
    command: Callable, backbones: tuple[Path, Path]
) -> None:
    for option in (("--fasta", "x.fasta"), ("--orders", "3"), ("--probabilities",)):
        code, _, errors = command("sequence", backbones[0], *option)
        assert (code, "only scoring takes this" in errors[0]) == (2, True)
