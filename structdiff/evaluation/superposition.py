"""Laying one set of atoms over another, and what distance is left."""

from __future__ import annotations

import numpy as np

from structdiff.arguments import shown
from structdiff.errors import InputError


def superpose(mobile: np.ndarray, target: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """The mobile positions (atom, 3) moved onto the target by the best rotation and translation (Å); no reflection.

    Kabsch, Acta Cryst. A32, 922 (1976). With weights (..., atom) of several selections, one result for each
    (..., atom, 3). Raises InputError where the two do not have the same atoms.
    """
    mobile, target = _paired(mobile, target)
    weights = np.ones(len(mobile)) if weights is None else np.asarray(weights, np.float64)
    share = weights / weights.sum(-1, keepdims=True)
    centre_mobile, centre_target = share @ mobile, share @ target
    # Sum of w (m - m0)(t - t0)^T, without a copy of the atoms for every selection.
    products = (mobile[:, :, None] * target[:, None, :]).reshape(len(mobile), 9)
    covariance = (share @ products).reshape(*share.shape[:-1], 3, 3)
    covariance = covariance - centre_mobile[..., :, None] * centre_target[..., None, :]
    rotation = rotation_of(covariance)
    return (mobile - centre_mobile[..., None, :]) @ rotation + centre_target[..., None, :]


def rotation_of(covariance: np.ndarray) -> np.ndarray:
    """Proper rotations (..., 3, 3), for mobile @ rotation, that fit covariances mobile^T target (..., 3, 3) best."""
    u, _, vt = np.linalg.svd(covariance)
    sign = np.ones((*covariance.shape[:-2], 3), covariance.dtype)
    sign[..., 2] = np.sign(np.linalg.det(u @ vt))
    return (u * sign[..., None, :]) @ vt


def rmsd(mobile: np.ndarray, target: np.ndarray, *, superposed: bool = True) -> float:
    """Root mean square distance (Å) of paired atoms (atom, 3), after the best superposition unless told otherwise."""
    mobile, target = _paired(mobile, target)
    moved = superpose(mobile, target) if superposed else mobile
    return float(np.sqrt(np.mean(np.sum((moved - target) ** 2, -1))))


def as_positions(values: object, key: str) -> np.ndarray:
    """Positions (atom, 3) as float64; raises InputError under the argument's name for what are no numbers."""
    try:
        return np.asarray(values, np.float64)
    except (TypeError, ValueError):
        allowed = "structure.atoms.positions[rows]; accuracy(model, reference) compares whole structures"
        raise InputError("positions (atom, 3) are needed", key=key, found=shown(values), allowed=allowed) from None


def _paired(mobile: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mobile, target = as_positions(mobile, "mobile"), as_positions(target, "target")
    if mobile.shape != target.shape or mobile.ndim != 2 or mobile.shape[1] != 3 or not len(mobile):
        raise InputError("positions are compared atom by atom", found=mobile.shape, allowed=str(target.shape))
    return mobile, target
