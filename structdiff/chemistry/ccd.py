"""The Chemical Component Dictionary as biotite ships it, read column by column and offline.

Source: wwPDB Chemical Component Dictionary (Westbrook et al. 2015), packed as BinaryCIF by biotite.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from structdiff.errors import InputError


@dataclass(frozen=True, kw_only=True)
class ComponentRecord:
    """The dictionary's rows of one component, hydrogens included; positions (Å) hold NaN where it has none."""

    type: str
    description: str
    one_letter: str
    parent: str
    atom_names: np.ndarray
    elements: np.ndarray
    charges: np.ndarray
    positions: np.ndarray
    leaving: np.ndarray
    stereo: np.ndarray
    bonds: np.ndarray
    bond_orders: np.ndarray
    bond_aromatic: np.ndarray


_ORDERS = {"SING": 1, "DOUB": 2, "TRIP": 3, "QUAD": 3, "AROM": 1, "DELO": 1, "PI": 1, "POLY": 1}


def has_component(code: str) -> bool:
    """Whether the dictionary holds a code and atoms of it: UNL, the unknown ligand, has none."""
    return code in _rows("chem_comp_atom")


def component_codes() -> tuple[str, ...]:
    """All codes of the dictionary."""
    return tuple(_rows("chem_comp"))


def is_obsolete(code: str) -> bool:
    """Whether the dictionary has withdrawn a code; entries of the PDB no longer hold it."""
    rows = _rows("chem_comp").get(code)
    return rows is not None and _text("pdbx_release_status", rows) == "OBS"


def replaced_by(code: str) -> str:
    """The code that the dictionary has in place of an obsolete one; empty where there is none."""
    rows = _rows("chem_comp").get(code)
    return "" if rows is None else _text("pdbx_replaced_by", rows).strip("?")


def read_dictionary_component(code: str) -> ComponentRecord | None:
    """The rows of one component, or None where the dictionary has no such code; a few codes have no atoms."""
    comp_rows = _rows("chem_comp").get(code)
    if comp_rows is None:
        return None
    atom_rows = _rows("chem_comp_atom").get(code, slice(0, 0))
    atom_names = _values("chem_comp_atom", "atom_id", atom_rows)
    bonds, orders, aromatic = _bonds(code, {str(name): row for row, name in enumerate(atom_names)})
    parent = _text("mon_nstd_parent_comp_id", comp_rows)
    letter = _text("one_letter_code", comp_rows)
    return ComponentRecord(
        type=_text("type", comp_rows),
        description=_text("name", comp_rows),
        one_letter=letter if len(letter) == 1 else "",
        parent=parent if parent.isalnum() else "",
        atom_names=atom_names,
        elements=_values("chem_comp_atom", "type_symbol", atom_rows),
        charges=np.nan_to_num(_numbers("chem_comp_atom", "charge", atom_rows)).astype(np.int8),
        positions=_positions(atom_rows),
        leaving=_values("chem_comp_atom", "pdbx_leaving_atom_flag", atom_rows) == "Y",
        stereo=np.isin(_values("chem_comp_atom", "pdbx_stereo_config", atom_rows), ("R", "S")),
        bonds=bonds,
        bond_orders=orders,
        bond_aromatic=aromatic,
    )


def _bonds(code: str, row_of: dict[str, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rows = _rows("chem_comp_bond").get(code)
    if rows is None:
        return np.zeros((0, 2), np.int64), np.zeros(0, np.uint8), np.zeros(0, bool)
    ends = [_values("chem_comp_bond", f"atom_id_{end}", rows) for end in (1, 2)]
    bonds = np.array([[row_of[str(name)] for name in column] for column in ends], np.int64).T
    orders = [_ORDERS[str(order).upper()] for order in _values("chem_comp_bond", "value_order", rows)]
    return bonds, np.array(orders, np.uint8), _values("chem_comp_bond", "pdbx_aromatic_flag", rows) == "Y"


def _positions(rows: slice) -> np.ndarray:
    """Ideal positions; the model's, where an ideal one is missing."""
    columns = {
        prefix: np.stack([_numbers("chem_comp_atom", f"{prefix}_{axis}{suffix}", rows) for axis in "xyz"], axis=1)
        for prefix, suffix in (("pdbx_model_Cartn", "_ideal"), ("model_Cartn", ""))
    }
    ideal = columns["pdbx_model_Cartn"]
    chosen = ideal if np.isfinite(ideal).all() else columns["model_Cartn"]
    return chosen.astype(np.float32)


#: The columns read, and what they are packed into: the whole dictionary would take 0.9 GB otherwise.
_COLUMNS = {
    "chem_comp": (
        "id", "name", "type", "one_letter_code", "mon_nstd_parent_comp_id", "pdbx_release_status", "pdbx_replaced_by",
    ),
    "chem_comp_atom": (
        "comp_id", "atom_id", "type_symbol", "charge", "pdbx_leaving_atom_flag", "pdbx_stereo_config",
        "model_Cartn_x", "model_Cartn_y", "model_Cartn_z",
        "pdbx_model_Cartn_x_ideal", "pdbx_model_Cartn_y_ideal", "pdbx_model_Cartn_z_ideal",
    ),
    "chem_comp_bond": ("comp_id", "atom_id_1", "atom_id_2", "value_order", "pdbx_aromatic_flag"),
}  # fmt: skip
_INDEX_COLUMN = {"chem_comp": "id", "chem_comp_atom": "comp_id", "chem_comp_bond": "comp_id"}


@dataclass(frozen=True, kw_only=True)
class _Category:
    rows: dict[str, slice]
    columns: dict[str, np.ndarray]


@lru_cache(maxsize=1)
def _dictionary() -> dict[str, _Category]:
    """Every category packed: ASCII text as bytes, numbers as float32 with NaN where the dictionary has none."""
    try:
        from biotite.structure import info
        from biotite.structure.io.pdbx import BinaryCIFFile
    except ModuleNotFoundError as error:  # a machine that was given training sets and PyTorch, and nothing else
        message = "the Chemical Component Dictionary is part of biotite, which is not installed (pip install biotite)"
        raise InputError(message) from error

    block = BinaryCIFFile.read(Path(info.__file__).parent / "components.bcif").block
    packed = {}
    for category_name, names in _COLUMNS.items():
        category = _taken(block, category_name)
        columns = {name: _pack(_taken(category, name)) for name in names}
        packed[category_name] = _Category(rows=_row_slices(columns[_INDEX_COLUMN[category_name]]), columns=columns)
    return packed


def _taken(container: Any, name: str) -> Any:
    """A part of a file, which then forgets it, so that the memory of what was unpacked is free again."""
    part = container[name]
    with contextlib.suppress(TypeError):  # raised by biotite 1.2, the last for Python 3.10, which cannot forget
        del container[name]
    return part


def _pack(column: Any) -> np.ndarray:
    data = column.data.array
    missing = None if column.mask is None else column.mask.array != 0
    if data.dtype.kind == "U":
        text = _ascii(data) if data.dtype.itemsize <= 64 else data.astype(object)
        if missing is not None:
            text[missing] = "" if text.dtype == object else b""
        return text
    numbers = data.astype(np.float32)
    if missing is not None:
        numbers[missing] = np.nan
    return numbers


def _ascii(text: np.ndarray) -> np.ndarray:
    """Codes and atom names as bytes, by dropping the high bytes of each character: 20 times faster than ``astype``."""
    width = text.dtype.itemsize // 4
    letters = np.ascontiguousarray(text).view(np.uint32).reshape(len(text), width).astype(np.uint8)
    return np.ascontiguousarray(letters).view(f"S{width}").reshape(len(text))


def _row_slices(codes: np.ndarray) -> dict[str, slice]:
    """Rows of each component; a component's rows are contiguous."""
    starts = np.concatenate([[0], np.flatnonzero(codes[1:] != codes[:-1]) + 1, [len(codes)]])
    names, bounds = codes[starts[:-1]].astype(str).tolist(), starts.tolist()
    return {code: slice(start, stop) for code, start, stop in zip(names, bounds[:-1], bounds[1:], strict=True)}


def _rows(category: str) -> dict[str, slice]:
    return _dictionary()[category].rows


def _values(category: str, name: str, rows: slice) -> np.ndarray:
    return _dictionary()[category].columns[name][rows].astype(str)


def _numbers(category: str, name: str, rows: slice) -> np.ndarray:
    return _dictionary()[category].columns[name][rows]


def _text(name: str, rows: slice) -> str:
    return str(_values("chem_comp", name, rows)[0])
