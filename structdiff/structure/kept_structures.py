"""Structures in memory that something is asked of, kept as files: a request names its structures by files."""

from __future__ import annotations

import hashlib
import re

from structdiff.cache import writable_folder
from structdiff.structure.files import write_atomically
from structdiff.structure.mmcif_text import mmcif_text
from structdiff.structure.tables import Structure

#: Characters of a structure's name, and of its checksum, in that of its file.
_NAME, _SUM = 40, 16


def kept_file(structure: Structure) -> str:
    """The path of a structure as mmCIF in the user's cache, called after its content; written where it is not there.

    The same structure has the same path and the same bytes, so what is asked of it can be asked again. Raises
    InputError where it cannot be written.
    """
    text = mmcif_text(structure).encode("utf-8")
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", structure.name)[:_NAME] or "structure"
    path = writable_folder("structures") / f"{name}-{hashlib.sha256(text).hexdigest()[:_SUM]}.cif"
    if not path.is_file() or path.read_bytes() != text:
        write_atomically(path, text)
    return str(path)
