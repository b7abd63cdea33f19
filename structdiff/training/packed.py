"""Batches as one block of bytes, for the way from the processes that make them to the GPU.

A batch is some forty tensors, mostly small whole numbers held in eight bytes each. One block, with every number in the
fewest bytes that hold it and nothing for what is zero throughout, is a tenth of it; it needs no shared memory, which
containers have little of, and one copy to the GPU.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from structdiff.features.schema import (
    AtomFeatures,
    ConditionFeatures,
    Features,
    MSAFeatures,
    PairFeatures,
    TokenFeatures,
)

_GROUPS = (TokenFeatures, AtomFeatures, PairFeatures, MSAFeatures, ConditionFeatures)  # in the order of Features
_ALIGNMENT = 16
_NARROW = (torch.uint8, torch.int8, torch.int16, torch.int32)


@dataclass(frozen=True, kw_only=True)
class PackedBatch:
    """What :func:`pack` makes; layout: of each tensor dtype, dtype as stored, shape, first byte (-1: zeros)."""

    layout: tuple[tuple[torch.dtype, torch.dtype, tuple[int, ...], int], ...]
    data: np.ndarray | Tensor

    def pin_memory(self) -> PackedBatch:
        """The same in memory that a GPU can fetch by itself; data loaders call it."""
        return dataclasses.replace(self, data=torch.as_tensor(self.data).pin_memory())

    def unpack(self, device: torch.device | str = "cpu") -> Features:
        """The features, on a device."""
        data = torch.as_tensor(self.data).to(device, non_blocking=True)
        tensors = iter([_tensor(data, *row) for row in self.layout])
        groups = {}
        for group, kind in zip(dataclasses.fields(Features), _GROUPS, strict=True):
            groups[group.name] = kind(**{field.name: next(tensors) for field in dataclasses.fields(kind)})
        return Features(**groups)


def pack(features: Features) -> PackedBatch:
    """The batch in as few bytes as hold it exactly."""
    layout, pieces, place = [], [], 0
    for group in dataclasses.fields(Features):
        part = getattr(features, group.name)
        for field in dataclasses.fields(part):
            tensor = getattr(part, field.name)
            if not tensor.any():
                layout.append((tensor.dtype, tensor.dtype, tuple(tensor.shape), -1))
                continue
            narrow = tensor.to(_narrowest(tensor)).contiguous()
            raw = narrow.flatten().view(torch.uint8).numpy()
            layout.append((tensor.dtype, narrow.dtype, tuple(tensor.shape), place))
            pieces += [raw, np.zeros(-len(raw) % _ALIGNMENT, np.uint8)]
            place += len(raw) + len(pieces[-1])
    return PackedBatch(layout=tuple(layout), data=np.concatenate(pieces))


def _narrowest(tensor: Tensor) -> torch.dtype:
    if tensor.dtype != torch.int64:
        return tensor.dtype
    least, most = (int(x) for x in tensor.aminmax())
    fits = (d for d in _NARROW if torch.iinfo(d).min <= least and most <= torch.iinfo(d).max)
    return next(fits, torch.int64)


def _tensor(data: Tensor, dtype: torch.dtype, stored: torch.dtype, shape: tuple[int, ...], place: int) -> Tensor:
    if place < 0:
        return torch.zeros(shape, dtype=dtype, device=data.device)
    size = stored.itemsize * int(np.prod(shape))
    return data[place : place + size].view(stored).reshape(shape).to(dtype)
