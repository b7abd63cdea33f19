"""Known chains made ready to be searched: long ones also in pieces, since a design may be like a domain of one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from structdiff.evaluation.backbone import CA, Backbone
from structdiff.evaluation.diversity import References
from structdiff.evaluation.fold_embedding import fold_embedding

_SHORTEST = 20  # residues
_WHOLE = 1.3  # a chain up to this much longer than what is looked for is not cut


def references_of_chains(
    named: Sequence[tuple[str, Backbone]], length: int, *, on_done: Callable[[int], None] | None = None
) -> References:
    """The chains, and pieces of the long ones, with their places in the space of folds.

    length: residues of the structures whose like is looked for; pieces are as long.
    """
    names, traces, places = [], [], []
    for number, (name, backbone) in enumerate(named):
        for piece in pieces(backbone, length):
            names.append(name)
            traces.append(piece.positions[:, CA])
            places.append(fold_embedding([piece])[0])
        if on_done is not None:
            on_done(number + 1)
    return References(names=tuple(names), traces=tuple(traces), folds=np.array(places))


def pieces(backbone: Backbone, length: int) -> Iterator[Backbone]:
    """A chain whole, or overlapping pieces of it where it is much longer than a length (residues)."""
    count = len(backbone)
    if count < _SHORTEST:
        return
    if count <= _WHOLE * length:
        yield backbone
        return
    for first in range(0, count - length // 2, length // 2):
        inside = np.zeros(count, bool)
        inside[first : first + length] = True
        yield backbone.select(inside)
