"""Lengths of designs: how they are written, and how one is drawn among all that are allowed."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from structdiff.errors import InputError

#: The least and the greatest number of residues.
LengthRange = tuple[int, int]

_LENGTH = re.compile(r"(\d+)(?:-(\d+))?")


def parse_length(text: str | int) -> LengthRange:
    """Reads a total length, ``100`` or ``80-120``; raises InputError.

    >>> parse_length("80-120"), parse_length("100")
    ((80, 120), (100, 100))
    """
    match = _LENGTH.fullmatch(str(text).strip())
    if match is None:
        raise InputError("a length is a number or a range", key="length", found=str(text), allowed="100 or 80-120, say")
    low, high = int(match[1]), int(match[2] or match[1])
    if low > high:
        raise InputError(f"the range is reversed: write {high}-{low}", key="length", found=str(text))
    if low < 1:
        raise InputError("a design has at least one residue", key="length", found=str(text))
    return low, high


def format_length(length: LengthRange) -> str:
    """A total length as `parse_length` reads it."""
    return str(length[0]) if length[0] == length[1] else f"{length[0]}-{length[1]}"


def sample_rows(spans: Sequence[int], low: int, high: int, rng: np.random.Generator) -> list[int]:
    """Draws a number from 0 to each of ``spans``, their sum from ``low`` to ``high``; all rows are equally likely.

    Counts the rows exactly from the last number backwards, then draws each number by how many rows it leaves.
    """
    ways = [[1] + [0] * high]  # ways[k][total]: rows of the last k numbers that add up to total
    for span in reversed(spans):
        before, counts, window = ways[-1], [], 0
        for total in range(high + 1):
            window += before[total] - (before[total - span - 1] if total > span else 0)
            counts.append(window)
        ways.append(counts)
    remaining = low + _weighted_choice(ways[-1][low : high + 1], rng)
    drawn = []
    for place, span in enumerate(spans):
        rest = ways[len(spans) - place - 1]
        number = _weighted_choice([rest[remaining - value] for value in range(min(span, remaining) + 1)], rng)
        drawn.append(number)
        remaining -= number
    return drawn


def _weighted_choice(weights: Sequence[int], rng: np.random.Generator) -> int:
    total = sum(weights)
    return int(rng.choice(len(weights), p=np.array([weight / total for weight in weights])))
