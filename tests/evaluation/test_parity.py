"""Scores against independent implementations: biotite's lDDT and TM-score, tmtools (TM-align)."""

import sys

import biotite.structure as struc
import numpy as np
import pytest

from structdiff.errors import InputError
from structdiff.evaluation.lddt import lddt
from structdiff.evaluation.superposition import rmsd, superpose
from structdiff.evaluation.tm_score import gdt, gdt_ha, gdt_ts, gdt_ts_and_ha, tm_d0, tm_score


def bent(ca, degrees, start):
    """The chain with everything from one residue on turned about an axis through it."""
    axis = np.array([1.0, 2.0, -1.0]) / np.sqrt(6)
    turn = np.radians(degrees)
    rest = ca[start:] - ca[start]
    along = np.outer(rest @ axis, axis)
    turned = along + (rest - along) * np.cos(turn) + np.cross(axis, rest) * np.sin(turn)
    return np.concatenate([ca[:start], turned + ca[start]])


def models(ca, generator):
    yield ca + generator.normal(0, 0.7, ca.shape)
    yield ca + generator.normal(0, 3.0, ca.shape)
    yield bent(ca, 40, 30)
    yield bent(ca, 90, 50) + generator.normal(0, 0.3, ca.shape)
    yield ca + np.cumsum(generator.normal(0, 0.5, ca.shape), 0)
    yield ca * [1, 1, -1]
    yield np.cumsum(generator.normal(0, 2.2, ca.shape), 0)


@pytest.fixture
def ca(ubiquitin_backbone):
    return ubiquitin_backbone.positions[:, 1]


def test_superposition_undoes_any_rotation(ca, generator):
    rotation, _ = np.linalg.qr(generator.normal(size=(3, 3)))
    rotation *= np.linalg.det(rotation)
    moved = ca @ rotation.T + [3.0, -20.0, 7.0]
    np.testing.assert_allclose(superpose(moved, ca), ca, atol=1e-9)
    assert rmsd(moved, ca) < 1e-9
    assert rmsd(moved, ca, superposed=False) > 10
    assert rmsd(ca * [1, 1, -1], ca) > 5  # no reflection


def test_rmsd_agrees_with_biotite(ca, generator):
    for model in models(ca, generator):
        fitted, _ = struc.superimpose(ca.astype(np.float32), model.astype(np.float32))
        assert rmsd(model, ca) == pytest.approx(struc.rmsd(ca, fitted), abs=1e-3)


def atom_array(positions, residue, chain):
    array = struc.AtomArray(len(positions))
    array.coord = positions.astype(np.float32)
    array.res_id = residue
    array.chain_id = np.array([f"C{number}" for number in chain])
    array.atom_name[:] = "C"
    return array


@pytest.mark.parametrize("noise", [0.1, 0.5, 1.5, 5.0])
def test_all_atom_lddt_agrees_with_biotite(coiled_coil, generator, noise):
    reference = coiled_coil.atoms.positions.astype(np.float64)
    model = reference + generator.normal(0, noise, reference.shape)
    residue, chain = coiled_coil.atoms.residue, coiled_coil.atom_chain
    theirs, ours = (atom_array(p, residue, chain) for p in (reference, model))
    mine = lddt(model, reference, residue)
    assert mine.score == pytest.approx(struc.lddt(theirs, ours), abs=2e-5)
    per_residue = struc.lddt(theirs, ours, aggregation="residue")
    np.testing.assert_allclose(mine.per_group, per_residue, atol=5e-4)  # biotite works in float32
    between = lddt(model, reference, residue, chain=chain, interface_only=True)
    assert between.score == pytest.approx(struc.lddt(theirs, ours, exclude_same_chain=True), abs=2e-5)
    ca = coiled_coil.atoms.name == "CA"
    assert lddt(model[ca], reference[ca]).score == pytest.approx(struc.lddt(theirs[ca], ours[ca]), abs=2e-4)


def test_lddt_counts_missing_atoms_as_wrong(ca):
    model = ca.copy()
    model[10] = np.nan
    scored = lddt(model, ca)
    assert scored.per_group[10] == 0
    assert 0.9 < scored.score < 1
    assert lddt(ca, ca).score == 1
    unseen = ca.copy()
    unseen[10] = np.nan
    assert np.isnan(lddt(ca, unseen).per_group[10])
    assert lddt(ca, unseen).score == 1


def test_lddt_does_not_see_a_mirror_image_nor_a_rigid_motion(ca):
    assert lddt(ca * [1, 1, -1] + 5, ca).score == 1


def test_tm_score_of_its_superposition_agrees_with_biotite(ca, generator):
    index = np.arange(len(ca))
    reference = atom_array(ca, index, np.zeros(len(ca), int))
    reference.atom_name[:], reference.res_name[:] = "CA", "ALA"
    for model in models(ca, generator):
        mine = tm_score(model, ca)
        subject = reference.copy()
        subject.coord = mine.superposed.astype(np.float32)
        assert mine.score == pytest.approx(struc.tm_score(reference, subject, index, index), abs=1e-5)


def test_tm_score_search_is_as_good_as_tm_align(ca, generator):
    tmtools = pytest.importorskip("tmtools")
    sequence = "A" * len(ca)
    for model in models(ca, generator):
        aligned = tmtools.tm_align(model, ca, sequence, sequence)
        mine = tm_score(model, ca).score
        one_to_one = "-" not in aligned.seqxA + aligned.seqyA
        if one_to_one:  # TM-align may shift the sequence where that scores higher
            assert mine == pytest.approx(aligned.tm_norm_chain2, abs=2e-3)
        assert mine >= 0.9 * aligned.tm_norm_chain2 or not one_to_one


def test_tm_score_of_missing_residues_is_normalised_by_the_whole(ca):
    half = tm_score(ca[:38], ca[:38], length=76)
    assert half.score == pytest.approx(0.5)
    assert half.d0 == tm_d0(76) == pytest.approx(1.24 * 61 ** (1 / 3) - 1.8)
    assert tm_d0(10) == 0.5


def test_gdt_of_a_hinge_is_that_of_its_larger_part(ca):
    moved = ca.copy()
    moved[60:] += 40.0
    assert gdt_ts(moved, ca) == pytest.approx(60 / 76)
    assert gdt_ha(moved, ca) == pytest.approx(60 / 76)
    assert gdt_ts(ca, ca) == 1


def test_gdt_counts_each_cutoff_by_itself(ca):
    """Single residues pushed out by known distances; some can be had back by moving the rest a little."""
    moved = ca.copy()
    for residue, distance in ((5, 1.5), (20, 3.0), (40, 6.0), (70, 40.0)):
        moved[residue, 0] += distance
    in_place, at_best = np.mean([72, 73, 74, 75]) / 76, 75 / 76
    assert in_place <= gdt_ts(moved, ca) < at_best
    assert np.mean([72, 72, 73, 74]) / 76 <= gdt_ha(moved, ca) < gdt_ts(moved, ca)


def test_gdt_ts_and_ha_together_are_what_they_are_apart(ca, generator):
    moved = ca + generator.normal(size=ca.shape)
    assert gdt_ts_and_ha(moved, ca) == (gdt_ts(moved, ca), gdt_ha(moved, ca))


def test_no_selection_is_superposed_twice(ca, generator, monkeypatch):
    """From many starts the same residues are found: a large complex took minutes."""
    module = sys.modules["structdiff.evaluation.tm_score"]
    tried = []

    def counted(mobile, target, weights=None):
        tried.extend([] if weights is None else [row.tobytes() for row in weights])
        return superpose(mobile, target, weights)

    monkeypatch.setattr(module, "superpose", counted)
    gdt(ca + 0.2 * generator.normal(size=ca.shape), ca, cutoffs=(4.0,))
    starts = {row.tobytes() for row in module._fragments(len(ca))}
    found = [row for row in tried if row not in starts]
    assert len(found) == len(set(found))
    assert len(tried) < 2 * len(starts)


def test_unpaired_positions_are_refused(ca):
    for score in (rmsd, lddt, tm_score, gdt_ts):
        with pytest.raises(InputError):
            score(ca[:-1], ca)
