"""What a run goes on from: its own checkpoint, or weights by name or folder; and how the checkpoint is written."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as lightning
import torch
from torch import nn

from structdiff.errors import InputError, ResourceError, StructdiffError
from structdiff.model.checkpoint import Weights
from structdiff.model.library import load_named_weights

CHECKPOINT_FILE, RECORD_FILE = "last.ckpt", "run.json"
#: Settings that decide when a run ends, what it says, and where it computes; another value makes no other weights.
_FREE = (
    "out", "max_steps", "max_minutes", "save_minutes", "log_steps", "validate_steps", "validation_batches", "threads",
    "workers", "accelerator",
)  # fmt: skip


def beginning(start_from: Path | None) -> Weights | None:
    """The weights that a run begins with, if any; raises InputError where there are none such."""
    return None if start_from is None else load_named_weights(start_from, key="start_from")


def last_step(out: Path, module: nn.Module) -> tuple[int, Path | None]:
    """The steps that the checkpoint of a run has behind it and its path; 0 and None without one.

    module: what is to go on from it. Raises InputError for a checkpoint that cannot be read or is of other sizes.
    """
    path = out / CHECKPOINT_FILE
    if not path.is_file():
        return 0, None
    try:
        # Mapped, so that only what is looked at is read.
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        sizes = {name: value.shape for name, value in state["state_dict"].items()}
        step = int(state["global_step"])
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError):
        raise InputError("this checkpoint cannot be read; remove it to start anew", path=path) from None
    if sizes != {name: value.shape for name, value in module.state_dict().items()}:
        message = "the checkpoint is of a network of other sizes: give the model or start_from that it began with, or"
        raise InputError(f"{message} another out", path=path, key="model")
    return step, path


def changed_settings(out: Path, settings: Mapping[str, Any]) -> str:
    """In what the settings of a run that goes on differ from those it had, in words; empty where they do not.

    Neither what is free to change nor what the record of the run does not know is told.
    """
    try:
        before = json.loads((out / RECORD_FILE).read_text(encoding="utf-8"))["settings"]
    except (OSError, ValueError, KeyError):
        return ""
    now = json.loads(json.dumps(settings, default=str))
    return ", ".join(
        f"{key} {now_value} ({was} before)"
        for key, was, now_value in _differences(before, now)
        if key.partition(".")[0] not in _FREE
    )


def _differences(before: Any, now: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Keys of nested tables that both have, with their two values where these differ."""
    if isinstance(before, dict) and isinstance(now, dict):
        for name in (name for name in before if name in now):
            yield from _differences(before[name], now[name], f"{key}.{name}" if key else name)
    elif before != now:
        yield key, before, now


def require_finite(module: nn.Module, step: int, out: Path) -> None:
    """Raises StructdiffError where parameters are no numbers any more, so that no checkpoint is made of them."""
    if not all(bool(parameter.isfinite().all()) for parameter in module.parameters()):
        raise StructdiffError(f"{out}: the network is not finite after step {step}; what was saved before stays as it "
                              "is: lower optimiser.learning_rate")  # fmt: skip


def write_checkpoint(trainer: lightning.Trainer, out: Path) -> None:
    """Writes the checkpoint of a run, whole or not at all; all processes meet here, the first one writes.

    Raises ResourceError where it cannot be written.
    """
    path = out / CHECKPOINT_FILE
    temporary = path.with_suffix(".part")
    try:
        trainer.save_checkpoint(temporary, weights_only=False)
        if trainer.global_rank == 0:
            os.replace(temporary, path)
    except (OSError, RuntimeError) as error:
        temporary.unlink(missing_ok=True)
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise ResourceError(f"{path}: cannot be written: {reason}; what was saved before stays as it is") from None
