"""Large downloads: resumed where a connection broke, tried elsewhere, never more than the file."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from structdiff.errors import InputError, ResourceError
from structdiff.published_weights import download as module
from structdiff.published_weights.download import check_space, download

DATA = bytes(range(256)) * 1000


class Server:
    """Serves DATA under any name, in the way that the first part of the name tells; keeps what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None]] = []
        self.url = ""

    def answer(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        kind, wanted = handler.path.strip("/"), handler.headers.get("Range")
        self.asked.append((kind, wanted))
        if kind in ("404", "503"):
            handler.send_error(int(kind))
            return
        begin = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and kind != "whole" else 0
        if begin >= len(DATA):
            handler.send_error(416)
            return
        data = DATA + b"more" if kind == "longer" else DATA
        handler.send_response(206 if begin else 200)
        if begin:
            handler.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        handler.send_header("Content-Length", str(len(data) - begin))
        handler.end_headers()
        broken = kind == "breaks" or (kind in ("once", "whole") and len(self.asked) == 1)
        handler.wfile.write(data[begin : begin + 100_000] if broken else data[begin:])


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    monkeypatch.setattr(module, "_PAUSE", 0.0)
    serving = Server()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            serving.answer(self)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        serving.url = f"http://127.0.0.1:{running.server_port}"
        yield serving
        running.shutdown()


@pytest.fixture
def get(server: Server, tmp_path: Path) -> Callable[..., list[int]]:
    def run(*kinds: str) -> list[int]:
        told: list[int] = []
        urls = [f"{server.url}/{kind}" for kind in kinds]
        download(urls, tmp_path / "file", num_bytes=len(DATA), on_bytes=told.append)
        assert (tmp_path / "file").read_bytes() == DATA
        return told

    return run


def test_a_broken_connection_is_taken_up_where_it_broke(get, server: Server) -> None:
    told = get("once")
    assert server.asked == [("once", None), ("once", "bytes=100000-")]
    assert told == sorted(told)
    assert told[-1] == len(DATA)


def test_each_piece_counts_where_every_connection_breaks(get, server: Server) -> None:
    get("breaks")
    assert [wanted for _, wanted in server.asked] == [None, "bytes=100000-", "bytes=200000-"]


def test_the_next_call_goes_on_from_what_is_there(get, server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(DATA[:777])
    get("plain")
    assert server.asked == [("plain", "bytes=777-")]
    get("plain")  # nothing is asked for when all is there
    assert len(server.asked) == 1


def test_a_server_that_knows_no_parts_sends_all_again(get, server: Server) -> None:
    get("whole")
    assert server.asked == [("whole", None), ("whole", "bytes=100000-")]


def test_what_is_too_long_is_thrown_away(get, server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(DATA + b"more")
    get("plain")
    assert [wanted for _, wanted in server.asked] == [f"bytes={len(DATA) + 4}-", None]


def test_the_next_address_is_tried(get, server: Server) -> None:
    get("404", "longer", "503", "plain")
    assert [kind for kind, _ in server.asked] == ["404", "longer", "503", "503", "503", "plain"]


def test_what_every_address_answered_is_told(server: Server, tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(DATA[: len(DATA) // 2])
    urls = [f"{server.url}/404", f"{server.url}/longer", "http://127.0.0.1:9/x", "http://", "ftp://127.0.0.1:9/x"]
    with pytest.raises(InputError) as error:
        download(urls, path, num_bytes=len(DATA))
    text = str(error.value)
    for part in (
        "404: answered 404",
        "256004 bytes where 256000",
        "9/x: cannot be reached",
        "will not be fetched again",
    ):
        assert part in text
    assert path.read_bytes() == DATA[: len(DATA) // 2]


def test_a_full_disk_is_told(server: Server, tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="cannot be written"):
        download([f"{server.url}/plain"], tmp_path / "no" / "file", num_bytes=len(DATA))
    check_space(tmp_path, 1, "it")
    with pytest.raises(ResourceError, match=r"it takes 1000000000\.0 GB, and .* are free; STRUCTDIFF_CACHE"):
        check_space(tmp_path, 10**18, "it")
