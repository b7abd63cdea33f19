"""A tiny Boltz-2 with affinity modules, and inputs on which it is compared with Boltz's own; needs no boltz."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor

from structdiff.model.boltz.inputs import BoltzInputs
from structdiff.model.boltz.network import BoltzNetwork
from structdiff.structure.tables import ChainKind
from tests.parity.boltz2_cases import draw_boltz_inputs, hyper_parameters, noisy_positions


def affinity_hyper_parameters(*, full: bool = False, ensemble: bool = True) -> dict[str, Any]:
    """What ``Boltz2`` is built with for affinities; the two modules of the ensemble have other sizes."""
    settings = hyper_parameters(full=full) | {"affinity_prediction": True, "affinity_ensemble": ensemble}
    if not ensemble:
        return settings | {"affinity_model_args": _module(full=full, blocks=1)}
    return settings | {f"affinity_model_args{number}": _module(full=full, blocks=3 - number) for number in (1, 2)}


def _module(*, full: bool, blocks: int) -> dict[str, Any]:
    triangles = {"pairwise_head_width": 32 if full else 8, "pairwise_num_heads": 4 if full else 2}
    return {
        "num_dist_bins": 64, "max_dist": 22, "use_cross_transformer": False, "groups": {0: 1, 1: 1},
        "pairformer_args": {"num_blocks": blocks, "num_heads": 2, "dropout": 0.0, **triangles,
                            "activation_checkpointing": False},
        "transformer_args": {"token_s": 384 if full else 24, "num_blocks": 1, "num_heads": 2,
                             "activation_checkpointing": False},
    }  # fmt: skip


def draw_affinity_inputs() -> tuple[BoltzInputs, Tensor]:
    """Two made-up complexes, and which of their tokens are of the ligand: the last chain, beside proteins and others."""
    inputs = draw_boltz_inputs()
    binder = (inputs.asym_id == 2) & inputs.token_mask
    kinds = torch.where(binder, int(ChainKind.LIGAND), inputs.molecule_type)
    return dataclasses.replace(inputs, molecule_type=kinds), binder


@torch.inference_mode()
def own_affinities(network: BoltzNetwork, inputs: BoltzInputs, binder: Tensor) -> dict[str, Tensor]:
    """What each module says of each complex, by its number, from a trunk that is recycled once."""
    positions, _ = noisy_positions(inputs)
    trunk = network.trunk.understood(inputs, recycles=1)
    found: dict[str, Tensor] = {}
    for number, module in enumerate(network.affinity, start=1):
        said = module(inputs, binder, trunk.s_inputs, trunk.z_trunk, positions)
        found |= {f"log10_ic50_{number}": said.log10_ic50, f"binder_logit_{number}": said.binder_logit}
    return found
