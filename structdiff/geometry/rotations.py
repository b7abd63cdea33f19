"""Rotations in three dimensions: matrices, quaternions (real part first) and rotation vectors (axis times angle)."""

from __future__ import annotations

import torch
from torch import Tensor

from structdiff.geometry.distances import norm, unit
from structdiff.typing import Float


def rotation_from_quaternion(quaternion: Float[Tensor, "*batch 4"]) -> Float[Tensor, "*batch 3 3"]:
    """The rotation matrix of a quaternion (w, x, y, z) of any length except 0; q and -q are the same rotation."""
    w, x, y, z = (quaternion / quaternion.square().sum(-1, keepdim=True).sqrt()).unbind(-1)
    entries = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return torch.stack(entries, -1).unflatten(-1, (3, 3))


def quaternion_from_rotation(rotation: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 4"]:
    """The unit quaternion (w, x, y, z) with w >= 0 of a rotation matrix; accurate at every angle.

    Of the four ways to divide (Shepperd 1978) each matrix takes the one with the largest divisor.
    """
    xx, yy, zz = rotation.diagonal(dim1=-2, dim2=-1).unbind(-1)
    xy, xz, yz = rotation[..., 0, 1], rotation[..., 0, 2], rotation[..., 1, 2]
    yx, zx, zy = rotation[..., 1, 0], rotation[..., 2, 0], rotation[..., 2, 1]
    # Row i is 4 q_i q: four multiples of the same quaternion.
    rows = torch.stack(
        [
            torch.stack([1 + xx + yy + zz, zy - yz, xz - zx, yx - xy], -1),
            torch.stack([zy - yz, 1 + xx - yy - zz, xy + yx, xz + zx], -1),
            torch.stack([xz - zx, xy + yx, 1 - xx + yy - zz, yz + zy], -1),
            torch.stack([yx - xy, xz + zx, yz + zy, 1 - xx - yy + zz], -1),
        ],
        -2,
    )
    best = rows.diagonal(dim1=-2, dim2=-1).argmax(-1)
    chosen = rows.gather(-2, best[..., None, None].expand(*best.shape, 1, 4)).squeeze(-2)
    quaternion = chosen / chosen.square().sum(-1, keepdim=True).sqrt()
    return torch.where(quaternion[..., :1] < 0, -quaternion, quaternion)


def rotation_from_vector(vector: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """The rotation about the vector's direction by its length in radian, counter-clockwise (Rodrigues' formula)."""
    half = norm(vector) / 2
    # sin(x)/x by torch.sinc (which takes x in units of pi): no division at the zero rotation.
    imaginary = vector * 0.5 * torch.sinc(half / torch.pi).unsqueeze(-1)
    return rotation_from_quaternion(torch.cat([half.cos().unsqueeze(-1), imaginary], -1))


def vector_from_rotation(rotation: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3"]:
    """The rotation vector (axis times angle in [0, pi] radian) of a rotation matrix."""
    quaternion = quaternion_from_rotation(rotation)
    imaginary = quaternion[..., 1:]
    angle = 2 * torch.atan2(norm(imaginary), quaternion[..., 0])
    return unit(imaginary) * angle.unsqueeze(-1)


def rotation_angle(
    rotation: Float[Tensor, "*batch 3 3"], other: Float[Tensor, "*batch 3 3"] | None = None
) -> Float[Tensor, "*batch"]:
    """Angle (radian, 0 to pi) by which a rotation turns, or by which one must turn to become the other."""
    relative = rotation if other is None else rotation.transpose(-1, -2) @ other
    return norm(vector_from_rotation(relative))


def random_rotation(*shape: int, generator: torch.Generator | None = None) -> Float[Tensor, "*batch 3 3"]:
    """Rotations drawn evenly from all rotations (normal quaternions; Shoemake 1992), on the CPU in float32."""
    return rotation_from_quaternion(torch.randn(*shape, 4, generator=generator))


def rotate(
    rotation: Float[Tensor, "*batch 3 3"], positions: Float[Tensor, "*batch n 3"]
) -> Float[Tensor, "*batch n 3"]:
    """Turns every point of a set about the origin by the set's rotation."""
    return positions @ rotation.transpose(-1, -2)
