"""Bond lengths, bond angles and peptide planes of a backbone, against what crystals of small peptides teach.

Targets and standard deviations: Engh & Huber, International Tables for Crystallography F (2001), 18.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from structdiff.evaluation.backbone import CA, Backbone, C, N, O
from structdiff.evaluation.internal_coordinates import angle_difference, bond_angle

SIGMA_LIMIT = 4.0
CA_DISTANCE_TRANS, CA_DISTANCE_CIS, CA_DISTANCE_TOLERANCE = 3.80, 2.94, 0.1
PLANARITY_LIMIT = np.radians(30.0)

# (target, sigma) in Å or degrees, by class: general, GLY, PRO
BONDS = {
    "N-CA": ((1.459, 0.020), (1.456, 0.015), (1.468, 0.017)),
    "CA-C": ((1.525, 0.026), (1.514, 0.016), (1.524, 0.020)),
    "C-O": ((1.229, 0.019), (1.232, 0.016), (1.228, 0.020)),
    "CA-CB": ((1.532, 0.022), (1.532, 0.022), (1.531, 0.020)),
    "C-N": ((1.336, 0.023), (1.326, 0.018), (1.338, 0.019)),
}
ANGLES = {
    "N-CA-C": ((111.0, 2.7), (113.1, 2.5), (112.1, 2.6)),
    "CA-C-O": ((120.1, 2.1), (120.6, 1.8), (120.2, 2.4)),
    "N-CA-CB": ((110.6, 1.8), (110.6, 1.8), (103.1, 1.2)),
    "C-CA-CB": ((110.4, 2.0), (110.4, 2.0), (111.7, 2.1)),
    "CA-C-N": ((117.2, 2.2), (116.2, 2.0), (117.1, 2.8)),
    "O-C-N": ((122.7, 1.6), (123.2, 1.7), (121.1, 1.9)),
    "C-N-CA": ((121.7, 2.5), (122.3, 2.1), (119.3, 1.5)),
}
_CIS_PROLINE_C_N_CA = (127.0, 2.4)
# Branched residues hold their CB a little further from the chain and more obtusely.
_BRANCHED_CB = {"N-CA-CB": (111.5, 1.7), "C-CA-CB": (111.0, 2.2)}
_BRANCHED = ("ILE", "VAL", "THR")


@dataclass(frozen=True, kw_only=True)
class Deviation:
    """How far measured values lie from their targets: root mean square, share beyond 4 sigma, number measured."""

    rms: float
    share_over_4_sigma: float
    count: int


def bond_deviation(backbone: Backbone) -> Deviation:
    """Deviation of backbone bond lengths (Å) from Engh & Huber, the peptide bond and CA-CB included.

    Peptide bonds over 2.0 Å are chain breaks and are counted there, not here.
    """
    return _collect(_bond_values(backbone))


def angle_deviation(backbone: Backbone) -> Deviation:
    """Deviation of backbone bond angles (radian) from Engh & Huber, those at CB and the peptide bond included."""
    return _collect(_angle_values(backbone))


def residue_strain(backbone: Backbone) -> np.ndarray:
    """Largest deviation in sigma of any bond or angle of each residue (residue); 0 where nothing was measured."""
    worst = np.zeros(len(backbone))
    for _, difference, sigma in (*_bond_values(backbone), *_angle_values(backbone)):
        worst = np.fmax(worst, np.abs(difference) / sigma)
    return worst


@dataclass(frozen=True, kw_only=True)
class PeptidePlanes:
    """Peptide bonds of a chain: root mean square of omega about the nearest plane (radian), and shares.

    share_cis_proline: cis among bonds before proline. share_cis_other: cis among all others (0.03 % in nature).
    share_twisted: over 30 degrees from either plane.
    """

    omega_rms: float
    share_cis_proline: float
    share_cis_other: float
    share_twisted: float
    count: int


def peptide_planes(backbone: Backbone) -> PeptidePlanes:
    """Planarity and cis/trans of the peptide bonds of a backbone."""
    omega = backbone.torsions[:, 2]
    known = np.isfinite(omega)
    omega, proline = omega[known], (backbone.restype == "PRO")[known]
    cis = np.abs(omega) < np.pi / 2
    off_plane = angle_difference(omega, np.where(cis, 0.0, np.pi))
    return PeptidePlanes(
        omega_rms=_root_mean_square(off_plane),
        share_cis_proline=_share(cis[proline]),
        share_cis_other=_share(cis[~proline]),
        share_twisted=_share(np.abs(off_plane) > PLANARITY_LIMIT),
        count=len(omega),
    )


def ca_neighbour_share(backbone: Backbone) -> float:
    """Share of sequence neighbours whose CA atoms are 3.8 ± 0.1 Å apart; before proline a cis distance counts too.

    Chain breaks count as failures; missing residues are passed over. A cis peptide that does not precede proline fails.
    """
    ca = backbone.positions[:, CA]
    distance = np.linalg.norm(ca[1:] - ca[:-1], axis=-1)
    known = backbone.follows[1:] & np.isfinite(distance)
    good = np.abs(distance - CA_DISTANCE_TRANS) <= CA_DISTANCE_TOLERANCE
    good |= (backbone.restype[1:] == "PRO") & (np.abs(distance - CA_DISTANCE_CIS) <= 2 * CA_DISTANCE_TOLERANCE)
    return _share(good[known])


def chain_breaks(backbone: Backbone) -> int:
    """Number of sequence neighbours whose C and N are over 2.0 Å apart."""
    return int(np.sum(backbone.peptide_bond > 2.0))


def _collect(values: Iterator[tuple[str, np.ndarray, np.ndarray]]) -> Deviation:
    parts = [(difference, difference / sigma) for _, difference, sigma in values]
    difference, in_sigma = (np.concatenate(column) for column in zip(*parts, strict=True))
    known = np.isfinite(difference)
    return Deviation(
        rms=_root_mean_square(difference[known]),
        share_over_4_sigma=_share(np.abs(in_sigma[known]) > SIGMA_LIMIT),
        count=int(known.sum()),
    )


def _bond_values(backbone: Backbone) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    p, kind = backbone.positions, _kinds(backbone)
    lengths = {
        "N-CA": p[:, CA] - p[:, N], "CA-C": p[:, C] - p[:, CA], "C-O": p[:, O] - p[:, C],
        "CA-CB": backbone.cb - p[:, CA],
    }  # fmt: skip
    for name, vector in lengths.items():
        target, sigma = np.array(BONDS[name])[kind].T
        yield name, np.linalg.norm(vector, axis=-1) - target, sigma
    target, sigma = np.array(BONDS["C-N"])[kind].T
    yield "C-N", np.where(backbone.bonded, backbone.peptide_bond, np.nan) - target, sigma


def _angle_values(backbone: Backbone) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    p, cb, kind = backbone.positions, backbone.cb, _kinds(backbone)
    branched = np.isin(backbone.restype, _BRANCHED) & backbone.sequence_known
    within = {
        "N-CA-C": (p[:, N], p[:, CA], p[:, C]), "CA-C-O": (p[:, CA], p[:, C], p[:, O]),
        "N-CA-CB": (p[:, N], p[:, CA], cb), "C-CA-CB": (p[:, C], p[:, CA], cb),
    }  # fmt: skip
    for name, atoms in within.items():
        target, sigma = np.radians(ANGLES[name])[kind].T
        if name in _BRANCHED_CB:
            target, sigma = (np.where(branched, np.radians(_BRANCHED_CB[name][k]), (target, sigma)[k]) for k in (0, 1))
        yield name, bond_angle(*atoms) - target, sigma
    # Across the peptide bond: at C the class is that of its own residue, but proline's ring acts on the C before it.
    before = np.roll(kind, 1)
    at_c = np.where(kind == 2, 2, np.where(before == 1, 1, 0))
    p0 = np.roll(p, 1, axis=0)
    across = {
        "CA-C-N": ((p0[:, CA], p0[:, C], p[:, N]), at_c), "O-C-N": ((p0[:, O], p0[:, C], p[:, N]), at_c),
        "C-N-CA": ((p0[:, C], p[:, N], p[:, CA]), kind),
    }  # fmt: skip
    for name, (atoms, group) in across.items():
        target, sigma = np.radians(ANGLES[name])[group].T
        if name == "C-N-CA":
            cis = (kind == 2) & (np.abs(backbone.torsions[:, 2]) < np.pi / 2)
            target, sigma = (np.where(cis, np.radians(_CIS_PROLINE_C_N_CA[k]), (target, sigma)[k]) for k in (0, 1))
        yield name, np.where(backbone.bonded, bond_angle(*atoms), np.nan) - target, sigma


def _kinds(backbone: Backbone) -> np.ndarray:
    """0 general, 1 glycine, 2 proline; all general where no sequence is known."""
    if not backbone.sequence_known:
        return np.zeros(len(backbone), np.int64)
    return np.where(backbone.restype == "GLY", 1, np.where(backbone.restype == "PRO", 2, 0))


def _root_mean_square(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2))) if len(values) else float("nan")


def _share(flags: np.ndarray) -> float:
    return float(np.mean(flags)) if len(flags) else float("nan")
