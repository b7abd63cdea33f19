"""One training step: trunk once, several noise levels, all losses."""

from __future__ import annotations

from collections.abc import Callable

import pytorch_lightning as lightning
import torch
from torch import Tensor
from torch.nn.functional import pad

from structdiff.constraints.motif import MotifHold
from structdiff.diffusion.preconditioning import Preconditioning
from structdiff.features.schema import Features
from structdiff.model.denoiser import DenoiserCondition
from structdiff.model.heads import LOCAL_OFFSETS
from structdiff.model.network import ModelConfig, StructureNetwork
from structdiff.model.relative_position import chain_neighbours
from structdiff.model.trunk import TrunkOutput
from structdiff.structure.tables import ChainKind
from structdiff.training import losses
from structdiff.training.packed import PackedBatch
from structdiff.training.step_settings import LossWeights, NoiseConfig, OptimiserConfig
from structdiff.training.targets import denoising_targets, follows, representatives
from structdiff.training.tasks import MOTIF_GROUPS

_DROPOUT = 1 << 32  # from the seed of the noise to that of dropout: the same one would draw both alike
_FINE_SIGMA = 4.0  # Å; below it bonds and clashes are worth a loss of their own


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
        target, weight, resolved = (x.repeat_interleave(self.noise_levels, 0) for x in denoising_targets(batch))
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
        linked = pad(follows(token), (0, 1)).repeat_interleave(repeat, 0)
        protein = (token.kind == ChainKind.PROTEIN).repeat_interleave(repeat, 0)
        fine = (sigma < _FINE_SIGMA).to(denoised)
        fine = fine / fine.mean().clamp(min=0.05)
        return {
            "smooth_lddt": losses.smooth_lddt_loss(here, there, seen).mean(),
            "local_geometry": (fine * losses.local_geometry_loss(denoised, target, resolved, linked)).mean(),
            "clash": (fine * losses.clash_loss(here, seen, protein)).mean(),
        }

    def _distogram(self, network: StructureNetwork, batch: Features, z: Tensor) -> dict[str, Tensor]:
        positions, seen = representatives(batch)
        target = losses.distance_bin(losses.pair_distances(positions))
        entropy = losses.distogram_entropy(network.distogram(z), target)
        return {"distogram": losses.mean_where(entropy, seen[:, :, None] & seen[:, None])}

    def _local_distogram(
        self, network: StructureNetwork, batch: Features, s_sequence: Tensor | None
    ) -> dict[str, Tensor]:
        if network.local_distogram is None or s_sequence is None:
            return {}
        positions, seen = representatives(batch)
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

    def on_train_start(self) -> None:
        """Sets what the settings say of the optimiser; Lightning calls it.

        A checkpoint that was gone on from has brought the numbers that it was written under.
        """
        config = self.optimiser
        schedule = self.lr_schedulers()
        schedule.base_lrs = [config.learning_rate] * len(schedule.base_lrs)  # pyright: ignore
        for group in schedule.optimizer.param_groups:  # pyright: ignore
            group["lr"] = config.learning_rate * config.rate(schedule.last_epoch, self.passed())  # pyright: ignore
            group["betas"], group["weight_decay"] = (config.beta_1, config.beta_2), config.weight_decay

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


def _generator_on(device: torch.device, generator: torch.Generator) -> torch.Generator:
    """A generator on a GPU, seeded by one on the CPU, so that noise is drawn where it is used; else the same one."""
    if device.type != "cuda":
        return generator
    seed = int(torch.randint(2**62, (), generator=generator))
    return torch.Generator(device).manual_seed(seed)
