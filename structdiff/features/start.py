"""Where partial diffusion begins: a position for each atom of a design, from the structure that it varies."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from structdiff.errors import InputError
from structdiff.features.tokens import TokenTable
from structdiff.spec.layout import Layout
from structdiff.spec.segments import ResidueId
from structdiff.structure.motif_residues import ligand_residues, motif_residues
from structdiff.structure.tables import Structure
from structdiff.typing import Float


def start_positions(
    layout: Layout, structure: Structure, tokens: TokenTable, source: Structure
) -> Float[Tensor, "token slot 3"]:
    """Positions (Å) of all atoms of a design, 0 where a slot holds none.

    Atoms that the source does not show begin at the CA of their residue, and residues that it does not have on the line
    between their neighbours. Raises InputError for a chain of which it has nothing.
    """
    rows = motif_residues(source) | ligand_residues(source)
    centres = _centres(layout, source, rows)
    positions = centres[structure.atoms.residue]
    for place, residue in enumerate(layout.residues):
        if residue.parent is None:
            continue
        atoms = source.residue_atoms(rows[residue.parent])
        seen = source.atoms.resolved[atoms]
        names = source.atoms.name[atoms][seen].tolist()
        known = dict(zip(names, source.atoms.positions[atoms][seen], strict=True))
        own = structure.residue_atoms(place)
        for row, name in zip(range(own.start, own.stop), structure.atoms.name[own].tolist(), strict=True):
            positions[row] = known.get(name, positions[row])
    by_slot = np.where((tokens.atoms >= 0)[..., None], positions[tokens.atoms], 0.0)
    return torch.from_numpy(by_slot.astype(np.float32))


def _centres(layout: Layout, source: Structure, rows: dict[ResidueId, int]) -> np.ndarray:
    """The CA of each residue (residue, 3) in Å, the first atom that was seen where there is none."""
    centres = np.full((len(layout), 3), np.nan)
    for place, residue in enumerate(layout.residues):
        if residue.parent is not None:
            atoms = source.residue_atoms(rows[residue.parent])
            seen = np.flatnonzero(source.atoms.resolved[atoms])
            alpha = [each for each in seen.tolist() if source.atoms.name[atoms][each] == "CA"]
            centres[place] = source.atoms.positions[atoms][alpha[0] if alpha else seen[0]]
    chains = np.array([residue.chain for residue in layout.residues])
    for chain in dict.fromkeys(chains.tolist()):
        own = np.flatnonzero(chains == chain)
        known = own[np.isfinite(centres[own, 0])]
        if not len(known):
            raise InputError(f"chain {chain} of the design has nothing to begin with", key="contigs",
                             allowed="chains with residues of the structure, where noise is asked for")  # fmt: skip
        for axis in range(3):
            centres[own, axis] = np.interp(own, known, centres[known, axis])
    return centres
