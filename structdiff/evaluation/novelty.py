"""Known chains made ready to be searched: long ones also in pieces, since a design may be like a domain of one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from structdiff.evaluation.backbone import CA, Backbone
from structdiff.evaluation.diversity import References
from structdiff.evaluation.fold_embedding import fold_embedding

_SHORTEST = 20  # residues
_PIECES = (80, 140)  # residues of the pieces of longer chains; each begins half a piece after the one before
_WHOLE = 1.3  # a chain up to this much longer than a piece is not cut


def references_of_chains(
    named: Sequence[tuple[str, Backbone]], *, on_done: Callable[[int], None] | None = None
) -> References:
    """The chains, and pieces of the long ones, with their places in the space of folds."""
    names, traces, places = [], [], []
    for number, (name, backbone) in enumerate(named):
        for piece in pieces(backbone):
            names.append(name)
            traces.append(piece.positions[:, CA])
            places.append(fold_embedding([piece])[0])
        if on_done is not None:
            on_done(number + 1)
    return References(names=tuple(names), traces=tuple(traces), folds=np.array(places))


def pieces(backbone: Backbone) -> Iterator[Backbone]:
    """A chain whole, and overlapping pieces of it of each size that it is much longer than."""
    count = len(backbone)
    if count < _SHORTEST:
        return
    yield backbone
    for size in _PIECES:
        if count > _WHOLE * size:
            for first in range(0, count - size // 2, size // 2):
                inside = np.zeros(count, bool)
                inside[first : first + size] = True
                yield backbone.select(inside)
