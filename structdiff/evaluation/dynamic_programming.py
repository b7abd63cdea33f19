"""Alignment of superposed chains: which residues lie on each other, in the order of both, for many pairs at once.

Needleman & Wunsch, J. Mol. Biol. 48, 443 (1970), gaps free as in TM-align's second pass. The cells of an
antidiagonal are reckoned together for all pairs.
"""

from __future__ import annotations

import numpy as np

_DIAGONAL, _UP, _LEFT = 0, 1, 2


def align_positions(
    a: np.ndarray, b: np.ndarray, length_a: np.ndarray, length_b: np.ndarray, *, reach: np.ndarray
) -> np.ndarray:
    """Partner in b of each residue of a (pair, residue of a), -1 for none: the highest sum of 1 / (1 + (d / reach)²).

    a, b (pair, residue, 3) in Å, padded with places far away behind the lengths (pair); reach (pair) in Å.
    """
    return _trace_back(_directions(a, b, reach), length_a, length_b)


def _directions(a: np.ndarray, b: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """Where the best path to each cell comes from (antidiagonal, residue of a, pair)."""
    count, rows = a.shape[:2]
    columns = b.shape[1]
    scaled = (1 / reach).astype(np.float32)
    own = np.ascontiguousarray(a.transpose(2, 1, 0)) * scaled
    other = np.ascontiguousarray(b[:, ::-1].transpose(2, 1, 0)) * scaled
    directions = np.zeros((rows + columns - 1, rows, count), np.uint8)
    # Of this antidiagonal and the two before; index i + 1 is residue i, index 0 the border before it, which stays 0.
    sums = [np.zeros((rows + 1, count), np.float32) for _ in range(3)]
    for k in range(len(directions)):
        low, high = max(0, k - columns + 1), min(rows, k + 1)
        now, before, two_before = (sums[(k + back) % 3] for back in (0, 2, 1))
        first = columns - 1 - k + low
        offset = own[:, low:high] - other[:, first : first + high - low]
        offset *= offset
        likeness = offset[0]
        likeness += offset[1]
        likeness += offset[2]
        likeness += 1
        np.reciprocal(likeness, out=likeness)
        likeness += two_before[low:high]
        up, left = before[low:high], before[low + 1 : high + 1]
        across = np.maximum(up, left)
        np.add(up < left, _UP, out=directions[k, low:high], dtype=np.uint8, casting="unsafe")
        directions[k, low:high][likeness >= across] = _DIAGONAL
        np.maximum(likeness, across, out=now[low + 1 : high + 1])
        if high < rows:
            now[high + 1] = 0  # in the border before b, where the next antidiagonals look
    return directions


def _trace_back(directions: np.ndarray, length_a: np.ndarray, length_b: np.ndarray) -> np.ndarray:
    rows, count = directions.shape[1:]
    partner = np.full((count, rows), -1)
    i, j = length_a - 1, length_b - 1
    pair = np.arange(count)
    while len(pair):
        direction = directions[i + j, i, pair]
        straight = direction == _DIAGONAL
        partner[pair[straight], i[straight]] = j[straight]
        i = i - (direction != _LEFT)
        j = j - (direction != _UP)
        inside = (i >= 0) & (j >= 0)
        if not inside.all():
            pair, i, j = pair[inside], i[inside], j[inside]
    return partner
