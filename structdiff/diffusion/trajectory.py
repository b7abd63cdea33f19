"""The way from noise to structure, kept for looking at."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from structdiff.errors import InputError
from structdiff.typing import Float


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """One moment of sampling: noisy positions at level ``sigma`` (Å) after a step, and what was predicted in it."""

    step: int
    sigma: float
    positions: Float[Tensor, "sample atom 3"]
    denoised: Float[Tensor, "sample atom 3"]


class Trajectory:
    """Records every k-th step of a sampler, and always the last one, on the CPU.

    Pass one to `structdiff.diffusion.sampler.sample` and read ``snapshots`` afterwards.
    """

    def __init__(self, every: int = 1) -> None:
        if isinstance(every, bool) or not isinstance(every, int) or every < 1:
            raise InputError("must be a whole number of steps", key="every", found=every, allowed="1 or more")
        self.every = every
        self.snapshots: list[Snapshot] = []

    def record(self, step: int, steps: int, sigma: float, positions: Tensor, denoised: Tensor) -> None:
        """Keeps the state after step ``step`` of ``steps`` (counted from 1) if it is due."""
        if step % self.every and step != steps:
            return
        kept = (tensor.detach().to("cpu", copy=True) for tensor in (positions, denoised))
        self.snapshots.append(Snapshot(step=step, sigma=sigma, positions=next(kept), denoised=next(kept)))
