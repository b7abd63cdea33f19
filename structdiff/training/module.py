"""One training step: trunk once, several noise levels, all losses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytorch_lightning as lightning
import torch
from torch import Tensor
from torch.nn.functional import pad

from structdiff.constraints.motif import MotifHold
from structdiff.diffusion.preconditioning import Preconditioning
from structdiff.features.schema import Features, TokenFeatures
from structdiff.features.token_frames import atom_of_token
from structdiff.geometry.virtual_cb import trace_cb, virtual_cb
from structdiff.model.denoiser import DenoiserCondition
from structdiff.model.heads import LOCAL_OFFSETS
from structdiff.model.network import ModelConfig, StructureNetwork
from structdiff.model.relative_position import chain_neighbours
from structdiff.model.trunk import TrunkOutput
from structdiff.structure.tables import ChainKind
from structdiff.training import losses
from structdiff.training.packed import PackedBatch
from structdiff.training.tasks import MOTIF_GROUPS

_DROPOUT = 1 << 32  # from the seed of the noise to that of dropout: the same one would draw both alike
_BONDED_CA = 4.2  # Å between the CA of bonded residues, at most
_FINE_SIGMA = 4.0  # Å; below it bonds and clashes are worth a loss of their own


@dataclass(frozen=True, kw_only=True)
class LossWeights:
    """How much each loss counts.

    Where none of the denoiser's does, it is not run: the trunk learns alone, quickly. Where ``local_distogram`` alone
    counts, nothing but the sequence encoder is run.
    """

    position: float = 4.0
    smooth_lddt: float = 1.0
    local_geometry: float = 2.0
    clash: float = 0.5
    distogram: float = 0.1
    local_distogram: float = 0.2
    restype: float = 0.1

    @property
    def trunk_alone(self) -> bool:
        """Whether nothing that the denoiser draws counts."""
        return not (self.position or self.smooth_lddt or self.local_geometry or self.clash or self.restype)

    @property
    def sequence_alone(self) -> bool:
        """Whether nothing counts but what the sequence encoder says."""
        return self.trunk_alone and not self.distogram


@dataclass(frozen=True, kw_only=True)
class NoiseConfig:
    """Which noise levels are learnt: 16 Å times exp(log_mean + log_std n), n normal (AlphaFold 3, section 3.7.1)."""

    log_mean: float = -1.2
    log_std: float = 1.5


@dataclass(frozen=True, kw_only=True)
class OptimiserConfig:
    """AdamW with a linear warm-up, a constant rate, and a decay to a tenth over the last steps if any are named.

    decay_share: the last part of the call's minutes over which the rate falls to a tenth, whatever the steps.
    """

    learning_rate: float = 1e-3
    warmup_steps: int = 300
    beta_1: float = 0.9
    beta_2: float = 0.98
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    ema_decay: float = 0.999
    decay_from: int | None = None
    decay_steps: int = 1000
    decay_share: float = 0.0

    def rate(self, step: int, passed: float = 0.0) -> float:
        """Factor on the learning rate at a step, with that share of the call's minutes gone."""
        rate = min(1.0, (step + 1) / max(1, self.warmup_steps))
        if self.decay_from is not None and step > self.decay_from:
            rate *= max(0.1, 1 - 0.9 * (step - self.decay_from) / self.decay_steps)
        if passed > 1 - self.decay_share:
            rate *= max(0.1, 1 - 0.9 * (passed - 1 + self.decay_share) / self.decay_share)
        return rate


class TrainingModule(lightning.LightningModule):
    """The network under training: losses, optimiser, moving average of the weights (``ema``)."""

    def __init__(
        self,
        config: ModelConfig,
        *,
        noise_levels: int = 8,
        self_conditioning: float = 0.5,
        recycles: int = 1,
        noise: NoiseConfig | None = None,
        weights: LossWeights | None = None,
        optimiser: OptimiserConfig | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.network = StructureNetwork(config)
        self.ema = StructureNetwork(config).requires_grad_(False)
        self.ema.load_state_dict(self.network.state_dict())
        self.noise_levels, self.self_conditioning, self.recycles = noise_levels, self_conditioning, recycles
        self.seed = seed
        self.weights = weights or LossWeights()
        self.optimiser = optimiser or OptimiserConfig()
        drawn = noise or NoiseConfig()
        self.preconditioning = Preconditioning(log_mean=drawn.log_mean, log_std=drawn.log_std)
        self.passed: Callable[[], float] = lambda: 0.0
        """The share of the call's minutes that is gone; the rate may follow it."""

    def transfer_batch_to_device(
        self, batch: Features | PackedBatch, device: torch.device, dataloader_idx: int
    ) -> Features:
        """The features on the device; Lightning calls it."""
        return batch.unpack(device) if isinstance(batch, PackedBatch) else batch.to(device)

    def training_step(self, batch: Features, index: int) -> Tensor:
        """The loss of one batch; Lightning calls it."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.global_step)
        terms = self.losses(self.network, batch, generator)
        self.log_dict({name: value.detach() for name, value in terms.items()}, prog_bar=False)
        return terms["loss"]

    def validation_step(self, batch: Features, index: int) -> None:
        """Logs the losses of the averaged weights on one held-out batch; Lightning calls it."""
        generator = torch.Generator().manual_seed(7 + index)
        with torch.no_grad():
            terms = self.losses(self.ema, batch, generator)
        size = batch.token.mask.shape[0]
        self.log_dict({f"validation/{name}": value for name, value in terms.items()}, batch_size=size)

    def losses(self, network: StructureNetwork, batch: Features, generator: torch.Generator) -> dict[str, Tensor]:
        """Every loss, averaged over the batch and its noise levels, and their weighted sum ``loss``.

        What dropout drops follows from the generator's seed too: a run that was stopped goes on as it would have.
        """
        if network.training:
            torch.manual_seed(generator.initial_seed() + _DROPOUT)
        if self.weights.sequence_alone:
            terms = self._local_distogram(network, batch, network.trunk.read_sequences(batch)[1])
        else:
            trunk = network.trunk(batch, recycles=int(torch.randint(self.recycles + 1, (), generator=generator)))
            terms = self._distogram(network, batch, trunk.z_trunk)
            terms |= self._local_distogram(network, batch, trunk.s_sequence)
            if not self.weights.trunk_alone:
                terms |= self._drawn(network, batch, trunk, generator)
        total = torch.stack([getattr(self.weights, name) * value for name, value in terms.items()]).sum()
        return terms | {"loss": total}

    def _drawn(
        self, network: StructureNetwork, batch: Features, trunk: TrunkOutput, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """The losses of what the denoiser makes of noisy structures."""
        condition = network.denoiser.condition(batch, trunk).repeat(self.noise_levels)
        target, weight, resolved = (x.repeat_interleave(self.noise_levels, 0) for x in _targets(batch))
        drawing = _generator_on(target.device, generator)
        sigma = self.preconditioning.draw_sigma(len(target), generator=drawing, device=target.device)
        noise = torch.randn(target.shape, generator=drawing, device=drawing.device).to(target)
        exists = batch.atom.mask.repeat_interleave(self.noise_levels, 0)[..., None]
        noisy = (target + sigma[:, None, None] * noise) * exists
        previous = None
        if torch.rand((), generator=generator) < self.self_conditioning:
            previous = self._first_guess(network, condition, noisy, sigma, batch)
        denoised = network.denoiser(condition, noisy, sigma, previous)
        terms = {"position": losses.position_loss(denoised.positions, target, weight, sigma).mean()}
        terms |= self._geometry(batch, denoised.positions, target, resolved, sigma)
        return terms | {"restype": self._restype(batch, denoised.restype_logits)}

    def _first_guess(
        self, network: StructureNetwork, condition: DenoiserCondition, noisy: Tensor, sigma: Tensor, batch: Features
    ) -> Tensor:
        with torch.no_grad():
            guess = network.denoiser(condition, noisy, sigma).positions
            # On a CPU they are counted: most batches have one group or none. Asking a GPU would take longer.
            groups = None if guess.device.type == "cpu" else MOTIF_GROUPS
            return MotifHold.from_features(batch, groups=groups).repeat(self.noise_levels).project(guess, 0.0)

    def _geometry(
        self, batch: Features, denoised: Tensor, target: Tensor, resolved: Tensor, sigma: Tensor
    ) -> dict[str, Tensor]:
        repeat, shape = self.noise_levels, (batch.num_tokens, batch.num_slots)
        token = batch.token
        denoised, target = denoised.unflatten(1, shape), target.unflatten(1, shape)
        resolved = resolved.unflatten(1, shape)
        centre = token.centre.repeat_interleave(repeat, 0)[..., None]
        here, there = (torch.take_along_dim(x, centre[..., None], 2)[:, :, 0] for x in (denoised, target))
        seen = torch.take_along_dim(resolved, centre, 2)[..., 0]
        linked = pad(_follows(token), (0, 1)).repeat_interleave(repeat, 0)
        protein = (token.kind == ChainKind.PROTEIN).repeat_interleave(repeat, 0)
        fine = (sigma < _FINE_SIGMA).to(denoised)
        fine = fine / fine.mean().clamp(min=0.05)
        return {
            "smooth_lddt": losses.smooth_lddt_loss(here, there, seen).mean(),
            "local_geometry": (fine * losses.local_geometry_loss(denoised, target, resolved, linked)).mean(),
            "clash": (fine * losses.clash_loss(here, seen, protein)).mean(),
        }

    def _distogram(self, network: StructureNetwork, batch: Features, z: Tensor) -> dict[str, Tensor]:
        positions, seen = _representatives(batch)
        target = losses.distance_bin(losses.pair_distances(positions))
        entropy = losses.distogram_entropy(network.distogram(z), target)
        return {"distogram": losses.mean_where(entropy, seen[:, :, None] & seen[:, None])}

    def _local_distogram(
        self, network: StructureNetwork, batch: Features, s_sequence: Tensor | None
    ) -> dict[str, Tensor]:
        if network.local_distogram is None or s_sequence is None:
            return {}
        positions, seen = _representatives(batch)
        further, exists = chain_neighbours(batch.token, LOCAL_OFFSETS)
        rows = torch.arange(len(positions), device=positions.device)[:, None, None]
        target = losses.distance_bin(torch.linalg.vector_norm(positions[rows, further] - positions[:, :, None], dim=-1))
        entropy = losses.distogram_entropy(network.local_distogram(s_sequence), target)
        both = exists & seen[:, :, None] & seen[rows, further]
        return {"local_distogram": losses.mean_where(entropy, both)}

    def _restype(self, batch: Features, logits: Tensor) -> Tensor:
        hidden = (~batch.condition.sequence_known & batch.token.mask).repeat_interleave(self.noise_levels, 0)
        answer = batch.token.true_restype.repeat_interleave(self.noise_levels, 0)
        return losses.restype_loss(logits, answer, hidden).sum() / hidden.any(1).sum().clamp(min=1)

    def configure_optimizers(self) -> dict:
        """AdamW and its rate; the confidence head is left out."""
        config = self.optimiser
        trained = self._trained()
        optimiser = torch.optim.AdamW(
            trained,
            lr=config.learning_rate,
            betas=(config.beta_1, config.beta_2),
            weight_decay=config.weight_decay,
            fused=trained[0].device.type in ("cpu", "cuda"),
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: config.rate(step, self.passed()))
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clips the norm of all gradients together; Lightning's own refuses fused optimisers in mixed precision."""
        if gradient_clip_val:
            torch.nn.utils.clip_grad_norm_(self._trained(), gradient_clip_val)

    def _trained(self) -> list[torch.nn.Parameter]:
        return [p for name, p in self.network.named_parameters() if not name.startswith("confidence")]

    def carry_average_on(self) -> None:
        """Carries the moving average of the weights one step on."""
        # A young average follows quickly: its memory grows with the steps taken, up to what is asked.
        decay = min(self.optimiser.ema_decay, (1 + self.global_step) / (10 + self.global_step))
        with torch.no_grad():
            ours, theirs = list(self.ema.parameters()), list(self.network.parameters())
            torch._foreach_lerp_(ours, theirs, 1 - decay)  # pyright: ignore


def _representatives(batch: Features) -> tuple[Tensor, Tensor]:
    """Positions (Å) of the representative atoms of all tokens, and which of them are known.

    Where a residue's CB was not seen it is where the backbone has it, or else where three neighbouring CA have it: of
    many entries there is nothing but backbones or traces, whose glycines alone would else teach distances.
    """
    token, shape = batch.token, (batch.num_tokens, batch.num_slots)
    positions, resolved = batch.atom.positions.unflatten(1, shape), batch.atom.resolved.unflatten(1, shape)
    seen = torch.take_along_dim(resolved, token.representative[..., None], 2)[..., 0]
    amino_acid = token.standard & (token.kind == ChainKind.PROTEIN)
    slots = token.frame.clamp(min=0)
    n, ca, c = torch.take_along_dim(positions, slots[..., None], 2).unbind(2)
    backbone = (torch.take_along_dim(resolved, slots, 2) & (token.frame >= 0)).all(-1) & amino_acid
    here = torch.where(seen[..., None], atom_of_token(positions, token.representative), virtual_cb(n, ca, c))
    trace, known = _by_trace(batch, atom_of_token(positions, token.centre), amino_acid & ~seen & ~backbone)
    return torch.where(known[..., None], trace, here), seen | backbone | known


def _by_trace(batch: Features, ca: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """CB (Å) of the wanted residues by their CA and their neighbours', and of which these were seen and are bonded."""
    shape = (batch.num_tokens, batch.num_slots)
    there = torch.take_along_dim(batch.atom.resolved.unflatten(1, shape), batch.token.centre[..., None], 2)[..., 0]
    near = torch.linalg.vector_norm(ca[:, 1:] - ca[:, :-1], dim=-1) < _BONDED_CA
    linked = near & there[:, 1:] & there[:, :-1] & _follows(batch.token)
    cb = torch.zeros_like(ca)
    cb[:, 1:-1] = trace_cb(ca[:, :-2], ca[:, 1:-1], ca[:, 2:])
    return cb, wanted & pad(linked, (1, 0)) & pad(linked, (0, 1))


def _follows(token: TokenFeatures) -> Tensor:
    """Of each residue but the first: whether it is the next one of the same protein chain."""
    follows = (token.residue_index[:, 1:] - token.residue_index[:, :-1] == 1) & token.standard[:, 1:]
    return follows & (token.asym_id[:, 1:] == token.asym_id[:, :-1]) & (token.kind[:, 1:] == ChainKind.PROTEIN)


def _targets(batch: Features) -> tuple[Tensor, Tensor, Tensor]:
    """Positions centred on the resolved atoms, weight of each atom's error, and which atoms count."""
    resolved = batch.atom.resolved & batch.atom.mask
    counts = resolved[..., None].to(batch.atom.positions)
    middle = (batch.atom.positions * counts).sum(1, keepdim=True) / counts.sum(1, keepdim=True).clamp(min=1)
    target = (batch.atom.positions - middle) * counts
    # By comparison: a table would be copied to a GPU each time, for which the host waits.
    weight = torch.stack([(batch.token.kind == kind) * value for kind, value in enumerate(losses.ATOM_WEIGHT)]).sum(0)
    return target, weight.repeat_interleave(batch.num_slots, 1) * resolved, resolved


def _generator_on(device: torch.device, generator: torch.Generator) -> torch.Generator:
    """A generator on a GPU, seeded by one on the CPU, so that noise is drawn where it is used; else the same one."""
    if device.type != "cuda":
        return generator
    seed = int(torch.randint(2**62, (), generator=generator))
    return torch.Generator(device).manual_seed(seed)
