"""The whole network and its sizes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from torch import nn

from structdiff.errors import InputError
from structdiff.features.schema import Features
from structdiff.model.abilities import PLAIN
from structdiff.model.denoiser import Denoiser, DenoiserConfig
from structdiff.model.heads import ConfidenceConfig, ConfidenceHead, DistogramHead, LocalDistogramHead
from structdiff.model.input_embedder import InputConfig
from structdiff.model.msa_module import MSAConfig
from structdiff.model.pairformer import PairConfig, PairformerConfig
from structdiff.model.sequence_encoder import SequenceConfig
from structdiff.model.trunk import Trunk, TrunkConfig

_OF_SEQUENCE = ("trunk.sequence_encoder.", "local_distogram.")  # how names of the encoder's weights begin


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Sizes of the network; the defaults are AlphaFold 3's."""

    trunk: TrunkConfig = field(default_factory=TrunkConfig)
    denoiser: DenoiserConfig = field(default_factory=DenoiserConfig)
    confidence: ConfidenceConfig = field(default_factory=ConfidenceConfig)


class StructureNetwork(nn.Module):
    """Trunk, denoiser and heads. Which runs when is the business of the pipeline and of training."""

    abilities = PLAIN

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.trunk = Trunk(config.trunk)
        self.denoiser = Denoiser(config.denoiser, config.trunk)
        self.distogram = DistogramHead(config.trunk.pairformer.c_z)
        sequence = config.trunk.sequence
        self.local_distogram = None if sequence is None else LocalDistogramHead(sequence.channels)
        self.confidence = ConfidenceHead(config.confidence, config.trunk)

    def prepared(self, item: Features) -> Features:
        """The features of one structure as they are: nothing has to be added to what was built."""
        return item


def grown(sizes: ModelConfig, wanted: ModelConfig) -> ModelConfig:
    """The sizes with the sequence encoder of others, where they have none of their own."""
    if sizes.trunk.sequence is not None:
        return sizes
    return replace(sizes, trunk=replace(sizes.trunk, sequence=wanted.trunk.sequence))


def take_over(network: StructureNetwork, source: StructureNetwork) -> None:
    """Gives a network the weights of another one; a sequence encoder that the other lacks stays as it is."""
    own = {name: tensor for name, tensor in network.state_dict().items() if name.startswith(_OF_SEQUENCE)}
    network.load_state_dict(own | source.state_dict())


def _small_pairs(c_z: int) -> dict[str, Any]:
    return {
        "c_z": c_z,
        "triangle_heads": max(1, c_z // 32),
        "triangle_head_dim": 16,
        "c_hidden_mul": c_z // 2,
        "transition_factor": 2,
        "dropout": 0.0,
    }


def tiny() -> ModelConfig:
    """The smallest network that has every part, for tests."""
    return ModelConfig(
        trunk=TrunkConfig(
            inputs=InputConfig(c_atom=16, c_s_inputs=24),
            pairformer=PairformerConfig(blocks=1, c_s=24, heads=2, **_small_pairs(16)),
            template=PairConfig(**_small_pairs(16)),
            template_blocks=1,
            msa=MSAConfig(blocks=1, c_m=8, c_outer_product=4, averaging_heads=2, averaging_head_dim=4,
                          **_small_pairs(16)),
            sequence=SequenceConfig(channels=16, layers=1, window=3, dropout=0.0),
        ),
        denoiser=DenoiserConfig(
            c_token=32, c_vector=8, c_atom=16, c_geometry=16, c_noise=16, blocks=2, blocks_per_geometry=1, heads=2,
            head_dim=8, points=2, messages=8,
        ),
        confidence=ConfidenceConfig(
            c_geometry=16, pairformer=PairformerConfig(blocks=1, c_s=24, heads=2, **_small_pairs(16))
        ),
    )  # fmt: skip


def mini() -> ModelConfig:
    """The network of the default weights: single sequences, quick on a laptop."""
    return ModelConfig(
        trunk=TrunkConfig(
            inputs=InputConfig(c_atom=64, c_s_inputs=128),
            pairformer=PairformerConfig(blocks=2, c_s=128, heads=4, **_small_pairs(64)),
            template=PairConfig(**_small_pairs(32)),
            template_blocks=0,
            msa=None,
            sequence=SequenceConfig(),
        ),
        denoiser=DenoiserConfig(
            c_token=192, c_vector=48, c_atom=64, c_geometry=48, c_noise=128, blocks=8, blocks_per_geometry=4, heads=8,
            head_dim=16, points=4, messages=24,
        ),
        confidence=ConfidenceConfig(pairformer=PairformerConfig(blocks=1, c_s=96, heads=4, **_small_pairs(32))),
    )  # fmt: skip


def small() -> ModelConfig:
    """Three times the parameters of mini, for minutes of a large GPU: about as many as Protpardelle-1c has."""
    return ModelConfig(
        trunk=TrunkConfig(
            inputs=InputConfig(c_atom=64, c_s_inputs=192),
            pairformer=PairformerConfig(blocks=4, c_s=192, heads=4, **_small_pairs(64)),
            template=PairConfig(**_small_pairs(32)),
            template_blocks=0,
            msa=None,
            sequence=SequenceConfig(),
        ),
        denoiser=DenoiserConfig(
            c_token=320, c_vector=64, c_atom=64, c_geometry=64, c_noise=192, blocks=10, blocks_per_geometry=5, heads=8,
            head_dim=32, points=4, messages=32,
        ),
        confidence=ConfidenceConfig(pairformer=PairformerConfig(blocks=1, c_s=128, heads=4, **_small_pairs(32))),
    )  # fmt: skip


def base() -> ModelConfig:
    """AlphaFold 3's sizes."""
    return ModelConfig()


PRESETS = {"tiny": tiny, "mini": mini, "small": small, "base": base}


def preset(name: str) -> ModelConfig:
    """The sizes that go by a name: tiny, mini, small or base; raises InputError for another."""
    if name not in PRESETS:
        raise InputError("unknown preset", key="preset", found=name, allowed=PRESETS, suggest_from=PRESETS)
    return PRESETS[name]()
