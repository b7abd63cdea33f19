"""Are the ligands of a model sound molecules in a sound place: the checks of PoseBusters, where it is installed.

Buttenschoen, Morris & Deane, Chem. Sci. 15, 3130 (2024). It comes with ``pip install structdiff[evaluation]``.
"""

from __future__ import annotations

import importlib
import importlib.util
import tempfile
from pathlib import Path

import numpy as np

from structdiff.structure.files import write_structure
from structdiff.structure.ligand_molecules import ligand_molecule
from structdiff.structure.tables import ChainKind, Structure

_SMALLEST = 4  # heavy atoms


def checks_passed(model: Structure) -> float:
    """Share of PoseBusters' checks that the model's ligands pass, mean over ligands.

    NaN where it is not installed, or no ligand of four atoms and more has known bonds.
    """
    ligands = [rows for rows in _ligand_atoms(model) if len(rows) >= _SMALLEST and _is_bonded(model, rows)]
    if importlib.util.find_spec("posebusters") is None or not ligands:
        return float("nan")
    from rdkit import rdBase

    posebusters = importlib.import_module("posebusters")

    polymer = np.isin(model.chains.kind[model.atom_chain], (ChainKind.PROTEIN, ChainKind.DNA, ChainKind.RNA))
    checker = posebusters.PoseBusters(config="dock" if polymer.any() else "mol")
    with tempfile.TemporaryDirectory() as folder, rdBase.BlockLogs():
        receptor = None
        if polymer.any():
            receptor = write_structure(model.select(polymer & model.atoms.resolved), Path(folder) / "receptor.pdb")
        shares = [
            float(np.mean(checker.bust([ligand_molecule(model, rows)], None, receptor).to_numpy(bool)))
            for rows in ligands
        ]
    return float(np.mean(shares))


def _ligand_atoms(model: Structure) -> list[np.ndarray]:
    chains = np.flatnonzero(model.chains.kind == ChainKind.LIGAND).tolist()
    return [np.flatnonzero((model.atom_chain == chain) & model.atoms.resolved) for chain in chains]


def _is_bonded(model: Structure, rows: np.ndarray) -> bool:
    """Whether bonds of these atoms are known at all; a file may name a ligand that nothing tells them of."""
    return bool((np.isin(model.bonds.atom_1, rows) & np.isin(model.bonds.atom_2, rows)).any())
