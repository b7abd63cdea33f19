"""Symmetries as they are written."""

from __future__ import annotations

import pytest

from structdiff.errors import InputError
from structdiff.spec.contig_grammar import parse_contigs
from structdiff.spec.design import DesignSpec, design_from_dict, design_to_dict
from structdiff.spec.symmetry import parse_symmetry


@pytest.mark.parametrize(
    ("text", "written", "copies", "seen"),
    [
        ("c3", "C3", 3, 2),
        ("C7", "C7", 7, 2),
        ("D2", "D2", 4, 3),
        ("tetrahedral", "T", 12, 4),
        ("O:neighbours=6", "O:neighbours=6", 24, 6),
        ("i:motif=placed", "I:motif=placed", 60, 4),
        ("c3:motif=copies", "C3:motif=copies", 3, 2),
        ("helical:copies=5,rise=10.5,twist=-45", "helical:copies=5,rise=10.5,twist=-45", 5, 4),
    ],
)
def test_text_to_symmetry_and_back(text, written, copies, seen):
    symmetry = parse_symmetry(text)
    assert str(symmetry) == written
    assert parse_symmetry(written) == symmetry
    assert len(symmetry.operators) == copies
    assert symmetry.seen == seen


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("C1", "no such symmetry"), ("E3", "helical"), ("C400", "120"), ("D61", "120"),
        ("helical", "copies"), ("helical:copies=2,rise=5,twist=10", "3 to"), ("C3:rise=4", "only a helix"),
        ("C3:copie=4", "copies"), ("C3:motif=there", "placed"), ("C3:neighbours=0", "1 or more"),
        ("helical:copies=5,rise=0,twist=3", "0.1"), ("C3:neighbours=two", "whole number"),
    ],
)  # fmt: skip
def test_what_is_no_symmetry(text, says):
    with pytest.raises(InputError, match=says):
        parse_symmetry(text)


def test_a_design_keeps_its_symmetry():
    spec = design_from_dict({"contigs": "40", "symmetry": "D3"})
    assert design_from_dict(design_to_dict(spec)) == spec
    assert len(spec.symmetry.operators) == 6


def test_a_placed_motif_needs_a_motif_in_one_piece(tmp_path):
    with pytest.raises(InputError, match="no motif"):
        DesignSpec(contigs=parse_contigs("40"), symmetry=parse_symmetry("C3:motif=placed"))
    with pytest.raises(InputError, match="rigid piece"):
        DesignSpec(contigs=parse_contigs("10/A5-9@2/10"), motif="x.pdb", symmetry=parse_symmetry("C3:motif=placed"))
