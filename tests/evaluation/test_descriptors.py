import numpy as np
import pytest

from structdiff.evaluation.backbone import Backbone
from structdiff.evaluation.descriptors import (
    contact_order,
    contacts,
    expected_radius_of_gyration,
    radius_of_gyration,
    radius_of_gyration_score,
)
from structdiff.evaluation.internal_coordinates import dihedral, ideal_cb
from structdiff.evaluation.summary import summarise


def test_radius_of_gyration_of_a_ring():
    angle = np.linspace(0, 2 * np.pi, 50, endpoint=False)
    ring = 7.5 * np.stack([np.cos(angle), np.sin(angle), 0 * angle], -1)
    positions = np.repeat(ring[:, None], 4, 1)
    assert radius_of_gyration(Backbone.from_arrays(positions)) == pytest.approx(7.5)


def test_natural_size_is_expected(ubiquitin_backbone):
    assert abs(radius_of_gyration_score(ubiquitin_backbone)) < 1
    assert expected_radius_of_gyration(200) / expected_radius_of_gyration(100) == pytest.approx(2**0.368, rel=0.01)


def test_copies_of_a_chain_are_as_large_as_it_is(ubiquitin_backbone):
    copies = np.concatenate([ubiquitin_backbone.positions + shift for shift in (0.0, 40.0, 80.0)])
    chain = np.repeat(np.arange(3), len(ubiquitin_backbone))
    score = radius_of_gyration_score(Backbone.from_arrays(copies, chain))
    assert score == pytest.approx(radius_of_gyration_score(ubiquitin_backbone))


def test_contact_order_tells_helices_from_sheets(coiled_coil, protein_g):
    helix, sheet = (Backbone.from_structure(s) for s in (coiled_coil, protein_g))
    assert contact_order(helix) < 0.15 < contact_order(sheet)
    i, j = contacts(helix)
    assert (helix.chain[i] != helix.chain[j]).sum() > 20  # the zipper's own


def test_contacts_by_hand():
    """Residues on a line 5 Å apart touch only neighbours, which do not count; folded back, residue 0 touches 5."""
    positions = np.zeros((6, 4, 3))
    positions[:, :, 0] = 5.0 * np.array([0, 1, 2, 2, 1, 0])[:, None]
    positions[3:, :, 1] = 5.0
    i, j = contacts(Backbone.from_arrays(positions, cb=positions[:, 1]))
    assert set(zip(i.tolist(), j.tolist(), strict=True)) == {(0, 5), (0, 4), (1, 4), (1, 5)}
    assert contact_order(Backbone.from_arrays(positions, cb=positions[:, 1])) == pytest.approx((5 + 4 + 3 + 4) / 4 / 6)


def test_ideal_cb_is_where_crystals_have_it(ubiquitin_backbone):
    b = ubiquitin_backbone
    off = np.linalg.norm(ideal_cb(b.positions[:, 0], b.positions[:, 1], b.positions[:, 2]) - b.cb, axis=-1)
    assert np.nanmedian(off) < 0.1
    assert np.nanmax(off) < 0.5
    assert np.isnan(b.cb[:, 0]).sum() == 6  # glycines


def test_dihedral_has_the_iupac_sign():
    a, b, c = np.array([[1.0, 0, 0]]), np.zeros((1, 3)), np.array([[0, 0, 1.0]])
    turned = dihedral(a, b, c, np.array([[np.cos(0.3), np.sin(0.3), 1]]))
    assert turned == pytest.approx(0.3)  # clockwise, seen from b towards c, is positive


def test_missing_numbers_are_gaps_between_residues():
    positions = np.zeros((4, 4, 3))
    backbone = Backbone.from_arrays(positions, np.array([0, 0, 1, 1]), residue_index=np.array([1, 3, 4, 5]))
    assert backbone.follows.tolist() == [False, False, False, True]
    kept = Backbone.from_arrays(positions).select(np.array([True, False, True, True]))
    assert kept.follows.tolist() == [False, False, True]


def test_bootstrap_interval_covers_the_mean_as_often_as_it_says(generator):
    covered = 0
    for seed in range(200):
        summary = summarise(generator.exponential(2.0, 60), seed=seed, resamples=400)
        covered += summary.low <= 2.0 <= summary.high
    assert 0.88 <= covered / 200 <= 0.99
    values = [1.0, 2.0, 4.0, float("nan")]
    assert summarise(values) == summarise(values)
    assert summarise(values).count == 3
    assert summarise(values).quartiles[1] == 2.0


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_residues_have_no_size(count):
    assert np.isnan(radius_of_gyration_score(Backbone.from_arrays(np.zeros((count, 4, 3)))))
