"""Free ligands of a predicted complex laid where an empirical scoring function has them best.

A network that has learnt little of ligands draws them somewhere near what it was told. So each ligand that nothing
holds is docked into the rest of what was drawn, as AutoDock Vina does (Trott & Olson 2010): where it was asked to lie,
or at the best of several sites.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from structdiff.docking.asked_contacts import AskedContacts
from structdiff.docking.conformers import ligand_conformers
from structdiff.docking.gnina_atoms import GninaAtoms
from structdiff.docking.ions import best_place, is_metal
from structdiff.docking.maps import build_maps, kinds_of
from structdiff.docking.pose_choice import (
    MOST_JUDGED,
    Choice,
    best_by_energy,
    best_by_networks,
    chance_of,
    kinds_of_poses,
)
from structdiff.docking.pose_scorer import PoseScores, scored_poses
from structdiff.docking.receptor_atoms import ReceptorAtoms
from structdiff.docking.search import Landscape, found_poses, refined, rounds_for
from structdiff.docking.sites import binding_sites
from structdiff.docking.torsions import Torsions
from structdiff.docking.work import OnPart, PoseJudging, SiteSearch, nobody
from structdiff.evaluation.ligand_atom_types import AtomTypes
from structdiff.evaluation.vinardo import SMALLEST, free_molecules
from structdiff.features.chain_folds import one_thread
from structdiff.features.requests import Proximity
from structdiff.structure.tables import ChainKind, Structure
from structdiff.typing import Bool, Float, Int

#: Heavy atoms of the largest ligand that is docked.
LARGEST = 100
#: The logarithm of the odds that an ion is within 2 Å, without and for each kcal/mol that its place is worth.
_IONS = (-6.6, 4.0)
_GOOD_PLACE = -1.4  # kcal/mol: of ions that need no ligand
_FEWEST = 50  # atoms of a receptor
_SITES, _SITES_TOLD = 12, 8  # that are searched where nothing is asked, and where something is
_POSES = 256  # of a site
_BOX_MARGIN, _LARGEST_BOX = 5.0, 16.0  # Å about the places of a site beyond the ligand's own size; half a side


@dataclass(frozen=True, kw_only=True, eq=False)
class DockedLigand:
    """A ligand or ion that was docked.

    rows: of its atoms. margin: kcal/mol by which its pose is better than any other kind of pose that was found; of an
    ion what its place is worth. told: whether it was searched where contacts or pockets ask for it. chance: that it is
    within 2 Å of the truth, where the receptor is right. scores: what GNINA's networks say of the pose, if they chose
    it.
    """

    rows: np.ndarray
    margin: float
    told: bool
    chance: float
    scores: PoseScores | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class LigandDocking:
    """Which ligands of a structure are docked, and into what.

    ligands: rows of the atoms of each, the largest first; ions: rows of metals. receptor: atoms that are there before:
    all that is not docked, but water. asked: what is to be near what, or is not.
    """

    structure: Structure
    types: AtomTypes
    ligands: tuple[np.ndarray, ...]
    ions: tuple[int, ...]
    receptor: Bool[np.ndarray, " atom"]
    asked: tuple[Proximity, ...]

    @classmethod
    def of(
        cls, structure: Structure, known: Bool[np.ndarray, " atom"], asked: Sequence[Proximity] = ()
    ) -> LigandDocking | None:
        """The docking of a complex; None where there is nothing to dock, or nothing to dock it to.

        known: atoms that are held, or told of, by templates.
        """
        kind = structure.chains.kind[structure.atom_chain]
        polymer = np.isin(kind, (ChainKind.PROTEIN, ChainKind.DNA, ChainKind.RNA))
        free = [rows for rows in free_molecules(structure) if not known[rows].any()]
        ligands = sorted((rows for rows in free if SMALLEST <= len(rows) <= LARGEST), key=len, reverse=True)
        ions = [int(rows[0]) for rows in free if len(rows) == 1 and is_metal(int(structure.atoms.element[rows[0]]))]
        if polymer.sum() < _FEWEST or not (ligands or ions):
            return None
        receptor = kind != ChainKind.WATER
        receptor[np.concatenate([*ligands, np.array(ions, np.int64)])] = False
        return cls(
            structure=structure, types=AtomTypes.of(structure), ligands=tuple(ligands), ions=tuple(ions),
            receptor=receptor, asked=tuple(asked),
        )  # fmt: skip

    def parts(self, *, judged: bool = False) -> list[SiteSearch | PoseJudging]:
        """The work that there is, where there are as many sites as are looked for. judged: by networks."""
        found: list[SiteSearch | PoseJudging] = [
            self.search(rows) for rows in self.ligands for _ in range(self.sites(rows))
        ]
        return found + [PoseJudging(poses=MOST_JUDGED) for _ in self.ligands if judged]

    def search(self, rows: Int[np.ndarray, " ligand_atom"]) -> SiteSearch:
        """What is done at each site of a ligand."""
        return SiteSearch(atoms=len(rows), rounds=rounds_for(torsions_of(self._ligand(rows))))

    def sites(self, rows: Int[np.ndarray, " ligand_atom"]) -> int:
        """How many sites are searched for a ligand, where there are so many."""
        own = set(rows.tolist())
        told = any(not each.avoid and own & {*each.first.tolist(), *each.second.tolist()} for each in self.asked)
        return _SITES_TOLD if told else _SITES

    def placed(
        self,
        positions: Float[Tensor, "atom 3"],
        generator: torch.Generator,
        on_part: OnPart = nobody,
        *,
        judged: bool = False,
    ) -> tuple[Float[Tensor, "atom 3"], tuple[DockedLigand, ...]]:
        """Positions (Å) of all atoms with each ligand where it scores best, on the CPU; and what is known of each.

        Of what is asked none is lost: a ligand stays as it was drawn where no pose meets as much.

        Ions with a good place of their own come first, the others when ligands are there that they may lie at.
        on_part: told of each site of a ligand that has been searched. judged: GNINA's networks choose among the poses.
        """
        places, there, docked = positions.numpy().copy(), self.receptor.copy(), []
        with one_thread():
            waiting = [ion for ion in self.ions if not self._lay_ion(ion, places, there, docked, _GOOD_PLACE)]
            for rows in self.ligands:
                asked = self._asked(rows, places, there)
                poses, cost = self._poses(rows, places, there, asked, generator, on_part)
                # A receptor that was drawn badly may have no room there, which drawing did not mind.
                if asked is not None:
                    drawn = torch.from_numpy(places[rows])[None]
                    met = asked.missed(poses) <= asked.missed(drawn)
                    poses, cost = poses[met], cost[met]
                if len(poses):
                    told = _leads(asked)
                    chosen = self._chosen(rows, poses, cost, places, there, told=told, judged=judged)
                    if judged:
                        on_part(PoseJudging(poses=MOST_JUDGED))
                    places[rows] = poses[chosen.pose].numpy()
                    docked.append(
                        DockedLigand(
                            rows=rows, margin=chosen.margin, told=told, chance=chosen.chance, scores=chosen.scores
                        )
                    )
                there[rows] = True
            for ion in waiting:
                self._lay_ion(ion, places, there, docked, np.inf)
        return torch.from_numpy(places), tuple(docked)

    def _chosen(
        self, rows: np.ndarray, poses: Float[Tensor, "pose atom 3"], cost: Float[Tensor, " pose"], places: np.ndarray,
        there: np.ndarray, *, told: bool, judged: bool,
    ) -> Choice:  # fmt: skip
        """The pose that is taken of those of one ligand, in the order of their energies."""
        element = self.structure.atoms.element[rows]
        if not judged:
            return best_by_energy(poses, cost, element, told=told)
        kinds = kinds_of_poses(poses, element, MOST_JUDGED)
        scores = scored_poses(self._gnina, places, there, rows, poses[kinds])
        return best_by_networks(poses, cost, element, kinds, scores, told=told)

    def _ligand(self, rows: np.ndarray) -> Structure:
        return self.structure.select(np.isin(np.arange(len(self.structure.atoms)), rows))

    @cached_property
    def _gnina(self) -> GninaAtoms:
        return GninaAtoms.of(self.structure)

    def _asked(self, rows: np.ndarray, places: np.ndarray, there: np.ndarray) -> AskedContacts | None:
        docked = (*self.ligands, *(np.array([ion]) for ion in self.ions))
        return AskedContacts.of(self.asked, rows, places, there, docked)

    def _lay_ion(
        self, ion: int, places: np.ndarray, there: np.ndarray, docked: list[DockedLigand], most: float
    ) -> bool:
        """Lays an ion where it is best, unless that is worth less than ``most`` (kcal/mol); whether it did."""
        rows, around = np.array([ion]), np.flatnonzero(there)
        asked = self._asked(rows, places, there)
        found = best_place(
            self.types.rows(rows), int(self.structure.atoms.element[ion]), places[around].astype(np.float64),
            self.types.rows(around), self.structure.atoms.element[around], asked,
        )  # fmt: skip
        if found.energy > most:
            return False
        places[ion], there[ion] = found.position, True
        chance = chance_of(-found.energy, _IONS)
        docked.append(DockedLigand(rows=rows, margin=-found.energy, told=_leads(asked), chance=chance))
        return True

    def _poses(
        self, rows: np.ndarray, places: np.ndarray, there: np.ndarray, asked: AskedContacts | None,
        generator: torch.Generator, on_part: OnPart,
    ) -> tuple[Float[Tensor, "pose atom 3"], Float[Tensor, " pose"]]:  # fmt: skip
        """Poses (Å) of one ligand at all sites, and their energies (kcal/mol) in ascending order; none without a site.

        The search is done with the sites that are asked for, or else with the best of the whole receptor.
        """
        own, around = self.types.rows(rows), np.flatnonzero(there)
        receptor, types = places[around].astype(np.float64), self.types.rows(around)
        ligand = self._ligand(rows)
        conformers, torsions = ligand_conformers(ligand.with_positions(places[rows])), torsions_of(ligand)
        spread = conformers - conformers.mean(1, keepdim=True)
        gyration = float(spread.square().sum(-1).mean(-1).sqrt().mean())
        half = min(float(spread.norm(dim=-1).amax()) + _BOX_MARGIN, _LARGEST_BOX)
        near, within, count = None, 0.0, _SITES
        if asked is not None and asked.leads:
            near, within, count = asked.points(), asked.farthest + gyration, _SITES_TOLD
        kinds, kind = kinds_of(own)
        atoms = ReceptorAtoms(kinds=kinds, types=types, positions=torch.from_numpy(places[around]))
        found = [(torch.zeros(0, len(rows), 3), torch.zeros(0))]
        for site in binding_sites(own, gyration, receptor, types, count, near, within):
            middle = site.places.mean(0).numpy().astype(np.float64)
            landscape = Landscape(
                receptor=build_maps(kinds, receptor, types, middle - half, middle + half),
                kind=torch.from_numpy(kind), torsions=torsions, inner=torsions.kinds(own), asked=asked,
            )  # fmt: skip
            coarse, _ = found_poses(landscape, conformers, site.places, _POSES, generator)
            found.append(refined(landscape, atoms, coarse))
            on_part(SiteSearch(atoms=len(rows), rounds=rounds_for(torsions)))
        poses, cost = (torch.cat(each) for each in zip(*found, strict=True))
        order = cost.argsort(stable=True)
        return poses[order], cost[order]


def _leads(asked: AskedContacts | None) -> bool:
    """Whether something is asked for that a ligand is to be near to."""
    return asked is not None and asked.leads


def torsions_of(ligand: Structure) -> Torsions:
    """The torsions of a ligand by itself."""
    bonds = np.stack([ligand.bonds.atom_1, ligand.bonds.atom_2], -1).astype(np.int64).reshape(-1, 2)
    return Torsions.of(ligand.atoms.element, bonds, ligand.bonds.order)
