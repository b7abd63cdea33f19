"""Conditions taken away again, so that guidance can compare with and without them."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

import torch

from structdiff.features.schema import Features

#: What guidance can weigh, and the channels behind each name: (group, field).
CONDITIONS: dict[str, tuple[tuple[str, str], ...]] = {
    "motif": tuple(("condition", name) for name in ("motif_group", "structure_fixed", "motif_positions", "motif_mask")),
    "hotspots": (("condition", "hotspot"), ("condition", "keep_away")),
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


def keep_conditions(features: Features, kept: Collection[str]) -> Features:
    """The same molecules with every condition but those named set to unknown; sequences stay as they are."""
    groups: dict[str, dict[str, torch.Tensor]] = {}
    for name, channels in CONDITIONS.items():
        if name not in kept:
            for group, field in channels:
                groups.setdefault(group, {})[field] = torch.zeros_like(getattr(getattr(features, group), field))
    changed = {group: dataclasses.replace(getattr(features, group), **fields) for group, fields in groups.items()}
    return dataclasses.replace(features, **changed)
