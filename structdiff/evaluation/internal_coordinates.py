"""Bond angles, torsions and ideal atom places from positions in Å; NaN in, NaN out."""

from __future__ import annotations

import numpy as np


def _unit(vector: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return vector / np.linalg.norm(vector, axis=-1, keepdims=True)


def bond_angle(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Angle (radian) at b between the directions to a and c; positions (..., 3)."""
    cosine = np.sum(_unit(a - b) * _unit(c - b), axis=-1)
    return np.arccos(np.clip(cosine, -1, 1))


def dihedral(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Torsion (radian, in (-pi, pi], IUPAC sign) about the bond b-c; positions (..., 3)."""
    axis = _unit(c - b)
    first = (a - b) - np.sum((a - b) * axis, -1, keepdims=True) * axis
    second = (d - c) - np.sum((d - c) * axis, -1, keepdims=True) * axis
    return np.arctan2(np.sum(np.cross(axis, first) * second, -1), np.sum(first * second, -1))


def signed_volume(centre: np.ndarray, a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Signed volume (Å³) of the directions from a centre to three neighbours; its sign is the handedness."""
    return np.sum((a - centre) * np.cross(b - centre, c - centre), -1)


def ideal_cb(n: np.ndarray, ca: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Where CB of an L amino acid sits, given N, CA, C (..., 3): bond 1.53 Å, tetrahedral.

    The weights are the least-squares fit that ProteinMPNN and trRosetta use.
    """
    b, d = ca - n, c - ca
    return ca - 0.58273431 * np.cross(b, d) + 0.56802827 * b - 0.54067466 * d


def angle_difference(a: np.ndarray, b: np.ndarray | float) -> np.ndarray:
    """a - b on the circle (radian), in [-pi, pi)."""
    return (a - b + np.pi) % (2 * np.pi) - np.pi
