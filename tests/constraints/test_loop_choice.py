import dataclasses

import numpy as np
import pytest
import torch

from structdiff.chemistry.natural_loops import LENGTHS, loop_shapes, region
from structdiff.constraints.ideal_pieces import HELIX_TORSIONS, STRAND_TORSIONS, ideal_backbone
from structdiff.constraints.loop_choice import loops_between, with_chosen_loops
from structdiff.constraints.relaxation import Relaxation, relax
from structdiff.constraints.stereochemistry import Spreads, Stereochemistry
from structdiff.constraints.torsion_preference import backbone_torsions
from structdiff.spec.fold import blocks_of
from structdiff.structure.build import build_polymer

JOINED = [("H", "H", 3), ("H", "E", 4), ("E", "H", 3), ("E", "E", 2), ("E", "E", 5)]


def joined(before: str, after: str, length: int, shape: int):
    """A chain with a natural loop between two ideal elements: structure, positions, letters and the loop's torsions."""
    flank = {"H": HELIX_TORSIONS, "E": STRAND_TORSIONS}
    shapes = loop_shapes(before + after, length)
    assert shapes is not None
    own = [tuple(each) for each in np.degrees(shapes.torsions[shape])]
    built = ideal_backbone([flank[before]] * 8 + own + [flank[after]] * 8)
    structure = build_polymer("G" * len(built))
    names = structure.atoms.name
    positions = np.zeros((len(structure.atoms), 3))
    for row, atom in enumerate(("N", "CA", "C", "O")):
        positions[names == atom] = built[:, row]
    return structure, positions, before * 8 + "L" * length + after * 8, shapes.torsions[shape]
