"""Small structures with known positions, made here."""

from __future__ import annotations

import numpy as np

from structdiff.structure.build import ChainSequence, build_structure
from structdiff.structure.tables import ChainKind, Structure


def placed(chains: list[ChainSequence], *, seed: int = 0, **options: object) -> Structure:
    """The molecules of some chains at random positions a few Å apart, every atom resolved."""
    structure = build_structure(chains, **options)
    rng = np.random.default_rng(seed)
    centre = np.cumsum(rng.normal(size=(len(structure.residues), 3)) * 2.2, 0)
    offset = rng.normal(size=(len(structure.atoms), 3)) * 1.2
    return structure.with_positions(centre[structure.atoms.residue] + offset)


def protein(*residues: str, name: str = "A", **options: object) -> ChainSequence:
    return ChainSequence(name=name, kind=ChainKind.PROTEIN, residues=residues, **options)


def mixed() -> Structure:
    """A peptide with a modified residue, a DNA strand, a ligand and an ion."""
    return placed(
        [
            protein("GLY", "ALA", "MSE", "TRP", "SER"),
            ChainSequence(name="B", kind=ChainKind.DNA, residues=("DA", "DC", "DG")),
            ChainSequence(name="L", kind=ChainKind.LIGAND, residues=("GOL",)),
            ChainSequence(name="M", kind=ChainKind.LIGAND, residues=("ZN",)),
        ]
    )
