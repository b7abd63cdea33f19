"""Command line options made from the library's settings classes, and settings made from what was given."""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from structdiff.cli.settings import NO_DEFAULT, Setting, settings_of
from structdiff.errors import InputError

if TYPE_CHECKING:
    from structdiff.model.checkpoint import Weights
    from structdiff.options import RunOptions

Command = TypeVar("Command", bound=Callable[..., Any])
Option = inspect.Parameter

_SAMPLING = ("steps", "solver", "churn", "noise_scale", "step_scale")
_RUN = ("weights", "device", "batch_size", "guidance", "recycles", "relax", "precision", "trajectory")
_OF_PREDICTIONS = ("dock", "pose_scoring")
_TYPES: dict[str, Any] = {"int": int, "float": float, "bool": bool, "str": str}
_PANELS = {"sampling": "How structures are drawn", "run": "What they are drawn with", "terminal": "Messages"}


def with_options(*groups: list[Option]) -> Callable[[Command], Command]:
    """Gives a command that takes ``**given`` these options by name; they arrive in ``given``."""

    def extended(command: Command) -> Command:
        signature = inspect.signature(command, eval_str=True)
        own = [each for each in signature.parameters.values() if each.kind is not Option.VAR_KEYWORD]
        every = [*own, *(option for group in groups for option in group)]
        # Typer reads these; keyword-only lets options without a default follow those with one.
        command.__signature__ = signature.replace(  # type: ignore[attr-defined]
            parameters=[each.replace(kind=Option.KEYWORD_ONLY) for each in every]
        )
        command.__annotations__ = {each.name: each.annotation for each in every}
        return command

    return extended


def setting_option(setting: Setting, *names: str, panel: str, unset: str | None = None, **details: Any) -> Option:
    """The option for one field. unset: what not giving it means (shown unless empty); then it arrives as None."""
    kind = _TYPES.get(setting.annotation.split(" | ")[0], str)
    flag = f"--{setting.name.replace('_', '-')}"
    names = names or ((f"{flag}/--no-{flag[2:]}",) if kind is bool else (flag,))
    if unset is not None:
        details["show_default"] = unset or False
    info = typer.Option(*names, help=_sentence(setting.help), rich_help_panel=panel, **details)
    default = None if unset is not None or setting.default is NO_DEFAULT else setting.default
    annotation = kind if default is not None else kind | None
    if "float | Mapping" in setting.annotation:
        annotation, default = str, f"{default:g}"
    return Option(setting.name, Option.KEYWORD_ONLY, default=default, annotation=Annotated[annotation, info])


def sampling_options() -> list[Option]:
    """The sampler's knobs; by default the weights recommend them."""
    settings = settings_of("diffusion.sampler", "SamplingConfig")
    unset = {"steps": "as the weights recommend", "solver": "as the weights recommend"}
    return [
        setting_option(settings[name], panel=_PANELS["sampling"], unset=unset.get(name, "the solver's own"))
        for name in _SAMPLING
    ]


def run_options(*, predictions: bool = False) -> list[Option]:
    """What structures are drawn with: weights, device, batches, guidance; predictions: what is theirs alone, too."""
    settings = settings_of("options", "RunOptions")
    metavars = {"device": "auto|cpu|cuda|mps", "weights": "NAME|FOLDER", "guidance": "NUMBER|NAME=NUMBER,...",
                "trajectory": "K", "pose_scoring": "auto|gnina|vinardo", "precision": "float32|bfloat16"}  # fmt: skip
    unset = {"recycles": "as the weights recommend", "dock": "unless the weights know of poses"}
    more = {"device": "where to compute.", "guidance": ", for instance motif=2,hotspots=1."}
    found = []
    for name in (*_RUN, *(_OF_PREDICTIONS if predictions else ())):
        setting = settings[name]
        text = setting.help.rstrip(".") + more.get(name, ".") if setting.help else more.get(name, "")
        described = Setting(name=name, annotation=setting.annotation, default=setting.default, help=text)
        found.append(setting_option(described, panel=_PANELS["run"], unset=unset.get(name), metavar=metavars.get(name)))
    return [*found, kernels_option()]


def kernels_option() -> Option:
    """What runs the costly operators: native kernels or PyTorch."""
    info = typer.Option(
        "--kernels",
        metavar="auto|native|reference",
        help="What runs the costly operators: native kernels where there are any, only those, or PyTorch.",
        show_default="auto, or as STRUCTDIFF_KERNELS says",
        callback=_choose_kernels,
        rich_help_panel=_PANELS["run"],
    )
    return Option("kernels", Option.KEYWORD_ONLY, default=None, annotation=Annotated[str | None, info])


def _choose_kernels(name: str | None) -> str | None:
    if name is not None:
        from structdiff.kernels.native import MODE_VARIABLE, set_mode

        set_mode(name)
        os.environ[MODE_VARIABLE] = name  # for the processes that this one starts
    return name


def message_options() -> list[Option]:
    """How much a command says."""
    quiet = typer.Option("--quiet", "-q", help="Only errors.", rich_help_panel=_PANELS["terminal"])
    debug = typer.Option("--debug", help="Show where an unexpected error arose.", rich_help_panel=_PANELS["terminal"])
    return [
        Option("quiet", Option.KEYWORD_ONLY, default=False, annotation=Annotated[bool, quiet]),
        Option("debug", Option.KEYWORD_ONLY, default=False, annotation=Annotated[bool, debug]),
    ]


def build_run_options(given: Mapping[str, Any]) -> tuple[RunOptions, Weights]:
    """The run's options and its weights, from what was given to the options of this file. Raises InputError."""
    from structdiff.device import choose_device
    from structdiff.model.library import load_named_weights
    from structdiff.options import RunOptions, recommended_sampling

    run = {name: given[name] for name in (*_RUN, *_OF_PREDICTIONS) if name in given}
    run["guidance"] = parse_guidance(given["guidance"])
    options = RunOptions(**run)
    choose_device(options.device)
    weights = load_named_weights(options.weights)
    sampling = recommended_sampling(weights, **{name: given[name] for name in _SAMPLING})
    return RunOptions(**{**run, "sampling": sampling}), weights


def parse_guidance(text: str) -> float | dict[str, float]:
    """The weight of the conditions: one number, or one by name. Raises InputError.

    >>> parse_guidance("1.5")
    1.5
    """
    if "=" not in text:
        return _guidance_weight(text)
    weights: dict[str, float] = {}
    for part in text.split(","):
        name, sign, value = (piece.strip() for piece in part.partition("="))
        if not sign:
            raise InputError(
                "expected name=number", key="guidance", found=part.strip(), allowed="motif=2,hotspots=1, say"
            )
        if name in weights:
            raise InputError("the condition is named twice", key="guidance", found=name)
        weights[name] = _guidance_weight(value)
    return weights


def _guidance_weight(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError("must be a number, or name=number,...", key="guidance", found=text)
    return value


def _sentence(text: str) -> str:
    """Help starts with a capital; square brackets would be taken for markup."""
    return (text[:1].upper() + text[1:]).replace("[", r"\[")
