"""Files of finished work: which there must be, and whether they are whole."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from structdiff.errors import InputError

#: The files of a design that its later stages and the report read, and those that not every design has.
_PARTS, _NOT_ALWAYS = (".cif", ".residue_map.json", ".confidence.json"), (".pdb", ".ligands.sdf")
#: How a file that is whole begins and ends, without the blanks around it.
_ENDS = {".json": (b"{", b"}"), ".pdb": (b"", b"END"), ".sdf": (b"", b"$$$$")}
#: The endings of files that can be judged so.
CHECKED = (".cif", *_ENDS)
#: Bytes at the end of a file that are looked at: more than a line of PDB, which is filled up with blanks.
_TAIL = 256
#: How many damaged files are named.
_NAMED = 5


def files_of(folder: Path, names: Iterable[str]) -> list[Path]:
    """The files that finished designs or backbones must have, and those that they have beside these."""
    found = [folder / f"{name}{part}" for name in names for part in (*_PARTS, *_NOT_ALWAYS)]
    return [path for path in found if not path.name.endswith(_NOT_ALWAYS) or path.is_file()]


def is_whole(path: Path) -> bool:
    """Whether a file that is there can be read.

    mmCIF is read for its grammar, and may not end before the last residues that it lists; of JSON, whose tables of
    pairs are long, of PDB and of SDF only both ends are looked at.
    """
    try:
        if path.suffix == ".cif":
            return _has_all_atoms(path)
        first, last = _ENDS[path.suffix]
        with path.open("rb") as file:
            head = file.read(len(first))
            file.seek(max(0, path.stat().st_size - _TAIL))
            return head == first and file.read().rstrip().endswith(last)
    except (InputError, OSError, ValueError, RuntimeError):
        return False


def _has_all_atoms(path: Path) -> bool:
    """Whether an mmCIF file has the atoms it should; raises what its grammar, its end or the disk has against it."""
    import gemmi  # not with the module: what only shows help is to start at once

    from structdiff.structure.mmcif import require_all_listed

    text = path.read_text(encoding="utf-8")
    block = next((each for each in gemmi.cif.read_string(text) if len(each.find_values("_atom_site.id"))), None)
    if block is None:
        return False
    require_all_listed(block, ends_in_mark=text.rstrip().endswith("#"))
    return text.endswith("\n")


def damage_note(paths: Sequence[Path]) -> str:
    """Damaged files in one line."""
    return f"damaged files count as missing, to be made again: {named(path.name for path in paths)}"


def named(files: Iterable[object]) -> str:
    """Some of many files by their names, and how many more there are."""
    names = [str(each) for each in files]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"


def read_json(path: Path) -> dict[str, Any]:
    """The content of a JSON file of a design. Raises InputError where it is missing or damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read: {error}", path=path) from None
    if not isinstance(found, dict):
        raise InputError("this is no table of a design", path=path)
    return found
