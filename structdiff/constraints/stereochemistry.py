"""Chemistry as an energy: bonds, angles, handedness, planes, contacts and backbone torsions of a whole structure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from structdiff.constraints.covalent_tables import CovalentTables, covalent_tables
from structdiff.constraints.repulsion import NeighbourList, Repulsion
from structdiff.constraints.torsion_preference import TorsionPreference
from structdiff.geometry.torsions import torsion
from structdiff.structure.tables import Structure
from structdiff.typing import Bool, Float, Int

_CIS_LIMIT = np.radians(40.0)  # a peptide bond before proline is cis when the sample says so clearly


@dataclass(frozen=True, kw_only=True)
class Spreads:
    """How far each kind of term may stray for half a kT; a term costs 0.5 (deviation / spread)².

    bond, angle (distance over an angle), torsion (1-4 distance in a plane) and overlap in Å; volume of handed centres
    and of planes in Å³: 0.15 is about 0.03 Å out of plane, or 4° of a torsion. torsion_preference: kT for each unit of
    log density of phi and psi, 0 to switch it off.
    """

    bond: float = 0.02
    angle: float = 0.03
    torsion: float = 0.05
    volume: float = 0.15
    overlap: float = 0.08
    torsion_preference: float = 0.5


@dataclass(frozen=True, kw_only=True, eq=False)
class Loop:
    """A loop between two elements of these letters ("HE"): rows of its CA atoms and of N, CA, C of residues beside it.

    around (residue, 3): the last residues of the element before, then the first of the one after.
    """

    joins: str
    alphas: np.ndarray
    around: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Stereochemistry:
    """What the bonds, angles, handedness, planes and contacts of a structure should be, and what deviation costs.

    It is a sampling constraint: ``energy`` prefers, ``project`` changes nothing. pairs (pair, 2): bonds, then 1-3
    pairs, then 1-4 pairs in planes, with their distances in Å; cis_distance: that of a cis peptide, where the pair
    belongs to a bond before proline, else the same. proline_bond: row of ``proline_omega`` (CA, C, N, CA) that the pair
    hangs on, -1 for none. quadruples (quadruple, 4) with volumes (b - a) . ((c - a) x (d - a)) in Å³: handed centres,
    then planes. spread of each in Å or Å³. loops: those that are to take a natural shape while they are relaxed.
    """

    pairs: Int[Tensor, "pair 2"]
    distance: Float[Tensor, " pair"]
    cis_distance: Float[Tensor, " pair"]
    proline_bond: Int[Tensor, " pair"]
    pair_stiffness: Float[Tensor, " pair"]
    proline_omega: Int[Tensor, "bond 4"]
    quadruples: Int[Tensor, "quadruple 4"]
    volume: Float[Tensor, " quadruple"]
    num_bonds: int
    num_angles: int
    num_handed: int
    spreads: Spreads
    repulsion: Repulsion
    torsion_preference: TorsionPreference | None
    tables: CovalentTables
    loops: tuple[Loop, ...] = ()

    @classmethod
    def from_structure(
        cls, structure: Structure, *, held: np.ndarray | Tensor | None = None, spreads: Spreads | None = None
    ) -> Stereochemistry:
        """The terms that the atoms of a structure ask for; those among held atoms (atom) only are left out.

        Ideal values: Engh & Huber 1991 and Parkinson et al. 1996 along polymers, the components' ideal conformers
        elsewhere (``structure.local_geometry``). Its positions are not looked at.
        """
        spreads = spreads or Spreads()
        fixed = None if held is None else np.asarray(held, bool)
        tables = covalent_tables(structure)
        free_pair, free_quadruple = _some_free(tables.pairs, fixed), _some_free(tables.quadruples, fixed)
        kind = tables.pair_kind[free_pair]
        preferred = spreads.torsion_preference > 0
        return cls(
            pairs=torch.from_numpy(tables.pairs[free_pair]),
            distance=torch.from_numpy(tables.distance[free_pair]),
            cis_distance=torch.from_numpy(tables.cis_distance[free_pair]),
            proline_bond=torch.from_numpy(tables.proline_bond[free_pair]),
            pair_stiffness=torch.from_numpy(1 / np.array([spreads.bond, spreads.angle, spreads.torsion])[kind] ** 2),
            proline_omega=torch.from_numpy(tables.proline_omega),
            quadruples=torch.from_numpy(tables.quadruples[free_quadruple]),
            volume=torch.from_numpy(tables.volume[free_quadruple]),
            num_bonds=int((kind == 0).sum()),
            num_angles=int((kind == 1).sum()),
            num_handed=int(free_quadruple[: tables.num_handed].sum()),
            spreads=spreads,
            repulsion=Repulsion.from_structure(structure, tables.bonds, tables.planes, held=fixed),
            torsion_preference=TorsionPreference.from_structure(structure, held=fixed) if preferred else None,
            tables=tables,
        )

    def project(self, positions: Float[Tensor, "sample atom 3"], sigma: float) -> Float[Tensor, "sample atom 3"]:
        """Positions as they are: chemistry is preferred in sampling, and enforced by ``relax`` after it."""
        return positions

    def energy(self, positions: Float[Tensor, "sample atom 3"]) -> Float[Tensor, " sample"]:
        """The whole cost of each sample (kT)."""
        return torch.stack(list(self.terms(positions).values())).sum(0)

    def terms(
        self,
        positions: Float[Tensor, "sample atom 3"],
        *,
        cis: Bool[Tensor, "sample bond"] | None = None,
        neighbours: NeighbourList | None = None,
    ) -> dict[str, Float[Tensor, " sample"]]:
        """The cost of each sample (kT) by kind: bonds, angles, handedness, planes, contacts, backbone torsions.

        cis: which bonds before proline are cis, from the positions if None. neighbours: a list that is still valid.
        """
        neighbours = NeighbourList.build(self.repulsion, positions) if neighbours is None else neighbours
        cost = 0.5 * self.pair_stiffness.to(positions.dtype) * self.pair_errors(positions, cis=cis).square()
        first, second = self.num_bonds, self.num_bonds + self.num_angles
        volume = 0.5 * (self.volume_errors(positions) / self.spreads.volume).square()
        overlap = 0.5 * (neighbours.overlap(positions) / self.spreads.overlap).square()
        terms = {
            "bonds": cost[:, :first].sum(1),
            "angles": cost[:, first:second].sum(1),
            "handedness": volume[:, : self.num_handed].sum(1),
            "planes": cost[:, second:].sum(1) + volume[:, self.num_handed :].sum(1),
            "contacts": neighbours.sum_by_sample(overlap, len(positions)),
        }
        if self.torsion_preference is not None:
            preference = self.torsion_preference.energy(positions).sum(1)
            terms["torsions"] = self.spreads.torsion_preference * preference
        return terms

    def cis_prolines(self, positions: Float[Tensor, "sample atom 3"]) -> Bool[Tensor, "sample bond"]:
        """Which peptide bonds before proline are clearly cis; all others are taken as trans."""
        four = positions.detach()[:, self.proline_omega].unbind(2)
        return torsion(*four).abs() < _CIS_LIMIT

    def pair_errors(
        self, positions: Float[Tensor, "sample atom 3"], *, cis: Bool[Tensor, "sample bond"] | None = None
    ) -> Float[Tensor, "sample pair"]:
        """Distance less ideal distance (Å) of bonds, 1-3 and 1-4 pairs."""
        arrow = positions.index_select(1, self.pairs[:, 0]) - positions.index_select(1, self.pairs[:, 1])
        distance = torch.sqrt(arrow.square().sum(-1) + 1e-8)
        target = self.distance
        if len(self.proline_omega):
            cis = self.cis_prolines(positions) if cis is None else cis
            is_cis = cis[:, self.proline_bond] & (self.proline_bond >= 0)
            target = torch.where(is_cis, self.cis_distance, self.distance)
        return distance - target.to(positions.dtype)

    def volume_errors(self, positions: Float[Tensor, "sample atom 3"]) -> Float[Tensor, "sample quadruple"]:
        """Signed volume less ideal volume (Å³) of handed centres and of quadruples in planes."""
        return signed_volumes(positions, self.quadruples) - self.volume.to(positions.dtype)


def signed_volumes(
    positions: Float[Tensor, "sample atom 3"], quadruples: Int[Tensor, "quadruple 4"]
) -> Float[Tensor, "sample quadruple"]:
    """(b - a) . ((c - a) x (d - a)) in Å³ of rows of atoms a, b, c, d."""
    a, b, c, d = (positions.index_select(1, column) for column in quadruples.unbind(1))
    return ((b - a) * torch.linalg.cross(c - a, d - a)).sum(-1)


def _some_free(rows: np.ndarray, held: np.ndarray | None) -> np.ndarray:
    return np.ones(len(rows), bool) if held is None else ~np.all(held[rows], axis=1)
