"""Settings of training steps: how much each loss counts, which noise levels are learnt, and how the weights follow."""

from __future__ import annotations

from dataclasses import dataclass


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
