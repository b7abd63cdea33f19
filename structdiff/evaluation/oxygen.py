"""The carbonyl oxygens that a file leaves out, put where the backbone has them."""

from __future__ import annotations

import dataclasses

import numpy as np

from structdiff.evaluation.backbone import CA, Backbone, C, N
from structdiff.structure.tables import ChainKind, Structure

#: O in the axes of a residue's frame at its CA (Å) as in a strand, for a chain that ends where no other shows it.
_END = np.array([2.15, 0.75, -0.72])


def with_oxygen(structure: Structure) -> Structure:
    """Each protein residue that has N, CA and C with its O.

    Where none was seen it lies in the plane of the peptide bond, 1.23 Å from C; at the end of a chain where it has it
    in the residue before. Residues that list no O stay as they are.
    """
    atoms, residues = structure.atoms, structure.residues
    backbone = Backbone.from_structure(structure)
    oxygen, frames = backbone.oxygen_or_ideal, _axes(backbone.positions)
    alpha = backbone.positions[:, CA]
    local = np.einsum("rji,rj->ri", frames, oxygen - alpha)
    known = np.isfinite(local).all(-1)
    latest = np.maximum.accumulate(np.where(known, np.arange(len(local)), -1))
    lent = np.where((latest >= 0)[:, None], local[latest], _END)
    oxygen = np.where(known[:, None], oxygen, alpha + np.einsum("rij,rj->ri", frames, lent))

    row = np.cumsum(structure.chains.kind[residues.chain] == ChainKind.PROTEIN) - 1
    protein = structure.chains.kind[residues.chain[atoms.residue]] == ChainKind.PROTEIN
    missing = np.flatnonzero((atoms.name == "O") & ~atoms.resolved & protein)
    placed = oxygen[row[atoms.residue[missing]]]
    there = np.isfinite(placed).all(-1)
    positions, resolved = atoms.positions.copy(), atoms.resolved.copy()
    positions[missing[there]], resolved[missing[there]] = placed[there].astype(np.float32), True
    return dataclasses.replace(structure, atoms=dataclasses.replace(atoms, positions=positions, resolved=resolved))


def _axes(positions: np.ndarray) -> np.ndarray:
    """Axes (columns) of each residue's frame at its CA: towards C, in the plane of N, and across it."""
    first = positions[:, C] - positions[:, CA]
    first = first / np.linalg.norm(first, axis=-1, keepdims=True)
    third = np.cross(first, positions[:, N] - positions[:, CA])
    third = third / np.linalg.norm(third, axis=-1, keepdims=True)
    return np.stack([first, np.cross(third, first), third], -1)
