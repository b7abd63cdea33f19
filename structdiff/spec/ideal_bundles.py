"""Ideal folds of helices alone: rings of helices that run up and down, and layers of helices that cross."""

from __future__ import annotations

import math

import numpy as np

from structdiff.spec.fold_elements import (
    HELIX_RISE,
    HELIX_SPACING,
    IdealFold,
    across,
    element,
    joined_fold,
    unit,
)
from structdiff.spec.ideal_sheets import shared_out

#: How far helices reach, over the diameter of a compact chain, whose radius of gyration (Å) is a figure by this power
#: of its residues: bundles of helices that reach all through are more designable than others (docs/log.md).
_REACH, _COMPACT = (0.8, 1.3), (2.2, 0.38)
_LOOP, _ENDS = (2, 7), (1, 5)  # residues of the loops between two helices, and at the ends
#: Å between two layers; degrees by which their helices cross (Chothia, Levitt & Richardson 1981).
_LAYERS_APART, _CROSSINGS = 10.3, (-50.0, 20.0, 90.0)
_RING, _ORDERS = 0.7, 10  # share of bundles that are rings; orders of helices in layers that are tried
_LONGEST_PAIR = 50  # residues of a chain of two helices


def bundle(length: int, rng: np.random.Generator) -> IdealFold | None:
    """Two to seven helices of that many residues; None where what was drawn does not come together."""
    count = int(rng.integers(2, 8))
    loops = [int(rng.integers(_LOOP[0], _LOOP[1] + 1)) for _ in range(count - 1)]
    ends = [int(rng.integers(_ENDS[0], _ENDS[1] + 1)) for _ in range(2)]
    sizes = shared_out(length - sum(loops) - sum(ends), count, helix_sizes(length), rng)
    if sizes is None or (count == 2 and length > _LONGEST_PAIR):
        return None
    ring = count == 2 or (count < 5 and rng.random() < _RING)
    return (_ring if ring else _layers)(sizes, (ends[0], *loops, ends[1]), rng)


def helix_sizes(length: int) -> tuple[int, int]:
    """Residues of the shortest and of the longest helix of a bundle of that many residues.

    >>> helix_sizes(64), helix_sizes(100)
    ((15, 24), (17, 28))
    """
    radius_of_gyration = _COMPACT[0] * length ** _COMPACT[1]
    diameter = 2 * math.sqrt(5 / 3) * radius_of_gyration  # of a ball with it
    return round(_REACH[0] * diameter / HELIX_RISE), round(_REACH[1] * diameter / HELIX_RISE)


def _ring(sizes: list[int], loops: tuple[int, ...], rng: np.random.Generator) -> IdealFold | None:
    """Helices around an axis, up and down by turns, in a left-handed coil."""
    count = len(sizes)
    spacing = HELIX_SPACING + rng.normal(0.0, 0.3)
    radius = spacing / (2 * math.sin(math.pi / count))
    tilt, way = math.radians(rng.normal(10.0, 3.0)), rng.choice((-1.0, 1.0))
    found = []
    for place, size in enumerate(sizes):
        angle = way * 2 * math.pi * place / count
        outward = np.array([math.cos(angle), math.sin(angle), 0.0])
        # Left-handed coil: upwards the angle falls.
        upward = unit(np.array([0.0, 0.0, 1.0]) - math.tan(tilt) * across(np.array([0.0, 0.0, 1.0]), outward))
        up = 1.0 if place % 2 == 0 else -1.0
        middle = radius * outward + np.array([0.0, 0.0, rng.normal(0.0, 0.7)])
        found.append(element("H", size, middle, up * upward, outward))
    return joined_fold(found, loops)


def _layers(sizes: list[int], loops: tuple[int, ...], rng: np.random.Generator) -> IdealFold | None:
    """Two layers of helices, one across the other, visited in any order and direction that the loops allow."""
    count = len(sizes)
    lower = count // 2 if rng.random() < 0.5 else count - count // 2
    crossing = math.radians(rng.choice(_CROSSINGS) + rng.normal(0.0, 6.0))
    cosine, sine = math.cos(crossing), math.sin(crossing)
    about_y = np.array([[cosine, 0.0, sine], [0.0, 1.0, 0.0], [-sine, 0.0, cosine]])
    for _ in range(_ORDERS):
        found = []
        for size, place in zip(sizes, rng.permutation(count).tolist(), strict=True):
            above = place >= lower
            across = place - lower - 0.5 * (count - lower - 1) if above else place - 0.5 * (lower - 1)
            middle = np.array([across * HELIX_SPACING, 0.0, rng.normal(0.0, 1.0)])
            direction = np.array([0.0, 0.0, rng.choice((-1.0, 1.0))])
            if above:
                middle = about_y @ middle + np.array([0.0, _LAYERS_APART, 0.0])
                direction = about_y @ direction
            found.append(element("H", size, middle, direction, np.array([0.0, -1.0 if above else 1.0, 0.0])))
        fold = joined_fold(found, loops)
        if fold is not None:
            return fold
    return None
