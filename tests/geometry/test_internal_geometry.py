"""Frames, torsions, distances and handedness, checked on a real protein and on constructions with known answers."""

import math
from pathlib import Path

import pytest
import torch

from structdiff.geometry.chirality import alpha_carbon_chirality, ca_torsions, helix_handedness, signed_volume
from structdiff.geometry.distances import centred, centroid, norm, pairwise_distances, radius_of_gyration, unit
from structdiff.geometry.frames import (
    RigidTransform,
    backbone_frames,
    bisector_frames,
    frames_are_valid,
    positions_in_frames,
)
from structdiff.geometry.rotations import random_rotation, rotate, rotation_from_vector
from structdiff.geometry.torsions import backbone_torsions, bond_angle, place_atom, torsion, wrapped

MIRROR = torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64)


def protein_g():
    """Backbone of protein G: residue numbers, and positions [residue, (N, CA, C, CB), 3]."""
    lines = (Path(__file__).parent / "1pga_backbone.txt").read_text().splitlines()
    rows = [line.split() for line in lines if not line.startswith("#")]
    positions = torch.tensor([[float(value) for value in row[2:]] for row in rows], dtype=torch.float64)
    return [int(row[0]) for row in rows], positions.unflatten(-1, (4, 3))


def helix():
    numbers, positions = protein_g()
    return positions[[i for i, n in enumerate(numbers) if n >= 23]]


def strand():
    numbers, positions = protein_g()
    return positions[[i for i, n in enumerate(numbers) if n <= 8]]


def random_points(*shape, seed=0):
    return torch.randn(*shape, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 4


def test_backbone_torsions_of_a_real_helix_and_strand():
    for positions, phi_psi, spread in ((helix(), (-63.0, -42.0), 20.0), (strand(), (-110.0, 135.0), 40.0)):
        n, ca, c, _ = positions.unbind(1)
        angles, exists = backbone_torsions(n, ca, c, torch.ones(len(n), dtype=torch.bool))
        assert exists[0].tolist() == [False, True, True]
        assert exists[-1].tolist() == [True, False, False]
        degrees = angles.rad2deg()
        assert (degrees[1:-1, 0] - phi_psi[0]).abs().max() < spread
        assert (degrees[1:-1, 1] - phi_psi[1]).abs().max() < spread
        assert wrapped(angles[:-1, 2] - math.pi).abs().max() < math.radians(10)


def test_a_chain_break_has_no_torsions():
    n, ca, c, _ = helix().unbind(1)
    bonded = torch.ones(len(n), dtype=torch.bool)
    bonded[4] = False
    angles, exists = backbone_torsions(n, ca, c, bonded)
    assert exists[4].tolist() == [True, False, False]
    assert exists[5].tolist() == [False, True, True]
    assert (angles[~exists] == 0).all()


def test_alpha_carbons_are_l_and_their_mirror_images_d():
    n, ca, c, cb = protein_g()[1].unbind(1)
    assert (alpha_carbon_chirality(n, ca, c, cb) == 1).all()
    assert (alpha_carbon_chirality(n * MIRROR, ca * MIRROR, c * MIRROR, cb * MIRROR) == -1).all()
    assert (signed_volume(ca, n, c, cb) - 2.5).abs().max() < 0.35
    flat = alpha_carbon_chirality(n, (n + c + cb) / 3, c, cb)
    assert (flat == 0).all()


def test_helix_handedness():
    ca, bonded = helix()[:, 1], torch.ones(13, dtype=torch.bool)
    assert (ca_torsions(ca).rad2deg() - 50).abs().max() < 10
    assert [int(x) for x in helix_handedness(ca, bonded)] == [10, 0]
    assert [int(x) for x in helix_handedness(ca * MIRROR, bonded)] == [0, 10]
    bonded[6] = False
    assert int(helix_handedness(ca, bonded)[0]) == 7
    assert [int(x) for x in helix_handedness(strand()[:, 1], torch.ones(7, dtype=torch.bool))] == [0, 0]


def test_torsion_sign_and_wrapping():
    a, b, c = torch.tensor([1.0, 0, 0]), torch.zeros(3), torch.tensor([0.0, 0, 1.0])
    # Looking from b to c (up the z axis, x to the left of y as seen), d at +90 degrees lies at +y.
    d = torch.tensor([0.0, 1.0, 1.0])
    assert torsion(a, b, c, d).item() == pytest.approx(math.pi / 2)
    assert torsion(a, b, c, c + a).item() == 0
    assert torsion(a, b, c, torch.tensor([0.0, 0, 2.0])).item() == 0
    assert wrapped(torch.tensor([3.5, -3.5, 0.1])) == pytest.approx([3.5 - 2 * math.pi, 2 * math.pi - 3.5, 0.1])


def test_placed_atoms_have_the_internal_coordinates_asked_for():
    a, b, c = random_points(3, 50).unbind(0)
    generator = torch.Generator().manual_seed(1)
    length, angle, turn = torch.rand(3, 50, generator=generator, dtype=torch.float64).unbind(0)
    length, angle, turn = 1 + length, 0.5 + 2 * angle, (turn - 0.5) * 6
    d = place_atom(a, b, c, length=length, angle=angle, torsion=turn)
    assert torch.allclose(norm(d - c), length)
    assert torch.allclose(bond_angle(b, c, d), angle)
    assert torch.allclose(torsion(a, b, c, d), turn)


def test_real_residues_can_be_rebuilt_from_internal_coordinates():
    n, ca, c, _ = helix().unbind(1)
    rebuilt = place_atom(
        n[:-1], ca[:-1], c[:-1], length=norm(n[1:] - c[:-1]), angle=bond_angle(ca[:-1], c[:-1], n[1:]),
        torsion=torsion(n[:-1], ca[:-1], c[:-1], n[1:]),
    )  # fmt: skip
    assert torch.allclose(rebuilt, n[1:], atol=1e-9)


def test_gradients_exist_where_formulas_divide_by_zero():
    line = torch.tensor([[0.0, 0, 0], [1.0, 0, 0], [2.0, 0, 0], [3.0, 0, 0]], dtype=torch.float64, requires_grad=True)
    total = (
        torsion(*line) + bond_angle(*line[:3]) + pairwise_distances(line).sum() + norm(line[0] - line[0])
        + unit(line[1] - line[1]).sum() + backbone_frames(*line[:3]).rotation.sum()
    )  # fmt: skip
    total.backward()
    assert line.grad is not None
    assert line.grad.isfinite().all()


def test_frames_move_with_the_atoms_and_views_do_not():
    a, b, c = random_points(3, 6).unbind(0)
    others = random_points(9, seed=3)
    move = RigidTransform(
        rotation=rotation_from_vector(torch.tensor([0.4, -1.9, 0.8], dtype=torch.float64)),
        translation=torch.tensor([5.0, -3.0, 2.0], dtype=torch.float64),
    )
    for build in (backbone_frames, bisector_frames):
        frames, moved = build(a, b, c), build(move.apply(a), move.apply(b), move.apply(c))
        assert torch.allclose(torch.linalg.det(frames.rotation), torch.ones(6, dtype=torch.float64))
        assert torch.allclose(move.compose(frames).rotation, moved.rotation)
        assert torch.allclose(move.compose(frames).translation, moved.translation)
        seen = positions_in_frames(frames, others)
        assert torch.allclose(seen, positions_in_frames(moved, move.apply(others)), atol=1e-9)
        assert torch.allclose(frames.inverse().apply(others.expand(6, 9, 3)), seen)
        # A mirror image looks different from every frame.
        mirrored = build(a * MIRROR, b * MIRROR, c * MIRROR)
        assert (positions_in_frames(mirrored, others * MIRROR) - seen).norm(dim=-1).amax(-1).min() > 0.5


def test_known_frames():
    n, ca, c = torch.tensor([-1.0, 2.0, 0]), torch.zeros(3), torch.tensor([1.5, 0, 0])
    assert torch.allclose(backbone_frames(n, ca, c).rotation, torch.eye(3))
    bisector = bisector_frames(torch.tensor([0.0, 2.0, 0]), ca, c)
    half = math.sqrt(0.5)
    assert torch.allclose(bisector.rotation[:, 0], torch.tensor([half, half, 0]))
    assert torch.allclose(bisector.rotation[:, 1], torch.tensor([half, -half, 0]))
    assert torch.allclose(bisector.rotation[:, 2], torch.tensor([0.0, 0.0, -1.0]))


@pytest.mark.parametrize(
    ("degrees", "valid"), [(10, False), (24, False), (26, True), (90, True), (154, True), (156, False)]
)
def test_frames_of_nearly_straight_atoms_are_invalid(degrees, valid):
    angle = math.radians(degrees)
    a, b = torch.tensor([1.3, 0.0, 0.0]), torch.zeros(3)
    c = torch.tensor([math.cos(angle), math.sin(angle), 0.0]) * 1.5
    assert bool(frames_are_valid(a, b, c)) is valid
    assert not bool(frames_are_valid(a, b, b))


def test_distances_and_sizes():
    positions = random_points(5, 12)
    assert torch.allclose(pairwise_distances(positions), torch.cdist(positions, positions))
    far = (random_points(6) + 5000).float()
    exact = torch.cdist(far.double(), far.double()).float()
    assert (pairwise_distances(far) - exact).abs().max() < 1e-5
    ring = torch.tensor([[3.0, 0, 0], [-3.0, 0, 0], [0, 3.0, 0], [0, -3.0, 0], [99.0, 99, 99]])
    exists = torch.tensor([True, True, True, True, False])
    assert radius_of_gyration(ring, exists).item() == pytest.approx(3.0)
    assert torch.equal(centroid(ring, exists), torch.zeros(3))
    moved = centred(ring + torch.tensor([7.0, 1, 2]), exists)
    assert torch.allclose(moved[:4], ring[:4], atol=1e-6)
    assert (moved[4] == 0).all()
    assert torch.equal(centroid(ring, torch.zeros(5, dtype=torch.bool)), torch.zeros(3))
    weights = torch.tensor([3.0, 1.0, 0, 0, 0])
    assert torch.allclose(centroid(ring, weights=weights), torch.tensor([1.5, 0, 0]))


def test_turning_changes_no_internal_coordinate():
    points = random_points(40, 4)
    turned = rotate(random_rotation(40, generator=torch.Generator().manual_seed(9)).double(), points)
    assert torch.allclose(torsion(*points.unbind(1)), torsion(*turned.unbind(1)), atol=1e-6)
    assert torch.allclose(torsion(*(turned * MIRROR).unbind(1)), -torsion(*points.unbind(1)), atol=1e-6)
    assert torch.allclose(bond_angle(*points.unbind(1)[:3]), bond_angle(*turned.unbind(1)[:3]), atol=1e-6)
