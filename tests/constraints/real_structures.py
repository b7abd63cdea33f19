"""Real structures from the test data, resolved atoms only."""

from __future__ import annotations

from pathlib import Path

from structdiff.structure.files import read_structure
from structdiff.structure.tables import ChainKind

DATA = Path(__file__).parents[1]


def resolved(path):
    structure = read_structure(DATA / path)
    return structure.select(structure.atoms.resolved & (structure.chains.kind[structure.atom_chain] != ChainKind.WATER))
