"""Alignments and tickets in the user's cache, each called after what was asked for."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from structdiff.cache import cache_folder, writable_folder
from structdiff.structure.files import remove_unfinished, write_atomically

_FOLDER = "alignments"
_TICKET = re.compile(r"[A-Za-z0-9_-]{1,200}")
_HOUR = 3600.0


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked of a server: a mode of the API, and sequences, which are searched together."""

    url: str
    mode: str
    sequences: tuple[str, ...]

    @property
    def key(self) -> str:
        """The SHA-256 of all that it says."""
        return digest(self.url, self.mode, *self.sequences)


def digest(*parts: str) -> str:
    """The SHA-256 of texts one after another, each to its own end."""
    return hashlib.sha256(json.dumps(parts).encode("utf-8")).hexdigest()


def kept_file(key: str, suffix: str) -> Path:
    """Where an alignment lies, or would lie."""
    return cache_folder() / _FOLDER / f"{key}{suffix}"


def keep(key: str, suffix: str, text: str) -> Path:
    """Writes an alignment whole or not at all. Raises InputError where the cache cannot be written."""
    return write_atomically(writable_folder(_FOLDER) / f"{key}{suffix}", text)


def prepare_cache() -> None:
    """Makes the folder and removes what killed processes left there. Raises InputError where that cannot be done."""
    remove_unfinished(writable_folder(_FOLDER), age=_HOUR)


def read_ticket(request: Request) -> str | None:
    """The ticket of a request that was sent and has not been answered, None where there is none."""
    try:
        ticket = kept_file(request.key, ".ticket").read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return ticket if is_ticket(ticket) else None


def keep_ticket(request: Request, ticket: str) -> None:
    """Keeps the ticket of a request that was sent."""
    keep(request.key, ".ticket", f"{ticket}\n")


def forget_ticket(request: Request) -> None:
    """Removes a ticket that is of no further use."""
    kept_file(request.key, ".ticket").unlink(missing_ok=True)


def is_ticket(text: object) -> bool:
    """Whether a server's answer can be a ticket, which becomes part of addresses."""
    return isinstance(text, str) and _TICKET.fullmatch(text) is not None


def is_kept(files: Sequence[Path]) -> bool:
    """Whether all these files are there."""
    return all(path.is_file() for path in files)
