"""From Boltz-2's published file to a network that is loaded by name: a tiny one, from a server on this machine."""

from __future__ import annotations

import dataclasses
import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from structdiff.diffusion.sampler import SamplingConfig
from structdiff.errors import InputError
from structdiff.model.boltz import published as module
from structdiff.model.boltz.config import config_from_hyper_parameters
from structdiff.model.boltz.network import BoltzNetwork
from structdiff.model.boltz.published import AFFINITY_RECYCLES, RECYCLES, SAMPLING, fetch_network
from structdiff.model.checkpoint import load_weights, predicts_affinities, save_weights
from structdiff.model.library import load_named_weights, weights_folders
from structdiff.published_weights import is_present, weights_path
from structdiff.published_weights.catalogue import CATALOGUE, PublishedNetwork
from structdiff.published_weights.fetch import check_weights
from tests.model.boltz.checkpoints import tiny_checkpoint
from tests.parity.boltz2_affinity_cases import affinity_hyper_parameters
from tests.parity.boltz2_cases import hyper_parameters


@dataclass(frozen=True)
class Tiny:
    """A file as Boltz-2's is, the network it is of, and what the catalogue says of it."""

    data: bytes
    network: BoltzNetwork
    published: PublishedNetwork


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[bytes, BoltzNetwork]:
    path = tmp_path_factory.mktemp("published") / "boltz2_conf.ckpt"
    network = tiny_checkpoint(path)
    return path.read_bytes(), network


@pytest.fixture
def tiny(made: tuple[bytes, BoltzNetwork], server: str, monkeypatch, tmp_path: Path) -> Tiny:
    """The catalogue says of Boltz-2's weights what is true of the tiny ones."""
    data, network = made
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "boltz2_conf.ckpt").write_bytes(data)
    published = dataclasses.replace(
        CATALOGUE.networks["boltz2"], sha256=hashlib.sha256(data).hexdigest(), num_bytes=len(data),
        urls=(f"{server}/nowhere", f"{server}/boltz2_conf.ckpt"),
    )  # fmt: skip
    monkeypatch.setitem(CATALOGUE.networks, "boltz2", published)
    return Tiny(data=data, network=network, published=published)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments, **more) -> None:
            super().__init__(*arguments, directory=str(tmp_path / "served"), **more)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.setenv("STRUCTDIFF_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_from_the_published_file_to_a_network_by_name(tiny: Tiny, cache: Path) -> None:
    with pytest.raises(InputError, match="structdiff weights fetch boltz2 gets them"):
        load_named_weights("boltz2")
    state = torch.random.get_rng_state()
    folder = fetch_network(tiny.published)
    assert {each.name for each in (cache / "weights").iterdir()} == {"boltz2"}
    assert {each.name for each in folder.iterdir()} == {"config.json", "model.safetensors", "LICENSE"}
    assert "Permission is hereby granted" in (folder / "LICENSE").read_text()
    assert is_present("boltz2")
    assert weights_path("boltz2") == folder == weights_folders()["boltz2"]
    check_weights("boltz2")
    weights = load_named_weights("boltz2")
    assert torch.equal(torch.random.get_rng_state(), state)
    assert isinstance(weights.network, BoltzNetwork)
    assert weights.network.config == tiny.network.config
    found, wanted = weights.network.state_dict(), tiny.network.state_dict()
    assert found.keys() == wanted.keys()
    assert all(
        torch.equal(found[name], tensor) and found[name].dtype == torch.float32 for name, tensor in wanted.items()
    )
    everything = [*weights.network.parameters(), *weights.network.buffers()]
    assert not any(tensor.is_meta or tensor.requires_grad for tensor in everything)
    assert not weights.network.training
    assert (weights.name, weights.recycles, weights.sampling) == ("boltz2", RECYCLES, SAMPLING)
    assert weights.sha256 == hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert (weights.published["sha256"], weights.published["licence"]) == (tiny.published.sha256, "MIT")


def test_weights_of_affinities_are_kept_beside_them(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "boltz2_aff.ckpt"
    network = tiny_checkpoint(path, affinity_hyper_parameters())
    entry = CATALOGUE.networks["boltz2-affinity"]
    assert [url.rpartition("/")[2] for url in entry.urls] == [entry.file, entry.file] == ["boltz2_aff.ckpt"] * 2
    published = dataclasses.replace(
        entry, sha256=hashlib.sha256(path.read_bytes()).hexdigest(), num_bytes=path.stat().st_size
    )
    monkeypatch.setitem(CATALOGUE.networks, "boltz2-affinity", published)
    with pytest.raises(InputError, match="structdiff weights fetch boltz2-affinity gets them"):
        load_named_weights("boltz2-affinity")
    fetch_network(published, source=str(path))
    check_weights("boltz2-affinity")
    weights = load_named_weights("boltz2-affinity")
    assert isinstance(weights.network, BoltzNetwork)
    assert predicts_affinities(weights)
    assert (weights.recycles, weights.sampling, len(weights.network.affinity)) == (AFFINITY_RECYCLES, SAMPLING, 2)
    assert weights.network.config == network.config
    found = weights.network.state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in network.state_dict().items())
    assert found.keys() == network.state_dict().keys()
    assert not is_present("boltz2")


def test_buffers_outside_the_file_are_those_of_a_new_network(tiny: Tiny) -> None:
    fetch_network(tiny.published)
    found = dict(load_named_weights("boltz2").network.named_buffers())
    for name, buffer in BoltzNetwork(tiny.network.config).named_buffers():
        if name not in tiny.network.state_dict():
            assert torch.equal(found[name], buffer), name


def test_the_file_may_be_given(tiny: Tiny, tmp_path: Path, server: str) -> None:
    path = tmp_path / "elsewhere.ckpt"
    path.write_bytes(tiny.data)
    folder = fetch_network(tiny.published, source=str(path))
    assert path.read_bytes() == tiny.data
    before = {each.name: each.read_bytes() for each in folder.iterdir()}
    for url in (f"{server}/boltz2_conf.ckpt", path.as_uri()):
        (folder / "config.json").unlink()
        fetch_network(tiny.published, source=url)
        assert {each.name: each.read_bytes() for each in folder.iterdir()} == before


def test_another_file_is_refused_and_nothing_is_kept(tiny: Tiny, tmp_path: Path, cache: Path) -> None:
    changed = tiny.data[:-1] + bytes([tiny.data[-1] ^ 1])
    for where in (tmp_path / "x.ckpt", tmp_path / "served" / "boltz2_conf.ckpt"):
        where.write_bytes(changed)
    for source in (str(tmp_path / "x.ckpt"), None):
        with pytest.raises(InputError, match=r"not boltz2_conf\.ckpt as published: its SHA-256 is"):
            fetch_network(tiny.published, source=source)
    assert not [each for each in cache.rglob("*") if each.is_file()]
    assert not is_present("boltz2")


def test_without_a_network_the_way_out_is_named(tiny: Tiny) -> None:
    away = dataclasses.replace(tiny.published, urls=("http://127.0.0.1:9/a", "http://127.0.0.1:9/b"))
    with pytest.raises(InputError, match=r"9/a: .*9/b: .*Get boltz2_conf\.ckpt elsewhere.*fetch boltz2 --from boltz2"):
        fetch_network(away)
    with pytest.raises(InputError, match=r"nowhere\.ckpt: cannot be read"):
        fetch_network(tiny.published, source="nowhere.ckpt")


def test_a_checkpoint_that_does_not_fit_is_refused(tiny: Tiny, tmp_path: Path, cache: Path, monkeypatch) -> None:
    """As another version of Boltz-2 would be, if the catalogue named it."""
    rename = module.to_own_names

    def one_less(state: dict, **how: bool) -> dict:
        return dict(list(rename(state, **how).items())[1:])

    monkeypatch.setattr(module, "to_own_names", one_less)
    with pytest.raises(InputError, match="1 tensors do not fit the network"):
        fetch_network(tiny.published)
    assert not is_present("boltz2")
    assert (cache / "weights" / "boltz2_conf.ckpt.part").stat().st_size == len(tiny.data)  # not to be fetched again
    monkeypatch.undo()


def test_damage_after_fetching_is_found(tiny: Tiny) -> None:
    folder = fetch_network(tiny.published)
    file = folder / "model.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(InputError, match="not the published weights"):
        check_weights("boltz2")
    file.write_bytes(data[:-1])
    with pytest.raises(InputError, match="cannot be read"):
        load_named_weights("boltz2")
    (folder / "config.json").write_text("{}")
    with pytest.raises(InputError, match="not the published weights"):
        check_weights("boltz2")


def test_other_networks_and_what_only_own_ones_can_do_are_refused(tiny: Tiny, tmp_path: Path) -> None:
    folder = fetch_network(tiny.published)
    with pytest.raises(InputError, match="needs a network of structdiff's own"):
        _ = load_weights(folder).own_network
    with pytest.raises(InputError, match="cannot be trained anew"):
        load_weights(folder, fresh_confidence=True)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"architecture": "boltz9"}))
    with pytest.raises(
        InputError, match=r"config\.json: architecture: no such network \(found 'boltz9'; allowed: boltz2"
    ):
        load_weights(folder)


def test_a_network_is_written_as_any_other(tiny: Tiny, tmp_path: Path) -> None:
    save_weights(tiny.network, tmp_path / "half", training={}, half=True)
    found = load_weights(tmp_path / "half")
    assert isinstance(found.network, BoltzNetwork)
    for name, tensor in tiny.network.state_dict().items():
        assert torch.equal(found.network.state_dict()[name], tensor.bfloat16().float())


def test_sampling_is_boltzs() -> None:
    """Levels by the formula of Boltz's schedule, with the numbers of its program."""
    config = SamplingConfig(**SAMPLING)  # type: ignore[arg-type]
    levels = config.levels()
    place = torch.arange(200, dtype=torch.float64) / 199
    wanted = 16.0 * (160.0 ** (1 / 7) + place * (0.0001 ** (1 / 7) - 160.0 ** (1 / 7))) ** 7
    assert torch.allclose(torch.tensor(levels[:-1], dtype=torch.float64), wanted, rtol=1e-12)
    assert levels[-1] == 0
    assert config.build_solver().churn_min_sigma == 1.0


_LOADING = """
import sys
import structdiff.model.library as library
def private():
    return sum(int(line.split()[1]) for line in open("/proc/self/smaps_rollup") if line.startswith("Private_Dirty"))
from pathlib import Path
library.load_weights(Path(sys.argv[2]))
before = private()
weights = library.load_weights(Path(sys.argv[1]))
print(private() - before, sum(p.numel() for p in weights.network.parameters()) * 4 // 1024)
"""


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="memory is told apart by Linux alone")
def test_loading_takes_no_memory_until_the_numbers_are_used(tiny: Tiny, tmp_path: Path) -> None:
    large = config_from_hyper_parameters(hyper_parameters(full=True))
    save_weights(BoltzNetwork(large), tmp_path / "large", training={}, half=False)
    save_weights(tiny.network, tmp_path / "tiny", training={}, half=False)
    ran = subprocess.run(
        [sys.executable, "-c", _LOADING, tmp_path / "large", tmp_path / "tiny"],
        capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    taken, size = map(int, ran.stdout.split())  # KiB
    assert size > 100_000
    assert taken < size / 8
