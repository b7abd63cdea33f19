"""TM-score and GDT: how much of a fold is right, whatever the rest does.

Zhang & Skolnick, Proteins 57, 702 (2004); Zemla, Nucleic Acids Res. 31, 3370 (2003). Both look for the superposition
that puts most residues in place, so they need a search: superpose fragments of many lengths and places, then again and
again those residues that came to lie near.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from structdiff.evaluation.superposition import as_positions, superpose

GDT_TS_CUTOFFS = (1.0, 2.0, 4.0, 8.0)  # Å
GDT_HA_CUTOFFS = (0.5, 1.0, 2.0, 4.0)  # Å
_MINIMAL_FRAGMENT = 4
_ITERATIONS = 20
_BATCH = 256  # superpositions at once, to bound memory


@dataclass(frozen=True, kw_only=True, eq=False)
class TMScore:
    """score in (0, 1]; superposed: the mobile positions (residue, 3) as they score best; d0 in Å."""

    score: float
    superposed: np.ndarray
    d0: float


def tm_d0(length: int) -> float:
    """The distance (Å) that counts as half right in a protein of that length; at least 0.5."""
    return max(0.5, 1.24 * np.cbrt(length - 15) - 1.8) if length > 15 else 0.5


def tm_score(mobile: np.ndarray, target: np.ndarray, *, length: int | None = None) -> TMScore:
    """TM-score of paired CA positions (residue, 3), residue i of one against residue i of the other.

    length normalises (default: the number of pairs; give the target's full length where pairs are missing). Raises
    InputError where the two differ in shape.
    """
    mobile, target = as_positions(mobile, "mobile"), as_positions(target, "target")
    superpose(mobile, target)  # refuses what cannot be paired
    length = len(mobile) if length is None else length
    d0 = tm_d0(length)
    reach = min(max(d0, 4.5), 8.0)
    best, best_positions = -1.0, mobile
    for moved, distance in _superpositions(mobile, target, (reach - 1, reach + 1)):
        score = np.sum(1 / (1 + (distance / d0) ** 2), -1) / length
        winner = int(np.argmax(score))
        if score[winner] > best:
            best, best_positions = float(score[winner]), moved[winner]
    return TMScore(score=best, superposed=best_positions, d0=d0)


def gdt(mobile: np.ndarray, target: np.ndarray, *, cutoffs: tuple[float, ...] = GDT_TS_CUTOFFS) -> float:
    """GDT of paired CA positions (residue, 3): mean over the cutoffs of the largest share of residues within each.

    Every cutoff has its own best superposition; the default is GDT_TS. In [0, 1].
    """
    return float(np.mean(list(_shares(mobile, target, cutoffs).values())))


def gdt_ts_and_ha(mobile: np.ndarray, target: np.ndarray) -> tuple[float, float]:
    """GDT_TS and GDT_HA of paired CA positions (residue, 3), in [0, 1]: three of their cutoffs are the same."""
    shares = _shares(mobile, target, (*GDT_HA_CUTOFFS, *GDT_TS_CUTOFFS))
    ts, ha = (np.mean([shares[cutoff] for cutoff in cutoffs]) for cutoffs in (GDT_TS_CUTOFFS, GDT_HA_CUTOFFS))
    return float(ts), float(ha)


def gdt_ts(mobile: np.ndarray, target: np.ndarray) -> float:
    """GDT_TS (cutoffs 1, 2, 4, 8 Å) of paired CA positions (residue, 3), in [0, 1]."""
    return gdt(mobile, target, cutoffs=GDT_TS_CUTOFFS)


def gdt_ha(mobile: np.ndarray, target: np.ndarray) -> float:
    """GDT_HA (cutoffs 0.5, 1, 2, 4 Å) of paired CA positions (residue, 3), in [0, 1]."""
    return gdt(mobile, target, cutoffs=GDT_HA_CUTOFFS)


def _shares(mobile: np.ndarray, target: np.ndarray, cutoffs: tuple[float, ...]) -> dict[float, float]:
    """The largest share of residues within each of some cutoffs (Å)."""
    mobile, target = as_positions(mobile, "mobile"), as_positions(target, "target")
    superpose(mobile, target)  # refuses what cannot be paired
    found = {cutoff: _superpositions(mobile, target, (max(cutoff, 1.5), cutoff)) for cutoff in dict.fromkeys(cutoffs)}
    return {
        cutoff: max(float(np.max(np.mean(distance <= cutoff, -1))) for _, distance in tries)
        for cutoff, tries in found.items()
    }


def _superpositions(mobile: np.ndarray, target: np.ndarray, reach: tuple[float, float]):  # noqa: ANN202 - generator
    """All superpositions tried, in batches: moved positions (try, residue, 3) and their distances (try, residue).

    reach: cutoffs (Å) that select residues for the first repeat and for the later ones.
    """
    starts = _fragments(len(mobile))
    tried: set[bytes] = set()
    for first in range(0, len(starts), _BATCH):
        selected = starts[first : first + _BATCH]
        for iteration in range(_ITERATIONS + 1):
            moved = superpose(mobile, target, selected)
            distance = np.linalg.norm(moved - target, axis=-1)
            yield moved, distance
            again = _near(distance, reach[0] if iteration == 0 else reach[1])
            selected = _untried(again[(again != selected).any(-1)], tried)
            if not len(selected):
                break


def _fragments(count: int) -> np.ndarray:
    """Fragments of the whole, a half, a quarter ... down to four residues, at every place: (fragment, residue)."""
    rows = []
    size = count
    smallest = min(_MINIMAL_FRAGMENT, count)
    while True:
        for start in range(count - size + 1):
            row = np.zeros(count, bool)
            row[start : start + size] = True
            rows.append(row)
        if size == smallest:
            return np.array(rows)
        size = max(size // 2, smallest)


def _untried(selections: np.ndarray, tried: set[bytes]) -> np.ndarray:
    """The selections (try, residue) from which nothing was superposed yet; they then count as tried.

    From many starts the same residues are found, and from there on everything repeats.
    """
    new = []
    for row, key in enumerate(np.packbits(selections, axis=-1)):
        if (text := key.tobytes()) not in tried:
            tried.add(text)
            new.append(row)
    return selections[new]


def _near(distance: np.ndarray, cutoff: float) -> np.ndarray:
    """Residues within the cutoff; where these are under three, the three nearest."""
    third = np.partition(distance, min(2, distance.shape[-1] - 1), axis=-1)[..., min(2, distance.shape[-1] - 1)]
    return distance <= np.maximum(cutoff, third[..., None])
