"""The weights at hand: those installed with structdiff and those fetched, by name, and any folder."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

from structdiff.arguments import as_path
from structdiff.errors import InputError
from structdiff.model.checkpoint import CONFIG_FILE, Weights, load_weights
from structdiff.published_weights.cache import is_present, weights_path
from structdiff.published_weights.catalogue import CATALOGUE

#: Those that come with structdiff and are used where none are named.
DEFAULT_WEIGHTS = "mini"


def weights_folders() -> dict[str, Path]:
    """The weights installed with structdiff, and those of others' networks that were fetched, by name."""
    folders: dict[str, Path] = {}
    package = Path(str(resources.files("structdiff")))
    # Installed, they are inside the package; in a checkout, beside it.
    for root in (package / "weights", package.parent / "weights"):
        if root.is_dir():
            for folder in sorted(root.iterdir()):
                if (folder / CONFIG_FILE).is_file():
                    folders.setdefault(folder.name, folder)
    for name in CATALOGUE.networks:
        if is_present(name):
            folders.setdefault(name, weights_path(name))
    return folders


def weights_sha256(name: str) -> str:
    """The SHA-256 of the weights of a name, as `load_named_weights` tells it, without loading them. Raises InputError.

    For weights of others' networks, which keep it beside them.
    """
    return str(json.loads((weights_path(name) / CONFIG_FILE).read_text())["sha256"])


def load_named_weights(name: str | Path, *, key: str = "weights", fresh_confidence: bool = False) -> Weights:
    """Weights by name or folder (fresh_confidence: see ``load_weights``).

    Raises InputError under key, with the names at hand, when there are none such, and how to fetch published ones.
    """
    as_path(name, key, "a name, or the path of a folder")
    folders = weights_folders()
    if str(name) in folders:
        return load_weights(folders[str(name)], fresh_confidence=fresh_confidence)
    if Path(name).is_dir():
        return load_weights(Path(name), fresh_confidence=fresh_confidence)
    if str(name) in CATALOGUE.networks:
        weights_path(str(name))  # says how they are fetched
    raise InputError(
        "no such weights, neither by name nor as a folder", key=key, found=str(name),
        allowed=list(folders) or "none are installed", suggest_from=folders,
    )  # fmt: skip
