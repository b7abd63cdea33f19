"""Which files are to be judged."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from structdiff.errors import InputError
from structdiff.packed_files import ZIP_SUFFIX, plain_name
from structdiff.structure.files import CIF_SUFFIXES, PDB_SUFFIXES

SUFFIXES = (*CIF_SUFFIXES, *PDB_SUFFIXES)


def structure_files(paths: Iterable[Path]) -> list[Path]:
    """The files named, and the structures in the folders named, in order of name.

    Folders inside are searched only where a folder holds no structures itself: beside designs may lie those of earlier
    stages. Of a structure as mmCIF and as PDB, the mmCIF file is taken. Hidden files and folders are passed over.
    Raises InputError where a path does not exist and where nothing is found.
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


def unsearched_folders(paths: Iterable[Path]) -> list[Path]:
    """Folders that hold structures and were passed over, since they lie in a folder that holds some itself.

    Those that are named, or of which something is, are not among them.
    """
    paths = list(paths)
    named = {place for path in paths for place in (path.absolute(), *path.absolute().parents)}
    return [found for path in paths if path.is_dir() for found in _unsearched_in(path) if found.absolute() not in named]


def _unsearched_in(folder: Path) -> list[Path]:
    if _own_files(folder):
        return [inside for inside in _folders_in(folder) if _holds_structures(inside)]
    return [found for inside in _folders_in(folder) for found in _unsearched_in(inside)]


def stem(path: Path) -> str:
    """The name of a structure's file without its endings."""
    return plain_name(path).rsplit(".", 1)[0]


def _in_folder(folder: Path) -> list[Path]:
    files = _own_files(folder)
    if not files:
        return [file for inside in _folders_in(folder) for file in _in_folder(inside)]
    chosen: dict[str, Path] = {}
    for file in sorted(files, key=lambda path: not _has_ending(path, CIF_SUFFIXES)):
        chosen.setdefault(stem(file), file)
    return sorted(chosen.values())


def _own_files(folder: Path) -> list[Path]:
    return [path for path in _shown(folder) if path.is_file() and _has_ending(path, SUFFIXES)]


def _folders_in(folder: Path) -> list[Path]:
    return [path for path in _shown(folder) if path.is_dir()]


def _shown(folder: Path) -> list[Path]:
    """What lies in a folder, but for hidden files: macOS puts ._NAME beside NAME, Jupyter .ipynb_checkpoints."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _holds_structures(folder: Path) -> bool:
    return bool(_own_files(folder)) or any(_holds_structures(inside) for inside in _folders_in(folder))


def _has_ending(path: Path, endings: tuple[str, ...]) -> bool:
    return path.suffix.lower() != ZIP_SUFFIX and plain_name(path).lower().endswith(endings)
