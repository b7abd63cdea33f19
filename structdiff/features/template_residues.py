"""Which residues and atoms of a template belong to those of a chain."""

from __future__ import annotations

from functools import cache

import numpy as np

from structdiff.chemistry.residues import PROTEIN_THREE_TO_ONE
from structdiff.errors import InputError
from structdiff.evaluation.backbone import Backbone
from structdiff.evaluation.chirality import alpha_carbon_hand
from structdiff.spec.chain import UNKNOWN_LETTER, parent_letter
from structdiff.spec.template import TemplateSpec
from structdiff.structure.sequence_alignment import aligned_residues
from structdiff.structure.tables import ChainKind, Structure
from structdiff.typing import Bool, Int

FRAME = ("N", "CA", "C")
_MAIN_CHAIN = (*FRAME, "O", "CB")
#: Of the aligned residues, at least: below that (and with fewer than these many) it is no template of the chain,
#: unless a map says which residues belong together.
SAME, FEWEST = 0.25, 5


def same_residues(
    asked: TemplateSpec, structure: Structure, own: int, given: Structure, theirs: int, key: str
) -> Int[np.ndarray, "pair 2"]:
    """Rows of the residues of a chain and of its template that belong together, where the template's file has places.

    own, theirs: rows of the chains. Of a map that is not to be held there may be fewer than FEWEST. Raises InputError,
    under the key of the template, for chains that are too unlike.
    """
    sides = ((structure, own), (given, theirs))
    every = [np.arange(len(side.residues))[side.chain_residues(row)] for side, row in sides]
    if asked.residues:
        numbers = np.array(asked.residues, np.int64)
        if (most := int(numbers[:, 1].max())) > len(every[1]):
            raise InputError("the template's chain has no such residue", path=asked.path,
                             key=f"{key}.residue_map", found=most, allowed=f"1 to {len(every[1])}")  # fmt: skip
        pairs = np.stack([rows[numbers[:, side] - 1] for side, rows in enumerate(every)], 1)
        pairs = _placed(given, pairs)
        if len(pairs) < FEWEST and asked.force:
            raise InputError("the template has places of hardly any residue of its map", path=asked.path,
                             key=f"{key}.residue_map", found=f"{len(pairs)}",
                             allowed=f"at least {FEWEST} residues")  # fmt: skip
        return pairs
    pairs = _placed(given, aligned_residues(structure, given, *every))
    same = same_letter(structure, given, pairs)
    if len(pairs) < FEWEST or same.mean() < SAME:
        share = (
            f"{100 * same.mean():.0f} % of {len(pairs)} residues alike"
            if len(pairs)
            else "nothing aligned that the file resolves"
        )
        raise InputError("this chain and its template are too unlike: say which residues belong together "
                         "(residue_map), or leave it out", path=asked.path, key=key, found=share,
                         allowed=f"at least {FEWEST} residues, {100 * SAME:.0f} % alike")  # fmt: skip
    return pairs


def _placed(given: Structure, pairs: Int[np.ndarray, "pair 2"]) -> Int[np.ndarray, "placed 2"]:
    """Those of which the template knows where they are."""
    known = given.atoms.resolved & np.isin(given.atoms.name, _MAIN_CHAIN)
    return pairs[np.isin(pairs[:, 1], given.atoms.residue[known])]


def same_letter(structure: Structure, given: Structure, pairs: Int[np.ndarray, "pair 2"]) -> Bool[np.ndarray, " pair"]:
    """Which residues are the same, or modified ones of the same: MSE is MET."""
    own = {code: whole for code, whole in structure.components.items() if whole.parent or whole.one_letter}
    letter = cache(lambda name: parent_letter(name, "protein", own))
    names = [side.residues.name[rows].tolist() for side, rows in zip((structure, given), pairs.T, strict=True)]
    return np.array(
        [one == other or letter(one) == letter(other) != UNKNOWN_LETTER["protein"]
         for one, other in zip(*names, strict=True)], bool,
    )  # fmt: skip


def same_atoms(
    structure: Structure, given: Structure, pairs: Int[np.ndarray, "pair 2"], same: Bool[np.ndarray, " pair"]
) -> tuple[Int[np.ndarray, " atom"], Int[np.ndarray, " atom"]]:
    """Rows of the atoms of a chain that its template has, and their rows there."""
    mine, known = [], []
    for (one, other), alike in zip(pairs.tolist(), same.tolist(), strict=True):
        place = {str(given.atoms.name[row]): row for row in _rows(given, other) if given.atoms.resolved[row]}
        for row in _rows(structure, one):
            name = str(structure.atoms.name[row])
            if name in place and (alike or name in _MAIN_CHAIN):
                mine.append(row)
                known.append(place[name])
    return np.array(mine, np.int64), np.array(known, np.int64)


def _rows(structure: Structure, residue: int) -> list[int]:
    part = structure.residue_atoms(residue)
    return list(range(part.start, part.stop))


def mirrored_residues(given: Structure, rows: Int[np.ndarray, " residue"]) -> tuple[int, int]:
    """How many of some residues of a template are D where their name says L, and of how many this can be told."""
    protein = np.flatnonzero(given.chains.kind[given.residues.chain] == ChainKind.PROTEIN)
    hand = alpha_carbon_hand(Backbone.from_structure(given))[np.searchsorted(protein, rows)]
    named = hand[np.isin(given.residues.name[rows], list(PROTEIN_THREE_TO_ONE))]
    return int((named < 0).sum()), int((named != 0).sum())
