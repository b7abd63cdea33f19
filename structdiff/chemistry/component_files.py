"""Components that a user defines: blocks of mmCIF as the Chemical Component Dictionary and AlphaFold 3 have them.

Each block has the categories ``chem_comp``, ``chem_comp_atom`` and, where there are bonds, ``chem_comp_bond``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NoReturn

import gemmi
import numpy as np

from structdiff.chemistry.ccd import ComponentRecord
from structdiff.chemistry.component_completion import completed
from structdiff.chemistry.components import Component, component_of_record
from structdiff.chemistry.elements import SYMBOLS, atomic_number
from structdiff.chemistry.residues import PROTEIN_THREE_TO_ONE, is_standard
from structdiff.errors import InputError

#: What such a component may be called.
OWN_CODE = re.compile(r"[A-Z0-9][A-Z0-9-]{0,31}")

_ORDERS = {"SING": 1, "DOUB": 2, "TRIP": 3, "AROM": 1}
_AXES = "xyz"
_IDEAL = tuple(f"pdbx_model_Cartn_{axis}_ideal" for axis in _AXES)
_MODEL = tuple(f"model_Cartn_{axis}" for axis in _AXES)
_REQUIRED = {
    "chem_comp": ("id", "type"),
    "chem_comp_atom": ("atom_id", "type_symbol", "charge"),
    "chem_comp_bond": ("atom_id_1", "atom_id_2", "value_order"),
}
_OPTIONAL = {
    "chem_comp": ("name", "one_letter_code", "mon_nstd_parent_comp_id"),
    "chem_comp_atom": ("comp_id", "pdbx_leaving_atom_flag", "pdbx_stereo_config", *_IDEAL, *_MODEL),
    "chem_comp_bond": ("comp_id", "pdbx_aromatic_flag", "pdbx_stereo_config"),
}


@lru_cache(maxsize=4)
def parse_components(text: str) -> Mapping[str, Component]:
    """The components of a text by their codes in capitals, heavy atoms alone; the same objects for the same text.

    Positions are the ideal ones, else those of the model, else RDKit's of the bonds and of the stereochemistry that
    the columns tell. Raises InputError with line, block and column for what is wrong or missing.
    """
    try:
        document = gemmi.cif.read_string(text)
    except (ValueError, RuntimeError) as error:
        place = re.match(r"string:(\d+):\S*: ", str(error))
        line, reason = (
            (int(place[1]), str(error)[place.end() :]) if place else (None, str(error).removeprefix("string: "))
        )
        raise InputError(f"this is not a whole mmCIF text: {reason}", line=line) from None
    found: dict[str, Component] = {}
    for block in document:
        if not any(_items(block, category) for category in _REQUIRED):
            continue
        own = _Block(block)
        code = own.code()
        if code in found:
            own.fail("two blocks define this component", found=code)
        found[code] = _component(own, code)
    if not found:
        raise InputError("no component is defined here: no block has chem_comp, chem_comp_atom and chem_comp_bond",
                         found=", ".join(f"data_{block.name}" for block in document) or "no block")  # fmt: skip
    return MappingProxyType(found)


def _items(block: gemmi.cif.Block, category: str) -> list[gemmi.cif.Item]:
    def begins(item: gemmi.cif.Item) -> bool:
        pair: Any = item.pair
        tags = item.loop.tags if item.loop is not None else () if pair is None else pair[:1]
        return any(tag.lower().startswith(f"_{category}.") for tag in tags)

    return list(filter(begins, block))


class _Block:
    """One block of the text: its columns, and errors that name it."""

    def __init__(self, block: gemmi.cif.Block) -> None:
        self.block = block

    def fail(self, message: str, category: str = "chem_comp", column: str = "", **details: Any) -> NoReturn:
        """Raises InputError that names the block, the column, and where its category begins."""
        items = _items(self.block, category)
        name = f"data_{self.block.name}" + (f" _{category}.{column}" if column else "")
        raise InputError(message, line=items[0].line_number if items else None, key=name, **details)

    def columns(self, category: str) -> dict[str, list[str]]:
        """The columns of a category by name, "" where a cell says nothing; those that must be there are."""
        table = self.block.find_mmcif_category(f"_{category}.")
        there = {tag.partition(".")[2].lower(): tag for tag in table.tags}
        found = {}
        for name in (*_REQUIRED[category], *_OPTIONAL[category]):
            tag = there.get(name.lower())
            if tag is not None:
                cells = [str(cell) for cell in table.find_column(tag)]
                found[name] = ["" if gemmi.cif.is_null(cell) else gemmi.cif.as_string(cell) for cell in cells]
            elif name in _REQUIRED[category]:
                self.fail("this column is missing" if len(table) else "this category is missing", category, name,
                          allowed=[f"_{category}.{each}" for each in _REQUIRED[category]])  # fmt: skip
        return found

    def code(self) -> str:
        """What the component is called, in capitals."""
        given = self.columns("chem_comp")["id"]
        if len(given) != 1:
            self.fail("each component has a block of its own", column="id", found=f"{len(given)} rows")
        code = given[0].strip().upper()
        if not OWN_CODE.fullmatch(code):
            self.fail("this cannot be the code of a component", column="id", found=given[0],
                      allowed="letters, digits and -, such as LIG-1")  # fmt: skip
        if is_standard(code):
            self.fail("a standard residue cannot be defined anew: give it a code of its own", column="id", found=code)
        return code

    def rows(self, category: str, code: str) -> dict[str, list[str]]:
        """The columns of atoms or bonds, of which every row is this component's."""
        found = self.columns(category)
        for other in found.get("comp_id", ()):
            if other.strip().upper() not in ("", code):
                self.fail(f"this row is not of {code}", category, "comp_id", found=other)
        return found


def _component(own: _Block, code: str) -> Component:
    about = {key: cells[0] for key, cells in own.columns("chem_comp").items()}
    atoms = own.rows("chem_comp_atom", code)
    names = atoms["atom_id"]
    for name in names:
        if not name or names.count(name) > 1:
            own.fail("each atom needs a name of its own", "chem_comp_atom", "atom_id", found=name)
    elements = [_element(own, symbol) for symbol in atoms["type_symbol"]]
    heavy = np.array(elements) != 1
    if not heavy.any():
        own.fail("no heavy atom, so it cannot be modelled", "chem_comp_atom", "type_symbol")
    bonds, orders, aromatic, forms = _bonds(own, code, names)
    parent, letter = about.get("mon_nstd_parent_comp_id", ""), about.get("one_letter_code", "")
    configuration = atoms.get("pdbx_stereo_config", [""] * len(names))
    record = ComponentRecord(
        type=about["type"],
        description=about.get("name", ""),
        one_letter=letter.upper() if len(letter) == 1 else PROTEIN_THREE_TO_ONE.get(parent.upper(), ""),
        parent=parent.upper() if parent.isalnum() else "",
        atom_names=np.array(names),
        elements=np.array([SYMBOLS[number] for number in elements]),
        charges=np.array([_charge(own, cell) for cell in atoms["charge"]], np.int8),
        positions=_positions(own, atoms, heavy),
        leaving=np.array(atoms.get("pdbx_leaving_atom_flag", [""] * len(names))) == "Y",
        stereo=np.isin(configuration, ("R", "S")),
        bonds=bonds,
        bond_orders=orders,
        bond_aromatic=aromatic,
    )
    whole = component_of_record(code, record)
    hands = {name: hand for name, hand in zip(names, configuration, strict=True) if hand in ("R", "S")}
    with _located(own):
        return completed(whole, hands=hands, forms=forms, hydrogens_told=not heavy.all())


class _located:
    """Gives errors that are about the whole component the name of its block."""

    def __init__(self, own: _Block) -> None:
        self.own = own

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, InputError) and error.line is None:
            self.own.fail(str(error), "chem_comp_atom")


def _element(own: _Block, symbol: str) -> int:
    try:
        number = atomic_number(symbol)
    except InputError:
        number = 0
    if not number:
        own.fail("unknown chemical element", "chem_comp_atom", "type_symbol", found=symbol, suggest_from=SYMBOLS[1:])
    return number


def _charge(own: _Block, cell: str) -> int:
    if not re.fullmatch(r"[+-]?\d{0,2}", cell):
        own.fail("a formal charge is a whole number", "chem_comp_atom", "charge", found=cell)
    return int(cell or 0)


def _bonds(
    own: _Block, code: str, names: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[tuple[str, str], str]]:
    """Rows of the two atoms of each bond, orders, which are aromatic, and E or Z of those that the columns name."""
    if not _items(own.block, "chem_comp_bond") and len(names) == 1:
        return np.zeros((0, 2), np.int64), np.zeros(0, np.uint8), np.zeros(0, bool), {}
    columns = own.rows("chem_comp_bond", code)
    row_of = {name: row for row, name in enumerate(names)}
    ends = list(zip(columns["atom_id_1"], columns["atom_id_2"], strict=True))
    for column, name in ((f"atom_id_{place}", pair[place - 1]) for pair in ends for place in (1, 2)):
        if name not in row_of:
            own.fail("a bond names an atom that is not there", "chem_comp_bond", column, found=name, allowed=names,
                     suggest_from=names)  # fmt: skip
    pairs = [tuple(sorted(pair)) for pair in ends]
    for pair in pairs:
        if pair[0] == pair[1] or pairs.count(pair) > 1:
            said = "an atom is bonded to itself" if pair[0] == pair[1] else "this bond stands here twice"
            own.fail(said, "chem_comp_bond", found=" - ".join(pair))
    orders = [order.upper() for order in columns["value_order"]]
    for order in orders:
        if order not in _ORDERS:
            own.fail("unknown order of a bond", "chem_comp_bond", "value_order", found=order, allowed=_ORDERS)
    flags = columns.get("pdbx_aromatic_flag", [""] * len(ends))
    forms = columns.get("pdbx_stereo_config", [""] * len(ends))
    return (
        np.array([[row_of[name] for name in pair] for pair in ends], np.int64).reshape(-1, 2),
        _kekule_orders(own, names, ends, orders),
        np.array([flag == "Y" or order == "AROM" for flag, order in zip(flags, orders, strict=True)], bool),
        {pair: form for pair, form in zip(ends, forms, strict=True) if form in ("E", "Z")},
    )


def _kekule_orders(
    own: _Block, names: Sequence[str], ends: Sequence[tuple[str, str]], orders: Sequence[str]
) -> np.ndarray:
    """Orders 1, 2 and 3; bonds that are called aromatic and no more get single and double ones in turn."""
    known = np.array([_ORDERS[order] for order in orders], np.uint8)
    if "AROM" not in orders:
        return known
    from structdiff.chemistry.component_completion import alternating

    aromatic = [pair for pair, order in zip(ends, orders, strict=True) if order == "AROM"]
    atoms = own.columns("chem_comp_atom")
    other = [
        (pair, number) for pair, number, order in zip(ends, known.tolist(), orders, strict=True) if order != "AROM"
    ]
    with _located(own):
        found = alternating(names, [_element(own, symbol) for symbol in atoms["type_symbol"]],
                            [_charge(own, cell) for cell in atoms["charge"]], aromatic, other)  # fmt: skip
    known[[order == "AROM" for order in orders]] = found
    return known


def _positions(own: _Block, atoms: Mapping[str, list[str]], heavy: np.ndarray) -> np.ndarray:
    """Ideal positions (atom, 3) in Å, the model's where a heavy atom has none, NaN where these lack one too."""
    for columns in (_IDEAL, _MODEL):
        there = [name for name in columns if name in atoms]
        if there and len(there) < len(columns):
            missing = next(name for name in columns if name not in atoms)
            own.fail("this column is missing", "chem_comp_atom", missing, allowed=columns)
        if not there:
            continue
        found = np.array([[_number(own, name, cell) for cell in atoms[name]] for name in columns], np.float32).T
        # Files that know no ideal positions may say that all of them are the origin.
        if np.isfinite(found[heavy]).all() and (heavy.sum() == 1 or np.ptp(found[heavy], axis=0).any()):
            return found
    return np.full((len(heavy), 3), np.nan, np.float32)


def _number(own: _Block, column: str, cell: str) -> float:
    value = gemmi.cif.as_number(cell) if cell else np.nan
    if cell and not np.isfinite(value):
        own.fail("a position is a number", "chem_comp_atom", column, found=cell)
    return value
