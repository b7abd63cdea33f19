"""Amino acids that single residues of designs may be: as they are asked for, and by rows of a structure."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np

from structdiff.chemistry.residues import PROTEIN_ONE_TO_THREE
from structdiff.errors import InputError
from structdiff.spec.layout import Layout
from structdiff.spec.layout_residue import LayoutResidue
from structdiff.structure.selection import ResidueRange, parse_selection, select_residues
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


def check_layout(text: str, layout: Layout, open_: np.ndarray) -> None:
    """Raises InputError where a residue is not in a layout, or keeps its type. open_: which do not, (residue,)."""
    place = {residue.id: row for row, residue in enumerate(layout.residues)}
    for selection, letters in parse_allowed(text):
        for part in parse_selection(selection, list(layout.chains)):
            for residue in _of_range(layout, part):
                if not open_[place[residue.id]]:
                    raise _keeps_its_type(f"{residue.id}={letters}")


def _of_range(layout: Layout, part: ResidueRange) -> tuple[LayoutResidue, ...]:
    """The residues of a layout from the first to the last of a range. Raises InputError where these are not there."""
    chain = layout.chains.get(part.chain, ())
    if part.first is None or part.last is None:
        return chain
    places = {(residue.number, residue.insertion_code): place for place, residue in enumerate(chain)}
    for end in (part.first, part.last):
        if end not in places:
            allowed = f"{chain[0].id} to {chain[-1].id}" if chain else f"chains {', '.join(layout.chains)}"
            raise InputError("the design has no such residue", key=KEY, found=f"{part.chain}{end[0]}{end[1]}",
                             allowed=allowed)  # fmt: skip
    if places[part.last] < places[part.first]:
        named = f"{part.chain}{part.first[0]}{part.first[1]}-{part.last[0]}{part.last[1]}"
        raise InputError("the range runs backwards", key=KEY, found=named)
    return chain[places[part.first] : places[part.last] + 1]


def _keeps_its_type(named: str) -> InputError:
    return InputError("the residue keeps its type", key=KEY, found=named,
                      allowed="new residues, and redesigned ones")  # fmt: skip


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
            raise _keeps_its_type(named)
    return found
