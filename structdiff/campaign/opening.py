"""How the file of a manifest is opened, to write or only to look, and what is said of one that cannot be."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from pathlib import Path

from structdiff.errors import InputError, ResourceError

#: The version of the tables, kept in the file.
FORMAT = 1
_NEW_TABLES = """
CREATE TABLE IF NOT EXISTS requests (id INTEGER PRIMARY KEY, hash TEXT UNIQUE NOT NULL, text TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS runs (name TEXT PRIMARY KEY, facts TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS workers (name TEXT PRIMARY KEY, beat REAL NOT NULL);
CREATE TABLE IF NOT EXISTS work (
  id INTEGER PRIMARY KEY, run TEXT NOT NULL, stage TEXT NOT NULL, name TEXT NOT NULL, number INTEGER NOT NULL,
  seed INTEGER NOT NULL, input_hash TEXT NOT NULL, weights_hash TEXT NOT NULL,
  request INTEGER NOT NULL REFERENCES requests (id), parent TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'waiting',
  worker TEXT, seconds REAL, attempts INTEGER NOT NULL DEFAULT 0, error TEXT, result TEXT, UNIQUE (stage, name)
);
CREATE INDEX IF NOT EXISTS work_by_state ON work (state, stage, number);
"""
#: Beside the file there may be these, of a process that is writing or was killed.
_COMPANIONS = ("-wal", "-shm")
#: Bytes with which a file can still grow.
_LEAST_FREE = 64 * 1024
_WAY_OUT = "choose another --out, or make all designs anew with --overwrite"


def open_to_write(path: Path) -> sqlite3.Connection:
    """The database, with its tables; made where there is none. Raises InputError, or ResourceError for a full disk."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(path, timeout=60.0, isolation_level=None)
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=60000"):
            database.execute(f"PRAGMA {pragma}")
        _check_format(database, path)
        database.executescript(f"{_NEW_TABLES}PRAGMA user_version={FORMAT};")
    except (sqlite3.Error, OSError) as error:
        raise trouble(error, path) from None
    return database


def open_to_read(path: Path) -> sqlite3.Connection:
    """The database as it is, whoever is writing, also on a disk that is full or read-only. Raises InputError."""
    try:
        database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=60.0, isolation_level=None)
        _check_format(database, path)
        database.execute("SELECT 1 FROM runs").fetchone()
    except sqlite3.OperationalError:  # SQLite needs a file beside it even to read, and may not make one here
        database = _copied(path)
        _check_format(database, path)
    except sqlite3.Error as error:
        raise trouble(error, path) from None
    return database


def _copied(path: Path) -> sqlite3.Connection:
    """The database and what was not written into it yet, copied into memory."""
    try:
        with tempfile.TemporaryDirectory(prefix="structdiff-manifest-") as folder:
            copy = Path(folder) / path.name
            for ending in ("", "-wal"):
                if (source := path.with_name(path.name + ending)).is_file():
                    shutil.copyfile(source, copy.with_name(copy.name + ending))
            database = sqlite3.connect(":memory:", isolation_level=None)
            there = sqlite3.connect(copy)
            there.backup(database)
            there.close()
    except (sqlite3.Error, OSError) as error:
        raise trouble(error, path) from None
    return database


def trouble(error: Exception, path: Path) -> InputError | ResourceError:
    """What is wrong with a manifest, for the person at the keyboard."""
    full = "full" in str(error) or ("disk I/O" in str(error) and shutil.disk_usage(path.parent).free < _LEAST_FREE)
    if isinstance(error, sqlite3.OperationalError) and full:
        return ResourceError(f"{path}: the disk is full")
    if isinstance(error, sqlite3.OperationalError) and "disk I/O" in str(error):  # all that SQLite says of a quota
        return ResourceError(f"{path}: {error}: the disk is full, or a quota on it or a limit of file sizes is reached")
    if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
        return InputError(f"the manifest is damaged ({error}); finished designs are whole, but what is left to do "
                          f"is not known: {_WAY_OUT}", path=path)  # fmt: skip
    return InputError(f"this cannot be used as a manifest: {error}", path=path)


def set_aside_unusable(path: Path) -> Path | None:
    """Gives a manifest that is damaged, or of another version, another name; what that is, None where it is usable."""
    if not path.is_file():
        return None
    try:
        database = open_to_read(path)
        try:
            whole = database.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)
        finally:
            database.close()
    except (sqlite3.DatabaseError, InputError):
        whole = False
    if whole:
        return None
    aside = path.with_name(f"{path.name}.unusable")
    path.replace(aside)
    for ending in _COMPANIONS:
        path.with_name(path.name + ending).unlink(missing_ok=True)
    return aside


def _check_format(database: sqlite3.Connection, path: Path) -> None:
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version not in (0, FORMAT):
        raise InputError(f"this manifest is of another version of structdiff: {_WAY_OUT}", path=path, found=version,
                         allowed=str(FORMAT))  # fmt: skip
