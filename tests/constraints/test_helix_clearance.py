"""Helices that were drawn through each other are parted, and nothing is left within one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from structdiff.constraints.helix_clearance import HelixClearance
from structdiff.features.helices import helix_bodies, pairs_of_complex, with_helices
from structdiff.features.templates import read_templates
from structdiff.spec.base_pairs import BasePairsSpec
from structdiff.spec.chain import ChainSpec
from structdiff.spec.complex import ComplexSpec
from structdiff.structure.complex import build_complex

LENGTH = 10


@pytest.fixture(scope="module")
def crossed():
    """Two duplexes of RNA whose axes cross in their middles, a peptide along the first axis, and the constraint."""
    strands = zip("ABCD", ("G", "C") * 2, strict=True)
    chains = [ChainSpec(ids=(name,), kind="rna", sequence=letter * LENGTH) for name, letter in strands]
    signs = "(" * LENGTH + ")" * LENGTH
    spec = ComplexSpec(
        chains=(*chains, ChainSpec(ids=("P",), kind="protein", sequence="GAS")),
        base_pairs=(
            BasePairsSpec(chains=("A", "B"), structure=signs),
            BasePairsSpec(chains=("C", "D"), structure=signs),
        ),
    )
    structure = build_complex(spec)
    pairs = pairs_of_complex(spec, structure)
    laid = with_helices(read_templates(spec, structure), structure, pairs)
    bodies = helix_bodies(laid, structure, pairs)
    positions = laid.positions.astype(np.float64)
    for body, turn in zip(bodies, (0, 90), strict=True):
        along = Rotation.align_vectors([[0, 0, 1]], [body.axis[1] - body.axis[0]])[0]
        turned = Rotation.from_euler("x", turn, degrees=True) * along
        positions[body.rows] = turned.apply(body.places - body.axis.mean(0))
    peptide = laid.group == 0
    positions[peptide] = np.random.default_rng(0).normal(size=(int(peptide.sum()), 3)) + [1.0, 0, 8.0]
    return structure, bodies, positions, HelixClearance(structure, bodies)


def nearest(structure, bodies, positions):
    marks = [body.rows[np.isin(structure.atoms.name[body.rows], ("P", "C1'"))] for body in bodies]
    return np.linalg.norm(positions[marks[0]][:, None] - positions[marks[1]][None], axis=-1).min()


def test_crossing_helices_are_parted_and_keep_their_shape(crossed):
    structure, bodies, positions, clearance = crossed
    assert nearest(structure, bodies, positions) < 4
    done = clearance.project(torch.from_numpy(positions)[None], 2.0)[0].numpy()
    assert nearest(structure, bodies, done) > 7.9
    for body in bodies:
        moved = done[body.rows] - positions[body.rows]
        assert np.abs(moved - moved.mean(0)).max() < 1e-6
    # Apart across both axes, not along them: the ends stay at their heights.
    assert abs((done - positions)[bodies[0].rows].mean(0)[2]) < 1


def test_other_residues_leave_the_core(crossed):
    structure, bodies, positions, clearance = crossed
    done = clearance.project(torch.from_numpy(positions)[None], 2.0)[0].numpy()
    start = positions[bodies[0].rows] - done[bodies[0].rows]  # the first axis was the z axis
    alphas = done[structure.atoms.name == "CA"] + start.mean(0)
    assert (np.linalg.norm(alphas[:, :2], axis=1) > 7.9).all()


def test_what_is_apart_stays_and_noise_decides_when(crossed):
    _, bodies, positions, clearance = crossed
    for sigma in (100.0, 0.1):
        assert (clearance.project(torch.from_numpy(positions)[None], sigma)[0].numpy() == positions).all()
    apart = positions.copy()
    apart[bodies[1].rows] += [60.0, 0, 0]
    done = clearance.project(torch.from_numpy(apart)[None], 2.0)[0].numpy()
    for body in bodies:
        assert np.allclose(done[body.rows], apart[body.rows], atol=1e-6)
