"""Errors that the person at the keyboard can mend: one clear line each."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable
from pathlib import Path


class StructdiffError(Exception):
    """Anything structdiff refuses or cannot do; the command line prints it as one line and exits with 2."""


class InputError(StructdiffError):
    """An input that cannot be used, named so precisely that it can be mended.

    The message reads ``FILE:LINE: KEY: MESSAGE (found ..., allowed ...; did you mean ...?)`` with the parts that apply.
    """

    def __init__(
        self,
        message: str,
        *,
        path: str | Path | None = None,
        line: int | None = None,
        key: str | None = None,
        found: object | None = None,
        allowed: Iterable[object] | str | None = None,
        suggest_from: Iterable[str] | None = None,
    ) -> None:
        self.path, self.line, self.key = path, line, key
        place = "" if path is None else str(path) if line is None else f"{path}:{line}"
        if path is None and line is not None:
            place = f"line {line}"
        prefix = "".join(f"{part}: " for part in (place, key) if part)
        details = []
        if found is not None:
            details.append(f"found {found!r}")
        if allowed is not None:
            details.append(f"allowed: {allowed if isinstance(allowed, str) else ', '.join(map(str, allowed))}")
        text = f"{prefix}{message}"
        if details:
            text += f" ({'; '.join(details)})"
        near = nearest_match(str(found), suggest_from) if found is not None and suggest_from is not None else None
        if near is not None:
            text += f"; did you mean {near!r}?"
        super().__init__(" ".join(text.split()))


class OutOfReachError(StructdiffError):
    """A sampler threw atoms so far that no file has room for them; the message says how far, and what may help."""


class ResourceError(StructdiffError):
    """The work does not fit into memory or on the disk; the message holds the numbers."""


class FaultElsewhere(Exception):
    """A fault of the program in another process. It reads as the last line of its traceback, kept in ``traceback``."""

    def __init__(self, traceback: str) -> None:
        self.traceback = traceback
        super().__init__(traceback.strip().rpartition("\n")[2])


#: What the system refuses for reasons that lie in folders, disks and limits, not in the program.
_REFUSALS = frozenset((
    errno.EACCES, errno.EEXIST, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO,
    errno.ESTALE, errno.ELOOP, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EMFILE, errno.ENFILE,
))  # fmt: skip


def refusal_of_system(error: BaseException) -> StructdiffError | None:
    """What the system refused (no permission, no room, a disk that fails, a package that is not installed), to be
    mended by the user; else None.
    """
    if isinstance(error, ModuleNotFoundError) and error.name and not error.name.startswith("structdiff"):
        name = error.name.partition(".")[0]
        return StructdiffError(f"{name}, which structdiff needs, is not installed here: pip install {name}")
    if not isinstance(error, OSError) or error.errno not in _REFUSALS:
        return None
    if error.filename is None:
        return ResourceError(f"cannot be read or written: {error.strerror}")
    return InputError(f"cannot be used: {error.strerror}", path=str(error.filename))


def disk_is_full(error: BaseException | None) -> bool:
    """Whether an error, or what it arose from, says that there is no room left."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if isinstance(error, ResourceError) and "disk is full" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def nearest_match(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate that looks most like a misspelt word, or None when nothing is near.

    >>> nearest_match("sequnce", ["sequence", "smiles"])
    'sequence'
    """
    folded = {candidate.lower(): candidate for candidate in candidates}
    close = difflib.get_close_matches(word.lower(), list(folded), n=1, cutoff=0.6)
    return folded[close[0]] if close else None
