"""The user's cache: what was fetched, and what was kept of structures in memory."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from structdiff.errors import InputError


def cache_folder() -> Path:
    """The user's cache: STRUCTDIFF_CACHE where it is set, else where the platform keeps caches."""
    chosen = os.environ.get("STRUCTDIFF_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "structdiff" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "structdiff"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "structdiff"


def writable_folder(name: str) -> Path:
    """A folder of the cache, made if need be. Raises InputError where nothing can be written into it."""
    folder = cache_folder() / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        reason = None if os.access(folder, os.W_OK | os.X_OK) else "no permission"
    except OSError as error:
        reason = error.strerror or str(error)
    if reason is not None:
        raise InputError(f"cannot be written: {reason}; STRUCTDIFF_CACHE names another cache", path=folder)
    return folder
