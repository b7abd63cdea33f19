"""Tables of restraints as Chai has them (``.restraints``, CSV): bonds, contacts and pockets of a complex."""

from __future__ import annotations

import csv
import dataclasses
import re
import warnings
from collections.abc import Mapping
from pathlib import Path

from structdiff.arguments import as_path, checked_names
from structdiff.errors import InputError
from structdiff.spec.chain import UNKNOWN_LETTER
from structdiff.spec.complex import BondSpec, ComplexSpec, ConstraintSpec, ContactSpec, PocketSpec, Site
from structdiff.spec.document import Node
from structdiff.spec.input_files import read_text

_NEEDED = ("chainA", "res_idxA", "chainB", "res_idxB", "connection_type")
_DISTANCES = ("min_distance_angstrom", "max_distance_angstrom")
_COLUMNS = (*_NEEDED, "confidence", *_DISTANCES, "comment", "restraint_id")
_KINDS = ("covalent", "contact", "pocket")
_PLACE = re.compile(r"(?P<letter>[A-Za-z])?(?P<number>\d+)?(?:@(?P<atom>\S+))?")
_PLACES = "R84, R84@CZ, or @C1 of a ligand"
_BACKBONE = ("N", "CA", "C", "O")


class RestraintWarning(UserWarning):
    """A restraint is read as it stands, which may not be what was meant, or only in part."""


def is_restraints(path: Path, text: str) -> bool:
    """Whether a file is such a table, by its name or its first line."""
    first = text.lstrip().split("\n", 1)[0]
    return path.suffix.lower() == ".restraints" or ("connection_type" in first and "chainA" in first)


@checked_names
def with_restraints(spec: ComplexSpec, restraints: str | Path) -> ComplexSpec:
    """The complex with what a table of restraints asks beside what it asks itself.

    A table has a row for each bond (``covalent``), contact or pocket; chains are those of the complex, residues count
    from 1 behind their letter (``R84``). Raises InputError, which names the line, for whatever is not there.
    """
    path = as_path(restraints, "restraints", "the path of a table of restraints")
    bonds, constraints, places = list(spec.bonds), list(spec.constraints), {}
    unheeded = set()
    for row in _rows(path):
        with row["connection_type"].located(row):
            asked = _parse_row(row, spec)
        if isinstance(asked, BondSpec):
            bonds.append(asked)
            places[f"bonds[{len(bonds)}]"] = row["connection_type"]
        else:
            constraints.append(asked)
            places[f"constraints[{len(constraints)}]"] = row["connection_type"]
            unheeded |= {name for name, plain in (("confidence", 1), ("min_distance_angstrom", 0))
                         if name in row and row[name].number() != plain}  # fmt: skip
    if unheeded:
        names = " and ".join(sorted(unheeded))
        warnings.warn(f"{path}: {names}: not made use of, as in Chai", RestraintWarning, stacklevel=2)
    with Node(value="", path=path).located(places):
        return dataclasses.replace(spec, bonds=tuple(bonds), constraints=tuple(constraints))


def _rows(path: Path) -> list[dict[str, Node]]:
    """The cells of each row that are not empty, by column; raises InputError for what is no such table."""
    reader = csv.reader(read_text(path).splitlines())
    header, found = None, []
    for cells in reader:
        line = reader.line_num
        if not any(cell.strip() for cell in cells):
            continue
        if header is None:
            header = [cell.strip() for cell in cells]
            _check_header(header, path, line)
            continue
        if len(cells) != len(header):
            raise InputError("the row has not as many cells as the table has columns", path=path, line=line,
                             found=f"{len(cells)} cells", allowed=f"{len(header)}")  # fmt: skip
        nodes = {name: Node(value=cell.strip(), quoted=True, path=path, line=line, key=name)
                 for name, cell in zip(header, cells, strict=True) if cell.strip()}  # fmt: skip
        if "connection_type" not in nodes:
            raise InputError("the row has no connection_type", path=path, line=line, allowed=_KINDS)
        found.append(nodes)
    if not found:
        raise InputError("there are no restraints in this table", path=path)
    return found


def _check_header(header: list[str], path: Path, line: int) -> None:
    for name in header:
        if name not in _COLUMNS:
            raise InputError("unknown column", path=path, line=line, found=name, allowed=_COLUMNS,
                             suggest_from=_COLUMNS)  # fmt: skip
        if header.count(name) > 1:
            raise InputError("the column stands here twice", path=path, line=line, found=name)
    for name in _NEEDED:
        if name not in header:
            raise InputError(f"the column {name!r} is missing", path=path, line=line, allowed=_COLUMNS)


def _parse_row(row: Mapping[str, Node], spec: ComplexSpec) -> BondSpec | ConstraintSpec:
    kind_node = row["connection_type"]
    kind = kind_node.text()
    if kind not in _KINDS:
        kind_node.fail("unknown kind of restraint", found=kind, allowed=_KINDS, suggest_from=_KINDS)
    needed = ["chainA", "chainB", "res_idxB", *([] if kind == "pocket" else ["res_idxA"]),
              *([] if kind == "covalent" else ["max_distance_angstrom"])]  # fmt: skip
    for name in needed:
        if name not in row:
            kind_node.fail(f"a {kind} restraint needs {name}")
    second = _site(row, "B", spec)
    if kind == "pocket":
        if "res_idxA" in row:
            row["res_idxA"].fail("a pocket is chain A against a residue of chain B: leave this empty, or make it a "
                                 "contact", found=row["res_idxA"].text())  # fmt: skip
        binder = row["chainA"].text()
        _check_chain(row["chainA"], spec)
        return PocketSpec(binder=binder, contacts=(second,), max_distance=row["max_distance_angstrom"].number())
    first = _site(row, "A", spec)
    if kind == "contact":
        return ContactSpec(token1=first, token2=second, max_distance=row["max_distance_angstrom"].number())
    _warn_of_backbone(row, (first, second), spec)
    return BondSpec(atom1=first, atom2=second)


def _site(row: Mapping[str, Node], side: str, spec: ComplexSpec) -> Site:
    """The place of one side of a restraint, its letter compared with the sequence."""
    node, chain_node = row[f"res_idx{side}"], row[f"chain{side}"]
    _check_chain(chain_node, spec)
    name = chain_node.text()
    chain = spec.chain(name)
    parts = _PLACE.fullmatch(node.text())
    if parts is None or (parts["number"] is None) == (parts["letter"] is not None):
        node.fail("this is no place in a chain", found=node.text(), allowed=_PLACES)
    if chain.kind != "ligand" and parts["letter"] is None:
        node.fail(f"a residue of {chain.kind} {name} is a letter and its number, counted from 1", found=node.text(),
                  allowed=_PLACES)  # fmt: skip
    number = int(parts["number"] or 1)
    if not 1 <= number <= len(chain):
        node.fail(f"chain {name} has no such residue", found=node.text(), allowed=f"1 to {len(chain)}")
    known = "X" if chain.kind == "ligand" else chain.sequence[number - 1]
    modified = any(change.position == number for change in chain.modifications)
    letter = (parts["letter"] or "X").upper()
    if letter != known and not (modified and letter in ("X", UNKNOWN_LETTER.get(chain.kind))):
        what = "has no letter" if known == "X" else f"is {known}"
        node.fail(f"residue {number} of chain {name} {what}", found=node.text(), allowed=f"{known}{number}")
    return Site(chain=name, residue=number, atom=parts["atom"])


def _check_chain(node: Node, spec: ComplexSpec) -> None:
    if node.text() not in spec.chain_ids:
        node.fail("there is no such chain", found=node.text(), allowed=spec.chain_ids, suggest_from=spec.chain_ids)


def _warn_of_backbone(row: Mapping[str, Node], sites: tuple[Site, Site], spec: ComplexSpec) -> None:
    """Tells of ligands bonded to a backbone: Chai's own example has the N of an asparagine where ND2 is meant."""
    kinds = [spec.chain(site.chain).kind for site in sites]
    for site, kind, other in zip(sites, kinds, reversed(kinds), strict=True):
        if kind == "protein" and other == "ligand" and site.atom in _BACKBONE and site.residue > 1:
            end = row["connection_type"]
            sugar = "; a glycan is bonded to ND2" if spec.chain(site.chain).sequence[site.residue - 1] == "N" else ""
            warnings.warn(f"{end.path}:{end.line}: {site.atom} of residue {site.residue} of chain {site.chain} is an "
                          f"atom of the backbone{sugar}", RestraintWarning, stacklevel=2)  # fmt: skip
