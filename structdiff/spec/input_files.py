"""Files that an input is, or names: their text, checksum and name, and paths as they are written in them."""

from __future__ import annotations

import hashlib
import os.path
from pathlib import Path

from structdiff.errors import InputError


def file_sha256(path: str) -> str:
    """The checksum of a file, "" where there is none."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest() if Path(path).is_file() else ""


def relocated(path: str, folder: Path) -> str:
    """A path written in a file of that folder, as seen from the working folder (``..`` and ``.`` resolved)."""
    return Path(os.path.normpath(folder / path)).as_posix()


def missing_file(path: str, folder: Path) -> str:
    """What is said of a path, as it is written in a file of that folder, that leads to nothing.

    Boltz and Protenix have paths count from where the command is run: one that leads somewhere from there is told.
    """
    if Path(path).is_absolute():
        return "no such file"
    way = f", from which it is {os.path.relpath(path, folder)}" if Path(path).exists() else ""
    return f"no such file; paths are relative to the file they are written in{way}"


def name_from(path: Path) -> str:
    """The name of what a file describes: the file's own, without its suffix."""
    return path.stem.lstrip(".") or "input"


def read_text(path: str | Path) -> str:
    """The text of a file; raises InputError when it is missing, a folder, not text or empty."""
    path = Path(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise InputError("no such file", path=path) from None
    except IsADirectoryError:
        raise InputError("this is a folder, not a file", path=path) from None
    except UnicodeDecodeError:
        raise InputError("not a text file (UTF-8)", path=path) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from None
    if not text.strip():
        raise InputError("the file is empty", path=path)
    return text
