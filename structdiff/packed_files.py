"""Packed files (gzip, xz), known by their first bytes whatever they are called."""

from __future__ import annotations

import gzip
import lzma
import zlib
from pathlib import Path

from structdiff.errors import InputError

#: Endings of files that are packed so that they are read.
PACKED_SUFFIXES = (".gz", ".xz")
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
