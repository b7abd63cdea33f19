"""Features of some of a structure's tokens, as if there were no others."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor

from structdiff.features.collate import feature_axes
from structdiff.features.schema import Features
from structdiff.typing import Int


def token_subset(features: Features, rows: Int[Tensor, " chosen"]) -> Features:
    """The features (of one structure, without a leading axis) of the tokens in these rows, in their order."""
    slots = features.num_slots
    atoms = (rows[:, None] * slots + torch.arange(slots, device=rows.device)).flatten()
    groups: dict[str, Any] = {}
    for group in dataclasses.fields(features):
        whole = getattr(features, group.name)
        fields: dict[str, Tensor] = {}
        for field in dataclasses.fields(whole):
            tensor = getattr(whole, field.name)
            for axis, kind in enumerate(feature_axes(group.name, field.name, tensor)):
                if kind in "ta":
                    tensor = tensor.index_select(axis, atoms if kind == "a" else rows)
            fields[field.name] = tensor
        groups[group.name] = type(whole)(**fields)
    return Features(**groups)
