"""Tells one state of csrc/ from another: libraries say what they were made of, ``info`` whether that still holds."""

from __future__ import annotations

import hashlib
from pathlib import Path

SOURCES = Path(__file__).parent
_SUFFIXES = {"cpu": (".h", ".cpp"), "cuda": (".h", ".cu", ".cuh")}


def source_hash(device: str) -> str:
    """Of the sources of the library for that kind of device (``cpu``, ``cuda``), their names and what is in them."""
    digest = hashlib.sha256()
    for path in sorted(path for path in SOURCES.rglob("*") if path.suffix in _SUFFIXES[device]):
        digest.update(path.relative_to(SOURCES).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:16]
