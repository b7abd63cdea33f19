"""Selections by author numbering."""

import numpy as np
import pytest

from structdiff.errors import InputError
from structdiff.structure.build import ChainSequence, build_structure
from structdiff.structure.files import read_structure
from structdiff.structure.selection import ResidueRange, describe_chains, parse_selection, select_residues
from structdiff.structure.tables import ChainKind
from tests.structure.comparison import DATA


@pytest.fixture(scope="module")
def structure():
    chains = [
        ChainSequence(name="A", kind=ChainKind.PROTEIN, residues=("GLY",) * 6, author_seq_ids=(-2, -1, 5, 52, 52, 53),
                      insertion_codes=("", "", "", "", "A", "")),
        ChainSequence(name="AB", kind=ChainKind.PROTEIN, residues=("ALA",) * 3, author_seq_ids=(10, 11, 12)),
        ChainSequence(name="B1", kind=ChainKind.DNA, residues=("DA", "DC")),
        ChainSequence(name="L", kind=ChainKind.LIGAND, residues=("ATP",), author_seq_ids=(301,)),
    ]  # fmt: skip
    return build_structure(chains)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("A", [0, 1, 2, 3, 4, 5]),
        ("A5", [2]),
        ("A52", [3]),
        ("A52A", [4]),
        ("A5-52", [2, 3]),
        ("A5-52A", [2, 3, 4]),
        ("A-2--1", [0, 1]),
        ("A-2-5", [0, 1, 2]),
        ("A52A-53, AB11", [4, 5, 7]),
        ("AB", [6, 7, 8]),
        ("AB10-12", [6, 7, 8]),
        ("B1", [9, 10]),
        ("B1:2", [10]),
        ("B12", [10]),
        ("L", [11]),
        ("L301,A5", [11, 2]),
    ],
)
def test_rows(structure, text, rows):
    assert select_residues(structure, text).tolist() == rows


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("C", "no chain 'C'; the structure has A -2-53, AB 10-12, B1 1-2"),
        ("A99", "chain A has no residue 99; chain A has residues -2-53"),
        ("A52B", "no residue 52B"),
        ("A5-99", "no residue 99"),
        ("A53-5", "runs backwards"),
        ("", "no selection of residues"),
        ("A5-", "no selection of residues"),
        ("A5,,B", "no selection of residues"),
        ("5-10", "no selection of residues"),
        ("a5", "did you mean 'A'"),
    ],
)
def test_refusals(structure, text, message):
    with pytest.raises(InputError, match=message):
        select_residues(structure, text)


def test_parsing_without_a_structure():
    assert parse_selection("A10-20,B5") == (
        ResidueRange(chain="A", first=(10, ""), last=(20, "")),
        ResidueRange(chain="B", first=(5, ""), last=(5, "")),
    )
    assert parse_selection("AA") == (ResidueRange(chain="AA"),)
    assert parse_selection("B1:7A") == (ResidueRange(chain="B1", first=(7, "A"), last=(7, "A")),)


def test_real_insertion_code():
    structure = read_structure(DATA / "1dix.cif.gz")
    row = int(np.flatnonzero(structure.residues.insertion_code != "")[0])
    number = f"{structure.residues.author_seq_id[row]}{structure.residues.insertion_code[row]}"
    assert select_residues(structure, f"A{number}").tolist() == [row]
    assert describe_chains(structure).startswith("A ")


def test_polymer_goes_before_the_ligands_of_its_chain():
    structure = read_structure(DATA / "1o1z.cif.gz")
    assert len(select_residues(structure, "A")) == 234
    ion = int(structure.residues.author_seq_id[-1])
    assert structure.residues.name[select_residues(structure, f"A{ion}")].tolist() == ["NA"]
