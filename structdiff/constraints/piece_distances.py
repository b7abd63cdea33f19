"""Overlaps and contacts of placed pieces with their slopes, written out: autograd takes several times as long.

Sums are taken as autograd takes them: a descent whose steps have one length makes much of the last bit of a slope.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from structdiff.features.requests import Proximity
from structdiff.typing import Float

_FEW = 25  # atoms on either side up to which torch.cdist takes no product of matrices
_OVERLAP, _CONTACT = 0.3, 1.0  # weights of Å²
_AIMED = 0.85  # of the distance of a contact: what is aimed at


class Overlap:
    """How far atoms of two sets come nearer to each other than they should.

    Args:
        clearance: how far each pair is to stay apart (Å), 0 where nothing is asked.
        weight: of what `cost` gives.
    """

    def __init__(self, clearance: Float[Tensor, "m n"], weight: float = 1.0) -> None:
        self.clearance, self.weight = clearance, weight
        self.asked = bool(clearance.any())
        self._tables: Tensor | None = None
        self._ends: tuple[Tensor, Tensor] | None = None

    def cost(self, first: Float[Tensor, "pose m 3"], second: Float[Tensor, "pose n 3"]) -> Float[Tensor, " pose"]:
        """Weighted Å²; what `slopes` are of from now on."""
        self._ends = None
        if not self.asked:
            return first.new_zeros(len(first))
        # Tables of the same size again and again: taken anew, the system clears their memory each time.
        if self._tables is None or self._tables.shape[1] != len(first):
            self._tables = first.new_empty(3, len(first), *self.clearance.shape)
        distance, gap, square = self._tables
        _distances(first, second, out=distance)
        torch.sub(self.clearance, distance, out=gap).clamp_(min=0.0)
        total = torch.mul(gap, gap, out=square).sum((1, 2))
        if bool(total.any()):
            self._ends = first, second
        return self.weight * (_OVERLAP * total)

    def slopes(self) -> tuple[Float[Tensor, "pose m 3"], Float[Tensor, "pose n 3"]] | None:
        """The slopes of the last cost (weighted Å²/Å) at both of its ends, once; None where nothing overlaps."""
        if self._tables is None or self._ends is None:
            return None
        distance, gap, _ = self._tables
        return _pushed(gap.mul_(-2 * self.weight * _OVERLAP), distance, *self._ends)


class Contacting:
    """How much is missing to contacts, each of which is of the nearest pair of two sets of atoms.

    Args:
        contacts: what is asked.
    """

    def __init__(self, contacts: Sequence[Proximity]) -> None:
        self.count = len(contacts)
        aimed = [each.bound / _AIMED if each.avoid else _AIMED * each.bound for each in contacts]
        self.aimed = torch.tensor(aimed, dtype=torch.float32)[:, None]
        self.sign = torch.tensor([-1.0 if each.avoid else 1.0 for each in contacts])[:, None]

    def cost(self, ends: Sequence[Float[Tensor, "pose _ 3"]]) -> Float[Tensor, "contact pose"]:
        """Weighted Å²; ends: first atoms of a contact and its second ones, contact after contact."""
        if not self.count:
            return torch.zeros(0, 0)
        self._ends = ends
        self._distances = [torch.cdist(ends[2 * number], ends[2 * number + 1]) for number in range(self.count)]
        self._nearest = torch.stack([each.flatten(1).amin(1) for each in self._distances])
        self._missing = (self.sign * (self._nearest - self.aimed)).clamp(min=0.0)
        return _CONTACT * self._missing.square()

    def slopes(self) -> Iterator[tuple[int, Float[Tensor, "pose _ 3"]]]:
        """Of those ends that are pushed, their numbers and the slopes of the last cost (weighted Å²/Å)."""
        if not self.count:
            return
        by = 2 * _CONTACT * self.sign * self._missing
        for number in torch.nonzero(self._missing.any(1))[:, 0].tolist():
            distance, ends = self._distances[number], self._ends[2 * number : 2 * number + 2]
            nearest = distance == self._nearest[number, :, None, None]
            share = by[number] / nearest.sum((1, 2))  # as torch.amin has it, of pairs that are equally near
            yield from enumerate(_pushed(nearest * share[:, None, None], distance, *ends), start=2 * number)


def _are_few(first: Tensor, second: Tensor) -> bool:
    return max(first.shape[1], second.shape[1]) <= _FEW


def _distances(first: Float[Tensor, "pose m 3"], second: Float[Tensor, "pose n 3"], *, out: Tensor) -> None:
    """What torch.cdist gives, written to memory that is there already."""
    if _are_few(first, second):
        out.copy_(torch.cdist(first, second))
        return
    one, other = first.square().sum(-1, keepdim=True), second.square().sum(-1, keepdim=True)
    left = torch.cat([-2 * first, one, torch.ones_like(one)], -1)
    right = torch.cat([second, torch.ones_like(other), other], -1)
    torch.bmm(left, right.mT, out=out).clamp_(min=0).sqrt_()


def _pushed(
    slope: Float[Tensor, "pose m n"], distance: Float[Tensor, "pose m n"], first: Float[Tensor, "pose m 3"],
    second: Float[Tensor, "pose n 3"],
) -> tuple[Float[Tensor, "pose m 3"], Float[Tensor, "pose n 3"]]:  # fmt: skip
    """Slopes at atoms of slopes of their distances, which are lost; none where two atoms are in one place."""
    if _are_few(first, second):
        apart = first[:, :, None] - second[:, None]
        arrow = (slope[..., None] * apart / distance[..., None]).nan_to_num_(0.0, 0.0, 0.0)
        return arrow.sum(2), -arrow.sum(1)
    slope = slope.div_(distance).nan_to_num_(0.0, 0.0, 0.0)
    return (
        first * slope.sum(-1, keepdim=True) - slope @ second,
        second * slope.sum(-2)[..., None] - slope.mT @ first,
    )
