"""Loops of planned folds take the natural shape that joins what they join."""

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
from structdiff.structure.build import ChainSequence, build_structure
from structdiff.structure.tables import ChainKind

FLANK = {"H": HELIX_TORSIONS, "E": STRAND_TORSIONS}
JOINED = [("H", "H", 3), ("H", "E", 4), ("E", "H", 3), ("E", "E", 2), ("E", "E", 5)]
ELEMENT = 8  # residues of each element


def joined(before: str, after: str, torsions: np.ndarray):
    """A chain of two ideal elements with a loop of these torsions (radian), and its chemistry, which knows the loop."""
    own = [tuple(each) for each in np.degrees(torsions)]
    built = ideal_backbone([FLANK[before]] * ELEMENT + own + [FLANK[after]] * ELEMENT)
    structure = build_structure([ChainSequence(name="A", kind=ChainKind.PROTEIN, residues=("GLY",) * len(built))])
    names, positions = structure.atoms.name, np.full((len(structure.atoms), 3), np.nan)
    backbone = np.stack([np.flatnonzero(names == atom) for atom in ("N", "CA", "C", "O")], 1)
    positions[backbone] = built
    extra = np.isnan(positions[:, 0])  # the last oxygen
    positions[extra] = built[-1, 2] + 1.25
    letters = before * ELEMENT + "L" * len(own) + after * ELEMENT
    loop = np.array([letter == "L" for letter in letters])
    chemistry = Stereochemistry.from_structure(structure, spreads=Spreads(torsion_preference=6.0))
    loops = loops_between(blocks_of(letters), backbone, np.zeros(len(built), int), loop)
    return structure, positions, dataclasses.replace(chemistry, loops=tuple(loops)), loop


def torsions_of(model: Stereochemistry, positions: np.ndarray, loop: np.ndarray) -> np.ndarray:
    assert model.torsion_preference is not None
    found = backbone_torsions(model.torsion_preference.atoms, torch.from_numpy(positions)[None])[0].numpy()
    return found[loop[1:-1]]  # the first and the last residue have none


@pytest.mark.parametrize(("before", "after", "length"), JOINED)
@pytest.mark.parametrize("shape", [0, 2, 4])
def test_a_loop_that_has_a_natural_shape_keeps_it(before, after, length, shape):
    shapes = loop_shapes(before + after, length)
    assert shapes is not None
    _, positions, model, loop = joined(before, after, shapes.torsions[shape])
    assert len(model.loops) == 1
    chosen = with_chosen_loops(model, positions)
    assert chosen.torsion_preference is not None
    table = chosen.torsion_preference.table[chosen.torsion_preference.kind[loop[1:-1]]].numpy()
    bins = table.shape[-1]
    for own, aim in zip(table, shapes.torsions[shape], strict=True):
        lowest = (np.array(np.unravel_index(own.argmin(), own.shape)) + 0.5) * 2 * np.pi / bins - np.pi
        assert np.abs(np.angle(np.exp(1j * (lowest - aim)))).max() < np.radians(40)


@pytest.mark.parametrize(("before", "after", "length"), JOINED)
def test_a_loop_with_other_torsions_is_relaxed_to_a_natural_shape(before, after, length):
    """Torsions 25° off a natural shape come back to one of its sort."""
    shapes = loop_shapes(before + after, length)
    assert shapes is not None
    rng = np.random.default_rng(length)
    off = shapes.torsions[0] + np.radians(25) * rng.choice([-1, 1], size=shapes.torsions[0].shape)
    structure, positions, model, loop = joined(before, after, off)
    settings = Relaxation(restraint=0.02, blurs=(40.0, 15.0))
    relaxed = relax(structure, torch.from_numpy(positions)[None], stereochemistry=model, settings=settings)
    found = "".join(region(torsions_of(model, relaxed.positions[0].numpy(), loop)))
    assert found in {"".join(region(own)) for own in shapes.torsions}


def test_loops_that_are_unknown_or_not_in_one_chain_are_left_alone():
    backbone, free = np.arange(200).reshape(50, 4), np.ones(50, bool)
    one = np.zeros(50, int)
    blocks = blocks_of("H" * 10 + "L" * 4 + "H" * 10 + "L" * 12 + "H" * 10 + "LLLL")
    assert [len(loop.alphas) for loop in loops_between(blocks, backbone, one, free)] == [4]
    assert loops_between(blocks, backbone, np.arange(50) // 12, free) == []
    assert loops_between(blocks, backbone, one, ~free) == []


def test_every_kind_of_short_loop_is_known():
    for joins in ("HH", "HE", "EH", "EE"):
        for length in range(LENGTHS[0], 6):
            shapes = loop_shapes(joins, length)
            assert shapes is not None, (joins, length)
            assert shapes.torsions.shape == (len(shapes.share), length, 2)
            assert np.isclose(shapes.share.sum(), 1)
            assert np.all(np.diff(shapes.share) <= 0)
    assert loop_shapes("HH", LENGTHS[1] + 1) is None
    turns = loop_shapes("EE", 2)
    assert turns is not None
    assert "".join(region(turns.torsions[0])) == "GG", "type I' turns are the commonest of two residues"
