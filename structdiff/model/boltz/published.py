"""Published files of Boltz-2 and BoltzGen to folders of weights: nothing in them is run, each is converted once."""

from __future__ import annotations

from pathlib import Path

from structdiff.errors import InputError
from structdiff.model.boltz.config import config_from_hyper_parameters
from structdiff.model.boltz.design_config import design_config
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
#: As BoltzGen's own program draws half of its designs (the other half with step scale 2.0 and noise scale 0.88): it
#: multiplies noise by its scale twice. Its schedule spends more steps where the fold is decided.
SAMPLING_OF_DESIGNS: dict[str, object] = SAMPLING | {
    "steps": 500, "noise_scale": 0.95**2, "step_scale": 1.8, "sigma_min": 0.0064, "dilation": 2.667,
}  # fmt: skip


def fetch_network(
    network: PublishedNetwork = CATALOGUE.networks["boltz2"],
    *,
    source: str | None = None,
    on_bytes: OnBytes | None = None,
) -> Path:
    """Fetches the weights of a network into the user's cache and gives their folder.

    source: the published file elsewhere, by path or URL; on_bytes: told how many bytes of it are here.
    Raises InputError when it cannot be had, is not the published file, or does not fit the network.
    """
    folder = network_folder(network.name)
    with fetched_file(network, source=source, on_bytes=on_bytes) as path:
        return convert(path, folder, network)


def convert(path: Path, folder: Path, network: PublishedNetwork) -> Path:
    """Writes the folder of weights made of a checkpoint: those that its own program uses, in float32.

    Those are its ``state_dict``: moving averages, if there are any, are read neither by Boltz when it predicts nor by
    BoltzGen when it designs.
    Raises InputError for a file that is no such checkpoint.
    """
    checkpoint = read_lightning(path)
    try:
        settings = checkpoint.settings("hyper_parameters")
        config = design_config(settings) if network.designs else config_from_hyper_parameters(settings)
    except InputError as error:
        raise InputError(str(error), path=path) from None
    state = to_own_names(checkpoint.tensors("state_dict"), designs=network.designs)
    made = boltz_network(config, state, path=path)
    facts = {
        "sampling": SAMPLING_OF_DESIGNS if network.designs else SAMPLING,
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
