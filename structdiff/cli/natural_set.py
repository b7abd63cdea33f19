"""Natural chains for evaluation, out of a prepared set or a folder of structures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from structdiff.errors import InputError, StructdiffError
from structdiff.evaluation.backbone import Backbone
from structdiff.evaluation.structure_files import structure_files
from structdiff.structure.files import read_structure
from structdiff.structure.tables import Structure

_SET_FILE = "set.json"


def natural_chains_in(path: Path) -> Iterator[tuple[str, Backbone]]:
    """Name and backbone of each different protein chain of a prepared set or of files; gaps are left in.

    Raises InputError where there is neither; files that cannot be read are passed over.
    """
    if (path / _SET_FILE).is_file():
        yield from chains_of_set(path)
        return
    for file in structure_files([path]):
        try:
            structure = read_structure(file)
        except StructdiffError:
            continue
        yield from _chains(structure)


def number_of_entries(path: Path) -> int:
    """How many entries or files there are to go through."""
    from structdiff.training.dataset import StructureSet

    return len(StructureSet(path)) if (path / _SET_FILE).is_file() else len(structure_files([path]))


def chains_of_set(path: Path, split: str = "train") -> Iterator[tuple[str, Backbone]]:
    """Name and backbone of each different protein chain of a prepared set, but for antibodies and T-cell receptors."""
    from structdiff.training.dataset import StructureSet

    entries = StructureSet(path, split)
    for index in np.flatnonzero(~entries.antibody).tolist():
        yield from _chains(entries.structure(index))


def _chains(structure: Structure) -> Iterator[tuple[str, Backbone]]:
    backbone = Backbone.from_structure(structure)
    backbone = backbone.select(backbone.complete)
    seen: set[int] = set()
    for chain in np.unique(backbone.chain).tolist():
        entity = int(structure.chains.entity_id[chain])
        if entity not in seen:
            seen.add(entity)
            yield f"{structure.name}_{structure.chains.name[chain]}", backbone.select(backbone.chain == chain)


def check_natural(path: Path) -> None:
    """Raises InputError where a path holds neither a prepared set nor structures."""
    if not path.exists():
        raise InputError("no such folder: a prepared set, or structures", path=path, key="natural")
    if not (path / _SET_FILE).is_file():
        structure_files([path])
