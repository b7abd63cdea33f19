"""Weights on disk: a folder with config.json and model.safetensors."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from structdiff.configuration import from_dict, to_dict
from structdiff.errors import InputError
from structdiff.model.network import ModelConfig, StructureNetwork
from structdiff.structure.files import write_atomically

CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"
_CONFIDENCE = "confidence."


@dataclass(frozen=True, kw_only=True)
class Weights:
    """A network ready for use, and where it came from.

    sha256: of the weights file. sampling: the settings recommended for them. recycles: further passes of the trunk that
    are. training: how they were made.
    """

    network: StructureNetwork
    name: str
    path: Path
    sha256: str
    sampling: dict[str, object] = dataclasses.field(default_factory=dict)
    recycles: int = 0
    training: dict[str, object] = dataclasses.field(default_factory=dict)


def save_weights(
    network: StructureNetwork,
    folder: Path,
    *,
    training: dict[str, object],
    sampling: dict[str, object] | None = None,
    half: bool = True,
) -> None:
    """Writes config.json and model.safetensors (bfloat16 if half) whole or not at all.

    training says how the weights were made, sampling which settings suit them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    dtype = torch.bfloat16 if half else torch.float32
    tensors = {name: tensor.detach().to("cpu", dtype).contiguous() for name, tensor in network.state_dict().items()}
    write_atomically(folder / WEIGHTS_FILE, save(tensors))
    config = {"model": to_dict(network.config), "sampling": sampling or {}, "training": training}
    write_atomically(folder / CONFIG_FILE, json.dumps(config, indent=2, ensure_ascii=False) + "\n")


def is_half(folder: Path) -> bool:
    """Whether the file of a weights folder holds bfloat16."""
    return any(tensor.dtype == torch.bfloat16 for tensor in load_file(folder / WEIGHTS_FILE).values())


def load_weights(folder: Path, *, device: torch.device | str = "cpu", fresh_confidence: bool = False) -> Weights:
    """The network of a weights folder in float32, ready to predict.

    With ``fresh_confidence`` the confidence head comes out untrained, whatever the file holds of one: to train it anew.

    Raises InputError when files are missing or broken, or when a single tensor does not fit: never a partial match.
    """
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
    config = from_dict(ModelConfig, description["model"], path=config_path, key="model")
    # What a new network begins with is overwritten: the caller's random numbers are not to be spent on it.
    with torch.random.fork_rng(devices=[], enabled=not fresh_confidence):
        network = StructureNetwork(config)
    wanted = network.state_dict()
    if fresh_confidence:
        tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith(_CONFIDENCE)}
        tensors |= {name: tensor for name, tensor in wanted.items() if name.startswith(_CONFIDENCE)}
    wrong = sorted(set(wanted) ^ set(tensors)) or [n for n in wanted if wanted[n].shape != tensors[n].shape]
    if wrong and all(name.startswith(_CONFIDENCE) for name in wrong):
        message = (
            "the confidence head is of another version; `python -m structdiff.training.confidence --fresh` trains one"
        )
        raise InputError(message, path=weights_path, found=wrong[0])
    if wrong:
        raise InputError("the weights do not fit their config", path=weights_path, found=wrong[0])
    network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    return Weights(
        network=network.eval().requires_grad_(False).to(device),
        name=folder.name,
        path=folder,
        sha256=hashlib.sha256(weights_path.read_bytes()).hexdigest(),
        sampling=description.get("sampling", {}),
        recycles=description.get("recycles", 0),
        training=description.get("training", {}),
    )
