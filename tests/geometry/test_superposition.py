"""Superposition against an independent implementation, degenerate sets, mirror images and gradients."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from structdiff.geometry.distances import centroid
from structdiff.geometry.rotations import random_rotation, rotate
from structdiff.geometry.superposition import (
    nearest_rotation,
    rmsd,
    rotation_by_quaternion,
    superposed,
    superposed_rmsd,
    superposition,
)


def points(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, 3, generator=torch.Generator().manual_seed(seed), dtype=dtype) * 10


def test_agrees_with_scipy_weighted():
    mobile, target = points(5, 20, seed=1), points(5, 20, seed=2)
    weights = torch.rand(5, 20, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    found = superposition(mobile, target, weights=weights)
    for i in range(5):
        w = weights[i].numpy()
        a = (mobile[i] - centroid(mobile[i], weights=weights[i])).numpy()
        b = (target[i] - centroid(target[i], weights=weights[i])).numpy()
        expected, root_sum = Rotation.align_vectors(b, a, weights=w)
        assert np.abs(found.rotation[i].numpy() - expected.as_matrix()).max() < 1e-10
        value = superposed_rmsd(mobile[i], target[i], weights=weights[i]).item()
        assert value == pytest.approx(root_sum / np.sqrt(w.sum()), abs=1e-9)


def test_recovers_a_known_movement_in_float32_far_from_the_origin():
    target = points(4, 30, dtype=torch.float32) + 300
    turn = random_rotation(4, generator=torch.Generator().manual_seed(5))
    mobile = rotate(turn, target) + torch.tensor([50.0, -20.0, 7.0])
    assert (superposed(mobile, target) - target).abs().max() < 5e-4
    assert superposed_rmsd(mobile, target).max() < 5e-4


def test_a_mirror_image_is_not_laid_on_by_reflection():
    target = points(3, 12)
    mirrored = target * torch.tensor([-1.0, 1.0, 1.0])
    found = superposition(mirrored, target)
    assert torch.allclose(torch.linalg.det(found.rotation), torch.ones(3, dtype=torch.float64))
    assert (superposed_rmsd(mirrored, target) > 1).all()


def test_points_outside_the_mask_change_nothing_even_when_nan():
    mobile, target = points(2, 15, seed=1), points(2, 15, seed=2)
    mask = torch.arange(15) < 9
    plain = superposition(mobile[:, :9], target[:, :9])
    broken = torch.where(mask[:, None], mobile, float("nan"))
    masked = superposition(broken, target, mask=mask.expand(2, 15))
    assert torch.allclose(plain.rotation, masked.rotation, atol=1e-12)
    assert torch.allclose(plain.translation, masked.translation, atol=1e-12)


@pytest.mark.parametrize("kind", ["none", "one", "same place", "line", "plane", "mirrored plane"])
def test_degenerate_sets_still_give_a_rotation(kind):
    target = points(1, 6)
    if kind == "same place":
        target = target[:, :1].expand(1, 6, 3).clone()
    elif kind == "line":
        target = torch.arange(6.0, dtype=torch.float64)[None, :, None] * target[:, :1]
    elif "plane" in kind:
        target = target * torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64)
    count = {"none": 0, "one": 1}.get(kind, 6)
    mask = (torch.arange(6) < count)[None]
    turn = random_rotation(1, generator=torch.Generator().manual_seed(1)).double()
    mobile = rotate(turn, target * (torch.tensor([-1.0, 1.0, 1.0]) if kind == "mirrored plane" else 1)) + 3
    mobile = mobile.requires_grad_(True)
    found = superposition(mobile, target, mask=mask)
    assert torch.allclose(torch.linalg.det(found.rotation), torch.ones(1, dtype=torch.float64))
    value = superposed_rmsd(mobile, target, mask=mask)
    value.sum().backward()
    # A flat set is its own mirror image after a half turn in space.
    assert value.item() == pytest.approx(0, abs=1e-5)
    assert mobile.grad is not None
    assert mobile.grad.isfinite().all()
    if kind == "none":
        assert torch.equal(found.rotation[0], torch.eye(3, dtype=torch.float64))


def test_gradient_of_the_superposed_rmsd_is_exact_though_the_superposition_carries_none():
    mobile, target = points(8, seed=1).requires_grad_(True), points(8, seed=2)
    assert torch.autograd.gradcheck(lambda x: superposed_rmsd(x, target), (mobile,), atol=1e-6)


def test_nearest_rotation_of_a_reflection_is_a_proper_rotation_with_the_largest_overlap():
    matrix = torch.diag(torch.tensor([3.0, 2.0, -1.0]))
    assert torch.allclose(nearest_rotation(matrix), torch.eye(3), atol=1e-6)


def test_rmsd_of_a_known_shift():
    a = points(2, 7)
    assert torch.allclose(rmsd(a, a + torch.tensor([0.0, 3.0, 4.0])), torch.full((2,), 5.0, dtype=torch.float64))
    half = torch.tensor([1, 1, 0, 0]).bool()
    moved = torch.zeros(4, 3)
    moved[2:] = 9.0
    assert rmsd(moved, torch.zeros(4, 3), mask=half).item() == 0


@pytest.mark.parametrize("kind", ["random", "reflection", "rank two", "rank one", "zero", "tiny", "nearly degenerate"])
def test_the_rotation_found_as_a_quaternion_is_as_good_as_the_svds(kind):
    matrix = torch.randn(200, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    if kind == "reflection":
        matrix = matrix * torch.where(torch.linalg.det(matrix) > 0, -1.0, 1.0)[:, None, None]
    if kind.startswith("rank"):
        matrix[:, 2 if kind == "rank two" else 1 :] = 0
    if kind == "zero":
        matrix = matrix * 0
    if kind == "tiny":
        matrix = matrix * 1e-20
    if kind == "nearly degenerate":
        left, values, right = torch.linalg.svd(matrix)
        values[:, 1:] = 1e-6 * values[:, 1:]
        matrix = left @ torch.diag_embed(values) @ right
    found, expected = rotation_by_quaternion(matrix), nearest_rotation(matrix)
    assert (found @ found.mT - torch.eye(3, dtype=torch.float64)).abs().max() < 1e-12
    assert torch.allclose(torch.linalg.det(found), torch.ones(200, dtype=torch.float64))
    overlap, best = ((rotation * matrix).sum((-1, -2)) for rotation in (found, expected))
    assert (overlap - best).abs().max() <= 1e-7 * matrix.abs().max()
    if kind in ("random", "reflection", "tiny"):
        assert (found - expected).abs().max() < 1e-6
    if kind == "zero":
        assert torch.equal(found[0], torch.eye(3, dtype=torch.float64))
