"""A tiny network of BoltzGen with inputs on which it is compared with BoltzGen's own; needs no boltzgen."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch
from torch import Tensor

from structdiff.model.boltz.config import BoltzConfig
from structdiff.model.boltz.design_config import design_config
from structdiff.model.boltz.design_inputs import DesignInputs
from structdiff.model.boltz.inputs import BoltzInputs
from structdiff.model.boltz.network import BoltzNetwork
from tests.parity.boltz2_cases import draw_boltz_inputs, filled_network
from tests.parity.boltz2_cases import hyper_parameters as of_boltz2

_OF_BOTH = (
    "atom_s", "atom_z", "token_s", "token_z", "num_bins", "diffusion_loss_args", "validate_structure", "msa_args",
    "pairformer_args", "score_model_args", "diffusion_process_args", "template_args", "atom_feature_dim",
    "bond_type_feature", "use_templates", "predict_bfactor", "conditioning_cutoff_min", "conditioning_cutoff_max",
)  # fmt: skip


def hyper_parameters(*, full: bool = False) -> dict[str, Any]:
    """What BoltzGen's ``Boltz`` is built with; full: its widths, with two blocks each."""
    settings = of_boltz2(full=full)
    flags = ("add_design_mask_flag", "add_binding_specification", "add_ss_specification")
    triangles = {"pairwise_head_width": 32 if full else 8, "pairwise_num_heads": 4 if full else 2}
    pairformer = {name: value for name, value in settings["pairformer_args"].items() if name != "v2"}
    return {name: settings[name] for name in _OF_BOTH} | {
        "embedder_args": settings["embedder_args"] | dict.fromkeys(flags, True),
        "msa_args": settings["msa_args"] | {"miniformer_blocks": False, "use_paired_feature": True},
        "pairformer_args": pairformer, "use_miniformer": False, "use_token_distances": True,
        "token_distance_args": {
            "token_distance_dim": 64 if full else 16, "token_distance_blocks": 2 if full else 1,
            "use_token_distance_feats": True, "distance_gaussian_dim": 32 if full else 6, **triangles,
        },
        "masker_args": {"mask": True, "mask_backbone": False}, "confidence_prediction": False,
    }  # fmt: skip


def tiny_config() -> BoltzConfig:
    return design_config(hyper_parameters())


def tiny_network() -> BoltzNetwork:
    """The tiny network, with the parameters that its names give it."""
    return filled_network(tiny_config())


def draw_design_inputs() -> BoltzInputs:
    """A batch of two made-up designs in which everything occurs that BoltzGen is told."""
    inputs = draw_boltz_inputs()
    rng = np.random.default_rng(33)
    shape = inputs.token_mask.shape

    def classes(count: int) -> Tensor:
        return torch.from_numpy(rng.integers(0, count, shape))

    open_ = (classes(2) == 1) & inputs.token_mask
    centre = torch.from_numpy(8 * rng.standard_normal((*shape, 3))).float()
    design = DesignInputs(
        open=open_, binding=classes(3) * ~open_, secondary_structure=classes(4) * open_,
        group=classes(3) * (inputs.token_mask & ~open_), centre=centre,
        frame_atoms=centre[:, :, None] + torch.from_numpy(rng.standard_normal((*shape, 4, 3))).float(),
    )  # fmt: skip
    return dataclasses.replace(inputs, template_mask=torch.zeros_like(inputs.template_mask), design=design)
