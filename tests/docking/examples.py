"""Molecules that are docked here.

Ligands of the dictionary, streptavidin with biotin, and yellow protein without its bond to the chromophore.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from structdiff.chemistry.components import component, component_from_smiles
from structdiff.docking.asked_contacts import AskedContacts
from structdiff.docking.maps import build_maps, kinds_of
from structdiff.docking.placement import torsions_of
from structdiff.docking.receptor_atoms import ReceptorAtoms
from structdiff.docking.search import Landscape
from structdiff.evaluation.ligand_atom_types import AtomTypes
from structdiff.structure.build import ChainSequence, build_structure
from structdiff.structure.files import read_structure
from structdiff.structure.tables import ChainKind, Structure
from tests.structure.comparison import DATA


def ligand(code: str, name: str = "L") -> Structure:
    """A component of the dictionary as the only ligand, as its ideal conformer."""
    return _at_ideal(build_structure([ChainSequence(name=name, kind=ChainKind.LIGAND, residues=(code,))]))


def from_smiles(smiles: str) -> Structure:
    components = {"MOL": component_from_smiles(smiles, "MOL")}
    chain = ChainSequence(name="L", kind=ChainKind.LIGAND, residues=("MOL",))
    return _at_ideal(build_structure([chain], components=components))


def _at_ideal(structure: Structure) -> Structure:
    whole = component(str(structure.residues.name[0]), structure.components)
    places = whole.ideal_positions[[whole.atom_index[name] for name in structure.atoms.name.tolist()]]
    return structure.with_positions(places)


def chromophore() -> tuple[Structure, np.ndarray]:
    """Yellow protein (4i39) and the rows of its chromophore, p-coumaric acid, as if nothing tied it."""
    structure = read_structure(DATA / "4i39.cif.gz")
    kind = structure.chains.kind[structure.atom_chain]
    structure = structure.select(structure.atoms.resolved & (kind != ChainKind.WATER))
    own = structure.chains.kind[structure.atom_chain] == ChainKind.LIGAND
    bonds = structure.bonds
    inside = own[bonds.atom_1] == own[bonds.atom_2]
    free = dataclasses.replace(
        bonds, atom_1=bonds.atom_1[inside], atom_2=bonds.atom_2[inside], order=bonds.order[inside]
    )
    return dataclasses.replace(structure, bonds=free), np.flatnonzero(own)


def streptavidin() -> tuple[Structure, np.ndarray]:
    """A subunit of streptavidin (1stp) and the rows of its biotin."""
    structure = read_structure(DATA / "1stp.pdb.gz")
    structure = structure.select(structure.atoms.resolved)
    return structure, np.flatnonzero(structure.residues.name[structure.atoms.residue] == "BTN")


def landscape(
    structure: Structure, rows: np.ndarray, *, half: float = 9.0, asked: AskedContacts | None = None
) -> Landscape:
    """What poses of a ligand cost in the rest of a structure, about where it lies."""
    types, own = AtomTypes.of(structure), np.isin(np.arange(len(structure.atoms)), rows)
    kinds, kind = kinds_of(types.rows(rows))
    middle = structure.atoms.positions[rows].mean(0).astype(np.float64)
    torsions = torsions_of(structure.select(own))
    receptor = structure.atoms.positions[~own].astype(np.float64)
    return Landscape(
        receptor=build_maps(kinds, receptor, types.rows(np.flatnonzero(~own)), middle - half, middle + half),
        kind=torch.from_numpy(kind), torsions=torsions, inner=torsions.kinds(types.rows(rows)), asked=asked,
    )  # fmt: skip


def exact(structure: Structure, rows: np.ndarray, made: Landscape) -> Landscape:
    """The same among the receptor's atoms, in place of maps."""
    types, others = AtomTypes.of(structure), np.setdiff1d(np.arange(len(structure.atoms)), rows)
    kinds, _ = kinds_of(types.rows(rows))
    positions = torch.from_numpy(structure.atoms.positions[others])
    return dataclasses.replace(made, receptor=ReceptorAtoms(kinds=kinds, types=types.rows(others), positions=positions))


def shaken(structure: Structure, rows: np.ndarray, count: int, by: float = 0.3) -> torch.Tensor:
    """So many poses of a ligand about where it lies, all atoms moved at random (Å)."""
    noise = by * torch.randn(count, len(rows), 3, generator=torch.Generator().manual_seed(0))
    return torch.from_numpy(structure.atoms.positions[rows]) + noise
