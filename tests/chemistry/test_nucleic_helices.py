"""Ideal helices have whole bonds, the pairs' hydrogen bonds, and the shape of their form."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from structdiff.chemistry.nucleic_helices import helix
from structdiff.structure.base_pairs import PAIR_BONDS

FIRST, SECOND = {"A": "GCAUGGAUCC", "B": "GCATGGATCC"}, {"A": "CGUACCUAGG", "B": "CGTACCTAGG"}


def apart(one, other):
    return float(np.linalg.norm(one - other))


@pytest.mark.parametrize("form", ["A", "B"])
def test_strands_are_bonded_and_paired(form):
    strands = helix(FIRST[form], SECOND[form], form)
    for strand, ahead in zip(strands, (1, -1), strict=True):
        run = strand[::ahead]  # 5' to 3'
        for before, after in itertools.pairwise(run):
            assert apart(before["O3'"], after["P"]) == pytest.approx(1.6, abs=0.12)
        for place in strand:
            assert apart(place["O5'"], place["P"]) == pytest.approx(1.6, abs=0.05)
            glycosidic = place["N9"] if "N9" in place else place["N1"]
            assert apart(place["C1'"], glycosidic) == pytest.approx(1.47, abs=0.06)
    for one, other, place, partner in zip(FIRST[form], SECOND[form], *strands, strict=True):
        bonds = PAIR_BONDS.get((one, other)) or tuple((b, a, d) for a, b, d in PAIR_BONDS[other, one])
        for atom, opposite, length in bonds:
            assert apart(place[atom], partner[opposite]) == pytest.approx(length, abs=0.2)


@pytest.mark.parametrize(
    ("form", "rise", "pairs_a_turn", "phosphorus"), [("A", 2.8, 11.3, (5.5, 6.4)), ("B", 3.3, 10.6, (6.5, 7.3))]
)
def test_forms_have_their_shapes(form, rise, pairs_a_turn, phosphorus):
    """Rise and turn of fibres; phosphates of A form are nearer, as sugars are C3' endo (Saenger 1984)."""
    first, second = helix("G" * 23, "C" * 23, form)
    ends = np.array([[strand[place]["P"] for place in range(23)] for strand in (first, second)])
    middle = ends.mean(0)
    axis = middle[12:].mean(0) - middle[:11].mean(0)
    axis /= np.linalg.norm(axis)
    along = (ends[0] - ends[0].mean(0)) @ axis
    assert np.diff(along).mean() == pytest.approx(rise, abs=0.15)
    steps = np.linalg.norm(np.diff(ends[0], axis=0), axis=1)
    assert phosphorus[0] < steps.mean() < phosphorus[1]
    # The turn of the arrow from strand to strand, seen along the axis: right-handed, so many pairs to a turn.
    arrow = ends[1] - ends[0]
    arrow -= np.outer(arrow @ axis, axis)
    turn = np.arctan2(np.cross(arrow[:-1], arrow[1:]) @ axis, (arrow[:-1] * arrow[1:]).sum(1))
    assert 360 / np.degrees(turn.mean()) == pytest.approx(pairs_a_turn, abs=0.4)


def test_steps_leave_room():
    whole, _ = helix("GGGG", "CCCC", "A")
    gapped, _ = helix("GG", "CC", "A", steps=(0, 3))
    assert np.allclose(whole[3]["P"], gapped[1]["P"])
