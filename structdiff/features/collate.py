"""Several structures of different size as one batch, padded with zeros."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor

from structdiff.features.schema import Features

_ATOM_FIELDS = {"motif_positions", "motif_mask"}


def feature_axes(group: str, field: str, tensor: Tensor) -> str:
    """What the axes of one structure's feature are, a letter each: t token, a atom, m MSA row, "." a fixed size."""
    if group == "atom" or field in _ATOM_FIELDS:
        return "a" + "." * (tensor.ndim - 1)
    if group == "pair":
        return "tt"
    if group == "msa":
        return "mt"
    return "t" + "." * (tensor.ndim - 1)


def _pad(tensor: Tensor, axes: str, slots: int, sizes: dict[str, int]) -> Tensor:
    if axes[0] == "a":
        by_slot = tensor.reshape(-1, slots, *tensor.shape[1:])
        padded = tensor.new_zeros(sizes["t"], sizes["s"], *tensor.shape[1:])
        padded[: by_slot.shape[0], :slots] = by_slot
        return padded.flatten(0, 1)
    shape = [sizes.get(axis, size) for axis, size in zip(axes, tensor.shape, strict=True)]
    if list(tensor.shape) == shape:
        return tensor
    padded = tensor.new_zeros(shape)
    padded[tuple(slice(size) for size in tensor.shape)] = tensor
    return padded


def collate(items: Sequence[Features], *, num_tokens: int | None = None, num_slots: int | None = None) -> Features:
    """A batch of structures; num_tokens and num_slots pad further than the largest needs.

    Padding is masked everywhere and changes no result.
    """
    sizes = {
        "t": num_tokens or max(item.num_tokens for item in items),
        "s": num_slots or max(item.num_slots for item in items),
        "m": max(item.msa.restype.shape[0] for item in items),
    }
    groups = {}
    for group in dataclasses.fields(Features):
        first = getattr(items[0], group.name)
        fields = {}
        for field in dataclasses.fields(first):
            padded = [
                _pad(tensor, feature_axes(group.name, field.name, tensor), item.num_slots, sizes)
                for item in items
                for tensor in (getattr(getattr(item, group.name), field.name),)
            ]
            fields[field.name] = torch.stack(padded)
        groups[group.name] = type(first)(**fields)
    return Features(**groups)
