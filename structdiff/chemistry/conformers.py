"""Three-dimensional conformers of molecules, the same one for the same molecule.

They come from RDKit's ETKDG (Riniker & Landrum 2015; Wang et al. 2020) with a fixed seed; where that fails, from plain
distance geometry.
"""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
from rdkit import Chem, rdBase
from rdkit.Chem import AllChem, rdDistGeom, rdForceFieldHelpers

from structdiff.chemistry.components import Component
from structdiff.chemistry.rdkit_molecules import perceived

_SEED = 20240508
#: What is tried in turn for a conformer: settings of ETKDG and what is added to the seed. Plain distance geometry,
#: without the torsions and flat rings of known molecules, comes last: it finds strained cages that nothing else does.
_PLAIN = {"useBasicKnowledge": False, "useExpTorsionAnglePrefs": False, "ignoreSmoothingFailures": True}
_ATTEMPTS = (
    ({"useRandomCoords": False}, 0),
    ({"useRandomCoords": True}, 0),
    ({"useRandomCoords": True}, 1),
    ({"useRandomCoords": True, **_PLAIN}, 0),
    ({"useRandomCoords": True, **_PLAIN}, 1),
)


class ConformerWarning(UserWarning):
    """No three-dimensional conformer could be made for a component."""


def with_conformer(component: Component) -> Component:
    """The component with RDKit's conformer in place of missing ideal positions."""
    with rdBase.BlockLogs():
        positions = conformer(perceived(component), component.name)
    return dataclasses.replace(component, ideal_positions=np.asarray(positions, np.float32))


def conformer(mol: Chem.Mol, called: str) -> np.ndarray:
    """Positions (atom, 3) in Å of the heavy atoms: ETKDG, plain distance geometry, then a flat drawing."""
    full = Chem.AddHs(mol)
    settings = rdDistGeom.ETKDGv3()
    settings.maxIterations = 20
    for changes, more in _ATTEMPTS:
        settings.randomSeed = _SEED + more
        for key, value in changes.items():
            setattr(settings, key, value)
        if _embedded(full, settings):
            _relax(full)
            return full.GetConformer().GetPositions()[: mol.GetNumAtoms()]
    warnings.warn(
        f"{called}: no three-dimensional conformer was found (is its stereochemistry possible?); a flat drawing stands "
        "in, its handedness means nothing",
        ConformerWarning,
        stacklevel=3,
    )
    flat = Chem.Mol(mol)
    AllChem.Compute2DCoords(flat, bondLength=1.45)  # type: ignore[attr-defined]
    return flat.GetConformer().GetPositions()


def _embedded(mol: Chem.Mol, settings: rdDistGeom.EmbedParameters) -> bool:
    try:
        return rdDistGeom.EmbedMolecule(mol, settings) == 0
    except (RuntimeError, ValueError):
        return False


def _relax(mol: Chem.Mol) -> None:
    """Brings bonds and angles to MMFF94's (UFF's) values; a molecule without parameters stays as embedded."""
    if rdForceFieldHelpers.MMFFHasAllMoleculeParams(mol) and not _has_guessed_bond(mol):
        rdForceFieldHelpers.MMFFOptimizeMolecule(mol, maxIters=500)
    elif rdForceFieldHelpers.UFFHasAllMoleculeParams(mol):
        rdForceFieldHelpers.UFFOptimizeMolecule(mol, maxIters=500)


def _has_guessed_bond(mol: Chem.Mol) -> bool:
    """Whether a double, triple or aromatic bond is not in MMFF94's tables.

    RDKit then takes the sum of the radii of single bonds: 1.40 Å in CO2, 1.80 for C=S of isothiocyanates, 1.54 between
    the pyrroles of porphyrins. The tables give force constants with three decimals, the rule gives others.
    """
    known = rdForceFieldHelpers.MMFFGetMoleculeProperties(mol)
    for bond in mol.GetBonds():
        found = known.GetMMFFBondStretchParams(mol, bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())
        if found and bond.GetBondTypeAsDouble() > 1 and abs(found[1] - round(found[1], 3)) > 1e-6:
            return True
    return False
