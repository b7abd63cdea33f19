"""Files of structures: read by suffix, written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from structdiff.errors import InputError


def write_atomically(path: str | Path, content: str | bytes) -> Path:
    """Writes a file whole or not at all: a reader sees the old file or the new one, never a part of one.

    The content goes to a temporary file beside it, which then takes its name. Raises InputError where that cannot be
    done.
    """
    path = Path(path)
    data = content.encode("utf-8") if isinstance(content, str) else content
    if path.is_dir():
        raise InputError("cannot be written: it is a folder", path=path)
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as handle:
            temporary = Path(handle.name)
            handle.write(data)
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
    return path


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
