"""The denoiser: from noisy atom positions to denoised ones, equivariant to rotation and translation."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from structdiff.chemistry.residues import NUM_RESTYPES
from structdiff.diffusion.preconditioning import SIGMA_DATA, Preconditioning
from structdiff.features.schema import Features
from structdiff.model.geometry_embedder import GeometryEmbedder
from structdiff.model.input_embedder import AtomEmbedder
from structdiff.model.trunk import TrunkConfig, TrunkOutput
from structdiff.nn.embedding import NoiseEmbedding
from structdiff.nn.initialisation import linear
from structdiff.nn.vectors import PointAttention, VectorTransition
from structdiff.typing import Bool, Float

SIGMA_RESIDUE = 2.5  # Å, spread of a token's atoms about its centre


@dataclass(frozen=True, kw_only=True)
class DenoiserConfig:
    """Sizes of the denoiser: scalars and vectors a token, layers, heads, and what a pair carries."""

    c_token: int = 768
    c_vector: int = 128
    c_atom: int = 128
    c_geometry: int = 128
    c_noise: int = 256
    blocks: int = 24
    blocks_per_geometry: int = 6
    heads: int = 16
    head_dim: int = 32
    points: int = 4
    messages: int = 64
    transition_factor: int = 2

    @property
    def irreps(self) -> str:
        """What a token carries, in e3nn's notation; parity does not count, see `structdiff.nn.vectors`."""
        return f"{self.c_token}x0e + {self.c_vector}x1o"


@dataclass(frozen=True, kw_only=True)
class DenoiserCondition:
    """All that does not change from step to step, computed once a trunk (leading axis: batch)."""

    token: Float[Tensor, "batch token c_token"]
    pair: tuple[Float[Tensor, "group token token c_geometry"], ...]
    enter: Float[Tensor, "batch token slot two_c_vector"]
    leave: Float[Tensor, "batch token slot c_vector"]
    atom_mask: Bool[Tensor, "batch token slot"]
    token_mask: Bool[Tensor, "batch token"]
    centre_slot: Float[Tensor, "batch token slot"]

    def repeat(self, samples: int) -> DenoiserCondition:
        """Each entry ``samples`` times in a row, for several samples or noise levels of one trunk.

        The pair tables stay as they are: the geometry embedder lets several samples share one.
        """
        if samples == 1:
            return self

        def repeated(tensor: Tensor) -> Tensor:
            return tensor.repeat_interleave(samples, 0)

        return DenoiserCondition(
            token=repeated(self.token),
            pair=self.pair,
            enter=repeated(self.enter),
            leave=repeated(self.leave),
            atom_mask=repeated(self.atom_mask),
            token_mask=repeated(self.token_mask),
            centre_slot=repeated(self.centre_slot),
        )


@dataclass(frozen=True, kw_only=True)
class Denoised:
    """Denoised positions (Å) and what the denoiser now believes each token to be."""

    positions: Float[Tensor, "batch atom 3"]
    restype_logits: Float[Tensor, "batch token restype"]


class DenoiserBlock(nn.Module):
    """Attention over all tokens, then a transition of each."""

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__()
        sizes = (config.c_token, config.c_vector, config.c_noise)
        self.attention = PointAttention(*sizes, heads=config.heads, head_dim=config.head_dim, points=config.points)
        self.transition = VectorTransition(*sizes, factor=config.transition_factor)

    def forward(self, s: Tensor, v: Tensor, centre: Tensor, bias: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Scalars and vectors of every token after attention and transition."""
        s, v = self.attention(s, v, centre, bias, noise)
        return self.transition(s, v, noise)


class Denoiser(nn.Module):
    """Carries noisy atoms towards a structure that fits what the trunk says.

    Tokens carry scalars and vectors; atoms enter and leave as vectors relative to their token's centre, through weights
    that depend on the atom (``enter``, ``leave``), so any token may hold any atoms. Preconditioned as Karras et al.
    2022 with sigma_data 16 Å for token centres and 2.5 Å for atoms about their centre, which are known far later in the
    course of denoising. Takes the place of AlphaFold 3's Algorithm 20.
    """

    def __init__(self, config: DenoiserConfig, trunk: TrunkConfig) -> None:
        super().__init__()
        self.config = config
        self.about_middle = Preconditioning()
        self.about_centre = Preconditioning(sigma_data=SIGMA_RESIDUE)
        c_s, c_z, c_inputs = trunk.pairformer.c_s, trunk.pairformer.c_z, trunk.inputs.c_s_inputs
        rounds = -(-config.blocks // config.blocks_per_geometry)
        self.atoms = AtomEmbedder(config.c_atom)
        self.atom_token = linear(c_inputs, config.c_atom)
        self.atom_hidden = nn.Linear(config.c_atom, config.c_atom)
        self.enter = nn.Linear(config.c_atom, 2 * config.c_vector)
        self.leave = nn.Linear(config.c_atom, config.c_vector)
        self.token = nn.Sequential(nn.LayerNorm(c_s + c_inputs), linear(c_s + c_inputs, config.c_token))
        self.pair_norm = nn.LayerNorm(c_z)
        self.pair = linear(c_z, rounds * config.c_geometry)
        self.noise = NoiseEmbedding(config.c_noise)
        self.step = nn.Linear(2 * config.c_vector + 1, config.c_vector, bias=False)
        self.first = VectorTransition(config.c_token, config.c_vector, config.c_noise, factor=config.transition_factor)
        self.geometry = nn.ModuleList(
            GeometryEmbedder(
                c_token=config.c_token,
                c_vector=config.c_vector,
                c_geometry=config.c_geometry,
                c_noise=config.c_noise,
                biases=config.blocks_per_geometry * config.heads,
                messages=config.messages,
            )
            for _ in range(rounds)
        )
        self.blocks = nn.ModuleList(DenoiserBlock(config) for _ in range(config.blocks))
        self.move = nn.Linear(config.c_vector, rounds, bias=False)
        self.restype = nn.Sequential(nn.LayerNorm(config.c_token), linear(config.c_token, NUM_RESTYPES, bias=True))

    def condition(self, features: Features, trunk: TrunkOutput) -> DenoiserCondition:
        """All that the denoiser needs of features and trunk, once for all steps."""
        shape = (features.num_tokens, features.num_slots)
        atoms = self.atoms(features.atom).unflatten(1, shape) + self.atom_token(trunk.s_inputs)[:, :, None]
        atoms = functional.silu(self.atom_hidden(functional.silu(atoms)))
        atom_mask = features.atom.mask.unflatten(1, shape)
        exists = atom_mask[..., None]
        pair = self.pair(self.pair_norm(trunk.z_trunk)).chunk(len(self.geometry), -1)
        return DenoiserCondition(
            token=self.token(torch.cat([trunk.s_trunk, trunk.s_inputs], -1)),
            pair=tuple(each.contiguous() for each in pair),
            enter=self.enter(atoms) * exists,
            leave=self.leave(atoms) * exists,
            atom_mask=atom_mask,
            token_mask=features.token.mask,
            centre_slot=functional.one_hot(features.token.centre, shape[1]).to(atoms.dtype),
        )

    def forward(
        self,
        condition: DenoiserCondition,
        positions: Float[Tensor, "batch atom 3"],
        sigma: Float[Tensor, "batch"],
        previous: Float[Tensor, "batch atom 3"] | None = None,
    ) -> Denoised:
        """Denoised positions.

        Args:
            condition: from :meth:`condition`, repeated so that its batch is that of the positions.
            positions: noisy positions in Å.
            sigma: noise level of each sample in Å.
            previous: the last denoised positions in the same frame, for self-conditioning.
        """
        c = condition
        shape = c.atom_mask.shape[1:]
        noisy, middle = _centred(positions.unflatten(1, shape), c)
        centre = _pick(noisy, c.centre_slot)
        local = (noisy - centre[:, :, None]) * c.atom_mask[..., None]
        scale, scale_local = self.about_middle.c_in(sigma), self.about_centre.c_in(sigma)
        noise = functional.silu(self.noise(self.about_middle.c_noise(sigma)))
        v, previous_centre = self._enter(c, centre, local, scale_local, previous)
        s, v = self.first(c.token, v, noise)
        point = centre * scale[:, None, None]
        if self.training and torch.is_grad_enabled():
            point.requires_grad_()  # as in the later rounds, so that a compiler needs one graph for all
        per_round = self.config.blocks_per_geometry
        for index, geometry in enumerate(self.geometry):
            near = point / scale[:, None, None]
            s, v, bias = geometry(s, v, near, previous_centre, c.pair[index], noise, c.token_mask)
            biases = bias.chunk(per_round, 1)
            blocks = self.blocks[index * per_round : (index + 1) * per_round]
            for block, block_bias in zip(blocks, biases, strict=False):
                s, v = block(s, v, point, block_bias, noise)
            point = point + self._moved(v, index)
        denoised = self._leave(c, v, centre, local, point, sigma)
        denoised = (denoised + middle) * c.atom_mask[..., None]
        return Denoised(positions=denoised.flatten(1, 2), restype_logits=self.restype(s))

    def _enter(
        self, c: DenoiserCondition, centre: Tensor, local: Tensor, scale_local: Tensor, previous: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """The vectors a token starts with: its atoms now, its atoms in the last prediction, and the way there."""
        enter, enter_previous = c.enter.chunk(2, -1)
        vectors = [(local * scale_local[:, None, None, None]).transpose(2, 3) @ enter]
        if previous is None:
            previous_centre = torch.zeros_like(centre)
            vectors += [torch.zeros_like(vectors[0]), torch.zeros_like(centre)[..., None]]
        else:
            last, _ = _centred(previous.unflatten(1, c.atom_mask.shape[1:]), c)
            previous_centre = _pick(last, c.centre_slot)
            last_local = (last - previous_centre[:, :, None]) * c.atom_mask[..., None] / SIGMA_RESIDUE
            way = (previous_centre - centre) / SIGMA_DATA
            vectors += [last_local.transpose(2, 3) @ enter_previous, way[..., None]]
        return self.step(torch.cat(vectors, -1)), previous_centre

    def _moved(self, v: Tensor, index: int) -> Tensor:
        # Not as a product of matrix and vector: that one's order of summation follows the number of rows.
        return (v * self.move.weight[index]).sum(-1)

    def _leave(
        self, c: DenoiserCondition, v: Tensor, centre: Tensor, local: Tensor, point: Tensor, sigma: Tensor
    ) -> Float[Tensor, "batch token slot 3"]:
        """Denoised atoms from the vectors, preconditioned apart for centres and for atoms about them."""
        moved = point - centre * self.about_middle.c_in(sigma)[:, None, None]
        centre = self.about_middle.denoised(centre, moved, sigma)
        arrows = (v @ c.leave.transpose(2, 3)).transpose(2, 3) * (1 - c.centre_slot[..., None])
        about = self.about_centre.denoised(local.flatten(1, 2), arrows.flatten(1, 2), sigma)
        return centre[:, :, None] + about.unflatten(1, c.atom_mask.shape[1:])


def _pick(by_slot: Float[Tensor, "batch token slot 3"], slot: Float[Tensor, "batch token slot"]) -> Tensor:
    return (by_slot * slot[..., None]).sum(2)


def _centred(by_slot: Tensor, c: DenoiserCondition) -> tuple[Tensor, Tensor]:
    """Positions about the mean of the token centres, and that mean."""
    weight = c.token_mask[..., None].to(by_slot.dtype)
    middle = (_pick(by_slot, c.centre_slot) * weight).sum(1, keepdim=True) / weight.sum(1, keepdim=True).clamp(min=1)
    middle = middle[:, :, None]
    return (by_slot - middle) * c.atom_mask[..., None], middle
