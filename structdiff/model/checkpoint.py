"""Weights on disk: a folder with config.json and model.safetensors."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from structdiff.configuration import from_dict, to_dict
from structdiff.errors import InputError
from structdiff.model.network import ModelConfig, StructureNetwork
from structdiff.published_weights.cache import file_sha256
from structdiff.published_weights.conversion import write_safetensors
from structdiff.structure.files import write_atomically

if TYPE_CHECKING:
    from structdiff.model.boltz.config import BoltzConfig
    from structdiff.model.boltz.network import BoltzNetwork

CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"
#: What config.json says of a network that is not structdiff's own.
BOLTZ = "boltz2"
_CONFIDENCE = "confidence."


@dataclass(frozen=True, kw_only=True)
class Weights:
    """A network ready for use, and where it came from.

    sha256: of the weights file. sampling: the settings recommended for them. recycles: further passes of the trunk that
    are. training: how they were made. published: by whom, under which licence, where it was not structdiff.
    """

    network: StructureNetwork | BoltzNetwork
    name: str
    path: Path
    sha256: str
    sampling: dict[str, object] = dataclasses.field(default_factory=dict)
    recycles: int = 0
    training: dict[str, object] = dataclasses.field(default_factory=dict)
    published: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def mapped_bytes(self) -> int:
        """Bytes of the file in which the parameters of others' networks stay; structdiff's own are small."""
        return (self.path / WEIGHTS_FILE).stat().st_size if self.published else 0

    @property
    def own_network(self) -> StructureNetwork:
        """The network, for what only structdiff's own can do. Raises InputError for weights of others' networks."""
        if isinstance(self.network, StructureNetwork):
            return self.network
        raise InputError("these weights predict; this needs a network of structdiff's own", path=self.path,
                         found=BOLTZ, allowed="weights that structdiff train made")  # fmt: skip


def predicts_affinities(weights: Weights) -> bool:
    """Whether weights say how strongly ligands bind."""
    return not isinstance(weights.network, StructureNetwork) and len(weights.network.affinity) > 0


def save_weights(
    network: StructureNetwork | BoltzNetwork,
    folder: Path,
    *,
    training: dict[str, object],
    sampling: dict[str, object] | None = None,
    half: bool = True,
) -> None:
    """Writes config.json and model.safetensors (bfloat16 if half) whole or not at all.

    training says how the weights were made, sampling which settings suit them.
    """
    write_network(network, folder, {"sampling": sampling or {}, "training": training}, half=half)


def write_network(
    network: StructureNetwork | BoltzNetwork, folder: Path, facts: Mapping[str, object], *, half: bool
) -> None:
    """The same with other facts about the weights: what `Weights` has of ``sampling``, ``recycles`` and so on.

    config.json comes last: where it is, the weights are whole.
    """
    folder.mkdir(parents=True, exist_ok=True)
    dtype = torch.bfloat16 if half else torch.float32
    digest = write_safetensors(folder / WEIGHTS_FILE, network.state_dict().items(), dtype=dtype)
    # That of a large file is kept: to compute it at each loading would take longer than all else there.
    kind = {} if isinstance(network, StructureNetwork) else {"architecture": BOLTZ, "sha256": digest}
    config = {**kind, "model": to_dict(network.config), **facts}
    write_atomically(folder / CONFIG_FILE, json.dumps(config, indent=2, ensure_ascii=False) + "\n")


def is_half(folder: Path) -> bool:
    """Whether the file of a weights folder holds bfloat16."""
    return any(tensor.dtype == torch.bfloat16 for tensor in load_file(folder / WEIGHTS_FILE).values())


def load_weights(folder: Path, *, device: torch.device | str = "cpu", fresh_confidence: bool = False) -> Weights:
    """The network of a weights folder in float32, ready to predict.

    With ``fresh_confidence`` the confidence head comes out untrained, whatever the file holds of one: to train it anew.

    Raises InputError when files are missing or broken, or when a single tensor does not fit: never a partial match.
    """
    description, tensors = _read(folder)
    architecture = description.get("architecture")
    if architecture is None:
        network = _own_network(description["model"], tensors, folder, fresh_confidence=fresh_confidence)
    elif architecture != BOLTZ:
        raise InputError(
            "no such network", path=folder / CONFIG_FILE, key="architecture", found=architecture, allowed=BOLTZ
        )
    elif fresh_confidence:
        raise InputError("the confidence head of these weights cannot be trained anew", path=folder)
    else:
        from structdiff.model.boltz.config import BoltzConfig

        config = from_dict(BoltzConfig, description["model"], path=folder / CONFIG_FILE, key="model")
        network = boltz_network(config, tensors, path=folder / WEIGHTS_FILE)
    return Weights(
        network=network.eval().requires_grad_(False).to(device),
        name=folder.name,
        path=folder,
        sha256=description.get("sha256") or file_sha256(folder / WEIGHTS_FILE),
        sampling=description.get("sampling", {}),
        recycles=description.get("recycles", 0),
        training=description.get("training", {}),
        published=description.get("published", {}),
    )


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What config.json says, and the tensors, which stay in their file until they are used."""
    config_path, weights_path = folder / CONFIG_FILE, folder / WEIGHTS_FILE
    for path in (config_path, weights_path):
        if not path.is_file():
            raise InputError("no such weights file", path=path)
    try:
        description = json.loads(config_path.read_text())
        tensors = load_file(weights_path)
    except (json.JSONDecodeError, SafetensorError) as error:
        raise InputError(f"the weights cannot be read: {error}", path=folder) from error
    if not isinstance(description, dict) or "model" not in description:
        raise InputError("these are no weights of structdiff: the key 'model' is missing", path=config_path)
    return description, tensors


def _own_network(
    model: object, tensors: dict[str, Tensor], folder: Path, *, fresh_confidence: bool
) -> StructureNetwork:
    weights_path = folder / WEIGHTS_FILE
    config = from_dict(ModelConfig, model, path=folder / CONFIG_FILE, key="model")
    # What a new network begins with is overwritten: the caller's random numbers are not to be spent on it.
    with torch.random.fork_rng(devices=[], enabled=not fresh_confidence):
        network = StructureNetwork(config)
    wanted = network.state_dict()
    if fresh_confidence:
        tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith(_CONFIDENCE)}
        tensors |= {name: tensor for name, tensor in wanted.items() if name.startswith(_CONFIDENCE)}
    wrong = _misfits(wanted, tensors)
    if wrong and all(name.startswith(_CONFIDENCE) for name in wrong):
        message = (
            "the confidence head is of another version; `python -m structdiff.training.confidence --fresh` trains one"
        )
        raise InputError(message, path=weights_path, found=wrong[0])
    if wrong:
        raise InputError("the weights do not fit their config", path=weights_path, found=wrong[0])
    network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    return network


def boltz_network(config: BoltzConfig, tensors: Mapping[str, Tensor], *, path: Path) -> BoltzNetwork:
    """Boltz-2's network around tensors, which stay where they are: in the file, if they are mapped from it.

    Raises InputError, naming the file (path), when a single one does not fit.
    """
    from structdiff.model.boltz.network import BoltzNetwork

    with torch.random.fork_rng(devices=[]), _parameters_without_numbers():
        network = BoltzNetwork(config)
    wrong = _misfits(network.state_dict(), tensors)
    if wrong:
        raise InputError(f"{len(wrong)} tensors do not fit the network, the first of them: {', '.join(wrong[:3])}",
                         path=path)  # fmt: skip
    network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()}, assign=True)
    return network


@contextlib.contextmanager
def _parameters_without_numbers() -> Iterator[None]:
    """Parameters of modules made meanwhile have shapes alone: two gigabytes would be drawn at random for nothing.

    Buffers have their numbers: some are of no file.
    """

    def emptied(module: nn.Module, name: str, parameter: nn.Parameter | None) -> Any:
        return None if parameter is None else nn.Parameter(parameter.to("meta"), parameter.requires_grad)

    handle = register_module_parameter_registration_hook(emptied)
    try:
        yield
    finally:
        handle.remove()


def _misfits(wanted: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> list[str]:
    """Names that only one side has, or else those of tensors of another shape."""
    return sorted(set(wanted) ^ set(tensors)) or [n for n in wanted if wanted[n].shape != tensors[n].shape]
