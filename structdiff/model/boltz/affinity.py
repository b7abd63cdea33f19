"""How strongly a ligand binds: what Boltz-2's affinity modules read off the pairs of a ligand and a protein."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from structdiff.model.boltz.affinity_config import AffinitySizes
from structdiff.model.boltz.config import BoltzConfig
from structdiff.model.boltz.distances import DistanceBins
from structdiff.model.boltz.inputs import BoltzInputs
from structdiff.model.pairformer import PairStack
from structdiff.nn.initialisation import linear
from structdiff.nn.transition import Transition
from structdiff.structure.tables import ChainKind
from structdiff.typing import Bool, Float


@dataclass(frozen=True, kw_only=True)
class AffinityReadings:
    """What one module says of each entry: log10 of the IC50 in μM, and the logit of the ligand being a binder."""

    log10_ic50: Float[Tensor, " batch"]
    binder_logit: Float[Tensor, " batch"]


def binding_pairs(inputs: BoltzInputs, binder: Bool[Tensor, "batch token"]) -> Bool[Tensor, "batch token token"]:
    """The pairs of tokens of the ligand and the proteins, and those within the ligand."""
    ligand = binder & inputs.token_mask
    protein = inputs.token_mask & (inputs.molecule_type == ChainKind.PROTEIN)
    rows, columns = ligand[:, :, None], ligand[:, None]
    return (rows & columns) | (rows & protein[:, None]) | (protein[:, :, None] & columns)


class AffinityHeads(nn.Module):
    """Reads the mean of the pairs: how strongly the ligand binds, and whether it does."""

    def __init__(self, c_z: int, c_head: int) -> None:
        super().__init__()
        self.pooled = _layers(c_z, c_z, c_head)
        self.value = _layers(c_head, c_head, c_head, 1)
        self.score = _layers(c_head, c_head, c_head, 1)
        self.logit = linear(1, 1, bias=True)

    def forward(
        self, z: Float[Tensor, "batch token token c_z"], pairs: Bool[Tensor, "batch token token"]
    ) -> AffinityReadings:
        """What is read off the mean of these pairs, those of a token with itself left out."""
        there = (pairs & ~torch.eye(z.shape[1], dtype=torch.bool, device=z.device))[..., None].to(z.dtype)
        mean = (z * there).sum((1, 2)) / (there.sum((1, 2)) + 1e-7)  # Boltz's own 1e-7
        g = functional.relu(self.pooled(mean))
        return AffinityReadings(log10_ic50=self.value(g)[:, 0], binder_logit=self.logit(self.score(g))[:, 0])


def _layers(*channels: int) -> nn.Sequential:
    """Linear layers with biases from one width to the next, and a ReLU between each two."""
    made: list[nn.Module] = []
    for entering, leaving in pairwise(channels):
        made += [linear(entering, leaving, bias=True), nn.ReLU()]
    return nn.Sequential(*made[:-1])


class AffinityModule(nn.Module):
    """One module of the ensemble: refines the pairs of ligand and protein, given where their atoms are."""

    def __init__(self, config: BoltzConfig, sizes: AffinitySizes) -> None:
        super().__init__()
        c_s, c_z = config.c_s, config.c_z
        self.distance = DistanceBins(sizes.distance_bins, c_z, furthest=sizes.furthest)
        self.row, self.column = linear(c_s, c_z), linear(c_s, c_z)
        self.from_trunk = nn.Sequential(nn.LayerNorm(c_z), linear(c_z, c_z))
        self.pair = nn.Sequential(nn.LayerNorm(2 * c_z), linear(2 * c_z, c_z))
        self.transitions = nn.ModuleList(Transition(c_z, factor=2) for _ in range(2))
        stack = config.pair_stack(c_z, heads=sizes.triangle_heads, head_dim=sizes.triangle_head_dim)
        self.pairformer = PairStack(stack, blocks=sizes.blocks)
        self.heads = AffinityHeads(c_z, sizes.c_head)

    def forward(
        self,
        inputs: BoltzInputs,
        binder: Bool[Tensor, "batch token"],
        s_inputs: Float[Tensor, "batch token c_s"],
        z: Float[Tensor, "batch token token c_z"],
        packed: Float[Tensor, "batch atom 3"],
    ) -> AffinityReadings:
        """What is said of structures whose packed atoms are at given places (Å).

        binder: tokens of the ligand. s_inputs: of its input embedder. z: the trunk's pair table.
        """
        pairs = binding_pairs(inputs, binder)
        z = self.from_trunk(z * pairs[..., None]) + self.row(s_inputs)[:, :, None] + self.column(s_inputs)[:, None]
        told = self.pair(torch.cat([z, self.distance.of(inputs, packed)], -1))
        for transition in self.transitions:
            told = told + transition(told)
        return self.heads(self.pairformer(z + told, pairs), pairs)
