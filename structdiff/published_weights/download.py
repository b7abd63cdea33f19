"""Large files from the network: told before, resumed where a connection broke, tried at one address after another."""

from __future__ import annotations

import http.client
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

from structdiff.errors import InputError, ResourceError

SECONDS_WITHOUT_ANSWER = 30
_CHUNK_BYTES = 1 << 20
#: How often in a row a connection may bring nothing before the next address is tried, and the pause between (seconds).
_FRUITLESS, _PAUSE = 3, 1.0
#: Answers that another try may mend.
_PASSING = (408, 425, 429, 500, 502, 503, 504)
_REFUSED_RANGE = 416

OnBytes = Callable[[int], None]
"""Called with the number of bytes that are there."""


def download(urls: Sequence[str], path: Path, *, num_bytes: int, on_bytes: OnBytes | None = None) -> None:
    """Gets a file of a known size; what ``path`` holds already is its beginning and is not fetched again.

    A connection that breaks is taken up where it broke. What is there stays when nothing more can be had, so that the
    next call goes on from it. Whether the bytes are the right ones is for the caller to check.

    Raises InputError, with what each address answered, when the file cannot be had.
    """
    answers = []
    for url in urls:
        fruitless = 0
        while (have := _size(path)) != num_bytes and fruitless < _FRUITLESS:
            if fruitless:
                time.sleep(_PAUSE)
            reason, passing = _take_up(url, path, have, num_bytes, on_bytes)
            if reason is None:
                continue
            fruitless = 0 if _size(path) > have else fruitless + 1
            if not passing:
                break
        if _size(path) == num_bytes:
            return
        answers.append(f"{url}: {reason}")
    kept = f"; {_size(path) / 1e6:.0f} of {num_bytes / 1e6:.0f} MB are here and will not be fetched again"
    raise InputError("cannot be downloaded: " + "; ".join(answers) + (kept if _size(path) else ""), path=path.name)


def check_space(folder: Path, num_bytes: int, what: str) -> None:
    """Raises ResourceError where a folder has no room for so many bytes."""
    free = shutil.disk_usage(folder).free
    if free < num_bytes:
        raise ResourceError(
            f"{folder}: {what} takes {num_bytes / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free; "
            "STRUCTDIFF_CACHE names another place"
        )


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _take_up(url: str, path: Path, have: int, num_bytes: int, on_bytes: OnBytes | None) -> tuple[str | None, bool]:
    """Fetches what is missing; gives why it ended early, if it did, and whether another try may mend that."""
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=SECONDS_WITHOUT_ANSWER) as answer:
            resumed = answer.status == http.HTTPStatus.PARTIAL_CONTENT and _begins_at(answer, have)
            stated = answer.headers.get("Content-Length")
            begin = have if resumed else 0
            if stated is not None and stated.isdecimal() and begin + int(stated) != num_bytes:
                return f"holds {begin + int(stated)} bytes where {num_bytes} were expected", False
            _copy(answer, path, begin, num_bytes, on_bytes)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == _REFUSED_RANGE:  # what is here is longer than the file there, or no part of it
            path.unlink(missing_ok=True)
        return f"answered {error.code} {error.reason}", error.code in (*_PASSING, _REFUSED_RANGE)
    except urllib.error.URLError as error:
        reason = error.reason
        passing = isinstance(reason, TimeoutError | ConnectionError) and not isinstance(reason, ConnectionRefusedError)
        return f"cannot be reached: {reason}", passing
    except (http.client.HTTPException, OSError) as error:
        return f"the connection broke: {error or type(error).__name__}", True
    except ValueError as error:
        return f"no address: {error}", False
    return (None, True) if _size(path) == num_bytes else ("the connection broke", True)


def _begins_at(answer: http.client.HTTPResponse, have: int) -> bool:
    return (answer.headers.get("Content-Range") or "").startswith(f"bytes {have}-")


def _copy(answer: http.client.HTTPResponse, path: Path, have: int, num_bytes: int, on_bytes: OnBytes | None) -> None:
    """Writes what the answer brings, as many bytes as the file may have, and tells how many there are."""
    mode = "ab" if have else "wb"
    while have < num_bytes:
        chunk = answer.read(min(_CHUNK_BYTES, num_bytes - have))
        if not chunk:
            return
        _write(path, mode, chunk)
        mode, have = "ab", have + len(chunk)
        if on_bytes is not None:
            on_bytes(have)


def _write(path: Path, mode: str, chunk: bytes) -> None:
    """Raises ResourceError where that is not possible: no other address mends it."""
    try:
        with path.open(mode) as file:
            file.write(chunk)
    except OSError as error:
        raise ResourceError(f"{path}: cannot be written: {error.strerror or error}") from None
