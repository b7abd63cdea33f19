"""What the options of ``structdiff sequence`` ask of the residues of a structure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from structdiff.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from structdiff.inverse_folding.restrictions import Restrictions
    from structdiff.structure.tables import Structure

#: What stands behind the residues, as an error shows it.
_LETTERS_ALLOWED, _BIASES_ALLOWED = "A10-12=PG, say", "A10-12=K=0.5,A=-1, say"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the options ask, as written."""

    fix: Sequence[str]
    design: Sequence[str]
    ban: str
    ban_at: Sequence[str]
    allow_at: Sequence[str]
    tie: Sequence[str]
    bias: str
    bias_at: Sequence[str]
    buried: Sequence[str]
    interface: Sequence[str]

    def of(self, structure: Structure) -> Restrictions:
        """The same for the residues of a structure.

        Raises InputError for what cannot be, and for letters at residues of which none is designed.
        """
        import numpy as np

        from structdiff.inverse_folding.restrictions import Restrictions, designed_residues, rows_in, tied_rows

        fixed = np.zeros(len(structure.residues), bool)
        for selection in self.fix:
            fixed |= rows_in(structure, selection)
        if self.design:
            fixed |= ~np.logical_or.reduce([rows_in(structure, selection) for selection in self.design])
        membrane = np.zeros(len(structure.residues), np.int64)
        for label, selections in ((1, self.interface), (2, self.buried)):
            for selection in selections:
                rows = rows_in(structure, selection)
                if (rows & (membrane == 3 - label)).any():
                    raise InputError("residues that are at the interface too", key="buried", found=selection)
                membrane[rows] = label
        asked = Restrictions(
            fixed=fixed,
            banned=self.ban,
            banned_at=_letters_by_row(structure, self.ban_at, "ban_at"),
            allowed=_letters_by_row(structure, self.allow_at, "allow_at"),
            tied=[group for text in self.tie for group in tied_rows(structure, *text.split(","))],
            bias=self._bias_of(structure),
            membrane=membrane if self.buried or self.interface else None,
        )
        if self.ban_at or self.allow_at or self.bias_at:
            self._check_effect(structure, designed_residues(structure, asked))
        return asked

    def _bias_of(self, structure: Structure) -> dict[str, float] | np.ndarray:
        """What is added to the logits: by letter, or (residue, 20) where single residues have a bias of their own."""
        import numpy as np

        from structdiff.inverse_folding.alphabet import NUM_AMINO_ACIDS
        from structdiff.inverse_folding.restrictions import amino_acid_index

        common = _biases(self.bias, "bias")
        if not self.bias_at:
            return common
        found = np.zeros((len(structure.residues), NUM_AMINO_ACIDS), np.float32)
        for letter, value in common.items():
            found[:, amino_acid_index(letter, "bias")] = value
        for _, rows, told in _told_at(structure, self.bias_at, "bias_at"):
            for letter, value in _biases(told, "bias_at").items():
                found[rows, amino_acid_index(letter, "bias_at")] += value
        return found

    def _check_effect(self, structure: Structure, designed: np.ndarray) -> None:
        for key in ("ban_at", "allow_at", "bias_at"):
            for text, rows, _ in _told_at(structure, getattr(self, key), key):
                if not designed[rows].any():
                    raise InputError("no residue of these is designed", key=key, found=text)


def _told_at(structure: Structure, texts: Sequence[str], key: str) -> Iterator[tuple[str, np.ndarray, str]]:
    """Of texts such as A10-12=PG each with its rows and what stands behind them."""
    from structdiff.structure.selection import select_residues

    for text in texts if key == "bias_at" else [part for several in texts for part in _parted(several)]:
        selection, sign, told = (part.strip() for part in text.partition("="))
        if not sign or not told:
            what, allowed = ("biases", _BIASES_ALLOWED) if key == "bias_at" else ("letters", _LETTERS_ALLOWED)
            raise InputError(f"expected residues={what}", key=key, found=text, allowed=allowed)
        yield text, select_residues(structure, selection), told


def _parted(text: str) -> list[str]:
    """A10-12,A14=PG,B5=DE, as `structdiff design` takes it, as A10-12,A14=PG and B5=DE."""
    return re.sub(r"(=[^=,]+),", r"\1\n", text.rstrip(", ")).split("\n")


def _letters_by_row(structure: Structure, texts: Sequence[str], key: str) -> dict[int, str]:
    """Letters by row. Where several texts name a residue, what any bans is banned, and what all allow is allowed."""
    from structdiff.inverse_folding.restrictions import checked_letters

    found: dict[int, set[str]] = {}
    for text, rows, told in _told_at(structure, texts, key):
        letters = set(checked_letters(told, key))
        for row in rows.tolist():
            before = found.get(row, letters)
            found[row] = before | letters if key == "ban_at" else before & letters
            if not found[row]:
                raise InputError("no amino acid is left that is allowed before too", key=key, found=text)
    return {row: "".join(sorted(letters)) for row, letters in found.items()}


def _biases(text: str, key: str) -> dict[str, float]:
    """Numbers by letter, from a text such as A=-1,K=0.5."""
    found: dict[str, float] = {}
    for part in text.split(",") if text else ():
        letter, _, value = (piece.strip() for piece in part.partition("="))
        if letter.upper() in found:
            raise InputError("this letter is given twice", key=key, found=part.strip())
        try:
            found[letter.upper()] = float(value)
        except ValueError:
            raise InputError("expected letter=number", key=key, found=part.strip(), allowed="A=-1,K=0.5, say") from None
    return found
