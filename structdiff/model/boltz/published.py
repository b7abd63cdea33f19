"""Boltz-2's published file to a folder of weights: fetched, read without running anything in it, converted once."""

from __future__ import annotations

from pathlib import Path

from structdiff.errors import InputError
from structdiff.model.boltz.config import config_from_hyper_parameters
from structdiff.model.boltz.names import to_own_names
from structdiff.model.checkpoint import boltz_network, write_network
from structdiff.published_weights.cache import network_folder
from structdiff.published_weights.catalogue import CATALOGUE, PublishedNetwork
from structdiff.published_weights.download import OnBytes
from structdiff.published_weights.fetch import fetched_file
from structdiff.published_weights.lightning import read_lightning
from structdiff.structure.files import write_atomically

#: As Boltz-2's own program predicts: the noise levels are its 1e-4 and 160 times 16 Å.
SAMPLING: dict[str, object] = {
    "steps": 200, "solver": "stochastic", "churn": 0.8, "churn_min_sigma": 1.0, "noise_scale": 1.003,
    "step_scale": 1.5, "sigma_max": 2560.0, "sigma_min": 0.0016, "rho": 7.0, "augment": True, "align": True,
}  # fmt: skip
RECYCLES, AFFINITY_RECYCLES = 3, 5


def fetch_network(
    network: PublishedNetwork = CATALOGUE.networks["boltz2"],
    *,
    source: str | None = None,
    on_bytes: OnBytes | None = None,
) -> Path:
    """Fetches Boltz-2's weights into the user's cache and gives their folder.

    source: the published file elsewhere, by path or URL; on_bytes: told how many bytes of it are here.
    Raises InputError when it cannot be had, is not the published file, or does not fit the network.
    """
    folder = network_folder(network.name)
    with fetched_file(network, source=source, on_bytes=on_bytes) as path:
        return convert(path, folder, network)


def convert(path: Path, folder: Path, network: PublishedNetwork) -> Path:
    """Writes the folder of weights made of a checkpoint: the weights that Boltz predicts with, in float32.

    Those are its ``state_dict``: moving averages, if there are any, are not read by Boltz when it predicts either.
    Raises InputError for a file that is no such checkpoint.
    """
    checkpoint = read_lightning(path)
    try:
        config = config_from_hyper_parameters(checkpoint.settings("hyper_parameters"))
    except InputError as error:
        raise InputError(str(error), path=path) from None
    made = boltz_network(config, to_own_names(checkpoint.tensors("state_dict")), path=path)
    facts = {
        "sampling": SAMPLING,
        "recycles": AFFINITY_RECYCLES if config.affinity else RECYCLES,
        "published": {
            "name": network.name, "file": network.file, "url": network.urls[-1], "sha256": network.sha256,
            "licence": network.licence, "citation": network.citation,
        },
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "LICENSE", network.licence_text)
    write_network(made, folder, facts, half=False)
    return folder
