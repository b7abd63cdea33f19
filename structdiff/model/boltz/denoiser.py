"""The denoiser of Boltz-2: from noisy atom positions to denoised ones."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from structdiff.chemistry.residues import NUM_RESTYPES
from structdiff.diffusion.preconditioning import Preconditioning
from structdiff.features.schema import Features
from structdiff.geometry.distances import centroid
from structdiff.kernels.attention_pair_bias import attention_pair_bias
from structdiff.model.boltz.atom_transformer import AtomTransformer
from structdiff.model.boltz.conditioning import Conditioning, Told
from structdiff.model.boltz.config import BoltzConfig
from structdiff.model.boltz.inputs import BoltzInputs, boltz_inputs
from structdiff.model.boltz.letters import letter_logits
from structdiff.model.boltz.transformer import SteeredBlock, steered
from structdiff.model.boltz.trunk import BoltzTrunkOutput
from structdiff.model.boltz.windows import of_token, per_token_mean, shared
from structdiff.model.denoiser import Denoised
from structdiff.nn.embedding import NoiseEmbedding
from structdiff.nn.initialisation import linear
from structdiff.nn.transition import Transition
from structdiff.typing import Bool, Float, Int

#: Logit of the letter that a residue has, which this network does not ask about.
_KNOWN = 20.0


@dataclass(frozen=True, kw_only=True)
class BoltzCondition:
    """All that does not change from step to step, computed once a trunk; so many samples are drawn with it."""

    inputs: BoltzInputs
    told: Told
    restype: Int[Tensor, "batch token"]
    samples: int = 1

    def repeat(self, samples: int) -> BoltzCondition:
        """The same for several samples of the one entry, which share its tables."""
        return dataclasses.replace(self, samples=samples)


class BoltzDenoiser(nn.Module):
    """Moves noisy atoms to where they belong: atoms, tokens, atoms again (AlphaFold 3, Algorithm 20)."""

    def __init__(self, config: BoltzConfig) -> None:
        super().__init__()
        sizes, c_atom, c_token = config.denoiser, config.atom.c_atom, 2 * config.c_s
        self.designs = config.designs
        self.preconditioning = Preconditioning(sigma_data=sizes.sigma_data)
        self.conditioning = Conditioning(config)
        self.noise = NoiseEmbedding(c_token, c_fourier=sizes.c_fourier)
        count = sizes.conditioning_transitions
        self.transitions = nn.ModuleList(Transition(c_token, factor=2) for _ in range(count))
        self.from_positions = linear(3, c_atom, start="zero")
        self.encoder = AtomTransformer(c_atom, heads=sizes.encoder_heads, depth=sizes.encoder_depth)
        self.to_token = linear(c_atom, c_token)
        self.steer_tokens = nn.Sequential(nn.LayerNorm(c_token), linear(c_token, c_token, start="zero"))
        self.blocks = nn.ModuleList(
            SteeredBlock(c_token, c_token, heads=sizes.token_heads) for _ in range(sizes.token_depth)
        )
        self.norm_tokens = nn.LayerNorm(c_token)
        self.from_token = linear(c_token, c_atom, start="zero")
        self.decoder = AtomTransformer(c_atom, heads=sizes.decoder_heads, depth=sizes.decoder_depth)
        self.to_positions = nn.Sequential(nn.LayerNorm(c_atom), linear(c_atom, 3, start="zero"))

    def condition(self, features: Features, trunk: BoltzTrunkOutput) -> BoltzCondition:
        """What the features and the trunk's understanding of them say at every noise level."""
        return self.told(boltz_inputs(features, designs=self.designs), trunk, features.token.true_restype)

    def told(self, inputs: BoltzInputs, trunk: BoltzTrunkOutput, restype: Int[Tensor, "batch token"]) -> BoltzCondition:
        """The same of what Boltz-2 reads, and the letters that the residues have."""
        told = self.conditioning(inputs, trunk, self.encoder, self.decoder)
        return BoltzCondition(inputs=inputs, told=told, restype=restype)

    def forward(
        self,
        condition: BoltzCondition,
        positions: Float[Tensor, "batch atom 3"],
        sigma: Float[Tensor, " batch"],
        previous: Float[Tensor, "batch atom 3"] | None = None,
    ) -> Denoised:
        """Denoised positions (Å) of the token-major atoms; what it said last (``previous``) it does not ask for."""
        inputs, samples = condition.inputs, len(positions)
        slot, mask = (shared(each, samples).expand(samples, -1) for each in (inputs.atom_slot, inputs.atom_mask))
        packed = positions.gather(1, slot[..., None].expand(-1, -1, 3))
        centre = centroid(packed, mask)[:, None]
        packed = torch.where(mask[..., None], packed - centre, 0.0)
        update = self.update(condition, self.preconditioning.network_input(packed, sigma), sigma)
        found = self.preconditioning.denoised(packed, update, sigma) + centre
        places = torch.where(mask, slot, positions.shape[1])[..., None].expand(-1, -1, 3)
        denoised = positions.new_zeros(samples, positions.shape[1] + 1, 3).scatter(1, places, found)[:, :-1]
        return Denoised(positions=denoised, restype_logits=_letters(condition, denoised))

    def update(
        self, condition: BoltzCondition, scaled: Float[Tensor, "batch atom 3"], sigma: Float[Tensor, " batch"]
    ) -> Float[Tensor, "batch atom 3"]:
        """The network proper: packed atoms scaled to variance 1, to the output that is scaled back."""
        inputs, told, samples = condition.inputs, condition.told, len(scaled)
        token, mask = (shared(each, samples).expand(samples, -1) for each in (inputs.atom_token, inputs.atom_mask))
        if len(told.single) == 1 and bool((sigma == sigma[0]).all()):
            sigma = sigma[:1]  # samples of one trunk at one noise level have one conditioning, a third of the work
        s = shared(told.single, samples) + self.noise(self.preconditioning.c_noise(sigma))[:, None]
        for transition in self.transitions:
            s = s + transition(s)
        q = self.encoder(shared(told.q, samples) + self.from_positions(scaled), told.encoder)
        tokens = inputs.token_mask.shape[1]
        a = per_token_mean(functional.relu(self.to_token(q)), token, mask, tokens) + self.steer_tokens(s)
        a = self.norm_tokens(self._exchanged(a, s, told, shared(inputs.token_mask, samples).expand(samples, -1)))
        q = self.decoder(q + of_token(self.from_token(a), token), told.decoder)
        return self.to_positions(q)

    def _exchanged(
        self,
        a: Float[Tensor, "batch token c_token"],
        s: Float[Tensor, "#batch token c_token"],
        told: Told,
        mask: Bool[Tensor, "batch token"],
    ) -> Float[Tensor, "batch token c_token"]:
        """Tokens after all have exchanged what they know."""
        for block, bias in zip(self.blocks, told.token_biases, strict=True):
            attend = partial(attention_pair_bias, bias=shared(bias, len(a)), mask=mask)
            a = block(a, steered(block).steer(s), attend)
        return a


def _letters(
    condition: BoltzCondition, denoised: Float[Tensor, "sample atom 3"]
) -> Float[Tensor, "sample token restype"]:
    """The letters that residues have, and those that open residues become."""
    samples, design = len(denoised), condition.inputs.design
    known = functional.one_hot(condition.restype, NUM_RESTYPES).to(denoised.dtype) * _KNOWN
    known = shared(known, samples).expand(samples, -1, -1)
    if design is None:
        return known
    open_ = shared(design.open, samples).expand(samples, -1)
    found = letter_logits(denoised.unflatten(1, (open_.shape[1], -1)), open_)
    return torch.where(open_[..., None], found, known)
