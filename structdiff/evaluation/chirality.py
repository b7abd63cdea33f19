"""Handedness: of the alpha carbons, and of the helices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from structdiff.evaluation.backbone import CA, Backbone, C, N
from structdiff.evaluation.internal_coordinates import dihedral, signed_volume

_HELIX_TORSION = np.radians((25.0, 85.0))  # |CA torsion|: alpha 50, 3-10 about 70, pi about 40
_HELIX_RISE = (4.2, 6.3)  # Å from CA of i to CA of i + 3
_HELIX_RUN = 4  # torsions in a row: seven residues, two turns


def alpha_carbon_hand(backbone: Backbone) -> np.ndarray:
    """+1 for an L residue, -1 for a D one, 0 where CB is absent or lies in the plane of N, CA and C (residue)."""
    p = backbone.positions
    volume = signed_volume(p[:, CA], p[:, N], p[:, C], backbone.cb)
    return np.where(np.abs(volume) > 0.5, np.sign(volume), 0)  # ± 2.6 Å³ in an ideal residue


@dataclass(frozen=True, kw_only=True)
class Hands:
    """share_l: L among residues with CB (NaN where there is none); num_d, num_l: how many.

    share_right_handed: share of right-handed CA torsions among helical stretches; helical: how many torsions that is.
    """

    share_l: float
    num_l: int
    num_d: int
    share_right_handed: float
    helical: int


def hands(backbone: Backbone) -> Hands:
    """Handedness of a chain: L or D residues (judged by CB), right- or left-handed helices (judged by CA alone)."""
    hand = alpha_carbon_hand(backbone)
    num_l, num_d = int(np.sum(hand > 0)), int(np.sum(hand < 0))
    torsion = helical_torsions(backbone)
    return Hands(
        share_l=num_l / (num_l + num_d) if num_l + num_d else float("nan"),
        num_l=num_l,
        num_d=num_d,
        share_right_handed=float(np.mean(torsion > 0)) if len(torsion) else float("nan"),
        helical=len(torsion),
    )


def helical_torsions(backbone: Backbone) -> np.ndarray:
    """CA torsions (radian) in helical stretches: four or more in a row of one hand, of either hand alike.

    A helix is judged by the size of its torsions and its rise, which a mirror image shares, so left-handed helices are
    found as readily as right-handed ones.
    """
    ca = backbone.positions[:, CA]
    if len(ca) < 4:
        return np.zeros(0)
    torsion = dihedral(ca[:-3], ca[1:-2], ca[2:-1], ca[3:])
    rise = np.linalg.norm(ca[3:] - ca[:-3], axis=-1)
    chained = backbone.follows[1:-2] & backbone.follows[2:-1] & backbone.follows[3:]
    size = np.abs(torsion)
    helical = chained & (size > _HELIX_TORSION[0]) & (size < _HELIX_TORSION[1])
    helical &= (rise > _HELIX_RISE[0]) & (rise < _HELIX_RISE[1])
    state = np.where(helical, np.sign(torsion), 0).astype(int)
    starts = np.flatnonzero(np.concatenate([[True], state[1:] != state[:-1]]))
    lengths = np.diff(np.concatenate([starts, [len(state)]]))
    long_enough = np.repeat((lengths >= _HELIX_RUN) & (state[starts] != 0), lengths)
    return torsion[long_enough]
