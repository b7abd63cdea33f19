"""DockQ: how right the interfaces of a predicted complex are.

Basu & Wallner, PLoS ONE 11, e0161879 (2016): the mean of the share of native contacts, of a scaled interface RMSD and
of a scaled RMSD of the smaller chain where the larger is superposed. Residue contacts are heavy atoms within 5 Å; the
interface is residues within 10 Å; RMSDs are those of N, CA, C, O.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.spatial import KDTree

from structdiff.chemistry.residues import BACKBONE_ATOMS
from structdiff.evaluation.comparison import PairedAtoms
from structdiff.evaluation.superposition import rmsd, superpose

CONTACT, INTERFACE = 5.0, 10.0  # Å
_SCALE_INTERFACE, _SCALE_PARTNER = 1.5, 8.5  # Å
_NUCLEIC_BACKBONE = ("P", "OP1", "OP2", "O5'", "C5'", "C4'", "O4'", "C3'", "O3'", "C2'", "C1'")


@dataclass(frozen=True, kw_only=True)
class DockQ:
    """One interface of the reference: its chains (rows), DockQ, and what it is made of; RMSDs in Å."""

    chains: tuple[int, int]
    score: float
    fnat: float
    interface_rmsd: float
    partner_rmsd: float


def dockq(paired: PairedAtoms) -> list[DockQ]:
    """DockQ of every two chains of a reference that touch, given its polymer atoms and those of the model.

    A chain that the model lacks scores 0, with NaN for the RMSDs.
    """
    chains = np.unique(paired.chain)
    found = (_of_two(paired, int(one), int(two)) for one, two in combinations(chains.tolist(), 2))
    return [each for each in found if each is not None]


def _of_two(paired: PairedAtoms, one: int, two: int) -> DockQ | None:
    first, second = (np.flatnonzero(paired.chain == chain) for chain in (one, two))
    native = _contacts(paired.reference, paired.residue, first, second, CONTACT)
    if not native:
        return None
    modelled = _contacts(paired.positions, paired.residue, first, second, CONTACT)
    near = {
        residue for pair in _contacts(paired.reference, paired.residue, first, second, INTERFACE) for residue in pair
    }
    backbone = np.isin(paired.name, (*BACKBONE_ATOMS, *_NUCLEIC_BACKBONE)) & np.isfinite(paired.positions).all(-1)
    interface = np.flatnonzero(backbone & np.isin(paired.residue, list(near)) & np.isin(paired.chain, (one, two)))
    sizes = [len(np.unique(paired.residue[rows])) for rows in (first, second)]
    # Of equal chains the second is the receptor, as in DockQ 2.
    receptor, ligand = (first, second) if sizes[0] > sizes[1] else (second, first)
    receptor, ligand = receptor[backbone[receptor]], ligand[backbone[ligand]]
    if len(receptor) < 3 or len(ligand) < 3 or len(interface) < 3:
        nothing = float("nan")
        return DockQ(chains=(one, two), score=0.0, fnat=0.0, interface_rmsd=nothing, partner_rmsd=nothing)
    fnat = len(native & modelled) / len(native)
    of_interface = rmsd(paired.positions[interface], paired.reference[interface])
    rows = np.concatenate([receptor, ligand])
    weights = np.r_[np.ones(len(receptor)), np.zeros(len(ligand))]
    moved = superpose(paired.positions[rows], paired.reference[rows], weights)[len(receptor) :]
    of_partner = rmsd(moved, paired.reference[ligand], superposed=False)
    score = (fnat + _scaled(of_interface, _SCALE_INTERFACE) + _scaled(of_partner, _SCALE_PARTNER)) / 3
    return DockQ(chains=(one, two), score=score, fnat=fnat, interface_rmsd=of_interface, partner_rmsd=of_partner)


def _scaled(deviation: float, scale: float) -> float:
    return 1 / (1 + (deviation / scale) ** 2)


def _contacts(
    positions: np.ndarray, residue: np.ndarray, first: np.ndarray, second: np.ndarray, cutoff: float
) -> set[tuple[int, int]]:
    """Pairs of residues of two chains with atoms within a distance (Å)."""
    first, second = (rows[np.isfinite(positions[rows]).all(-1)] for rows in (first, second))
    if not len(first) or not len(second):
        return set()
    near = KDTree(positions[first]).query_ball_tree(KDTree(positions[second]), cutoff)
    pairs = {
        (int(residue[first[row]]), int(residue[second[other]])) for row, others in enumerate(near) for other in others
    }
    return pairs
