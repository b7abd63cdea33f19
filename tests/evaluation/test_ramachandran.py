import dataclasses

import numpy as np
import pytest

from structdiff.evaluation import ramachandran as rama
from structdiff.evaluation.backbone import Backbone


def at(phi, psi, kind=0):
    table = rama.reference()
    angles = np.radians([phi]), np.radians([psi])
    density = table.at(*angles, np.array([kind]))[0]
    return "favoured" if density >= table.favoured[kind] else "allowed" if density >= table.allowed[kind] else "outlier"


@pytest.mark.parametrize(
    ("phi", "psi", "kind", "region"),
    [
        (-63, -43, 0, "favoured"),  # alpha helix
        (-120, 130, 0, "favoured"),  # strand
        (-65, 140, 0, "favoured"),  # polyproline
        (57, 40, 0, "favoured"),  # left-handed helix, a turn's place
        (90, 90, 0, "outlier"),
        (0, 0, 0, "outlier"),
        (75, -10, 0, "allowed"),
        (80, 5, 1, "favoured"),  # glycine alone
        (85, -170, 1, "favoured"),
        (-65, 145, 3, "favoured"),
        (-120, 130, 3, "outlier"),  # proline's ring forbids it
        (-63, -30, 2, "favoured"),
    ],
)
def test_known_regions(phi, psi, kind, region):
    assert at(phi, psi, kind) == region


def test_density_is_a_density_and_periodic():
    table = rama.reference()
    cell = (2 * np.pi / table.log_density.shape[1]) ** 2
    np.testing.assert_allclose(np.exp(table.log_density).sum((1, 2)) * cell, 1, rtol=0.02)
    psi, kind = np.array([2.0, 2.0]), np.zeros(2, int)
    left, right = table.at(np.array([-np.pi, np.pi - 1e-12]), psi, kind)
    assert left == pytest.approx(right)
    assert "Protein Data Bank" in str(table.provenance["source"])


def test_contours_hold_the_stated_share(generator):
    """Estimated from a known distribution, judged on fresh draws from it."""

    def draw(count):
        centre = np.where(generator.random(count) < 0.6, 0, 1)
        means, spread = np.array([[-1.1, -0.7], [-2.1, 2.3]]), np.array([[0.15, 0.2], [0.4, 0.4]])
        return means[centre] + generator.normal(size=(count, 2)) * spread[centre]

    pairs = [draw(20000) for _ in rama.CLASSES]
    table = rama.estimate(pairs, [np.ones(20000, bool)] * 4, {})
    fresh = draw(20000)
    density = table.at(fresh[:, 0], fresh[:, 1], np.zeros(20000, int))
    assert np.mean(density >= table.favoured[0]) == pytest.approx(0.98, abs=0.004)
    assert np.mean(density >= table.allowed[0]) == pytest.approx(0.9995, abs=0.0007)
    packed = rama.pack(table)
    assert packed["levels"].dtype == np.uint8
    span = packed["range"][1] - packed["range"][0]
    restored = packed["range"][0] + packed["levels"] / 255 * span
    assert np.abs(restored - table.log_density).max() < span / 255


def test_designs_without_sequence_are_judged_as_general(ubiquitin_backbone):
    """Polyglycine is what design programs write for residues that they have not named."""
    blank = Backbone.from_arrays(ubiquitin_backbone.positions, restype=np.full(76, "GLY"))
    assert not blank.sequence_known
    assert (rama.residue_classes(blank) == 0).all()
    assert rama.residue_classes(ubiquitin_backbone).tolist().count(1) == 6
    assert rama.ramachandran(blank).count == rama.ramachandran(ubiquitin_backbone).count == 74


def test_outliers_are_named(ubiquitin_backbone):
    strange = rama.ramachandran(dataclasses.replace(ubiquitin_backbone, positions=-ubiquitin_backbone.positions))
    assert strange.outlier > 0.3
    assert len(strange.outliers) == round(strange.outlier * strange.count)
