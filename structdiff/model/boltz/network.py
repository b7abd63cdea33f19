"""The network of Boltz-2 and of BoltzGen: trunk, denoiser and heads, for weights that their authors published."""

from __future__ import annotations

from torch import nn

from structdiff.features.schema import Features
from structdiff.model.abilities import Abilities
from structdiff.model.boltz.affinity import AffinityModule
from structdiff.model.boltz.confidence import BoltzConfidence
from structdiff.model.boltz.config import BoltzConfig
from structdiff.model.boltz.denoiser import BoltzDenoiser
from structdiff.model.boltz.design_inputs import with_open_atoms
from structdiff.model.boltz.trunk import BoltzTrunk

OF_PREDICTIONS = Abilities(
    alignments=True, poses=True, designs=False, conformers=True, affinities="boltz2-affinity"
)  # fmt: skip
OF_DESIGNS = Abilities(poses=True, folds=True, predictions=False, conformers=True, judges=False)


class BoltzNetwork(nn.Module):
    """The network with the same parts as structdiff's own, so that the same engine runs it.

    Passaro, Corso, Wohlwend et al. 2025 (doi 10.1101/2025.06.14.659707); modules of affinities are in weights that are
    for these alone. Stark, Faltings, Choi et al. 2025 (BoltzGen), whose networks draw designs and have no confidence.
    """

    def __init__(self, config: BoltzConfig) -> None:
        super().__init__()
        self.config = config
        self.trunk = BoltzTrunk(config)
        self.denoiser = BoltzDenoiser(config)
        self.confidence = None if config.confidence is None else BoltzConfidence(config, config.confidence)
        self.affinity = nn.ModuleList(AffinityModule(config, sizes) for sizes in config.affinity)

    def prepared(self, item: Features) -> Features:
        """The features of one structure with the atoms that open residues have, for networks that design."""
        return with_open_atoms(item) if self.config.designs else item

    @property
    def abilities(self) -> Abilities:
        """What it does by itself."""
        return OF_DESIGNS if self.config.designs else OF_PREDICTIONS
