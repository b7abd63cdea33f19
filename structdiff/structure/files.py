"""Files of structures: read by suffix, written whole or not at all."""

from __future__ import annotations

import codecs
import contextlib
import os
import re
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from structdiff.arguments import as_path, check_kind, checked_names
from structdiff.errors import InputError
from structdiff.packed_files import PACKED_SUFFIXES, ZIP_SUFFIX, only_member, packed, plain_name, unpacked
from structdiff.structure.tables import Structure

if TYPE_CHECKING:
    from structdiff.structure.parsed_file import ParsedFile

CIF_SUFFIXES = (".cif", ".mmcif")
PDB_SUFFIXES = (".pdb", ".ent")
#: What a file is called while it is written.
_UNFINISHED = re.compile(r"\..+\.\w{8}\.part")
_PDB_BEGINNINGS = ("HEADER", "TITLE ", "REMARK", "CRYST1", "MODEL ", "ATOM  ", "HETATM")
_ALLOWED = ", ".join((*CIF_SUFFIXES, *PDB_SUFFIXES)) + ", each also with .gz or .xz"


@checked_names
def read_structure(
    path: str | Path, *, model: int | None = None, assembly: str | None = None, keep_waters: bool = False
) -> Structure:
    """The structure in an mmCIF or PDB file (.cif, .mmcif, .pdb, .ent, plain, .gz or .xz, or alone in a .zip).

    model: its number in the file; the first there is if None. assembly: the id of a biological assembly, whose further
    copies of a chain get chain ids that are free; the asymmetric unit if None. Hydrogens are dropped, waters too unless
    kept. Missing residues and atoms are there with ``resolved`` False. Of alternate locations the one of the highest
    occupancy is taken, by residue. Of several molecules of one code those after the first get codes that are free for
    ligands. Raises InputError, naming the file, where it is missing, damaged, empty, or lacks
    the model or assembly.
    """
    from structdiff.structure.assembly import build_assembly
    from structdiff.structure.reading import structure_of

    path = as_path(path, "path", "the path of a structure file")
    parsed = parsed_file(path)
    try:
        structure = structure_of(parsed, model=model, keep_waters=keep_waters)
        return structure if assembly is None else build_assembly(structure, parsed, assembly)
    except InputError as error:
        if error.path is not None:
            raise
        raise InputError(str(error), path=path) from None


def structure_in(text: str, name: str) -> Structure:
    """The structure in a text of mmCIF, as `read_structure` has it; raises InputError where it is damaged or empty."""
    from structdiff.structure.mmcif import parse_mmcif
    from structdiff.structure.reading import structure_of

    return structure_of(parse_mmcif(text, name), model=None, keep_waters=False)


def parsed_file(path: Path) -> ParsedFile:
    """What a file of a structure (as `read_structure`) holds, as gemmi has it, all models, hydrogens dropped.

    Raises InputError, naming the file, where it is missing, damaged or empty.
    """
    from structdiff.structure.mmcif import parse_mmcif
    from structdiff.structure.pdb import parse_pdb

    if path.is_dir():
        raise InputError("this is a folder, not a file of a structure", path=path)
    suffix = "" if path.suffix.lower() == ZIP_SUFFIX else _format(path)
    text, name = _read_text(path)
    suffix = suffix or _format(name)
    _require_format(text, path, suffix)
    parse = parse_mmcif if suffix in CIF_SUFFIXES else parse_pdb
    try:
        return parse(text, plain_name(path).rsplit(".", 1)[0])
    except InputError as error:
        raise InputError(str(error).removeprefix(f"line {error.line}: "), path=path, line=error.line) from None


@checked_names
def write_structure(
    structure: Structure,
    path: str | Path,
    *,
    provenance: Mapping[str, str] | None = None,
    confidence: bool = False,
    mean_plddt: float | None = None,
) -> Path:
    """Writes a structure as mmCIF or PDB, by the suffix of the file (.cif, .mmcif, .pdb, .ent, plain, .gz or .xz).

    provenance: what made it, kept in the file. confidence: the B-factors are pLDDT (0-100), listed as a quality metric
    in mmCIF. mean_plddt: that of the whole, where only a part was judged (default: the mean over tokens). Raises
    InputError where the format cannot hold the structure, positions are no numbers, or the file cannot be written.
    """
    from structdiff.structure.mmcif_text import mmcif_text
    from structdiff.structure.pdb_text import pdb_text

    check_kind(structure, Structure, "structure", "a Structure (of a design: its .structure)")
    path = as_path(path, "path")
    suffix = _format(path)
    if path.suffix.lower() not in (suffix, *PACKED_SUFFIXES):
        raise InputError("structures are not packed so", path=path, found=path.suffix, allowed=_ALLOWED)
    lost = structure.atoms.resolved & ~np.isfinite(structure.atoms.positions).all(-1)
    if lost.any():
        raise InputError("positions that are no numbers cannot be written", path=path,
                         found=f"{int(lost.sum())} of {len(lost)} atoms")  # fmt: skip
    try:
        if suffix in CIF_SUFFIXES:
            text = mmcif_text(structure, provenance=provenance, confidence=confidence, mean_plddt=mean_plddt)
        else:
            text = pdb_text(structure, provenance=provenance)
    except InputError as error:
        raise InputError(str(error), path=path) from None
    return write_atomically(path, packed(text.encode("utf-8"), path))


def _format(path: Path) -> str:
    """The ending, in small letters, that tells the format; raises InputError for any other."""
    suffix = Path(plain_name(path)).suffix.lower()
    if suffix not in (*CIF_SUFFIXES, *PDB_SUFFIXES):
        raise InputError("unknown kind of structure file", path=path, found=path.name, allowed=_ALLOWED)
    return suffix


def _is_structure(name: str) -> bool:
    return name.lower().endswith((*CIF_SUFFIXES, *PDB_SUFFIXES))


def _require_format(text: str, path: Path, suffix: str) -> None:
    """Raises InputError where a file begins as those of the other format do."""
    first = next((line for line in text.splitlines() if line.strip() and not line.startswith("#")), "")
    if suffix in CIF_SUFFIXES and first.startswith(_PDB_BEGINNINGS):
        raise InputError(
            "this is a PDB file, called as mmCIF files are", path=path, found=first[:40], allowed="NAME.pdb"
        )
    if suffix in PDB_SUFFIXES and first.startswith("data_"):
        raise InputError(
            "this is an mmCIF file, called as PDB files are", path=path, found=first[:40], allowed="NAME.cif"
        )


def _read_text(path: Path) -> tuple[str, Path]:
    """The text of a file, unpacked, and the name of what it holds: its own, but for archives."""
    check_path_is_utf8(path, "file")
    try:
        data, name = path.read_bytes(), path
    except FileNotFoundError:
        raise InputError("no such file", path=path) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", path=path) from None
    if path.suffix.lower() == ZIP_SUFFIX:
        member, data = only_member(data, path, _is_structure, "structure")
        name = path.with_name(Path(member).name)
    else:
        data = unpacked(data, path)
    if not data.strip():
        raise InputError("this file is empty", path=path)
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # as PowerShell writes what is redirected
    return data.decode("utf-16" if wide else "utf-8-sig", errors="replace"), name


def check_path_is_utf8(path: Path, kind: str) -> None:
    """Raises InputError for the path of a file or folder (``kind``) that is not UTF-8: mmCIF, JSON and tables are."""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        raise InputError(f"the name of this {kind} is not UTF-8: rename it", path=path) from None


def write_atomically(path: str | Path, content: str | bytes) -> Path:
    """Writes a file whole or not at all: a reader sees the old file or the new one, never a part of one.

    The content goes to a temporary file beside it, which then takes its name. Raises InputError where that cannot be
    done.
    """
    with opened_atomically(path) as handle:
        handle.write(content.encode("utf-8") if isinstance(content, str) else content)
    return Path(path)


@contextlib.contextmanager
def opened_atomically(path: str | Path) -> Iterator[IO[bytes]]:
    """The same for content that comes piece by piece: the file takes its name when the block ends without an error."""
    path = Path(path)
    if path.is_dir():
        raise InputError("cannot be written: it is a folder", path=path)
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=f".{path.name}.", suffix=".part", delete=False
        ) as handle:
            temporary = Path(handle.name)
            yield handle
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise InputError(f"cannot be written: {error.strerror or error}", path=path) from None
    except BaseException:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise


def remove_unfinished(folder: Path, *, age: float = 0.0) -> None:
    """Removes what ``write_atomically`` left in a folder where its process was killed.

    age: seconds for which nothing may have been written into such a file. A write takes seconds, so that an hour spares
    those of other processes that write into the folder now.
    """
    for path in folder.glob(".*.part"):
        with contextlib.suppress(OSError):  # gone already, or somebody else's
            if _UNFINISHED.fullmatch(path.name) and time.time() - path.stat().st_mtime >= age:
                path.unlink()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
