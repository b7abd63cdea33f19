"""Boltz-2's network: trunk, denoiser, confidence and affinity, for weights that Boltz's authors have published."""

from __future__ import annotations

from torch import nn

from structdiff.model.abilities import Abilities
from structdiff.model.boltz.affinity import AffinityModule
from structdiff.model.boltz.confidence import BoltzConfidence
from structdiff.model.boltz.config import BoltzConfig
from structdiff.model.boltz.denoiser import BoltzDenoiser
from structdiff.model.boltz.trunk import BoltzTrunk


class BoltzNetwork(nn.Module):
    """The network with the same parts as structdiff's own, so that the same engine runs it.

    Passaro, Corso, Wohlwend et al. 2025 (doi 10.1101/2025.06.14.659707). Only weights of affinities have
    modules that predict them.
    """

    abilities = Abilities(alignments=True, poses=True, designs=False, affinities="boltz2-affinity")

    def __init__(self, config: BoltzConfig) -> None:
        super().__init__()
        self.config = config
        self.trunk = BoltzTrunk(config)
        self.denoiser = BoltzDenoiser(config)
        self.confidence = BoltzConfidence(config)
        self.affinity = nn.ModuleList(AffinityModule(config, sizes) for sizes in config.affinity)
