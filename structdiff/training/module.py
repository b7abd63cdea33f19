"""One training step: trunk once, several noise levels, all losses."""

from __future__ import annotations

from dataclasses import dataclass

import pytorch_lightning as lightning
import torch
from torch import Tensor

from structdiff.constraints.motif import MotifHold
from structdiff.diffusion.preconditioning import Preconditioning
from structdiff.features.schema import Features
from structdiff.model.denoiser import DenoiserCondition
from structdiff.model.network import ModelConfig, StructureNetwork
from structdiff.structure.tables import ChainKind
from structdiff.training import losses

_FINE_SIGMA = 4.0  # Å; below it bonds and clashes are worth a loss of their own


@dataclass(frozen=True, kw_only=True)
class LossWeights:
    """How much each loss counts."""

    position: float = 4.0
    smooth_lddt: float = 1.0
    local_geometry: float = 2.0
    clash: float = 0.5
    distogram: float = 0.1
    restype: float = 0.1


@dataclass(frozen=True, kw_only=True)
class OptimiserConfig:
    """AdamW with a linear warm-up, a constant rate, and a decay to a tenth over the last steps if any are named."""

    learning_rate: float = 1e-3
    warmup_steps: int = 300
    beta_1: float = 0.9
    beta_2: float = 0.98
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    ema_decay: float = 0.999
    decay_from: int | None = None
    decay_steps: int = 1000

    def rate(self, step: int) -> float:
        """Factor on the learning rate at a step."""
        warm = min(1.0, (step + 1) / max(1, self.warmup_steps))
        if self.decay_from is None or step <= self.decay_from:
            return warm
        return warm * max(0.1, 1 - 0.9 * (step - self.decay_from) / self.decay_steps)


class TrainingModule(lightning.LightningModule):
    """The network under training: losses, optimiser, moving average of the weights (``ema``)."""

    def __init__(
        self,
        config: ModelConfig,
        *,
        noise_levels: int = 8,
        self_conditioning: float = 0.5,
        recycles: int = 1,
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
        self.preconditioning = Preconditioning()

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
        """Every loss, averaged over the batch and its noise levels, and their weighted sum ``loss``."""
        recycles = int(torch.randint(self.recycles + 1, (), generator=generator))
        trunk = network.trunk(batch, recycles=recycles)
        condition = network.denoiser.condition(batch, trunk).repeat(self.noise_levels)
        target, weight, resolved = (x.repeat_interleave(self.noise_levels, 0) for x in _targets(batch))
        sigma = self.preconditioning.draw_sigma(len(target), generator=generator, device=target.device)
        noise = torch.randn(target.shape, generator=generator).to(target)
        exists = batch.atom.mask.repeat_interleave(self.noise_levels, 0)[..., None]
        noisy = (target + sigma[:, None, None] * noise) * exists
        previous = None
        if torch.rand((), generator=generator) < self.self_conditioning:
            previous = self._first_guess(network, condition, noisy, sigma, batch)
        denoised = network.denoiser(condition, noisy, sigma, previous)
        terms = {"position": losses.position_loss(denoised.positions, target, weight, sigma).mean()}
        terms |= self._geometry(batch, denoised.positions, target, resolved, sigma)
        terms |= self._tokens(network, batch, trunk.z_trunk, denoised.restype_logits)
        total = torch.stack([getattr(self.weights, name) * value for name, value in terms.items()]).sum()
        return terms | {"loss": total}

    def _first_guess(
        self, network: StructureNetwork, condition: DenoiserCondition, noisy: Tensor, sigma: Tensor, batch: Features
    ) -> Tensor:
        with torch.no_grad():
            guess = network.denoiser(condition, noisy, sigma).positions
            return MotifHold.from_features(batch).repeat(self.noise_levels).project(guess, 0.0)

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
        follows = (token.residue_index[:, 1:] - token.residue_index[:, :-1] == 1) & token.standard[:, 1:]
        follows &= (token.asym_id[:, 1:] == token.asym_id[:, :-1]) & (token.kind[:, 1:] == ChainKind.PROTEIN)
        linked = torch.nn.functional.pad(follows, (0, 1)).repeat_interleave(repeat, 0)
        protein = (token.kind == ChainKind.PROTEIN).repeat_interleave(repeat, 0)
        fine = (sigma < _FINE_SIGMA).to(denoised)
        fine = fine / fine.mean().clamp(min=0.05)
        return {
            "smooth_lddt": losses.smooth_lddt_loss(here, there, seen).mean(),
            "local_geometry": (fine * losses.local_geometry_loss(denoised, target, resolved, linked)).mean(),
            "clash": (fine * losses.clash_loss(here, seen, protein)).mean(),
        }

    def _tokens(self, network: StructureNetwork, batch: Features, z: Tensor, logits: Tensor) -> dict[str, Tensor]:
        shape = (batch.num_tokens, batch.num_slots)
        slot = batch.token.representative[..., None]
        positions = torch.take_along_dim(batch.atom.positions.unflatten(1, shape), slot[..., None], 2)[:, :, 0]
        seen = torch.take_along_dim(batch.atom.resolved.unflatten(1, shape), slot, 2)[..., 0]
        hidden = (~batch.condition.sequence_known & batch.token.mask).repeat_interleave(self.noise_levels, 0)
        answer = batch.token.true_restype.repeat_interleave(self.noise_levels, 0)
        return {
            "distogram": losses.distogram_loss(network.distogram(z), positions, seen).mean(),
            "restype": losses.restype_loss(logits, answer, hidden).sum() / hidden.any(1).sum().clamp(min=1),
        }

    def configure_optimizers(self) -> dict:
        """AdamW and its rate; the confidence head is left out."""
        config = self.optimiser
        trained = [p for name, p in self.network.named_parameters() if not name.startswith("confidence")]
        optimiser = torch.optim.AdamW(
            trained, lr=config.learning_rate, betas=(config.beta_1, config.beta_2), weight_decay=config.weight_decay
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: config.rate(step))
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_train_batch_end(self, *arguments: object) -> None:
        """Carries the moving average of the weights one step on."""
        # A young average follows quickly: its memory grows with the steps taken, up to what is asked.
        decay = min(self.optimiser.ema_decay, (1 + self.global_step) / (10 + self.global_step))
        with torch.no_grad():
            ours, theirs = list(self.ema.parameters()), list(self.network.parameters())
            torch._foreach_lerp_(ours, theirs, 1 - decay)  # pyright: ignore


def _targets(batch: Features) -> tuple[Tensor, Tensor, Tensor]:
    """Positions centred on the resolved atoms, weight of each atom's error, and which atoms count."""
    resolved = batch.atom.resolved & batch.atom.mask
    counts = resolved[..., None].to(batch.atom.positions)
    middle = (batch.atom.positions * counts).sum(1, keepdim=True) / counts.sum(1, keepdim=True).clamp(min=1)
    target = (batch.atom.positions - middle) * counts
    kind = torch.tensor(losses.ATOM_WEIGHT, device=target.device)[batch.token.kind]
    return target, kind.repeat_interleave(batch.num_slots, 1) * resolved, resolved
