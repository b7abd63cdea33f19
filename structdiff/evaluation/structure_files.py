"""Which files are to be judged."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from structdiff.errors import InputError
from structdiff.structure.files import CIF_SUFFIXES, PDB_SUFFIXES

SUFFIXES = (*CIF_SUFFIXES, *PDB_SUFFIXES)


def structure_files(paths: Iterable[Path]) -> list[Path]:
    """The files named, and the structures in the folders named (and in folders inside), in order of name.

    Of a folder that holds a structure as mmCIF and as PDB, the mmCIF file is taken. Raises InputError where a path does
    not exist and where nothing is found.
    """
    found: list[Path] = []
    paths = list(paths)
    for path in paths:
        if path.is_dir():
            found += _in_folder(path)
        elif path.exists():
            found.append(path)
        else:
            raise InputError("no such file or folder", path=path)
    if not found:
        raise InputError("no structures found", found=", ".join(map(str, paths)), allowed=SUFFIXES)
    return list(dict.fromkeys(found))


def stem(path: Path) -> str:
    """The name of a structure's file without its endings."""
    name = path.name[:-3] if path.name.lower().endswith(".gz") else path.name
    return name.rsplit(".", 1)[0]


def _in_folder(folder: Path) -> list[Path]:
    chosen: dict[Path, Path] = {}
    files = [p for p in folder.rglob("*") if p.is_file() and p.name.lower().removesuffix(".gz").endswith(SUFFIXES)]
    for file in sorted(files, key=lambda p: (not p.name.lower().removesuffix(".gz").endswith(CIF_SUFFIXES), p)):
        chosen.setdefault(file.parent / stem(file), file)
    return sorted(chosen.values())
