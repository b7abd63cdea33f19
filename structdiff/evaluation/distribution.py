"""Two sets of points beside each other: does one have the distribution of the other, as it is asked of images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist

from structdiff.evaluation.summary import Summary, summarise_draws

NEIGHBOURS = 5
_MINIMUM = 2 * NEIGHBOURS
_DRAWS = 60
_SHARE = 0.8  # of the points in each draw
LENGTH_WINDOW = 0.12  # natural chains up to this share longer or shorter count as of the same length


def frechet_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Fréchet distance of two sets of points (point, dimension), each taken as normally distributed.

    |m1 - m2|² + tr(C1 + C2 - 2 (C1 C2)^1/2): Dowson & Landau, J. Multivar. Anal. 12, 450 (1982). Small sets are further
    apart than large ones of the same distributions: compare only distances of sets of the same sizes.
    """
    offset = first.mean(0) - second.mean(0)
    one, two = (np.atleast_2d(np.cov(points, rowvar=False)) for points in (first, second))
    # tr (C1 C2)^1/2 is the sum of the singular values of C1^1/2 C2^1/2.
    shared = np.linalg.svd(_root(one) @ _root(two), compute_uv=False).sum()
    return float(max(offset @ offset + np.trace(one) + np.trace(two) - 2 * shared, 0.0))


def _root(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


@dataclass(frozen=True, kw_only=True)
class Support:
    """How two sets of points overlap; shares in [0, 1] but density, which is about 1 for equal distributions."""

    precision: float
    recall: float
    density: float
    coverage: float


def support(points: np.ndarray, natural: np.ndarray, *, neighbours: int = NEIGHBOURS) -> Support:
    """Precision and recall (Kynkäänniemi et al. 2019), density and coverage (Naeem et al. 2020) of points.

    A point's reach is the distance to its k-th neighbour in its own set. points, natural (point, dimension).
    """
    between = cdist(points, natural)
    own_reach, natural_reach = _reach(points, neighbours), _reach(natural, neighbours)
    inside = between <= natural_reach
    return Support(
        precision=float(inside.any(1).mean()),
        recall=float((between <= own_reach[:, None]).any(0).mean()),
        density=float(inside.sum(1).mean() / neighbours),
        coverage=float(inside.any(0).mean()),
    )


def _reach(points: np.ndarray, neighbours: int) -> np.ndarray:
    distance = cdist(points, points)
    return np.partition(distance, neighbours, axis=1)[:, neighbours]


@dataclass(frozen=True, kw_only=True)
class Likeness:
    """A set beside natural chains, each figure with an interval.

    frechet: to natural chains. frechet_natural: between two sets of natural chains of the same size. frechet_ratio: of
    the first to the mean of the second. size: of the sets that were compared.
    """

    frechet: Summary
    frechet_natural: Summary
    frechet_ratio: Summary
    precision: Summary
    recall: Summary
    density: Summary
    coverage: Summary
    size: int


def likeness(
    points: np.ndarray, lengths: np.ndarray, natural: np.ndarray, natural_lengths: np.ndarray, *, seed: int = 0
) -> Likeness | None:
    """Compares points (point, dimension) with natural chains of the same lengths; None where there are too few of them.

    Natural chains of like lengths are drawn twice without overlap, each set with the lengths of four fifths of the
    points. The first is held against these points and against the second, sixty times: intervals are 95 % of the draws.
    """
    generator = np.random.default_rng(seed)
    rows: dict[str, list[float]] = {}
    sizes = []
    for _ in range(_DRAWS):
        own, one, two = _matched(lengths, natural_lengths, generator)
        if len(own) < _MINIMUM:
            return None
        to_natural, halves = frechet_distance(points[own], natural[one]), frechet_distance(natural[one], natural[two])
        values = {"frechet": to_natural, "frechet_natural": halves}
        for name, value in (values | vars(support(points[own], natural[one]))).items():
            rows.setdefault(name, []).append(value)
        sizes.append(len(own))
    typical = max(float(np.mean(rows["frechet_natural"])), 1e-12)
    rows["frechet_ratio"] = [value / typical for value in rows["frechet"]]
    return Likeness(**{name: summarise_draws(values) for name, values in rows.items()}, size=int(np.median(sizes)))


def _matched(
    lengths: np.ndarray, natural_lengths: np.ndarray, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of some points, and for each two natural chains of about its length; a chain is used once."""
    free = np.ones(len(natural_lengths), bool)
    triples = []
    for point in generator.permutation(len(lengths))[: max(1, round(_SHARE * len(lengths)))]:
        candidates = np.flatnonzero(free & like_length(natural_lengths, float(lengths[point])))
        if len(candidates) >= 2:
            one, two = generator.choice(candidates, 2, replace=False)
            free[[one, two]] = False
            triples.append((point, one, two))
    own, one, two = np.array(triples, np.int64).reshape(-1, 3).T
    return own, one, two


def like_length(natural_lengths: np.ndarray, length: float) -> np.ndarray:
    """Which natural chains (chain) count as of a length: up to 12 % longer or shorter."""
    return np.abs(natural_lengths - length) <= LENGTH_WINDOW * length
