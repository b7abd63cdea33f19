"""``structdiff train``: weights from a training set."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from structdiff.cli.examples import example_lines
from structdiff.cli.failures import Interrupted
from structdiff.cli.options import Option, kernels_option, message_options, setting_option, with_options
from structdiff.cli.settings import settings_of
from structdiff.errors import InputError

_SIMPLE = ("int", "float", "str", "Path", "bool")


def settings_options() -> list[Option]:
    """One option for each plain setting of a run; the nested ones are set in the file."""
    settings = settings_of("training.run", "TrainConfig").values()
    plain = [each for each in settings if each.annotation.split(" | ")[0] in _SIMPLE]
    return [setting_option(each, panel="In place of what the file says", unset="") for each in plain]


@with_options(settings_options(), [kernels_option()], message_options())
def train(
    config: Annotated[Path, typer.Argument(help="Settings of the run: a YAML file.")],
    **given: Any,
) -> None:
    """Train weights, or go on with a run that was stopped: the same command continues it."""
    from structdiff.training.run import TrainConfig, read_train_config
    from structdiff.training.run import train as run

    fields = {field.name for field in dataclasses.fields(TrainConfig)}
    changes = {name: value for name, value in given.items() if name in fields and value is not None}
    settings = read_train_config(config, changes)
    if settings.out.exists() and not settings.out.is_dir():
        raise InputError("cannot be written: this is a file, not a folder", path=settings.out, key="out")
    try:
        weights = run(settings)
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted: the same command goes on from {settings.out}") from None
    if not given["quiet"]:
        print(f"weights: {weights}", file=sys.stdout)


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        epilog=example_lines(
            "structdiff prepare structures/ data/           first, make a training set",
            "structdiff train mini.yaml",
            "structdiff train mini.yaml --max-minutes 60 --out runs/mini --data data/",
        )
    )(train)
