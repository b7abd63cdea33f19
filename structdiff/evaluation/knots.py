"""Knots in the course of a chain: found by pulling its ends.

The CA trace is made as short as its entanglement allows (Koniaris & Muthukumar, J. Chem. Phys. 95, 2873, 1991: a
residue goes where the triangle with its neighbours is not pierced). What is left is closed far outside, judged by the
Alexander polynomial at -1 (Vologodskii et al., Sov. Phys. JETP 39, 1059, 1974).
"""

from __future__ import annotations

import numpy as np

from structdiff.evaluation.backbone import CA, Backbone

_CLOSINGS = 9
_FAR = 20.0  # times the chain's extent: where the ends are joined
_TRIVIAL = 5  # vertices: a polygon of fewer than six edges has no knot


def knotted_share(backbone: Backbone) -> float:
    """Share of the chains that are knotted; missing residues are bridged straight. NaN where no chain has a CA."""
    ca = backbone.positions[:, CA]
    seen = np.isfinite(ca).all(-1)
    chains = np.unique(backbone.chain[seen])
    if not len(chains):
        return float("nan")
    return float(np.mean([is_knotted(ca[seen & (backbone.chain == chain)]) for chain in chains]))


def is_knotted(trace: np.ndarray) -> bool:
    """Whether a trace (residue, 3) is knotted: in most of several ways of joining its ends outside.

    A trace that comes loose with its ends where they are is not knotted, however they are joined.
    """
    shortened = shorten(trace)
    if len(shortened) <= 3:
        return False
    knots = 0
    for number in range(_CLOSINGS):
        closed = shorten(_with_far_ends(shortened, number))
        knots += len(closed) > _TRIVIAL and knot_determinant(closed) != 1
        if knots > _CLOSINGS // 2 or number - knots >= _CLOSINGS // 2:
            break
    return knots > _CLOSINGS // 2


def shorten(trace: np.ndarray) -> np.ndarray:
    """The trace (vertex, 3) without all vertices that can go and no part of it pass through another; ends stay."""
    trace = np.asarray(trace, np.float64)
    changed = True
    while changed and len(trace) > 2:
        changed = False
        vertex = 1
        while vertex < len(trace) - 1:
            if _is_free(trace, vertex):
                trace = np.delete(trace, vertex, axis=0)
                changed = True
            else:
                vertex += 1
    return trace


def _is_free(trace: np.ndarray, vertex: int) -> bool:
    """Whether no other segment of the trace passes through the triangle of a vertex and its neighbours."""
    corner, one, two = trace[vertex - 1], trace[vertex] - trace[vertex - 1], trace[vertex + 1] - trace[vertex - 1]
    # Segments that share a corner with the triangle cannot pierce it.
    starts = np.concatenate([trace[: max(vertex - 2, 0)], trace[vertex + 2 : -1]])
    ends = np.concatenate([trace[1 : max(vertex - 1, 1)], trace[vertex + 3 :]])
    if not len(starts):
        return True
    normal = np.cross(one, two)
    height_start, height_end = (starts - corner) @ normal, (ends - corner) @ normal
    crossing = height_start * height_end < 0
    if not crossing.any():
        return True
    start, end = starts[crossing], ends[crossing]
    share = height_start[crossing] / (height_start[crossing] - height_end[crossing])
    point = start + share[:, None] * (end - start) - corner
    squared = normal @ normal
    first, second = np.cross(point, two) @ normal / squared, np.cross(one, point) @ normal / squared
    return not np.any((first >= 0) & (second >= 0) & (first + second <= 1))


def _with_far_ends(trace: np.ndarray, number: int) -> np.ndarray:
    """The trace with its ends drawn far out: away from the middle first, then in random directions."""
    middle = trace.mean(0)
    reach = _FAR * np.linalg.norm(trace - middle, axis=-1).max()
    if number == 0:
        directions = np.stack([trace[0] - middle, trace[-1] - middle])
    else:
        directions = np.random.default_rng(number).normal(size=(1, 3)).repeat(2, axis=0)
    directions = directions / np.maximum(np.linalg.norm(directions, axis=-1, keepdims=True), 1e-9)
    return np.concatenate([trace[:1] + reach * directions[0], trace, trace[-1:] + reach * directions[1]])


def knot_determinant(polygon: np.ndarray) -> int:
    """|Alexander polynomial at -1| of a closed polygon (vertex, 3): 1 for no knot, 3 for a trefoil, 5 for a figure of
    eight."""
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    points = polygon @ turn
    crossings = _crossings(points)  # (under segment, place on it, over segment, place on it)
    if len(crossings) < 3:
        return 1
    order = np.lexsort((crossings[:, 1], crossings[:, 0]))
    crossings = crossings[order]
    along_under = crossings[:, 0] + crossings[:, 1]
    count = len(crossings)
    # Arc k runs from crossing k - 1 (under) to crossing k (under).
    over = np.searchsorted(along_under, crossings[:, 2] + crossings[:, 3]) % count
    matrix = np.zeros((count, count))
    for row in range(count):
        matrix[row, over[row]] += 2
        matrix[row, row] -= 1
        matrix[row, (row + 1) % count] -= 1
    return round(abs(float(np.linalg.det(matrix[1:, 1:]))))


def _crossings(points: np.ndarray) -> np.ndarray:
    """Crossings of the projection on the first two axes: under segment and place on it, over segment and its place."""
    count = len(points)
    start, step = points, np.roll(points, -1, axis=0) - points
    i, j = np.triu_indices(count, 2)
    keep = ~((i == 0) & (j == count - 1))
    i, j = i[keep], j[keep]
    area = step[i, 0] * step[j, 1] - step[i, 1] * step[j, 0]
    offset = start[j] - start[i]
    with np.errstate(divide="ignore", invalid="ignore"):
        on_i = (offset[:, 0] * step[j, 1] - offset[:, 1] * step[j, 0]) / area
        on_j = (offset[:, 0] * step[i, 1] - offset[:, 1] * step[i, 0]) / area
    crossing = (on_i >= 0) & (on_i < 1) & (on_j >= 0) & (on_j < 1)
    i, j, on_i, on_j = i[crossing], j[crossing], on_i[crossing], on_j[crossing]
    above = start[i, 2] + on_i * step[i, 2] > start[j, 2] + on_j * step[j, 2]
    return np.stack(
        [np.where(above, j, i), np.where(above, on_j, on_i), np.where(above, i, j), np.where(above, on_i, on_j)], -1
    )
