"""Which residues of a design come from its input, as RFdiffusion and RFdiffusion3 tell it beside the structure."""

from __future__ import annotations

import ast
import json
import pickle
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from structdiff.chemistry.residues import BACKBONE_ATOMS
from structdiff.errors import InputError
from structdiff.evaluation.structure_files import stem

_RESIDUE = re.compile(r"([A-Za-z0-9]*[A-Za-z])?(-?\d+)([A-Za-z]?)")
_RANGE = re.compile(r"([A-Za-z0-9]*[A-Za-z])(-?\d+)-(?:[A-Za-z]*)(-?\d+)")
#: Pairs of keys of a .trb, the whole of a complex first: residues of the input, and where they are in the design.
_TRB_KEYS = (("complex_con_ref_pdb_idx", "complex_con_hal_pdb_idx"), ("con_ref_pdb_idx", "con_hal_pdb_idx"))


def foreign_map(structure: Path) -> dict[str, Any] | None:
    """The residue map of a design that another program made, as our own are; None where there is none.

    It has the "input" of the design and its "hotspots", as the input names them, too.

    It is read from NAME.trb of RFdiffusion and RFdiffusion2, or NAME.json of RFdiffusion3 (``diffused_index_map``)
    beside the structure NAME. Rows whose input holds single atoms alone have these as "atoms". Raises InputError for a
    file of theirs that cannot be read.
    """
    named = (structure.with_name(stem(structure) + ending) for ending in (".trb", ".json"))
    return next((found for path in named if path.is_file() and (found := read_foreign_map(path)) is not None), None)


def read_foreign_map(path: Path) -> dict[str, Any] | None:
    """The same of a file; None where it is none of these programs'."""
    try:
        if path.suffix.lower() == ".trb":
            return _of_trb(_read_trb(path))
        content = _json(path)
        if isinstance(content, dict) and isinstance(content.get("diffused_index_map"), dict):
            return _of_rfdiffusion3(content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, pickle.UnpicklingError) as error:
        raise InputError("what is beside the design cannot be read", path=path, found=str(error)[:60]) from None
    return None


_MANY = (list, tuple, dict)


def _json(path: Path) -> object:
    """The content of a JSON file; None of one that cannot be read, which may be anybody's."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


class _Unread:
    """Stands for whatever a .trb holds that is no plain data: tensors, settings of libraries."""

    def __new__(cls, *_values: Any, **_named: Any) -> _Unread:
        return object.__new__(cls)

    def __setstate__(self, _state: Any) -> None: ...
    def __setitem__(self, _key: Any, _value: Any) -> None: ...
    def append(self, _value: Any) -> None: ...
    def extend(self, _values: Any) -> None: ...


class _PlainUnpickler(pickle.Unpickler):
    """Reads numbers, texts, lists and arrays of a pickle, and calls nothing else that it names."""

    def find_class(self, module: str, name: str) -> Any:
        if module == "numpy" and name in ("ndarray", "dtype"):
            return getattr(np, name)
        if module.startswith(("numpy.core.", "numpy._core.")) and name in _ARRAY_PARTS:
            return _ARRAY_PARTS[name]
        return _Unread

    def persistent_load(self, pid: Any) -> None:
        """Parts of tensors that are kept elsewhere."""


_ARRAY_PARTS = {
    "_reconstruct": np.zeros(1).__reduce__()[0],
    "_frombuffer": np.zeros(1).__reduce_ex__(5)[0],
    "scalar": np.float64(0).__reduce__()[0],
}


def _read_trb(path: Path) -> Mapping[str, Any]:
    with path.open("rb") as stream:
        content = _PlainUnpickler(stream).load()
    if not isinstance(content, dict):
        raise ValueError("no dictionary")
    return content


def _of_trb(content: Mapping[str, Any]) -> dict[str, Any]:
    theirs, ours = next((pair for pair in _TRB_KEYS if pair[1] in content), (None, None))
    rows = [] if theirs is None or ours is None else zip(content[theirs], content[ours], strict=True)
    config = content.get("config")
    config = config if isinstance(config, dict) else {}
    held = (config.get("contigmap") or {}).get("contig_atoms")
    held = ast.literal_eval(held) if isinstance(held, str) else held
    atoms = {key: _atoms(value) for key, value in held.items()} if isinstance(held, dict) else {}
    residues = [
        _row(_place(str(own[0]), int(own[1])), _place(str(given[0]), int(given[1])), atoms.get(f"{given[0]}{given[1]}"))
        for given, own in rows
    ]
    asked = (config.get("ppi") or {}).get("hotspot_res")
    return _map(residues, (config.get("inference") or {}).get("input_pdb"), asked)


def _of_rfdiffusion3(content: Mapping[str, Any]) -> dict[str, Any]:
    asked = content.get("specification") or {}
    atoms = dict(_held_atoms(asked.get("select_fixed_atoms"), list(content["diffused_index_map"])))
    rows = [
        _row(_parsed(own), _parsed(given), atoms.get(given)) for given, own in content["diffused_index_map"].items()
    ]
    return _map(rows, asked.get("input"), asked.get("select_hotspots"))


def _map(residues: Sequence[dict[str, Any]], file: object, hotspots: object) -> dict[str, Any]:
    words = hotspots.split(",") if isinstance(hotspots, str) else list(hotspots) if isinstance(hotspots, _MANY) else []
    return {
        "residues": list(residues),
        "input": file if isinstance(file, str) else None,
        "hotspots": [residue for word in words for residue in _spelt(str(word).strip())],
    }


def _held_atoms(asked: object, residues: Sequence[str]) -> Iterator[tuple[str, Sequence[str]]]:
    """Residues of which single atoms are held, or none; the others are held whole."""
    if asked is False:
        yield from ((residue, ()) for residue in residues)
    if isinstance(asked, str):
        named = {residue for piece in asked.split(",") for residue in _spelt(piece.strip())}
        yield from ((residue, ()) for residue in residues if residue not in named)
    if isinstance(asked, dict):
        for key, value in asked.items():
            atoms = _atoms(value)
            if atoms is not None:
                yield from ((residue, atoms) for piece in key.split(",") for residue in _spelt(piece.strip()))


def _atoms(value: object) -> Sequence[str] | None:
    """The atoms that a word or a list names, None for all of the residue; TIP is left to the one who knows its type."""
    text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value or "")
    word = text.strip().upper()
    if word == "ALL":
        return None
    return BACKBONE_ATOMS if word == "BKBN" else tuple(piece.strip() for piece in word.split(",") if piece.strip())


def _spelt(text: str) -> list[str]:
    """A12-14 as A12, A13 and A14."""
    found = _RANGE.fullmatch(text)
    return [f"{found[1]}{number}" for number in range(int(found[2]), int(found[3]) + 1)] if found else [text]


def _parsed(text: str) -> dict[str, Any]:
    found = _RESIDUE.fullmatch(text)
    if found is None:
        raise ValueError(f"{text} is no residue")
    return _place(found[1] or "", int(found[2]), found[3])


def _place(chain: str, number: int, insertion_code: str = "") -> dict[str, Any]:
    return {"chain": chain, "number": number, "insertion_code": insertion_code}


def _row(own: dict[str, Any], given: dict[str, Any], atoms: Sequence[str] | None) -> dict[str, Any]:
    row = {"design": own, "motif": given, "group": 1}
    return row if atoms is None else row | {"atoms": list(atoms)}
