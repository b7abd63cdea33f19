"""Which helices and strands of a structure lie side by side, and which strands run the same way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from structdiff.evaluation.backbone import CA, Backbone
from structdiff.evaluation.secondary_structure import bridges, hydrogen_bonds
from structdiff.spec.fold import Block, BlockPair

_TOUCHING, _CONTACTS, _BRIDGES = 8.0, 3, 2  # Å between CA; pairs of residues so near, and pairs of residues bridged


@dataclass(frozen=True, kw_only=True)
class BlockPairs:
    """Pairs of blocks, counted from 1: side by side, of them the parallel and antiparallel strands, and far apart."""

    adjacent: tuple[BlockPair, ...]
    parallel: tuple[BlockPair, ...]
    antiparallel: tuple[BlockPair, ...]
    apart: tuple[BlockPair, ...]


def block_pairs(backbone: Backbone, blocks: Sequence[Block]) -> BlockPairs:
    """How the blocks of a backbone lie. Strands are side by side when bridges join them, others when CA atoms are near.

    Two strands that face each other from two sheets, and blocks that only just touch, are neither adjacent nor apart.
    """
    parallel, antiparallel = bridges(hydrogen_bonds(backbone), backbone.bonded)
    distance = np.linalg.norm(backbone.positions[:, None, CA] - backbone.positions[None, :, CA], axis=-1)
    found: dict[str, list[BlockPair]] = {"adjacent": [], "parallel": [], "antiparallel": [], "apart": []}
    for (low, first), (high, second) in combinations(enumerate(blocks, start=1), 2):
        part = slice(first.start, first.stop), slice(second.start, second.stop)
        near = int((distance[part] < _TOUCHING).sum())
        same, other = int(parallel[part].sum()), int(antiparallel[part].sum())
        strands = first.letter == second.letter == "E"
        if strands and max(same, other) >= _BRIDGES:
            found["parallel" if same > other else "antiparallel"].append((low, high))
        if max(same, other) >= _BRIDGES if strands else near >= _CONTACTS:
            found["adjacent"].append((low, high))
        elif not near:
            found["apart"].append((low, high))
    return BlockPairs(**{name: tuple(pairs) for name, pairs in found.items()})
