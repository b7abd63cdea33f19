"""Loops as nature has them: each is relaxed towards the natural loop of its length that joins best what it joins."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
import torch

from structdiff.chemistry.natural_loops import LoopShapes, loop_shapes
from structdiff.constraints.ideal_pieces import HELIX_TORSIONS, STRAND_TORSIONS, ideal_backbone
from structdiff.constraints.stereochemistry import Loop, Stereochemistry
from structdiff.constraints.torsion_preference import backbone_torsions, torsion_well
from structdiff.geometry.superposition import superposed_rmsd
from structdiff.spec.fold import Block
from structdiff.typing import Float

#: Shapes are chosen by minus the log of their share, to which are added 0.5 (misfit / _MISFIT)², the Å by which this
#: many residues of the elements before and after are missed, and _OFF (1 - cos) of how far each torsion is off.
_FLANK, _MISFIT, _OFF = 3, 0.7, 0.5
#: kT/radian², how steep the wells of a loop's torsions are.
_WELL = 80.0
_FLANKS = {"H": HELIX_TORSIONS, "E": STRAND_TORSIONS}


def loops_between(blocks: Sequence[Block], backbone: np.ndarray, chain: np.ndarray, loop: np.ndarray) -> list[Loop]:
    """The loops between neighbouring blocks of one chain whose kind is known.

    backbone (residue, 4): rows of N, CA, C, O; chain (residue); loop (residue): where neither helix nor strand is.
    """
    found = []
    for before, after in pairwise(blocks):
        rows, joins = np.arange(before.stop, after.start), before.letter + after.letter
        known = chain[before.start] == chain[after.start] and len(rows) and loop[rows].all()
        if not known or min(len(before), len(after)) < _FLANK or loop_shapes(joins, len(rows)) is None:
            continue
        around = np.r_[before.stop - _FLANK : before.stop, after.start : after.start + _FLANK]
        found.append(Loop(joins=joins, alphas=backbone[rows, 1], around=backbone[around, :3]))
    return found


def with_chosen_loops(model: Stereochemistry, positions: np.ndarray) -> Stereochemistry:
    """The same chemistry with wells for the torsions of the shape that is chosen for each loop at positions (atom, 3).

    The one that joins both elements where they are, is common, and is near. Loops of which a residue is held, or has no
    torsions, stay as they are.
    """
    preference = model.torsion_preference
    if preference is None or not model.loops:
        return model
    place = {alpha: row for row, alpha in enumerate(preference.atoms[:, 2].tolist())}
    torsions = backbone_torsions(preference.atoms, torch.from_numpy(positions)[None])[0].numpy()
    kind, wells = preference.kind.clone(), []
    for loop in model.loops:
        rows = [place.get(alpha, -1) for alpha in loop.alphas.tolist()]
        if min(rows) < 0:
            continue
        for row, aim in zip(rows, _chosen(loop, torsions[rows], positions), strict=True):
            kind[row] = len(preference.table) + len(wells)
            wells.append(torsion_well(aim, _WELL))
    if not wells:
        return model
    changed = preference.with_wells(kind, np.stack(wells), model.spreads.torsion_preference)
    return dataclasses.replace(model, torsion_preference=changed)


def _chosen(loop: Loop, torsions: Float[np.ndarray, "residue 2"], positions: np.ndarray) -> np.ndarray:
    """phi and psi (residue, 2) of the shape that costs least."""
    shapes, ends = _joining(loop.joins, len(loop.alphas))
    there = torch.from_numpy(positions[loop.around.reshape(-1)])
    misfit = superposed_rmsd(ends, there.expand_as(ends)).numpy()
    away = (1 - np.cos(shapes.torsions - torsions)).sum((1, 2))
    cost = 0.5 * np.square(misfit / _MISFIT) + _OFF * away - np.log(shapes.share)
    return shapes.torsions[np.argmin(cost)]


@lru_cache(maxsize=64)
def _joining(joins: str, length: int) -> tuple[LoopShapes, torch.Tensor]:
    """The shapes of a kind of loop, and where each has N, CA and C (shape, atom, 3) of the residues that it joins."""
    shapes = loop_shapes(joins, length)
    assert shapes is not None
    ends = []
    for own in np.degrees(shapes.torsions).tolist():
        pieces = [_FLANKS[joins[0]]] * _FLANK + [tuple(each) for each in own] + [_FLANKS[joins[1]]] * _FLANK
        built = ideal_backbone(pieces)[:, :3]
        ends.append(np.concatenate([built[:_FLANK], built[-_FLANK:]]).reshape(-1, 3))
    return shapes, torch.from_numpy(np.stack(ends)).double()
