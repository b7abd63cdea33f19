"""Rotations against SciPy, round trips at every angle, and evenness of random ones."""

import math

import pytest
import torch
from scipy.spatial.transform import Rotation

from structdiff.geometry.rotations import (
    quaternion_from_rotation,
    random_rotation,
    rotate,
    rotation_angle,
    rotation_from_quaternion,
    rotation_from_vector,
    vector_from_rotation,
)


def vectors(count=200, seed=0):
    generator = torch.Generator().manual_seed(seed)
    axis = torch.randn(count, 3, generator=generator, dtype=torch.float64)
    axis = axis / axis.norm(dim=-1, keepdim=True)
    angles = torch.linspace(0, math.pi, count, dtype=torch.float64)
    return axis * angles[:, None]


def test_agree_with_scipy():
    vector = vectors()
    expected = Rotation.from_rotvec(vector.numpy())
    matrices = torch.from_numpy(expected.as_matrix())
    assert torch.allclose(rotation_from_vector(vector), matrices, atol=1e-12)
    quaternion = torch.from_numpy(expected.as_quat(canonical=True)).roll(1, -1)
    found = quaternion_from_rotation(matrices)
    # At exactly half a turn q and -q are both canonical.
    assert torch.minimum((found - quaternion).norm(dim=-1), (found + quaternion).norm(dim=-1)).max() < 1e-12
    assert torch.allclose(rotation_from_quaternion(-3 * quaternion), matrices, atol=1e-12)


def test_vector_and_angle_round_trip():
    vector = vectors()[:-1]
    matrix = rotation_from_vector(vector)
    assert torch.allclose(vector_from_rotation(matrix), vector, atol=1e-8)
    assert torch.allclose(rotation_angle(matrix), vector.norm(dim=-1), atol=1e-8)
    other = rotation_from_vector(vectors(seed=1)[:-1])
    assert torch.allclose(rotation_angle(other, other @ matrix), vector.norm(dim=-1), atol=1e-7)


def test_gradient_at_the_zero_rotation_is_finite_and_right():
    vector = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    jacobian = torch.autograd.functional.jacobian(rotation_from_vector, vector)
    generator_z = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]], dtype=torch.float64)
    assert torch.allclose(jacobian[..., 2], generator_z)


def test_random_rotations_are_proper_and_even():
    drawn = random_rotation(20000, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(drawn @ drawn.transpose(-1, -2), torch.eye(3).expand(20000, 3, 3), atol=1e-5)
    assert torch.allclose(torch.linalg.det(drawn), torch.ones(20000), atol=1e-5)
    # Evenly drawn: every entry has mean 0 and variance 1/3, and the mean angle is pi/2 + 2/pi.
    assert drawn.mean(0).abs().max() < 0.02
    assert (drawn.square().mean(0) - 1 / 3).abs().max() < 0.01
    assert rotation_angle(drawn).mean().item() == pytest.approx(math.pi / 2 + 2 / math.pi, abs=0.01)


def test_rotate_turns_counter_clockwise():
    quarter = rotation_from_vector(torch.tensor([0.0, 0.0, math.pi / 2]))
    assert torch.allclose(rotate(quarter, torch.tensor([[1.0, 0.0, 0.0]])), torch.tensor([[0.0, 1.0, 0.0]]), atol=1e-6)
