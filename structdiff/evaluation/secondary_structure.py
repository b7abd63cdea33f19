"""Secondary structure from hydrogen bonds: helix, strand or loop for every residue.

Kabsch & Sander, Biopolymers 22, 2577 (1983): the electrostatic hydrogen-bond energy, n-turns, bridges. Eight states are
reduced to three: H (alpha, 3-10 and pi helix), E (ladder or isolated bridge), L (the rest).
"""

from __future__ import annotations

import numpy as np

from structdiff.evaluation.backbone import CA, Backbone, C, N, O

ENERGY_LIMIT = -0.5  # kcal/mol
_COUPLING = 27.89  # kcal/mol Å: 332 * 0.42 * 0.20
_MINIMAL_DISTANCE = 0.5  # Å, below which the energy is held at its floor
_FLOOR = -9.9  # kcal/mol
_CA_LIMIT = 9.0  # Å: pairs further apart cannot bond


def secondary_structure(backbone: Backbone) -> np.ndarray:
    """Helix (H), strand (E) or loop (L) of each residue, as an array of one-letter strings.

    Sees hydrogen bonds within and between chains. Residues without N, CA, C are L.
    """
    return assign(hydrogen_bonds(backbone), backbone.bonded)


def hydrogen_bonds(backbone: Backbone) -> np.ndarray:
    """Which backbone N-H (rows) is bonded to which C=O (columns): a boolean matrix (residue, residue)."""
    p = backbone.positions.copy()
    p[:, O] = backbone.oxygen_or_ideal
    count = len(backbone)
    before = np.roll(p, 1, axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        direction = before[:, C] - before[:, O]
        hydrogen = p[:, N] + direction / np.linalg.norm(direction, axis=-1, keepdims=True)
    donor = backbone.bonded & np.isfinite(hydrogen).all(-1)
    if backbone.sequence_known:
        donor &= backbone.restype != "PRO"
    bonds = np.zeros((count, count), bool)
    distance = np.linalg.norm(p[:, None, CA] - p[None, :, CA], axis=-1)
    d, a = np.nonzero((distance < _CA_LIMIT) & donor[:, None])
    # A residue's own C=O, and that of the residue before (its own peptide plane), cannot accept.
    possible = (d != a) & ~((d == a + 1) & backbone.follows[d])
    d, a = d[possible], a[possible]
    inverse = [
        1 / np.maximum(np.linalg.norm(x - y, axis=-1), _MINIMAL_DISTANCE)
        for x, y in ((p[d, N], p[a, O]), (hydrogen[d], p[a, C]), (hydrogen[d], p[a, O]), (p[d, N], p[a, C]))
    ]
    energy = np.maximum(_COUPLING * (inverse[0] + inverse[1] - inverse[2] - inverse[3]), _FLOOR)
    energy[np.isnan(energy)] = 0.0
    best = _two_best(d, energy, count)
    bonds[d[best], a[best]] = True
    return bonds


def assign(bonds: np.ndarray, bonded: np.ndarray) -> np.ndarray:
    """Helix, strand or loop of residues from hydrogen bonds (residue, residue), links to the one before (residue)."""
    alpha = _in_helix(bonds, bonded, 4)
    strand = _in_strand(bonds, bonded) & ~alpha
    out = np.where(alpha, "H", np.where(strand, "E", "L"))
    # 3-10 and pi helices take only what is free: a minimal helix whose residues are all in no other structure.
    for n, taken in ((3, alpha | strand), (5, strand)):
        for start in np.flatnonzero(_helix_starts(bonds, bonded, n)):
            if not taken[start : start + n].any():
                out[start : start + n] = "H"
    return out


def _two_best(donor: np.ndarray, energy: np.ndarray, count: int) -> np.ndarray:
    """The rows of the two strongest bonds of each donor, below the limit of energy (DSSP keeps two)."""
    order = np.lexsort((energy, donor))
    first = np.searchsorted(donor[order], np.arange(count))
    rank = np.arange(len(order)) - first[donor[order]]
    return order[(rank < 2) & (energy[order] < ENERGY_LIMIT)]


def _turns(bonds: np.ndarray, bonded: np.ndarray, n: int) -> np.ndarray:
    """Residues i whose C=O is bonded to the N-H of i + n along an unbroken chain."""
    count = len(bonds)
    turn = np.zeros(count, bool)
    if count > n:
        start = np.arange(count - n)
        breaks = np.concatenate([[0], np.cumsum(~bonded)])
        unbroken = breaks[start + n + 1] == breaks[start + 1]
        turn[: count - n] = bonds[start + n, start] & unbroken
    return turn


def _helix_starts(bonds: np.ndarray, bonded: np.ndarray, n: int) -> np.ndarray:
    """First residues of minimal helices: two turns in a row."""
    turn = _turns(bonds, bonded, n)
    starts = np.zeros(len(turn), bool)
    starts[1:] = turn[1:] & turn[:-1]
    return starts


def _in_helix(bonds: np.ndarray, bonded: np.ndarray, n: int) -> np.ndarray:
    starts = _helix_starts(bonds, bonded, n)
    inside = np.zeros(len(starts), bool)
    for step in range(n):
        inside[step:] |= starts[: len(starts) - step]
    return inside


def _in_strand(bonds: np.ndarray, bonded: np.ndarray) -> np.ndarray:
    """Residues of bridges, and those of bulges between two bridges of one ladder."""
    inside = np.zeros(len(bonds), bool)
    breaks = np.cumsum(~bonded)
    for pairs, direction in zip(bridges(bonds, bonded), (1, -1), strict=True):
        i, j = np.nonzero(pairs)
        inside[i] = inside[j] = True
        # Two bridges belong to one ladder when at most one residue lies between them on one strand, four on the other.
        step_i, step_j = i[None] - i[:, None], direction * (j[None] - j[:, None])
        joined = (step_i > 0) & (step_j > 0) & (step_i < 6) & (step_j < 6) & (np.minimum(step_i, step_j) < 3)
        joined &= (breaks[i][None] == breaks[i][:, None]) & (breaks[j][None] == breaks[j][:, None])
        for first, second in zip(*np.nonzero(joined), strict=True):
            for strand in (i, j):
                low, high = sorted((strand[first], strand[second]))
                inside[low : high + 1] = True
    return inside


def bridges(bonds: np.ndarray, bonded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Parallel and antiparallel bridges (residue, residue); both partners have bonded neighbours on either side."""
    count = len(bonds)
    middle = np.zeros(count, bool)
    middle[1:-1] = bonded[1:-1] & bonded[2:]
    accepts = np.zeros((count + 2, count + 2), bool)  # padded, so that i - 1 and i + 1 exist
    accepts[1:-1, 1:-1] = bonds.T  # accepts[i, j]: C=O of i bonded to N-H of j

    def at(shift_i: int, shift_j: int) -> np.ndarray:
        return accepts[1 + shift_i : count + 1 + shift_i, 1 + shift_j : count + 1 + shift_j]

    def reverse(shift_j: int, shift_i: int) -> np.ndarray:  # C=O of j + shift_j bonded to N-H of i + shift_i
        return at(shift_j, shift_i).T

    parallel = (at(-1, 0) & reverse(0, 1)) | (reverse(-1, 0) & at(0, 1))
    antiparallel = (at(0, 0) & reverse(0, 0)) | (at(-1, 1) & reverse(-1, 1))
    i = np.arange(count)
    able = middle[:, None] & middle[None, :] & (np.abs(i[:, None] - i[None, :]) >= 3)
    return parallel & able, antiparallel & able
