"""Shapes of a ligand to begin a search with: its rings and angles do not change while it is docked."""

from __future__ import annotations

import numpy as np
import torch

from structdiff.constraints.relaxation import relax
from structdiff.structure.ligand_molecules import ligand_molecule
from structdiff.structure.tables import Structure
from structdiff.typing import Float

#: How many are made beside the one that was drawn.
CONFORMERS = 16
_SEED = 20240508
_ATTEMPTS = 20


def ligand_conformers(ligand: Structure) -> Float[torch.Tensor, "conformer atom 3"]:
    """Conformers (Å) of a ligand: as it was drawn, its chemistry put right, and others by RDKit's ETKDG (Riniker &
    Landrum 2015) of the same handedness. The same ligand gives the same ones.
    """
    drawn = torch.from_numpy(ligand.atoms.positions)
    right = relax(ligand, drawn[None]).positions[0]
    others = _embedded(ligand.with_positions(right.numpy(), resolved=np.ones(len(drawn), bool)))
    return torch.cat([right[None], torch.from_numpy(others)])


def _embedded(ligand: Structure) -> Float[np.ndarray, "conformer atom 3"]:
    """RDKit's conformers (Å); none of what it takes for no molecule, or cannot lay out."""
    from rdkit import Chem, rdBase
    from rdkit.Chem import rdDistGeom

    count = len(ligand.atoms)
    nothing = np.zeros((0, count, 3), np.float32)
    with rdBase.BlockLogs():
        molecule = ligand_molecule(ligand, np.arange(count))
        if Chem.DetectChemistryProblems(molecule):
            return nothing
        Chem.SanitizeMol(molecule)
        Chem.AssignStereochemistryFrom3D(molecule)
        full = Chem.AddHs(molecule, addCoords=True)
        settings = rdDistGeom.ETKDGv3()
        settings.randomSeed, settings.maxIterations = _SEED, _ATTEMPTS
        try:
            found = list(rdDistGeom.EmbedMultipleConfs(full, CONFORMERS, settings))
        except (RuntimeError, ValueError):
            return nothing
    places = [full.GetConformer(number).GetPositions()[:count] for number in found]
    return np.array(places, np.float32).reshape(-1, count, 3)
