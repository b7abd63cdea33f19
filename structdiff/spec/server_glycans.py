"""Glycans as the AlphaFold Server writes them: ``NAG(NAG(BMA(MAN)(MAN)))``, sugars without the atoms that bond them."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from typing import NoReturn

from structdiff.spec.chain import ChainSpec
from structdiff.spec.complex import BondSpec, Site
from structdiff.spec.document import Node
from structdiff.spec.glycans import glycan_bonds, parse_glycan

_FORM = "a sugar, and in brackets those that are bonded to it: NAG(NAG(BMA(MAN)(MAN)))"
_PIECE = re.compile(r"\s*(?P<piece>[A-Z0-9]{1,5}|[()])\s*")
#: Oxygens of the sugar before the bracket that bind the one inside, the commonest first: C1 of each sugar within 1.75 Å
#: of them, in 8906 entries of the Protein Data Bank (NAG-NAG 238 and 4 times, BMA-MAN 60 and 46, ...).
_OXYGENS = {
    ("NAG", "NAG"): "46", ("NAG", "BMA"): "43", ("NAG", "MAN"): "46", ("NAG", "GAL"): "43", ("NAG", "FUC"): "63",
    ("BMA", "MAN"): "36", ("BMA", "BMA"): "43",
    ("MAN", "MAN"): "236", ("MAN", "NAG"): "24", ("MAN", "BMA"): "42",
    ("GAL", "FUC"): "2", ("GAL", "NAG"): "3",
    ("BGC", "BGC"): "43", ("BGC", "GAL"): "4", ("BGC", "GLC"): "4", ("BGC", "FUC"): "3",
    ("GLC", "GLC"): "46", ("GLC", "GAL"): "4", ("GLC", "BGC"): "43",
}  # fmt: skip
#: Where two such sugars are bonded to one: the branches of an N-glycan's core.
_BRANCHES: dict[tuple[str, ...], str] = {("MAN", "MAN", "MAN"): "36"}
_ROOT_ATOMS = {"N": "ND2", "S": "OG", "T": "OG1"}

_Sugar = tuple[str, list]  # its code, and the sugars bonded to it


class GlycanWarning(UserWarning):
    """Which atoms bond the sugars of a glycan is not said, and taken to be the commonest."""


def server_glycans(glycans: Node, protein: ChainSpec, names: Iterator[str]) -> tuple[list[ChainSpec], list[BondSpec]]:
    """The ligands that the glycans of a protein are, one for each copy, and all of their bonds.

    names: of chains that are free. Warns of the bonds between sugars, which are not said (`GlycanWarning`). Raises
    InputError for what is no glycan, for sugars of whose bonds nothing is known, and where no glycan can be bonded.
    """
    chains, bonds = [], []
    for node in glycans.items():
        fields = node.fields(("residues", "position"), required=("residues", "position"))
        root = _root(fields["position"], protein)
        text = with_links(fields["residues"])
        sugars, own = parse_glycan(text)
        if own:
            warnings.warn(
                f"{node.path}:{node.line}: which atoms bond the sugars is not said; taken to be {text}, the commonest",
                GlycanWarning, stacklevel=2,
            )  # fmt: skip
        ids = tuple(next(names) for _ in protein.ids)
        chains.append(ChainSpec(ids=ids, kind="ligand", ccd=sugars))
        for name, copy in zip(ids, protein.ids, strict=True):
            bonds.append(BondSpec(atom1=Site(chain=copy, residue=root[0], atom=root[1]),
                                  atom2=Site(chain=name, residue=1, atom="C1")))  # fmt: skip
            bonds += glycan_bonds(name, own)
    return chains, bonds


def _root(position: Node, protein: ChainSpec) -> tuple[int, str]:
    """The residue (from 1) and its atom to which a glycan is bonded."""
    number = position.integer()
    if not 1 <= number <= len(protein.sequence):
        position.fail("there is no such residue", found=number, allowed=f"1 to {len(protein.sequence)}")
    letter = protein.sequence[number - 1]
    if letter not in _ROOT_ATOMS or number in {each.position for each in protein.modifications}:
        position.fail("a glycan is bonded to an unmodified asparagine, serine or threonine", found=f"{letter}{number}",
                      allowed=tuple(_ROOT_ATOMS))  # fmt: skip
    return number, _ROOT_ATOMS[letter]


def with_links(node: Node) -> str:
    """The glycan as `parse_glycan` reads it: with the oxygen and the carbon of each bond between sugars."""
    pieces = _pieces(node)
    sugar = _sugar(pieces, node)
    if pieces:
        _refuse(node)
    return _written(sugar, node)


def _pieces(node: Node) -> list[str]:
    text, place, found = node.text(), 0, []
    while place < len(text):
        piece = _PIECE.match(text, place)
        if piece is None:
            node.fail(f"this is no glycan, at character {place + 1}", found=text, allowed=_FORM)
        found.append(piece["piece"])
        place = piece.end()
    return found


def _sugar(pieces: list[str], node: Node) -> _Sugar:
    """The sugar that the pieces begin with, which are taken away, and all that is bonded to it."""
    if not pieces or pieces[0] in "()":
        _refuse(node)
    code, bonded = pieces.pop(0), []
    while pieces and pieces[0] == "(":
        pieces.pop(0)
        bonded.append(_sugar(pieces, node))
        if not pieces or pieces.pop(0) != ")":
            _refuse(node)
    return code, bonded


def _refuse(node: Node) -> NoReturn:
    node.fail("this is no glycan", found=node.text(), allowed=_FORM)


def _written(sugar: _Sugar, node: Node) -> str:
    code, bonded = sugar
    oxygens = _oxygens(code, [each[0] for each in bonded], node)
    return code + "".join(f"({at}-1 {_written(each, node)})" for at, each in zip(oxygens, bonded, strict=True))


def _oxygens(code: str, bonded: Sequence[str], node: Node) -> str:
    """The oxygen of a sugar for each of those that are bonded to it: the commonest that is left."""
    taken = ""
    for each in bonded:
        known = _BRANCHES.get((code, *bonded), _OXYGENS.get((code, each), ""))
        free = [oxygen for oxygen in known if oxygen not in taken]
        if not free:
            _refuse_bond(code, bonded, node)
        taken += free[0]
    return taken


def _refuse_bond(code: str, bonded: Sequence[str], node: Node) -> NoReturn:
    written = code + "".join(f"({each})" for each in bonded)
    node.fail(f"which atoms bond {written} is not known; write the glycan as a ligand of CCD codes, with its bonds",
              found=node.text(), allowed=sorted(f"{one}({other})" for one, other in _OXYGENS))  # fmt: skip
