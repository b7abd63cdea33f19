"""Packed side chains turned out of each other: the nearest likely torsions at which no atoms run into each other.

The packer draws each torsion by itself, so that neighbours meet. What is minimised here, over all torsions together, is
minus their log density under the packer's last distribution, and a penalty on atoms that overlap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.spatial import KDTree
from torch import Tensor

from structdiff.chemistry.contacts import POLAR, contact_radii, within_three_bonds
from structdiff.geometry.frames import RigidTransform
from structdiff.inverse_folding.alphabet import residue_name
from structdiff.inverse_folding.packer import TorsionDistribution, log_density
from structdiff.inverse_folding.rigid_groups import SLOT_ATOMS, chis_exist, place_atoms
from structdiff.structure.tables import ChainKind, Structure

#: Å that atoms may overlap before it costs, two of N, O, S more, and its price in nats an Å²: a clash begins at 0.4 and
#: 1.0 Å (`evaluation.clashes`). Two sulphurs may be a disulfide that nobody stated.
_OVERLAP, _POLAR_OVERLAP, _PRICE, _SULPHUR_DISTANCE = 0.2, 0.8, 100.0, 2.0
_ITERATIONS = 60
_CB = 4  # slot of the last atom that no chi moves
_SULPHUR = 16


@dataclass(frozen=True, kw_only=True)
class TurningSideChains:
    """Residues whose side chains turn on their backbones. psi places the oxygen (radian)."""

    frames: RigidTransform
    letters: Int[Tensor, "residue"]
    psi: Float[Tensor, "residue 1"]

    def place(self, chis: Float[Tensor, "residue 4"]) -> Float[Tensor, "residue slot 3"]:
        """All their atoms (Å) at torsions in radian."""
        return place_atoms(self.frames, self.letters, torch.cat([self.psi, chis], dim=1))

    def reach(self) -> Float[Tensor, "residue"]:
        """How far (Å) from its CB a side chain gets when it is stretched."""
        atoms = self.place(torch.full((len(self.letters), 4), torch.pi, device=self.letters.device))
        far = (atoms - atoms[:, _CB : _CB + 1]).norm(dim=-1)[:, _CB + 1 :]
        return (far * (atoms[:, _CB + 1 :] != 0).any(-1)).amax(1)


def relieved(
    chis: Float[Tensor, "residue 4"],
    side_chains: TurningSideChains,
    turned: Bool[np.ndarray, "residue"],
    likely: TorsionDistribution,
    structure: Structure,
    rows: Int[np.ndarray, "residue"],
    *,
    ligands: bool = True,
) -> Float[Tensor, "residue 4"]:
    """The torsions (radian) with those of turned residues moved until their atoms leave each other alone.

    structure: with the side chains at these torsions already; rows: of the residues in it. Its other atoms stay, waters
    and (without ligands) what is no protein are not looked at. Where no place is free, overlaps are shared out.
    """
    contacts = _possible_contacts(side_chains, turned, structure, rows, ligands=ligands)
    if contacts is None:
        return chis
    free = chis_exist(side_chains.letters) & torch.from_numpy(turned).to(chis.device)[:, None]
    moving = chis[free].clone().requires_grad_(True)
    optimiser = torch.optim.LBFGS([moving], max_iter=_ITERATIONS, line_search_fn="strong_wolfe")

    def energy() -> Tensor:
        optimiser.zero_grad()
        here = chis.masked_scatter(free, moving)
        total = _PRICE * contacts.overlap(side_chains.place(here)).square().sum()
        total = total - log_density(likely, here[None])[0][free].sum()
        total.backward()
        return total

    with torch.enable_grad():
        optimiser.step(energy)
    return chis.masked_scatter(free, moving.detach())


@dataclass(frozen=True, kw_only=True, eq=False)
class _Contacts:
    """Pairs of atoms that may meet, as places in a list of the atoms that turn (by residue and slot) and then others.

    distance (Å): what they come to at least without a penalty.
    """

    residue: Int[Tensor, "turning"]
    slot: Int[Tensor, "turning"]
    others: Float[Tensor, "other 3"]
    first: Int[Tensor, "pair"]
    second: Int[Tensor, "pair"]
    distance: Float[Tensor, "pair"]

    def overlap(self, positions: Float[Tensor, "residue slot 3"]) -> Float[Tensor, "meeting"]:
        """How much (Å) those pairs that meet are too near each other."""
        atoms = torch.cat([positions[self.residue, self.slot], self.others])
        with torch.no_grad():
            apart = (atoms[self.first] - atoms[self.second]).norm(dim=-1)
            # Few meet, and sums over few are the same bits whatever the number of threads.
            meeting = torch.nonzero(apart < self.distance)[:, 0]
        arrow = atoms[self.first[meeting]] - atoms[self.second[meeting]]
        return self.distance[meeting] - (arrow.square().sum(-1) + 1e-8).sqrt()


def _possible_contacts(
    side_chains: TurningSideChains,
    turned: Bool[np.ndarray, "residue"],
    structure: Structure,
    rows: Int[np.ndarray, "residue"],
    *,
    ligands: bool,
) -> _Contacts | None:
    """Which atoms can meet at any torsions; None where none can."""
    atoms = structure.atoms
    bonds = np.stack([structure.bonds.atom_1, structure.bonds.atom_2], -1)
    radius = contact_radii(atoms.element, bonds)
    kind = structure.chains.kind[structure.atom_chain]
    used = atoms.resolved & (radius > 0) & ((kind != ChainKind.WATER) if ligands else (kind == ChainKind.PROTEIN))
    turning, residue, slot = _atoms_that_turn(side_chains.letters.cpu().numpy(), turned, structure, rows)
    pivots, reach = atoms.positions.astype(np.float64), np.zeros(len(atoms))
    placed = side_chains.place(torch.zeros_like(side_chains.psi).expand(-1, 4))
    pivots[turning] = placed[:, _CB].cpu().double().numpy()[residue]
    reach[turning] = side_chains.reach().cpu().double().numpy()[residue]
    pairs = _near(pivots, reach, np.flatnonzero(used), radius)
    pairs = pairs[np.isin(pairs, turning).any(1)]
    pairs = pairs[~within_three_bonds(pairs, bonds, len(atoms))]
    if not len(pairs):
        return None
    kept = np.setdiff1d(pairs, turning)
    place = np.zeros(len(atoms), np.int64)
    place[turning], place[kept] = np.arange(len(turning)), len(turning) + np.arange(len(kept))
    device = side_chains.letters.device
    first, second = torch.from_numpy(place[pairs]).to(device).unbind(1)
    return _Contacts(
        residue=torch.from_numpy(residue).to(device),
        slot=torch.from_numpy(slot).to(device),
        others=torch.from_numpy(atoms.positions[kept].astype(np.float32)).to(device),
        first=first,
        second=second,
        distance=torch.from_numpy(_least_distance(pairs, atoms.element, radius).astype(np.float32)).to(device),
    )


def _atoms_that_turn(
    letters: np.ndarray, turned: np.ndarray, structure: Structure, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of the atoms beyond CB of turned residues, and the residue and slot of each."""
    found = []
    for place in np.flatnonzero(turned).tolist():
        slots = {name: slot for slot, name in enumerate(SLOT_ATOMS[residue_name(int(letters[place]))])}
        span = structure.residue_atoms(int(rows[place]))
        for row, name in enumerate(structure.atoms.name[span].tolist(), start=span.start):
            if slots.get(name, 0) > _CB:
                found.append((row, place, slots[name]))
    columns = np.array(found, np.int64).reshape(-1, 3)
    return columns[:, 0], columns[:, 1], columns[:, 2]


def _near(pivots: np.ndarray, reach: np.ndarray, used: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Pairs (pair, 2) of the used atoms that can touch, each within reach of its pivot; in a fixed order."""
    touching = 2 * float(radius.max())
    found = KDTree(pivots[used]).query_pairs(2 * float(reach.max(initial=0.0)) + touching, output_type="ndarray")
    pairs = used[found]
    apart = np.linalg.norm(pivots[pairs[:, 0]] - pivots[pairs[:, 1]], axis=1)
    pairs = pairs[apart < reach[pairs].sum(1) + radius[pairs].sum(1)]
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


def _least_distance(pairs: np.ndarray, element: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """How near (Å) two atoms may come without a penalty."""
    elements = element[pairs]
    polar = np.isin(elements, POLAR).all(1)
    distance = radius[pairs].sum(1) - np.where(polar, _POLAR_OVERLAP, _OVERLAP)
    return np.where((elements == _SULPHUR).all(1), _SULPHUR_DISTANCE, distance)
