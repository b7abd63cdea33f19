"""How structures are drawn, the same for prediction and design."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any

from structdiff.arguments import check_kind, check_whole_number, checked_names, shown
from structdiff.diffusion.sampler import SamplingConfig
from structdiff.docking.pose_scorer import GNINA, gnina_is_here
from structdiff.errors import InputError
from structdiff.features.guidance import CONDITIONS
from structdiff.model.abilities import Abilities
from structdiff.model.checkpoint import Weights
from structdiff.precision import PRECISIONS
from structdiff.published_weights import full_names, weights_path

#: What may choose among the poses of a docked ligand.
POSE_SCORING = ("auto", GNINA, "vinardo")


@checked_names
@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How structures are drawn, the same for prediction and design.

    weights: name (``structdiff info`` lists them) or folder. sampling: None takes what the weights recommend, and
    ``{"steps": 50}`` the same but for the steps; a SamplingConfig of your own takes nothing from the weights, and its
    defaults are not what these were tried with.
    guidance: weight of the conditions, 1 as trained, or one by name. recycles: further passes of the trunk, by default
    as many as the weights recommend.
    relax: minimise bonds, angles, chirality and clashes in the end, near the drawn structure. dock: lay ligands that
    nothing holds where an empirical scoring function has them best, in predictions; by default where the weights know
    of no poses. pose_scoring: what chooses among the poses of a docked ligand: gnina, GNINA's networks with their
    published weights, vinardo, the empirical function alone, or auto, the networks where their weights were fetched.
    precision: of the trunk's matrix products: float32, or bfloat16, which is quicker where the machine has it.
    batch_size: structures drawn together, which changes memory and speed but no result. trajectory: keep every k-th
    step, 0 for none.
    """

    weights: str | Path = "mini"  # DEFAULT_WEIGHTS, written out for the command line, which reads the source
    sampling: SamplingConfig | Mapping[str, Any] | None = None
    guidance: float | Mapping[str, float] = 1.0
    recycles: int | None = None
    relax: bool = True
    dock: bool | None = None
    pose_scoring: str = "auto"
    precision: str = "float32"
    device: str = "auto"
    batch_size: int = 4
    trajectory: int = 0

    def __post_init__(self) -> None:
        for key, least in (("batch_size", 1), ("recycles", 0), ("trajectory", 0)):
            if key != "recycles" or self.recycles is not None:
                check_whole_number(getattr(self, key), key, least)
        check_kind(
            self.sampling, SamplingConfig | Mapping | None, "sampling", 'a SamplingConfig, or {"steps": 50}, say'
        )
        if isinstance(self.sampling, Mapping):
            SamplingConfig(**self.sampling)  # refuses what cannot be before anything is drawn
        check_kind(self.relax, bool, "relax", "True or False")
        check_kind(self.dock, bool | None, "dock", "True or False")
        for key, choices in (("pose_scoring", POSE_SCORING), ("precision", PRECISIONS)):
            if getattr(self, key) not in choices:
                raise InputError("unknown choice", key=key, found=shown(getattr(self, key)), allowed=choices,
                                 suggest_from=choices)  # fmt: skip
        if self.pose_scoring == GNINA:
            if self.dock is False:
                raise InputError("without docking there are no poses to choose among", key="pose_scoring", found=GNINA,
                                 allowed="to dock, or auto")  # fmt: skip
            for name in full_names(GNINA):
                weights_path(name)  # says how to fetch them
        self._check_guidance()

    def _check_guidance(self) -> None:
        weights = self.guidance if isinstance(self.guidance, Mapping) else {None: self.guidance}
        for name, weight in weights.items():
            if name is not None and name not in CONDITIONS:
                raise InputError("unknown condition", key="guidance", found=shown(name), allowed=CONDITIONS,
                                 suggest_from=CONDITIONS)  # fmt: skip
            if isinstance(weight, bool) or not isinstance(weight, Real) or not math.isfinite(weight):
                key = "guidance" if name is None else f"guidance.{name}"
                raise InputError("must be a finite number", key=key, found=shown(weight), allowed="2, or by name")


def refuse_options(asked: Iterable[str]) -> None:
    """Raises InputError for what was asked of a design and is an option, or a setting of the sampling."""
    settings = {field.name for field in dataclasses.fields(SamplingConfig)}
    for key in asked:
        if key in {field.name for field in dataclasses.fields(RunOptions)}:
            raise InputError("is an option of the run", key=key, allowed=f"options=RunOptions({key}=...)")
        if key in settings:
            raise InputError("is a setting of the sampling", key=key,
                             allowed=f'options=RunOptions(sampling={{"{key}": ...}})')  # fmt: skip


def sampling_of(options: RunOptions, weights: Weights) -> SamplingConfig:
    """The sampling of a run: what its options say, of all else what the weights recommend."""
    if isinstance(options.sampling, SamplingConfig):
        return options.sampling
    return recommended_sampling(weights, **(options.sampling or {}))


def recycles_of(options: RunOptions, weights: Weights) -> int:
    """Further passes of the trunk: what the options say, else what the weights recommend."""
    return weights.recycles if options.recycles is None else options.recycles


def docks(options: RunOptions, abilities: Abilities) -> bool:
    """Whether what nothing holds is docked in predictions: by default where the network knows no poses."""
    return not abilities.poses if options.dock is None else options.dock


def judges_poses(options: RunOptions) -> bool:
    """Whether GNINA's networks choose among the poses of ligands that are docked."""
    return options.pose_scoring == GNINA or (options.pose_scoring == "auto" and gnina_is_here())


def recommended_sampling(weights: Weights, **changes: object) -> SamplingConfig:
    """The sampling that a set of weights recommends, with some settings changed (None leaves one as it is)."""
    settings = dict(weights.sampling) | {key: value for key, value in changes.items() if value is not None}
    if "solver" in changes and changes["solver"] is not None and changes["solver"] != weights.sampling.get("solver"):
        # Knobs tuned for one solver mean nothing to another.
        for knob in ("churn", "churn_min_sigma", "noise_scale", "step_scale"):
            if changes.get(knob) is None:
                settings.pop(knob, None)
    fields = {field.name for field in dataclasses.fields(SamplingConfig)}
    unknown = set(settings) - fields
    if unknown:
        raise InputError("unknown sampling setting", key="sampling", found=min(unknown), allowed=sorted(fields),
                         suggest_from=fields)  # fmt: skip
    return SamplingConfig(**settings)  # type: ignore[arg-type]
