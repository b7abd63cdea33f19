"""The neutral form of an acid or base, as programs write it that were trained on neutral molecules."""

from __future__ import annotations


def neutral_smiles(smiles: str) -> str | None:
    """The SMILES string of a molecule with hydrogens added or taken away until it is neutral, as far as they can be.

    None where it is that already, or where RDKit cannot read it.
    """
    from rdkit import Chem
    from rdkit.Chem.MolStandardize import rdMolStandardize

    molecule = Chem.MolFromSmiles(smiles)
    if molecule is None:
        return None
    neutral = Chem.MolToSmiles(rdMolStandardize.Uncharger().uncharge(molecule))
    return None if neutral == Chem.MolToSmiles(molecule) else neutral
