"""Which rows of the alignments of several chains stand side by side: those of one organism first, then the others."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from structdiff.typing import Bool, Int

#: What stands where a chain has no row.
NO_ROW = -1


@dataclass(frozen=True, kw_only=True)
class RowsToPair:
    """The rows of one chain, the chain itself first.

    keys: rows of one key belong together; None belongs to none. sequences: equal numbers for equal sequences.
    """

    keys: tuple[Hashable | None, ...]
    sequences: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class PairedRows:
    """For each row of the complex and each chain, which of the chain's rows stands there (NO_ROW for none).

    paired: it stands there for its key.
    """

    rows: Int[np.ndarray, "row chain"]
    paired: Bool[np.ndarray, "row chain"]


def pair_rows(chains: Sequence[RowsToPair], most_rows: int) -> PairedRows:
    """At most so many rows of a complex; its chains themselves are row 0, and at most half of the rows are paired.

    Keys that more chains have come first, else in the order in which they come. Where a chain has fewer rows of a key
    than another, they come again; where it has none, and below the paired rows, its next row stands that is not
    paired, each sequence once. The order of AlphaFold 3 (supplement 2.4) as Boltz-2 has it, in which copies of a chain
    are chains as any other.
    """
    rows = np.full((most_rows, len(chains)), NO_ROW, np.int32)
    pairs = _pairs(chains, max(1, most_rows // 2))
    rows[: len(pairs)] = pairs
    paired = rows != NO_ROW
    for number, chain in enumerate(chains):
        free = np.flatnonzero(rows[:, number] == NO_ROW)
        left = _not_yet_there(chain, rows[: len(pairs), number])[: len(free)]
        rows[free[: len(left)], number] = left
    count = 1 + np.flatnonzero((rows != NO_ROW).any(1)).max(initial=0)
    return PairedRows(rows=rows[:count], paired=paired[:count])


def _pairs(chains: Sequence[RowsToPair], most: int) -> list[list[int]]:
    """The rows of the chains themselves, and those of each key that more than one row has."""
    groups: dict[Hashable, dict[int, list[int]]] = {}
    for number, chain in enumerate(chains):
        for row, key in enumerate(chain.keys):
            if key is not None:
                groups.setdefault(key, {}).setdefault(number, []).append(row)
    several = [group for group in groups.values() if sum(map(len, group.values())) > 1]
    found = [[0] * len(chains)]
    for group in sorted(several, key=len, reverse=True):
        for turn in range(max(map(len, group.values()))):
            row = [NO_ROW] * len(chains)
            for number, own in group.items():
                row[number] = own[turn % len(own)]
            if any(each > 0 for each in row):  # else it is the chains themselves once more
                found.append(row)
            if len(found) >= most:
                return found
    return found


def _not_yet_there(chain: RowsToPair, placed: Int[np.ndarray, " row"]) -> list[int]:
    """The rows of a chain whose sequences are not in its placed rows, each sequence once."""
    there = {chain.sequences[row] for row in placed.tolist() if row != NO_ROW}
    first: dict[int, int] = {}
    for row, sequence in enumerate(chain.sequences):
        if sequence not in there:
            first.setdefault(sequence, row)
    return list(first.values())
