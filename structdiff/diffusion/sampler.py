"""From noise to structures: the loop that carries positions down a schedule of noise levels."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from structdiff.arguments import checked_names
from structdiff.diffusion.constraint_protocol import SamplingConstraint, followed_energy
from structdiff.diffusion.guidance import Denoiser
from structdiff.diffusion.schedule import SIGMA_MAX, SIGMA_MIN, check_schedule, noise_levels
from structdiff.diffusion.solvers import Estimate, Solver, Step, build_solver
from structdiff.diffusion.trajectory import Trajectory
from structdiff.errors import InputError, OutOfReachError, StructdiffError
from structdiff.geometry.distances import centroid
from structdiff.geometry.rotations import random_rotation, rotate
from structdiff.geometry.superposition import superposition
from structdiff.typing import Bool, Float

#: Å from the middle that no file has room for.
FARTHEST = 9999.0

OnStep = Callable[[int, int, Tensor], None]
"""Called after each step with its number from 1, the number of steps, and the positions [sample, atom, 3]."""


@checked_names
@dataclass(frozen=True, kw_only=True)
class SamplingConfig:
    """How structures are drawn: how many steps, by which solver, with how much randomness.

    A knob that is None takes the solver's own default; one that the solver does not have is an error.

    Attributes:
        steps: network evaluations, or half of them for solver "heun".
        solver: "stochastic" (AlphaFold 3's), "euler", "heun", "dpm-solver-2m" or "ancestral".
        churn: share by which noise is raised again before each step (gamma_0; "stochastic", "heun").
        churn_min_sigma: level (Å) below which no noise is added back (gamma_min; "stochastic", "heun").
        noise_scale: factor on all added noise; lower is more typical, higher more diverse.
        step_scale: factor on each step's length; higher is more typical ("stochastic", "euler").
        sigma_max: noise level (Å) to start from.
        sigma_min: last noise level (Å) before 0.
        rho: bend of the schedule; higher spends more steps at low noise.
        dilation: so many times as many steps where a fold is decided (60 to 80 % of the way); at least 1.
        centre: move the noisy positions' centroid to the origin before each step.
        augment: turn and shift everything at random before each step, for networks that are not equivariant.
        align: lay each prediction on the noisy positions it was made from, since such networks turn it a little.
        energy_weight: factor on the constraints' energies; 0 does not ask for them.
        energy_spread: how far (Å per coordinate) structures vary where the energies act; bounds their pull.
        energy_max_step: the farthest (Å) an energy moves an atom's prediction in one evaluation.
    """

    steps: int = 200
    solver: str = "stochastic"
    churn: float | None = None
    churn_min_sigma: float | None = None
    noise_scale: float | None = None
    step_scale: float | None = None
    sigma_max: float = SIGMA_MAX
    sigma_min: float = SIGMA_MIN
    rho: float = 7.0
    dilation: float = 1.0
    centre: bool = True
    augment: bool = False
    align: bool = False
    energy_weight: float = 1.0
    energy_spread: float = 1.0
    energy_max_step: float = 2.0

    def __post_init__(self) -> None:
        for key in ("sigma_max", "sigma_min", "rho", "dilation", "energy_weight", "energy_spread", "energy_max_step"):
            value = getattr(self, key)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise InputError("must be a number", key=key, found=value)
        check_schedule(
            self.steps, sigma_max=self.sigma_max, sigma_min=self.sigma_min, rho=self.rho, dilation=self.dilation
        )
        self.build_solver()
        if self.augment and not self.centre:
            raise InputError("random turns need centred positions", key="augment", found=True, allowed="centre: true")
        if not 0 <= self.energy_weight < math.inf:
            raise InputError("out of range", key="energy_weight", found=self.energy_weight, allowed="0 or more")
        if not 0 < self.energy_spread < math.inf:
            raise InputError("must be a length in Å", key="energy_spread", found=self.energy_spread, allowed="> 0")
        if not self.energy_max_step > 0:
            raise InputError("must be a length in Å", key="energy_max_step", found=self.energy_max_step, allowed="> 0")

    def levels(self) -> list[float]:
        """The noise levels (Å) that are visited, the last of them 0."""
        return noise_levels(
            self.steps, sigma_max=self.sigma_max, sigma_min=self.sigma_min, rho=self.rho, dilation=self.dilation
        )

    def build_solver(self) -> Solver:
        """The solver with this configuration's knobs."""
        names = ("churn", "churn_min_sigma", "noise_scale", "step_scale")
        return build_solver(self.solver, {name: getattr(self, name) for name in names})


def sample_generator(seed: int, index: int, draw: int = 0) -> torch.Generator:
    """The source of randomness of one sample: the same seed and index give the same structure, whatever else is drawn.

    A generator on the CPU seeded with the first 63 bits of SHA-256 over the text ``structdiff SEED INDEX``, so that
    seed 1 sample 2 and seed 2 sample 1 have nothing in common. Further draws of a sample add their number to the text.

    Raises:
        InputError: a seed, an index or a draw that is not a whole number of 0 or more.
    """
    for key, value in (("seed", seed), ("index", index), ("draw", draw)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise InputError("must be a whole number", key=key, found=value, allowed="0 or more")
    text = f"structdiff {seed} {index}" + (f" {draw}" if draw else "")
    digest = hashlib.sha256(text.encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def sample(
    denoise: Denoiser,
    mask: Bool[Tensor, "sample atom"],
    *,
    generators: Sequence[torch.Generator],
    config: SamplingConfig | None = None,
    constraints: SamplingConstraint | None = None,
    start: Float[Tensor, "sample atom 3"] | None = None,
    on_step: OnStep | None = None,
    trajectory: Trajectory | None = None,
) -> Float[Tensor, "sample atom 3"]:
    """Draws atom positions (Å) by carrying noise down to zero noise level.

    ``mask`` says which atoms exist; it may differ from sample to sample, and its device is where the work is done.
    Padding is 0 in the result and changes nothing. ``generators`` holds one generator a sample, from
    `sample_generator`. With ``start`` (Å) noise of level ``config.sigma_max`` is added to known positions, to vary a
    structure instead of drawing one anew.

    In every evaluation the prediction follows the energies of ``constraints``, then is projected onto them, and the
    solver steps towards the result; since the last step lands on it, the structure returned meets them exactly, and
    at every level the noisy positions are those of a structure that does.

    AlphaFold 3, Algorithm 18 (solver "stochastic"); Karras et al. 2022, Algorithm 2 ("heun").

    Raises:
        InputError: generators that do not fit the samples.
        StructdiffError: a prediction or an energy's gradient is not finite; names step, noise level and sample.
        OutOfReachError: atoms end further than `FARTHEST` from the middle.
    """
    config = SamplingConfig() if config is None else config
    noise = _Noise(mask, generators)
    solver = config.build_solver()
    levels = config.levels()
    evaluation = _Evaluation(denoise, mask, constraints, config)
    with torch.no_grad():
        positions = levels[0] * noise.draw()
        if start is not None:
            positions = positions + torch.where(mask.unsqueeze(-1), start.to(positions), 0.0)
        last: Estimate | None = None
        for number, (sigma, sigma_next) in enumerate(pairwise(levels), start=1):
            evaluation.step_number = number
            positions, last = _placed(positions, last, evaluation, mask, noise, config)
            result = solver.step(
                Step(
                    positions=positions, sigma=sigma, sigma_next=sigma_next,
                    evaluate=evaluation, draw_noise=noise.draw, last=last,
                )
            )  # fmt: skip
            positions, last = result.positions, result.estimate
            if trajectory is not None:
                trajectory.record(number, config.steps, sigma_next, positions, last.denoised)
            if on_step is not None:
                on_step(number, config.steps, positions)
    _assert_in_reach(positions, config)
    return positions


def _assert_in_reach(positions: Tensor, config: SamplingConfig) -> None:
    """Raises OutOfReachError where atoms were thrown so far that no file has room for them."""
    far = positions.abs().flatten(1).amax(-1)
    if far.numel() and far.max() > FARTHEST:
        raise OutOfReachError(
            f"{config.steps} steps of the {config.solver} solver threw atoms {far.max():.3g} Å away"
            f" (sample {int(far.argmax())}); take more steps, or the solver that the weights recommend"
        )


class _Noise:
    """Standard normal noise for the atoms that exist, each sample's from its own generator.

    Drawn on the CPU in float32 and only for existing atoms: then neither batch, padding nor device changes a value.
    """

    def __init__(self, mask: Tensor, generators: Sequence[torch.Generator]) -> None:
        if mask.shape[0] == 0:
            raise InputError("no sample was asked for", key="mask", found=tuple(mask.shape))
        samples, different = mask.shape[0], len({id(generator) for generator in generators})
        if len(generators) != samples or different != samples:
            message = f"one generator of its own for each of {samples} samples"
            raise InputError(message, key="generators", found=different)
        if any(generator.device.type != "cpu" for generator in generators):
            raise InputError("must be generators on the CPU", key="generators", found=str(generators[0].device))
        self.generators, self.device = generators, mask.device
        self.mask = mask.cpu()
        self.counts = self.mask.sum(-1).tolist()

    def draw(self) -> Tensor:
        """Fresh noise [sample, atom, 3], 0 in the padding."""
        drawn = [torch.randn(n, 3, generator=g) for n, g in zip(self.counts, self.generators, strict=True)]
        noise = torch.zeros(*self.mask.shape, 3)
        noise[self.mask] = torch.cat(drawn)
        return noise.to(self.device)

    def draw_placement(self) -> tuple[Tensor, Tensor]:
        """A random rotation [sample, 3, 3] and shift [sample, 3] of 1 Å per axis for each sample."""
        rotations = torch.stack([random_rotation(generator=g) for g in self.generators])
        shifts = torch.stack([torch.randn(3, generator=g) for g in self.generators])
        return rotations.to(self.device), shifts.to(self.device)


class _Evaluation:
    """Asks the denoiser, then makes its prediction obey the constraints; remembers it for self-conditioning."""

    def __init__(
        self, denoise: Denoiser, mask: Tensor, constraints: SamplingConstraint | None, config: SamplingConfig
    ) -> None:
        self.denoise, self.constraints, self.config = denoise, constraints, config
        self.exists = mask.unsqueeze(-1)
        self.previous: Tensor | None = None
        self.step_number = 0

    def __call__(self, positions: Tensor, sigma: float) -> Tensor:
        levels = torch.full((positions.shape[0],), sigma, dtype=positions.dtype, device=positions.device)
        denoised = self.denoise(positions, levels, self.previous).to(positions.dtype)
        denoised = self._checked(denoised, sigma, "the denoiser's prediction")
        if self.config.align:
            laid = superposition(denoised, positions, mask=self.exists.squeeze(-1))
            denoised = torch.where(self.exists, laid.apply(denoised), 0.0)
        if self.constraints is not None:
            denoised = self._constrained(self.constraints, denoised, sigma)
        self.previous = denoised
        return denoised

    def _constrained(self, constraints: SamplingConstraint, denoised: Tensor, sigma: float) -> Tensor:
        config = self.config
        if config.energy_weight > 0:
            denoised = followed_energy(
                constraints, denoised, sigma,
                weight=config.energy_weight, spread=config.energy_spread, max_step=config.energy_max_step,
            )  # fmt: skip
            denoised = self._checked(denoised, sigma, "the gradient of a constraint's energy")
        return self._checked(constraints.project(denoised, sigma), sigma, "a constraint's projection")

    def _checked(self, positions: Tensor, sigma: float, what: str) -> Tensor:
        positions = torch.where(self.exists, positions, 0.0)
        finite = positions.isfinite().flatten(1).all(-1)
        if not finite.all():
            index = int((~finite).nonzero()[0])
            raise StructdiffError(
                f"{what} is not finite in step {self.step_number} of {self.config.steps}"
                f" (sigma {sigma:.4g} Å, sample {index})"
            )
        return positions


def _placed(
    positions: Tensor, last: Estimate | None, evaluation: _Evaluation, mask: Tensor, noise: _Noise,
    config: SamplingConfig,
) -> tuple[Tensor, Estimate | None]:  # fmt: skip
    """Centres (and turns at random) the positions, and everything that is remembered about them alike."""
    if not config.centre:
        return positions, last
    centre = centroid(positions, mask).unsqueeze(-2)
    turn, shift = noise.draw_placement() if config.augment else (None, None)

    def place(points: Tensor) -> Tensor:
        moved = points - centre
        if turn is not None and shift is not None:
            moved = rotate(turn, moved) + shift.unsqueeze(-2)
        return torch.where(mask.unsqueeze(-1), moved, 0.0)

    if evaluation.previous is not None:
        evaluation.previous = place(evaluation.previous)
    return place(positions), None if last is None else replace(last, denoised=place(last.denoised))
