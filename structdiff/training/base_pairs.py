"""Nucleic acids with other sequences: a helix is the same whatever its base pairs."""

from __future__ import annotations

import numpy as np

from structdiff.chemistry.residues import DNA_NAMES
from structdiff.structure.base_pairs import base_letter, base_pairs
from structdiff.structure.tables import Structure

_PAIRS = (("A", "T"), ("T", "A"), ("G", "C"), ("C", "G"))


def other_pairs(structure: Structure, rng: np.random.Generator) -> dict[int, str]:
    """A name for each residue of the structure's base pairs, drawn evenly among Watson-Crick pairs.

    For ``StructureSet.structure``, which then knows the backbone alone of those that change. Pairs with G and U stay.
    """
    names = structure.residues.name
    new: dict[int, str] = {}
    for first, second in base_pairs(structure).tolist():
        if {base_letter(str(names[first])), base_letter(str(names[second]))} == {"G", "U"}:
            continue
        for residue, letter in zip((first, second), _PAIRS[int(rng.integers(len(_PAIRS)))], strict=True):
            new[residue] = _nucleotide(str(names[residue]), letter)
    return new


def _nucleotide(like: str, letter: str) -> str:
    """The DNA or RNA nucleotide of a base, as another one is."""
    return f"D{letter}" if like in DNA_NAMES else letter.replace("T", "U")
