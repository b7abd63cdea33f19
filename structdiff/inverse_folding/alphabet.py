"""The letters that inverse folding networks know, in their order."""

from __future__ import annotations

from structdiff.chemistry.residues import PROTEIN_ONE_TO_THREE, PROTEIN_THREE_TO_ONE

#: The twenty amino acids, and X for whatever else stands in a chain.
LETTERS = "ACDEFGHIKLMNPQRSTVWYX"
NUM_AMINO_ACIDS = 20
UNKNOWN = LETTERS.index("X")
_INDEX = {letter: index for index, letter in enumerate(LETTERS)}


def letter_index(letter: str) -> int:
    """The number of a letter; that of X for a letter that is no amino acid."""
    return _INDEX.get(letter, UNKNOWN)


def residue_letter(name: str, one_letter: str) -> str:
    """The letter of a residue name such as ALA; else the one of the amino acid it derives from (MSE: M), else X."""
    known = PROTEIN_THREE_TO_ONE.get(name, one_letter)
    return known if known in _INDEX else "X"


def residue_name(index: int) -> str:
    """The residue name of a number below twenty.

    >>> residue_name(1)
    'CYS'
    """
    return PROTEIN_ONE_TO_THREE[LETTERS[index]]
