"""Packed files (gzip, xz), known by their first bytes whatever they are called, and archives of one file (zip)."""

from __future__ import annotations

import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from structdiff.errors import InputError

#: Endings of files that are packed so that they are read.
PACKED_SUFFIXES = (".gz", ".xz")
ZIP_SUFFIX, _ZSTD_SUFFIX = ".zip", ".zst"
_GZIP, _XZ, _ZSTD, _ZIP = b"\x1f\x8b", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd", b"PK\x03\x04"


def unpacked(data: bytes, path: Path) -> bytes:
    """The bytes of a file without the packing, as they are where they have none.

    Raises InputError, naming the file, for damaged packing and for kinds that are not read.
    """
    try:
        if data.startswith(_GZIP):
            return gzip.decompress(data)
        if data.startswith(_XZ):
            return lzma.decompress(data)
    except (OSError, EOFError, zlib.error, lzma.LZMAError):
        kind = "gzip" if data.startswith(_GZIP) else "xz"
        raise InputError(f"cannot be read: the {kind} data are damaged or cut short", path=path) from None
    if data.startswith(_ZSTD):
        raise InputError(f"files packed by zstd are not read: unpack it first (zstd -d {path.name})", path=path)
    if data.startswith(_ZIP):
        raise InputError(f"zip archives are not read here: unpack it first (unzip {path.name})", path=path)
    return data


def packed(data: bytes, path: Path) -> bytes:
    """The bytes packed as the ending of the path says, always the same for the same bytes."""
    if path.suffix.lower() == ".gz":
        return gzip.compress(data, mtime=0)
    return lzma.compress(data) if path.suffix.lower() == ".xz" else data


def plain_name(path: Path) -> str:
    """The name of a file less the ending that says how it is packed: ``a.cif`` of ``a.cif.xz`` and ``a.cif.zip``."""
    endings = (*PACKED_SUFFIXES, ZIP_SUFFIX, _ZSTD_SUFFIX)
    return path.name[: -len(path.suffix)] if path.suffix.lower() in endings else path.name


def only_member(data: bytes, path: Path, is_wanted: Callable[[str], bool], what: str) -> tuple[str, bytes]:
    """Name and bytes of the one file of a zip archive that is wanted, by its name; what: those are.

    Raises InputError, naming the archive, where it is damaged or locked, and where there is not one such file.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = [name for name in archive.namelist() if is_wanted(name) and not _is_hidden(name)]
            if len(names) != 1:
                raise InputError(f"of zip archives those of one file are read, a {what}: unpack it and name that",
                                 path=path, found=", ".join(names) or f"no {what}")  # fmt: skip
            return names[0], archive.read(names[0])
    except (zipfile.BadZipFile, zlib.error, EOFError):
        raise InputError("cannot be read: the zip archive is damaged or cut short", path=path) from None
    except RuntimeError as error:  # what zipfile raises of a password, and of a way of packing that it cannot undo
        raise InputError(f"this zip archive cannot be read ({error}): unpack it first", path=path) from None


def _is_hidden(name: str) -> bool:
    """Whether an archive's file is one that macOS adds beside others, or hidden."""
    return any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(name).parts)
