"""Settings of training steps: how much each loss counts, which noise levels are learnt, and how the weights follow."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from structdiff.errors import InputError

_ANY = math.inf
#: What the numbers of a run may be, from and to.
RUN_RANGES = {
    "max_steps": (1, _ANY), "max_minutes": (1e-6, _ANY), "seed": (0, 2**32), "noise_levels": (1, _ANY),
    "self_conditioning": (0, 1), "recycles": (0, _ANY), "threads": (1, _ANY), "workers": (0, _ANY),
    "save_minutes": (0, _ANY), "log_steps": (1, _ANY), "validate_steps": (1, _ANY), "validation_batches": (0, _ANY),
}  # fmt: skip
_OPTIMISER_RANGES = {
    "learning_rate": (0, _ANY), "warmup_steps": (0, _ANY), "beta_1": (0, 0.999999), "beta_2": (0, 0.999999),
    "weight_decay": (0, _ANY), "clip_norm": (0, _ANY), "ema_decay": (0, 1), "decay_from": (0, _ANY),
    "decay_steps": (1, _ANY), "decay_share": (0, 1),
}  # fmt: skip


def require_ranges(settings: object, ranges: Mapping[str, tuple[float, float]]) -> None:
    """Raises InputError for the first number of some settings that lies elsewhere, or is no number; None may be."""
    for name, (low, high) in ranges.items():
        value = getattr(settings, name)
        if value is not None and not low <= value <= high:
            allowed = f"{low:g} or more" if high == _ANY else f"{low:g} to {high:g}"
            raise InputError("this number is not possible", key=name, found=value, allowed=allowed)


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

    def __post_init__(self) -> None:
        require_ranges(self, _OPTIMISER_RANGES)

    def rate(self, step: int, passed: float = 0.0) -> float:
        """Factor on the learning rate at a step, with that share of the call's minutes gone."""
        rate = min(1.0, (step + 1) / max(1, self.warmup_steps))
        if self.decay_from is not None and step > self.decay_from:
            rate *= max(0.1, 1 - 0.9 * (step - self.decay_from) / self.decay_steps)
        if passed > 1 - self.decay_share:
            rate *= max(0.1, 1 - 0.9 * (passed - 1 + self.decay_share) / self.decay_share)
        return rate
