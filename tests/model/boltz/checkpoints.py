"""A checkpoint as Boltz-2's file is, of a tiny network with random parameters."""

from __future__ import annotations

import re
from collections import OrderedDict
from pathlib import Path

import torch
from torch import Tensor

from structdiff.model.boltz.config import BoltzConfig, config_from_hyper_parameters
from structdiff.model.boltz.names import _NAMES
from structdiff.model.boltz.network import BoltzNetwork
from tests.parity.boltz2_cases import filled_network, hyper_parameters
from tests.parity.boltzgen_cases import hyper_parameters as design_hyper_parameters
from tests.parity.boltzgen_cases import tiny_network


def tiny_config() -> BoltzConfig:
    return config_from_hyper_parameters(hyper_parameters())


def tiny_checkpoint(path: Path) -> BoltzNetwork:
    """Writes the file and gives the network that it is of."""
    network = filled_network(tiny_config())
    content = {
        "epoch": 7, "global_step": 1, "pytorch-lightning_version": "2.5.0", "state_dict": their_state(network),
        "hparams_name": "kwargs", "hyper_parameters": hyper_parameters(), "loops": {}, "callbacks": {},
    }  # fmt: skip
    torch.save(content, path)
    return network


def tiny_design_checkpoint(path: Path) -> BoltzNetwork:
    """The same as BoltzGen's file is: a stack under the name that it had then, and templates that see nothing."""
    network = tiny_network()
    state = OrderedDict(
        (name.replace(".token_transformer.", ".token_transformer_layers.0."), tensor)
        for name, tensor in their_state(network).items()
    )
    state["template_module.z_norm.weight"] = torch.ones(4)
    state["token_distance_module.token_distance_encoder.distance_gaussian_smearing.offset"] = torch.linspace(0, 2, 6)
    torch.save({"state_dict": state, "hyper_parameters": design_hyper_parameters()}, path)
    return network


def their_state(network: BoltzNetwork) -> OrderedDict[str, Tensor]:
    """The parameters under Boltz's names, with some of the heads that are read by nothing here."""
    theirs = {own: name for name, own in _NAMES.items()}  # of two names of one head the later, as in Boltz-2
    state = OrderedDict((_their_name(own, theirs), tensor) for own, tensor in network.state_dict().items())
    for name in [name for name in state if name.endswith("fourier_embed.proj.weight")]:
        state[name] = state[name][:, None]
    for name in [name for name in state if name.endswith("fourier_embedding.proj.weight")]:
        state[name] = state[name][:, None]
    for name in [name for name in state if ".output_projection.0." in name and "transition" not in name]:
        state[name.replace(".output_projection.0.", ".output_projection_linear.")] = state[name]
    state["distogram_module.distogram.weight"] = torch.ones(64, network.config.c_z)
    state["bfactor_module.bfactor.bias"] = torch.ones(3)
    state["confidence_module.boundaries"] = torch.linspace(2, 22, 63)
    return state


def _their_name(own: str, theirs: dict[str, str]) -> str:
    """The longest beginning that has a counterpart, and the rest as it is; the first number is that of a layer."""
    layer = re.search(r"\.(?:blocks|transitions)\.(\d+)\.", own)
    counted = own if layer is None else f"{own[: layer.start(1)]}N{own[layer.end(1) :]}"
    ends = [len(counted), *(place for place in range(len(counted) - 1, 0, -1) if counted[place] == ".")]
    end = next(end for end in ends if counted[:end] in theirs)
    name = theirs[counted[:end]] + counted[end:]
    return name if layer is None else name.replace(".N.", f".{layer.group(1)}.", 1)
