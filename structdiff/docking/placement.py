"""Free ligands of a predicted complex laid where an empirical scoring function has them best.

A network that has learnt little of ligands draws them somewhere near what it was told. So each ligand that nothing
holds is docked into the rest of what was drawn, as AutoDock Vina does (Trott & Olson 2010): where it was asked to lie,
or at the best of several sites.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from structdiff.docking.asked_contacts import AskedContacts
from structdiff.docking.conformers import ligand_conformers
from structdiff.docking.maps import build_maps, kinds_of
from structdiff.docking.search import Landscape, found_poses
from structdiff.docking.sites import binding_sites
from structdiff.docking.torsions import Torsions
from structdiff.evaluation.ligand_atom_types import AtomTypes
from structdiff.evaluation.vinardo import free_molecules
from structdiff.features.chain_folds import one_thread
from structdiff.features.requests import Proximity
from structdiff.structure.tables import ChainKind, Structure
from structdiff.typing import Bool, Float

#: Heavy atoms of the least and the largest ligand that is docked.
SMALLEST, LARGEST = 5, 100
_FEWEST = 50  # atoms of a receptor
_SITES, _SITES_TOLD = 6, 4  # that are searched where nothing is asked, and where something is
_POSES = 256  # of a site
_BOX_MARGIN, _LARGEST_BOX = 5.0, 16.0  # Å about the places of a site beyond the ligand's own size; half a side


@dataclass(frozen=True, kw_only=True, eq=False)
class LigandDocking:
    """Which ligands of a structure are docked, and into what.

    ligands: rows of the atoms of each, the largest first. receptor: atoms that are there before. asked: what is to be
    near what.
    """

    structure: Structure
    types: AtomTypes
    ligands: tuple[np.ndarray, ...]
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
        free = [
            rows for rows in free_molecules(structure) if SMALLEST <= len(rows) <= LARGEST and not known[rows].any()
        ]
        if polymer.sum() < _FEWEST or not free:
            return None
        free.sort(key=len, reverse=True)
        receptor = polymer | (known & (kind != ChainKind.WATER))
        return cls(structure=structure, types=AtomTypes.of(structure), ligands=tuple(free), receptor=receptor,
                   asked=tuple(asked))  # fmt: skip

    def placed(self, positions: Float[Tensor, "atom 3"], generator: torch.Generator) -> Float[Tensor, "atom 3"]:
        """Positions (Å) of all atoms with each ligand where it scores best, on the CPU."""
        places, there = positions.numpy().copy(), self.receptor.copy()
        with one_thread():
            for rows in self.ligands:
                found = self._docked(rows, places, there, generator)
                if found is not None:
                    places[rows] = found.numpy()
                there[rows] = True
        return torch.from_numpy(places)

    def _docked(
        self, rows: np.ndarray, places: np.ndarray, there: np.ndarray, generator: torch.Generator
    ) -> Tensor | None:
        """The best pose (Å) of one ligand; None where no site is found."""
        own, around = self.types.rows(rows), np.flatnonzero(there)
        receptor, types = places[around].astype(np.float64), self.types.rows(around)
        ligand = self.structure.select(np.isin(np.arange(len(places)), rows))
        conformers = ligand_conformers(ligand.with_positions(places[rows]))
        torsions = torsions_of(ligand)
        spread = conformers - conformers.mean(1, keepdim=True)
        gyration = float(spread.square().sum(-1).mean(-1).sqrt().mean())
        size = float(spread.norm(dim=-1).amax())
        asked = AskedContacts.of(self.asked, rows, places, there)
        near, within = (None, 0.0) if asked is None else (asked.points(), asked.farthest + gyration)
        sites = binding_sites(own, gyration, receptor, types, _SITES if near is None else _SITES_TOLD, near, within)
        best: tuple[float, Tensor] | None = None
        kinds, kind = kinds_of(own)
        for site in sites:
            half = min(size + _BOX_MARGIN, _LARGEST_BOX)
            middle = site.places.mean(0).numpy().astype(np.float64)
            landscape = Landscape(
                maps=build_maps(kinds, receptor, types, middle - half, middle + half),
                kind=torch.from_numpy(kind), torsions=torsions, inner=torsions.kinds(own),
                asked=asked,
            )  # fmt: skip
            found, cost = found_poses(landscape, conformers, site.places, _POSES, generator)
            if best is None or float(cost[0]) < best[0]:
                best = float(cost[0]), found[0]
        return None if best is None else best[1]


def torsions_of(ligand: Structure) -> Torsions:
    """The torsions of a ligand by itself."""
    bonds = np.stack([ligand.bonds.atom_1, ligand.bonds.atom_2], -1).astype(np.int64).reshape(-1, 2)
    return Torsions.of(ligand.atoms.element, bonds, ligand.bonds.order)
