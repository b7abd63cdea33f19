"""What the pair table learns from templates: distances and directions between residues whose places are known."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from structdiff.model.boltz.config import NUM_RESIDUE_TYPES, BoltzConfig, TemplateConfig
from structdiff.model.boltz.inputs import BoltzInputs
from structdiff.model.boltz.pair_reader import PairReader
from structdiff.typing import Bool, Float


class BoltzTemplates(PairReader):
    """Reads templates by distances of CB and sides of frames; after AlphaFold 3, Algorithm 16.

    Tokens of one visibility see each other, whatever their chains.
    """

    def __init__(self, config: BoltzConfig, sizes: TemplateConfig) -> None:
        super().__init__(config, sizes, sizes.c_template, sizes.bins + 5 + 2 * NUM_RESIDUE_TYPES)
        self.sizes = sizes

    def forward(
        self,
        inputs: BoltzInputs,
        z: Float[Tensor, "batch token token c_z"],
        pair_mask: Bool[Tensor, "batch token token"],
    ) -> Float[Tensor, "batch token token c_z"] | None:
        """The update of the pair table (without the residual); None where nothing has a template."""
        there = inputs.template_mask.bool().any(-1)
        if not there.any():
            return None
        entered, total = self.entered(z), torch.zeros((), device=z.device)
        for number in range(there.shape[1]):
            v = self.read(entered + self._told(inputs, number), pair_mask)
            total = total + v * there[:, number, None, None, None]
        count = there.sum(1).clamp(min=1)[:, None, None, None]
        return self.update(total / count)

    def _told(self, inputs: BoltzInputs, number: int) -> Float[Tensor, "batch token token c_template"]:
        """What one template says of each pair: bins and directions where they see each other, letters everywhere."""
        cb = inputs.template_cb[:, number]
        apart = torch.cdist(cb, cb, compute_mode="donot_use_mm_for_euclid_dist")
        bins, cb_pair, direction, frame_pair, row, column = self.features.weight.t().split(
            (self.sizes.bins, 1, 3, 1, NUM_RESIDUE_TYPES, NUM_RESIDUE_TYPES)
        )
        told = self.binned(apart, bins)
        told = told + _pair(inputs.template_cb_mask[:, number]) * cb_pair[0]
        told = told + _directions(inputs, number) @ direction
        told = told + _pair(inputs.template_frame_mask[:, number]) * frame_pair[0]
        group = inputs.template_visibility[:, number]
        told = told * (group[:, :, None] == group[:, None])[..., None]
        letter = inputs.template_type[:, number]
        return told + functional.embedding(letter, row)[:, :, None] + functional.embedding(letter, column)[:, None]


def _pair(mask: Float[Tensor, "batch token"]) -> Float[Tensor, "batch token token 1"]:
    return (mask[:, :, None] * mask[:, None])[..., None]


def _directions(inputs: BoltzInputs, number: int) -> Float[Tensor, "batch token token 3"]:
    """On which side each token's CA (row) lies of the three planes of each frame (column): 1, -1, or 0 within.

    Boltz divides each component by its own size where AlphaFold 3 divides by the length, and has learnt so.
    """
    rotation, origin = inputs.template_frame_rotation[:, number], inputs.template_frame_origin[:, number]
    ca = inputs.template_ca[:, number]
    return torch.einsum("bjxc,bijx->bijc", rotation, ca[:, :, None] - origin[:, None]).sign()
