"""Conditions taken away again, so that guidance can compare with and without them."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping

import torch

from structdiff.errors import InputError
from structdiff.features.schema import Features

#: What guidance can weigh, and the channels behind each name: (group, field).
CONDITIONS: dict[str, tuple[tuple[str, str], ...]] = {
    "motif": tuple(("condition", name) for name in ("motif_group", "structure_fixed", "motif_positions", "motif_mask")),
    "hotspots": (("condition", "hotspot"), ("condition", "keep_away"), ("pair", "pocket_bound")),
    "secondary_structure": (("condition", "secondary_structure"),),
    "burial": (("condition", "burial"),),
    "contacts": (("pair", "contact_bound"),),
    "fold": (("pair", "fold_adjacency"),),
}


def present_conditions(features: Features) -> list[str]:
    """The conditions of which a batch holds anything."""
    return [
        name
        for name, channels in CONDITIONS.items()
        if any(bool(getattr(getattr(features, group), field).any()) for group, field in channels)
    ]


#: What a fold that is drawn for a design may bring, so that not each design of a request has it.
OF_FOLDS = ("secondary_structure", "burial", "fold")


def check_guidance(guidance: float | Mapping[str, float], present: Collection[str]) -> None:
    """Raises InputError where a weight is given to a condition that is not among those present."""
    for name in guidance if isinstance(guidance, Mapping) else ():
        if name not in present:
            raise InputError("nothing asks for this condition", key="guidance", found=name,
                             allowed=sorted(present) or "a number for all conditions, or leave it out")  # fmt: skip


def keep_conditions(features: Features, kept: Collection[str]) -> Features:
    """The same molecules with every condition but those named set to unknown; sequences stay as they are."""
    groups: dict[str, dict[str, torch.Tensor]] = {}
    for name, channels in CONDITIONS.items():
        if name not in kept:
            for group, field in channels:
                groups.setdefault(group, {})[field] = torch.zeros_like(getattr(getattr(features, group), field))
    changed = {group: dataclasses.replace(getattr(features, group), **fields) for group, fields in groups.items()}
    return dataclasses.replace(features, **changed)
