"""Several copies of one structure side by side, as the network sees a symmetric assembly."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from structdiff.features.collate import feature_axes
from structdiff.features.schema import Features


def side_by_side(item: Features, copies: int) -> Features:
    """The features of ``copies`` copies of a structure, one after the other, as chains of the same entities.

    Each copy is told what the first is told. Known geometry stays within a copy: motif groups get numbers of their own,
    so that how copies stand to each other is free.
    """
    groups = {}
    for group in dataclasses.fields(Features):
        value = getattr(item, group.name)
        changed = {
            field.name: _repeated(tensor, feature_axes(group.name, field.name, tensor), copies)
            for field in dataclasses.fields(value)
            for tensor in (getattr(value, field.name),)
        }
        groups[group.name] = dataclasses.replace(value, **changed)
    found = Features(**groups)
    number = torch.arange(copies).repeat_interleave(item.num_tokens)
    token, group = found.token, found.condition.motif_group
    chains = int(item.token.asym_id.max()) + 1
    symmetry_mates = _chains_of_entity(item)[item.token.entity_id].repeat(copies)
    highest = int(item.condition.motif_group.max())
    return dataclasses.replace(
        found,
        token=dataclasses.replace(
            token, asym_id=token.asym_id + chains * number, sym_id=token.sym_id + symmetry_mates * number
        ),
        condition=dataclasses.replace(found.condition, motif_group=torch.where(group > 0, group + highest * number, 0)),
    )


def _chains_of_entity(item: Features) -> Tensor:
    """How many chains each entity has."""
    entity = item.token.entity_id
    return torch.stack([(item.token.sym_id[entity == each] + 1).amax() for each in range(int(entity.max()) + 1)])


def _repeated(tensor: Tensor, axes: str, copies: int) -> Tensor:
    if axes == "tt":
        return torch.block_diag(*[tensor] * copies).to(tensor.dtype)
    if axes == "mt":
        return tensor.repeat(1, copies)
    return tensor.repeat(copies, *[1] * (tensor.ndim - 1))
