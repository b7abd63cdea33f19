"""What a run goes on from: its own checkpoint, or weights by name or folder."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch
from torch import nn

from structdiff.errors import InputError
from structdiff.model.checkpoint import Weights
from structdiff.model.library import load_named_weights

CHECKPOINT_FILE = "last.ckpt"


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
