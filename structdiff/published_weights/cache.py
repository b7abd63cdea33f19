"""Where fetched weights lie on this machine: in the user's cache, a safetensors file a name, or a folder a network."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from structdiff.cache import cache_folder
from structdiff.errors import InputError
from structdiff.published_weights.catalogue import CATALOGUE, Catalogue

_CHUNK_BYTES = 1 << 22


def weights_file(name: str) -> Path:
    """Where the weights of a full name lie, or would lie once fetched."""
    return cache_folder() / "weights" / f"{name}.safetensors"


def network_folder(name: str) -> Path:
    """Where the folder of a structure network lies, or would lie once fetched and converted."""
    return cache_folder() / "weights" / name


def licence_file(package: str) -> Path:
    """Where the licence of a package lies, or would lie once fetched."""
    return cache_folder() / "weights" / f"LICENSE-{package}.txt"


def is_present(name: str, *, catalogue: Catalogue = CATALOGUE) -> bool:
    """Whether published weights have been fetched; for several (``trrosetta``) whether all have.

    Raises InputError for a name that is not in the catalogue.
    """
    return all(_place(each, catalogue) is not None for each in catalogue.full_names(name))


def weights_path(name: str, *, catalogue: Catalogue = CATALOGUE) -> Path:
    """The safetensors file of published weights, for instance ``weights_path("proteinmpnn_v_48_020")``.

    Of a structure network (``boltz2``) it is the folder. Raises InputError that says how to fetch them when they are
    not here, and for a name that stands for several.
    """
    first, *more = catalogue.full_names(name)
    if more:
        raise InputError("stands for several files: name one", key="weights", found=name, allowed=[first, *more])
    path = _place(first, catalogue)
    if path is None:
        source = catalogue.networks[first] if first in catalogue.networks else catalogue.package_of(name)
        raise InputError(
            f"the weights {name} are not here yet: structdiff weights fetch {source.name} gets them "
            f"({source.megabytes} MB, once)",
            key="weights",
        )  # fmt: skip
    return path


def _place(name: str, catalogue: Catalogue) -> Path | None:
    """Where the weights of a full name lie, None if they are not here. A folder's config.json is written last."""
    if name in catalogue.networks:
        folder = network_folder(name)
        return folder if (folder / "config.json").is_file() else None
    path = weights_file(name)
    return path if path.is_file() else None


def weights_sha256(name: str) -> str:
    """The checksum of the file of published weights; raises InputError as `weights_path` does."""
    path = weights_path(name)
    return _sha256(path, path.stat().st_mtime_ns)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file of any size. Raises InputError where it cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", path=path) from None
    return digest.hexdigest()


@lru_cache(maxsize=16)
def _sha256(path: Path, changed: int) -> str:
    """Kept until the file changes, since each design of many asks for it."""
    return file_sha256(path)
