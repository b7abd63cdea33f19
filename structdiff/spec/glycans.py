"""Glycans as Chai writes them: ``NAG(4-1 NAG(4-1 BMA(3-1 MAN)(6-1 MAN)))``, from the sugar at the root outwards."""

from __future__ import annotations

import re
from collections.abc import Iterable

from structdiff.errors import InputError
from structdiff.spec.complex import BondSpec, Site

_PIECE = re.compile(r"\s*(?:(?P<link>[1-9]-[1-9](?=[\s(A-Z0-9]))|(?P<sugar>[A-Z0-9]{1,5})|(?P<bracket>[()]))")
_FORM = "a sugar, and in brackets what is bonded to it: NAG(4-1 NAG), or BMA(3-1 MAN)(6-1 MAN)"


def parse_glycan(text: str) -> tuple[tuple[str, ...], tuple[tuple[int, str, int, str], ...]]:
    """The CCD codes of the sugars of a glycan, and its bonds: sugar (from 1) and atom of both ends.

    ``4-1`` is the bond from O4 of the sugar before the bracket to C1 of the one inside. Raises InputError.

    >>> parse_glycan("NAG(4-1 NAG)")
    (('NAG', 'NAG'), ((1, 'O4', 2, 'C1'),))
    """
    sugars: list[str] = []
    bonds: list[tuple[int, str, int, str]] = []
    open_ones: list[int] = []  # the sugars whose brackets are open, from the root on
    last: int | None = None  # the sugar that a bracket would belong to
    link: str | None = None  # how the sugar that follows is bonded
    for kind, piece in _pieces(text):
        if kind == "link" and link is None and last is None and open_ones:
            link = piece
        elif kind == "sugar" and last is None and (link is not None) == bool(open_ones):
            sugars.append(piece)
            last = len(sugars)
            if link is not None:
                bonds.append((open_ones[-1], f"O{link[0]}", last, f"C{link[2]}"))
                link = None
        elif piece == "(" and last is not None:
            open_ones.append(last)
            last = None
        elif piece == ")" and last is not None and open_ones:
            last = open_ones.pop()
        else:
            raise InputError("this is no glycan", found=text, allowed=_FORM)
    if last is None or open_ones:
        raise InputError("this is no glycan", found=text, allowed=_FORM)
    return tuple(sugars), tuple(bonds)


def glycan_bonds(chain: str, bonds: Iterable[tuple[int, str, int, str]]) -> list[BondSpec]:
    """The bonds of a glycan that is called ``chain``."""
    return [
        BondSpec(atom1=Site(chain=chain, residue=one, atom=end), atom2=Site(chain=chain, residue=other, atom=begin))
        for one, end, other, begin in bonds
    ]


def _pieces(text: str) -> list[tuple[str, str]]:
    """Links, sugars and brackets in order; raises InputError for what is none of them."""
    found, place, end = [], 0, len(text.rstrip())
    while place < end:
        piece = _PIECE.match(text, place)
        if piece is None:
            raise InputError(f"this is no glycan, at character {place + 1}", found=text, allowed=_FORM)
        found.append((str(piece.lastgroup), piece[str(piece.lastgroup)]))
        place = piece.end()
    return found
