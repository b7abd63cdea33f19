"""A server on this machine that answers as ColabFold's does, and as it does when things go wrong."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

ENVIRONMENT = "bfd.mgnify30.metaeuk30.smag30.a3m"


def archive(files: dict[str, str]) -> bytes:
    """A packed archive of texts."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return gzip.compress(stream.getvalue())


def unpaired(sequences: list[str]) -> dict[str, str]:
    """What a search of each sequence finds: one of UniRef with an insertion, one of metagenomes."""
    uniref = "".join(f">{101 + n}\n{s}\n>UniRef100_A{n}\t9\n{s[:-1]}gg-\n\0" for n, s in enumerate(sequences))
    others = "".join(f">{101 + n}\n{s}\n>meta{n}\t7\n-{s[1:]}\n\0" for n, s in enumerate(sequences))
    return {"uniref.a3m": uniref, ENVIRONMENT: others, "msa.sh": "#!/bin/sh\n", "../outside": "no"}


def paired(sequences: list[str]) -> dict[str, str]:
    """Three rows below the sequences: of both, of the first alone, of both."""
    text = ""
    for n, s in enumerate(sequences):
        second = "-" * len(s) if n else f"W{s[1:]}"
        text += (
            f">{101 + n}\n{s}\n>UniRef100_P{n}\nAA{s[2:]}\n>UniRef100_Q{n}\n{second}\n>UniRef100_R{n}\nGG{s[2:]}\n\0"
        )
    return {"pair.a3m": text}


class Imitation:
    """What the server was asked, and what it is to answer.

    script: answers that come before the usual ones, by "submit", "status" and "download": a status, a number of HTTP,
    "broken" (the connection ends), "short" (not all comes), or bytes.
    """

    def __init__(self) -> None:
        self.script: dict[str, list] = {"submit": [], "status": [], "download": []}
        self.submitted: list[tuple[str, str, list[str]]] = []
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.files: dict[str, dict[str, str]] = {}
        self.retry_after = ""
        self.elsewhere = "http://127.0.0.1:9/elsewhere"
        self.url = ""

    def submit(self, place: str, form: dict[str, list[str]]) -> str:
        sequences = form["q"][0].split("\n")[1::2]
        self.submitted.append((place, form["mode"][0], sequences))
        ticket = hashlib.sha256(repr(self.submitted[-1]).encode()).hexdigest()[:20]
        self.files[ticket] = paired(sequences) if place == "/ticket/pair" else unpaired(sequences)
        return ticket


def _path(address: str) -> str:
    """What is asked for; proxies are asked for whole addresses."""
    return address.partition("/api")[2]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"
    imitation: Imitation

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        own = self.imitation
        own.headers.append(dict(self.headers))
        own.asked.append("submit")
        if not self._scripted("submit"):
            self._json({"id": own.submit(_path(self.path), form), "status": "PENDING"})

    def do_GET(self) -> None:
        own = self.imitation
        own.headers.append(dict(self.headers))
        _, kind, *rest = _path(self.path).split("/")
        step = "status" if kind == "ticket" else "download"
        own.asked.append(step)
        if self._scripted(step):
            return
        if step == "status":
            self._json({"id": rest[-1], "status": "COMPLETE" if rest[-1] in own.files else "UNKNOWN"})
        else:
            self._send(archive(own.files[rest[-1]]))

    def _scripted(self, step: str) -> bool:
        if not self.imitation.script[step]:
            return False
        answer = self.imitation.script[step].pop(0)
        if answer == "broken":
            self.close_connection = True
        elif answer == "short":
            self._send(b"x" * 10, length=1000)
        elif isinstance(answer, int):
            self.send_response(answer)
            if self.imitation.retry_after:
                self.send_header("Retry-After", self.imitation.retry_after)
            if answer < 400:
                self.send_header("Location", self.imitation.elsewhere)
            self.end_headers()
        elif isinstance(answer, bytes):
            self._send(answer)
        else:
            self._json({"id": "abc", "status": answer})
        return True

    def _json(self, answer: dict[str, str]) -> None:
        self._send(json.dumps(answer).encode())

    def _send(self, data: bytes, length: int | None = None) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(data) if length is None else length))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def imitated() -> Iterator[Imitation]:
    """The server while the block runs."""
    own = Imitation()
    handler = type("Handler", (_Handler,), {"imitation": own})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    own.url = f"http://127.0.0.1:{server.server_port}/api"
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02))
    thread.start()
    try:
        yield own
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Clock:
    """Time that passes when somebody sleeps, and not otherwise."""

    def __init__(self) -> None:
        self.time = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds

    def now(self) -> float:
        return self.time
