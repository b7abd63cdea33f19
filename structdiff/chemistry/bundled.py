"""Components that most structures need, in a small file of our own.

Unpacking the whole dictionary takes seconds and hundreds of MB; these records (standard residues, ions, buffers,
cofactors, sugars, frequent modified residues) are read in milliseconds. They are copies of the dictionary's, made by
``write_bundled_components``.
"""

from __future__ import annotations

import base64
import dataclasses
import gzip
import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from structdiff.chemistry.ccd import ComponentRecord, read_dictionary_component

_FILE = "bundled_components.json.gz"
_DTYPES = {
    "charges": np.int8,
    "positions": np.float32,
    "leaving": np.bool_,
    "stereo": np.bool_,
    "bonds": np.int16,
    "bond_orders": np.uint8,
    "bond_aromatic": np.bool_,
}

_ADDED: dict[str, Mapping[str, str]] = {}


def read_bundled_component(code: str) -> ComponentRecord | None:
    """The dictionary's record of a common component, or None where it is not one of these."""
    packed = _packed().get(code) or _ADDED.get(code)
    return None if packed is None else _unpack(packed)


def add_bundled_components(path: Path) -> None:
    """Has the components of a file like the one shipped known too, for as long as the process lives.

    So a training set that was carried to another machine brings what it needs of the dictionary.
    """
    _ADDED.update(_read(path.read_bytes()))


@lru_cache(maxsize=1)
def bundled_codes() -> frozenset[str]:
    """The codes of the components in the file that have atoms: UNL, the unknown ligand, has none."""
    return frozenset(code for code, packed in _packed().items() if packed["atom_names"])


def write_bundled_components(codes: Iterable[str], path: str | Path) -> int:
    """Copies components of the whole dictionary into a file like the one shipped; returns how many."""
    records = {code: read_dictionary_component(code) for code in sorted(set(codes))}
    packed = {code: _pack(record) for code, record in records.items() if record is not None}
    text = json.dumps(packed, separators=(",", ":"), sort_keys=True)
    Path(path).write_bytes(gzip.compress(text.encode(), mtime=0))
    return len(packed)


@lru_cache(maxsize=1)
def _packed() -> Mapping[str, Mapping[str, str]]:
    return _read(files("structdiff.chemistry").joinpath(_FILE).read_bytes())


def _read(text: bytes) -> dict[str, dict[str, str]]:
    return json.loads(gzip.decompress(text))


def _pack(record: ComponentRecord) -> dict[str, str]:
    packed = {}
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        if field.name in _DTYPES:
            packed[field.name] = base64.b64encode(value.astype(_DTYPES[field.name]).tobytes()).decode()
        else:
            packed[field.name] = value if isinstance(value, str) else " ".join(value)
    return packed


def _unpack(packed: Mapping[str, str]) -> ComponentRecord:
    fields: dict[str, Any] = dict(packed)
    for name, dtype in _DTYPES.items():
        fields[name] = np.frombuffer(base64.b64decode(packed[name]), dtype)
    fields["positions"] = fields["positions"].reshape(-1, 3)
    fields["bonds"] = fields["bonds"].reshape(-1, 2).astype(np.int64)
    for name in ("atom_names", "elements"):
        fields[name] = np.array(packed[name].split())
    return ComponentRecord(**fields)
