"""Knots: curves of mathematics with known determinants, and proteins."""

import numpy as np
import pytest

from structdiff.evaluation.backbone import Backbone
from structdiff.evaluation.knots import is_knotted, knot_determinant, knotted_share, shorten


def torus_knot(p, q, count=120):
    t = np.linspace(0, 2 * np.pi, count, endpoint=False)
    r = 2 + np.cos(q * t)
    return np.stack([r * np.cos(p * t), r * np.sin(p * t), np.sin(q * t)], -1)


def figure_of_eight(count=120):
    t = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.stack([(2 + np.cos(2 * t)) * np.cos(3 * t), (2 + np.cos(2 * t)) * np.sin(3 * t), np.sin(4 * t)], -1)


@pytest.mark.parametrize(
    ("curve", "determinant"),
    [
        (torus_knot(2, 3), 3),
        (torus_knot(2, 5), 5),
        (torus_knot(2, 7), 7),
        (torus_knot(1, 3), 1),
        (figure_of_eight(), 5),
    ],
    ids=["trefoil", "5_1", "7_1", "no knot", "figure of eight"],
)
def test_determinants_of_known_knots(curve, determinant):
    assert knot_determinant(curve) == determinant


def open_trefoil():
    """A trefoil cut open where it runs outermost, its ends drawn out."""
    t = np.linspace(0.0, 2 * np.pi, 100)[2:-2]
    curve = np.stack([np.sin(t) + 2 * np.sin(2 * t), np.cos(t) - 2 * np.cos(2 * t), -np.sin(3 * t)], -1) * 8
    return np.concatenate([curve[:1] + [[-20.0, -30.0, 40.0]], curve, curve[-1:] + [[20.0, -30.0, -40.0]]])


def test_an_open_trefoil_is_knotted_and_its_mirror_image_too():
    assert is_knotted(open_trefoil())
    assert is_knotted(open_trefoil() * [1, 1, -1])


def test_a_trefoil_that_is_too_short_to_close_is_not():
    assert not is_knotted(open_trefoil()[:55])


def test_shortening_keeps_the_ends_and_straightens_a_helix():
    t = np.arange(60) * np.radians(100)
    helix = np.stack([2.3 * np.cos(t), 2.3 * np.sin(t), 1.5 * np.arange(60)], -1)
    short = shorten(helix)
    assert len(short) == 2
    np.testing.assert_array_equal(short, helix[[0, -1]])


@pytest.mark.parametrize("name", ["ubiquitin", "crambin", "protein_g", "coiled_coil"])
def test_small_proteins_are_not_knotted(name, request):
    assert knotted_share(Backbone.from_structure(request.getfixturevalue(name))) == 0
