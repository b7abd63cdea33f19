"""The files of a training set (docs/data.md): its description, its arrays, and what may be beside them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from structdiff.errors import InputError

SPLITS = ("train", "val", "test")
#: Entries to learn from of which one atom a residue is known: apart, since most of what is made of entries needs more.
TRACES = "traces"
#: The version of the files, kept in set.json.
FORMAT = 1
#: Name of the file of designed sequences, where a set has one (``structdiff.training.redesign``).
REDESIGNED = "redesigned"
#: Of the Chemical Component Dictionary, where a set was carried (``structdiff.training.set_archive``).
COMPONENTS_FILE = "components.json.gz"
#: The arrays, a file each.
ARRAYS = (
    "atom_positions", "residue_template", "chain_kind", "chain_name", "chain_residue", "chain_entity", "chain_copy",
    "run_residue", "run_values", "entry_atom", "entry_residue", "entry_chain", "entry_run", "entry_backbone",
    "entry_antibody", "entry_cluster", "bond_start", "bond_values",
)  # fmt: skip


def residue_names(path: Path) -> frozenset[str]:
    """The names of all residues of a set. Raises InputError when the folder is no such set."""
    return frozenset(template[1] for template in read_description(path)["templates"])


def read_description(path: Path) -> dict:
    """What set.json tells: splits, names, metadata, kinds of residues. Raises InputError for another folder."""
    try:
        description = json.loads((path / "set.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        message = "no training set, set.json is missing (`structdiff prepare` makes one)"
        raise InputError(message, path=path) from None
    except (OSError, ValueError) as error:
        raise InputError(f"set.json cannot be read: {error}", path=path) from None
    if description.get("format") != FORMAT:
        message = "the training set is of another version; convert it again"
        raise InputError(message, path=path, key="format", found=description.get("format"), allowed=[FORMAT])
    return description


def open_array(path: Path, name: str) -> np.ndarray:
    """An array of the set, mapped into memory. Raises InputError where it is missing or damaged."""
    try:
        return np.load(path / f"{name}.npy", mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InputError(f"the training set is damaged: {error}", path=path / f"{name}.npy") from None


def open_redesigned(path: Path, residues: int) -> np.ndarray:
    """Designed sequences (sequence, residue), maybe none. Raises InputError for those of another set."""
    if not (path / f"{REDESIGNED}.npy").is_file():
        return np.zeros((0, residues), np.uint8)
    letters = open_array(path, REDESIGNED)
    if letters.ndim != 2 or letters.shape[1] != residues:
        message = "the designed sequences are those of another set; remove the file"
        raise InputError(message, path=path / f"{REDESIGNED}.npy", found=letters.shape, allowed=f"(any, {residues})")
    return letters
