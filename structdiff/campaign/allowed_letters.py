"""Amino acids that single residues of designs may be: as they are asked for, and by rows of a structure."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np

from structdiff.chemistry.residues import PROTEIN_ONE_TO_THREE
from structdiff.errors import InputError
from structdiff.structure.selection import parse_selection, select_residues
from structdiff.structure.tables import Structure

KEY = "allow_at"


def parse_allowed(text: str) -> tuple[tuple[str, str], ...]:
    """Reads selections of residues with the letters that they may be; raises InputError.

    >>> parse_allowed("A10-12=PG, B5=de")
    (('A10-12', 'PG'), ('B5', 'DE'))
    """
    found = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        selection, sign, letters = (piece.strip() for piece in part.partition("="))
        if not sign or not selection or not letters:
            raise InputError("expected residues=letters", key=KEY, found=part, allowed="A10-12=PG,B5=DE, say")
        for letter in letters.upper():
            if letter not in PROTEIN_ONE_TO_THREE:
                raise InputError("this is no amino acid", key=KEY, found=letter, allowed="".join(PROTEIN_ONE_TO_THREE))
        parse_selection(selection)
        found.append((selection, "".join(dict.fromkeys(letters.upper()))))
    return tuple(found)


def check_allowed(text: str, avoid: str, chains: Collection[str]) -> None:
    """Raises InputError where a chain is not among those of the designs, and where no letter is left."""
    for selection, letters in parse_allowed(text):
        if not set(letters) - set(avoid):
            raise InputError("no amino acid is left", key=KEY, found=f"{selection}={letters}", allowed=f"not {avoid}")
        for part in parse_selection(selection, list(chains)):
            if part.chain not in chains:
                raise InputError("the designs have no such chain", key=KEY, found=part.chain, allowed=sorted(chains))


def allowed_by_row(
    text: str, structure: Structure, fixed: np.ndarray, alike: Iterable[Collection[int]]
) -> dict[int, str]:
    """The letters that residues of a design may be, by row.

    Args:
        text: as `parse_allowed` reads it, in the design's own chains and numbers.
        structure: the design.
        fixed: which residues keep their type.
        alike: rows of chains that are alike, place by place: what is said of one goes for all.

    Raises:
        InputError: for residues that are not there or keep their type.
    """
    found = {
        int(row): letters for selection, letters in parse_allowed(text) for row in select_residues(structure, selection)
    }
    for rows in alike:
        said = [found[row] for row in rows if row in found]
        if said:
            found |= dict.fromkeys(rows, said[0])
    for row, letters in found.items():
        if fixed[row]:
            chain = structure.chains.name[structure.residues.chain[row]]
            residues = structure.residues
            named = f"{chain}{residues.author_seq_id[row]}{residues.insertion_code[row]}={letters}"
            raise InputError(
                "the residue keeps its type", key=KEY, found=named, allowed="new residues, and redesigned ones"
            )
    return found
