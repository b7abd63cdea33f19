"""Ligands drawn with the wrong hand: mirrored where most centres are inverted, laid anew where some stay so.

Centres that rings fuse cannot be turned over one at a time: the rings hold them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from structdiff.chemistry.components import component
from structdiff.constraints.stereochemistry import Stereochemistry, signed_volumes
from structdiff.geometry.superposition import superposed
from structdiff.structure.tables import ChainKind, Structure
from structdiff.typing import Bool, Float

_FEWEST_MIRRORED = 2  # centres: a single one is moved less by turning it over


@dataclass(frozen=True, kw_only=True, eq=False)
class HandedLigand:
    """One component of a ligand: rows of its atoms, its ideal conformer (Å), and which handed quadruples are its."""

    rows: Bool[torch.Tensor, " atom"]
    ideal: Float[torch.Tensor, "own 3"]
    handed: Bool[torch.Tensor, " quadruple"]


def handed_ligands(
    structure: Structure, model: Stereochemistry, free: Bool[torch.Tensor, " atom"]
) -> list[HandedLigand]:
    """The components of ligands that have handed centres and of which every atom may move."""
    return list(_handed_ligands(structure, model, free))


def _handed_ligands(structure: Structure, model: Stereochemistry, free: torch.Tensor) -> Iterator[HandedLigand]:
    centres = structure.atoms.residue[model.quadruples[: model.num_handed, 0].numpy()]
    kinds = structure.chains.kind[structure.residues.chain]
    for residue in np.unique(centres).tolist():
        span = structure.residue_atoms(residue)
        if kinds[residue] != ChainKind.LIGAND or not bool(free[span].all()):
            continue
        whole = component(str(structure.residues.name[residue]), structure.components)
        place = whole.atom_index
        ideal = whole.ideal_positions[[place[name] for name in structure.atoms.name[span].tolist()]]
        rows = torch.zeros(len(structure.atoms), dtype=torch.bool)
        rows[span] = True
        yield HandedLigand(
            rows=rows, ideal=torch.from_numpy(ideal).double(), handed=torch.from_numpy(centres == residue)
        )


def mirrored_back(
    model: Stereochemistry, positions: Float[torch.Tensor, "atom 3"], ligands: list[HandedLigand]
) -> Float[torch.Tensor, "atom 3"]:
    """Positions (Å) with each ligand of which most centres are inverted reflected through its own flattest plane."""
    positions, wrong = positions.clone(), inverted(model, positions)
    handed = model.quadruples[: model.num_handed, 0]
    for ligand in ligands:
        centres = handed[ligand.handed].unique()
        if len(centres) >= _FEWEST_MIRRORED and 2 * len(handed[ligand.handed & wrong].unique()) > len(centres):
            own = positions[ligand.rows]
            middle = own.mean(0)
            normal = torch.linalg.svd(own - middle, full_matrices=False)[2][2]
            positions[ligand.rows] = own - 2 * ((own - middle) @ normal)[:, None] * normal
    return positions


def inverted(model: Stereochemistry, positions: Float[torch.Tensor, "atom 3"]) -> Bool[torch.Tensor, " quadruple"]:
    """Which handed quadruples have the wrong sign of volume."""
    volumes = signed_volumes(positions[None], model.quadruples[: model.num_handed])[0]
    return volumes * model.volume[: model.num_handed] <= 0


def laid_anew(positions: Float[torch.Tensor, "atom 3"], ligand: HandedLigand) -> Float[torch.Tensor, "atom 3"]:
    """Positions (Å) with the ligand's ideal conformer laid where it was drawn, by least squares over its atoms."""
    positions = positions.clone()
    positions[ligand.rows] = superposed(ligand.ideal, positions[ligand.rows])
    return positions
