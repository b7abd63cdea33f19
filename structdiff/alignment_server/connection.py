"""Asking a server over HTTP: with limits of time and size, and again, ever later, where asking may help."""

from __future__ import annotations

import http.client
import json
import os
import random
import socket
import ssl
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn
from urllib.parse import urlencode

from structdiff.alignment_server.address import API_KEY, PASSWORD, USER, ServerAddress
from structdiff.alignment_server.transport import opener
from structdiff.errors import StructdiffError
from structdiff.version import __version__

#: Told with the name of the program, so that who runs a server can write to who uses it.
CONTACT = "STRUCTDIFF_MSA_CONTACT"
_BUSY = (408, 425, 429, 500, 502, 503, 504)
#: Too many requests: not a failure, so that only time limits how often it is asked.
_TOO_MANY = 429
_CHUNK_BYTES = 1 << 20
_ANSWER_BYTES = 1 << 20
#: Attempts to find a host by its name, which is wrong more often than the network is.
_NAME_ATTEMPTS = 3
_WAYS_OUT = "alignments of your own (msa: FILE.a3m), msa: empty, or another server do without it"

Report = Callable[[str], None]


class ServerError(StructdiffError):
    """A server of alignments gives none.

    lasting: nor will it to other requests of the next minutes. code: that of HTTP with which it refused, else 0.
    """

    def __init__(self, url: str, message: str, *, lasting: bool = False, code: int = 0) -> None:
        self.lasting, self.code = lasting, code
        super().__init__(f"alignment server {url}: {message}; {_WAYS_OUT}")


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long a server is waited for, in seconds.

    connect, read: until it takes a connection, until it says anything more. attempts: how often it is asked where it
    fails. first, longest: waits between them, each about twice that before. poll: the longest wait between two looks at
    a search that goes on. total: for one search. sleep, now: the clock.
    """

    connect: float = 15.0
    read: float = 120.0
    attempts: int = 8
    first: float = 2.0
    longest: float = 60.0
    poll: float = 20.0
    total: float = 4 * 3600.0
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)
    now: Callable[[], float] = field(default=time.monotonic, repr=False)

    def wait(self, turn: int, longest: float) -> float:
        """Seconds to wait in the turn (from 0): doubled each time, with chance so that not all come at once."""
        return random.uniform(0.6, 1.0) * min(longest, self.first * 2.0 ** min(turn, 30))


class _BrokenOff(Exception):
    """An attempt that may go better the next time. seconds: after which the server wants to be asked again."""

    def __init__(self, reason: str, *, seconds: float = 0.0, attempts: int | None = None) -> None:
        self.seconds, self.attempts = seconds, attempts
        super().__init__(reason)


class Connection:
    """A server that is asked, one question after another."""

    def __init__(self, address: ServerAddress, patience: Patience) -> None:
        self.url, self.patience = address.url, patience
        contact = "".join(letter for letter in os.environ.get(CONTACT, "") if letter.isascii() and letter.isprintable())
        self._agent = f"structdiff/{__version__}{f' ({contact.strip()})' if contact.strip() else ''}"
        self._secret = address.headers
        self._opener = opener(connect=patience.connect, read=patience.read)

    def fail(self, message: str, *, lasting: bool = False, code: int = 0) -> NoReturn:
        """Raises ServerError, which names the server and what to do."""
        raise ServerError(self.url, message, lasting=lasting, code=code)

    def ask(self, place: str, report: Report, form: Mapping[str, str] | None = None) -> dict[str, Any]:
        """What the server answers in JSON, to a form where there is one. Raises ServerError."""
        data = self.read(place, report, most=_ANSWER_BYTES, form=form)
        try:
            answer = json.loads(data)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            self.fail("this is no answer of the MMseqs2 API, is it the right address? It says "
                      f"{data[:60].decode('utf-8', 'replace')!r}")  # fmt: skip
        return answer

    def read(self, place: str, report: Report, *, most: int, form: Mapping[str, str] | None = None) -> bytes:
        """The bytes of an answer, at most so many. Raises ServerError."""
        turn, began = 0, self.patience.now()
        while True:
            try:
                return self._attempt(place, most, form)
            except _BrokenOff as error:
                turn += 1
                late = self.patience.now() - began > self.patience.total
                if late or turn >= (self.patience.attempts if error.attempts is None else error.attempts):
                    self.fail(f"{error} ({turn} attempts); try again later", lasting=True)
                seconds = max(self.patience.wait(turn - 1, self.patience.longest), error.seconds)
                report(f"{error}, again in {seconds:.0f} s")
                self.patience.sleep(seconds)

    def _attempt(self, place: str, most: int, form: Mapping[str, str] | None) -> bytes:
        request = urllib.request.Request(f"{self.url}/{place}", headers={"User-Agent": self._agent})
        if form is not None:
            request.data = urlencode(form).encode("ascii")
        for name, value in self._secret.items():
            request.add_unredirected_header(name, value)  # which no other server gets to know
        try:
            with self._opener.open(request) as answer:
                return self._body(answer, most)
        except urllib.error.HTTPError as error:
            with error:
                self._refused(error)
        except urllib.error.URLError as error:
            self._not_reached(error.reason)
        except (OSError, http.client.HTTPException) as error:
            raise _BrokenOff(f"the connection broke ({_in_words(error)})") from None

    def _body(self, answer: http.client.HTTPResponse, most: int) -> bytes:
        """All of an answer; one that ends before its time counts as broken off."""
        began, parts, size = self.patience.now(), [], 0
        while chunk := answer.read(_CHUNK_BYTES):
            parts.append(chunk)
            size += len(chunk)
            if size > most:
                self.fail(f"the answer is larger than {most / 1e6:.0f} MB")
            if self.patience.now() - began > self.patience.total:
                raise _BrokenOff("the answer does not come to an end")
        said = answer.headers.get("Content-Length", "")
        if said.isdecimal() and size < int(said):
            raise _BrokenOff(f"the connection broke ({size} of {said} bytes came)")
        return b"".join(parts)

    def _refused(self, error: urllib.error.HTTPError) -> NoReturn:
        reason = f"HTTP {error.code} {http.client.responses.get(error.code, '')}".strip()
        if error.code in _BUSY:
            later = error.headers.get("Retry-After", "") if error.headers is not None else ""
            seconds = min(float(later), 600.0) if later.isdecimal() else 0.0
            raise _BrokenOff(reason, seconds=seconds, attempts=sys.maxsize if error.code == _TOO_MANY else None)
        if error.code in (401, 403, 407):
            self.fail(f"it does not let us in ({reason}): {USER} and {PASSWORD}, or {API_KEY}, say who asks",
                      lasting=True)  # fmt: skip
        if 300 <= error.code < 400:
            self.fail(f"it sends us elsewhere ({reason}): name that address", lasting=True)
        if error.code in (404, 405):
            self.fail(f"{reason}: is this the address of a server of the MMseqs2 API?", lasting=True, code=error.code)
        said = " ".join(error.read(200).decode("utf-8", "replace").split())
        self.fail(f"{reason}: {said[:100]!r}", code=error.code)

    def _not_reached(self, reason: object) -> NoReturn:
        if isinstance(reason, ssl.SSLCertVerificationError):
            self.fail(f"its certificate cannot be trusted ({reason.verify_message})", lasting=True)
        known = isinstance(reason, socket.gaierror)
        words = "there is no such host, or no network" if known else f"it cannot be reached ({_in_words(reason)})"
        raise _BrokenOff(words, attempts=_NAME_ATTEMPTS if known else None)


def _in_words(reason: object) -> str:
    if isinstance(reason, TimeoutError):
        return "no answer in time"
    return (reason.strerror if isinstance(reason, OSError) else None) or str(reason) or type(reason).__name__
