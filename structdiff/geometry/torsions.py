"""Bond angles, torsions, the protein backbone's phi, psi and omega, and atoms placed from internal coordinates."""

from __future__ import annotations

import torch
from torch import Tensor

from structdiff.geometry.distances import norm, unit
from structdiff.typing import Bool, Float


def bond_angle(
    a: Float[Tensor, "*batch 3"], b: Float[Tensor, "*batch 3"], c: Float[Tensor, "*batch 3"]
) -> Float[Tensor, "*batch"]:
    """The angle a-b-c at b (radian, 0 to pi). By atan2: unlike acos it keeps its digits and gradient near 0 and pi."""
    one, two = a - b, c - b
    return torch.atan2(norm(torch.linalg.cross(one, two)), (one * two).sum(-1))


def torsion(
    a: Float[Tensor, "*batch 3"],
    b: Float[Tensor, "*batch 3"],
    c: Float[Tensor, "*batch 3"],
    d: Float[Tensor, "*batch 3"],
) -> Float[Tensor, "*batch"]:
    """The torsion angle a-b-c-d (radian, -pi to pi): 0 is cis, positive is clockwise looking from b to c (IUPAC).

    0 where three neighbouring atoms lie on a line and the angle does not exist.
    """
    before, axis, after = b - a, c - b, d - c
    left, right = torch.linalg.cross(before, axis), torch.linalg.cross(axis, after)
    sine = norm(axis) * (before * right).sum(-1)
    cosine = (left * right).sum(-1)
    exists = sine.square() + cosine.square() > 1e-20
    return torch.where(exists, torch.atan2(torch.where(exists, sine, 0.0), torch.where(exists, cosine, 1.0)), 0.0)


def wrapped(angle: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """The same angle (radian) between -pi and pi."""
    return torch.remainder(angle + torch.pi, 2 * torch.pi) - torch.pi


def backbone_torsions(
    n: Float[Tensor, "*batch residue 3"],
    ca: Float[Tensor, "*batch residue 3"],
    c: Float[Tensor, "*batch residue 3"],
    bonded: Bool[Tensor, "*batch residue"],
) -> tuple[Float[Tensor, "*batch residue 3"], Bool[Tensor, "*batch residue 3"]]:
    """phi, psi and omega (radian) of every residue, and which of them exist.

    ``bonded[i]`` says that residue i is bonded to residue i + 1 (its last entry is not read). phi belongs to the bond
    N-CA and needs the residue before; psi belongs to CA-C and needs the one after; omega is the peptide bond to the
    residue after, near pi for trans. What does not exist is 0.
    """
    linked = bonded[..., :-1]
    phi = torsion(c[..., :-1, :], n[..., 1:, :], ca[..., 1:, :], c[..., 1:, :])
    psi = torsion(n[..., :-1, :], ca[..., :-1, :], c[..., :-1, :], n[..., 1:, :])
    omega = torsion(ca[..., :-1, :], c[..., :-1, :], n[..., 1:, :], ca[..., 1:, :])
    has_before = torch.nn.functional.pad(linked, (1, 0), value=False)
    has_after = torch.nn.functional.pad(linked, (0, 1), value=False)
    exists = torch.stack([has_before, has_after, has_after], -1)
    pad = torch.nn.functional.pad
    angles = torch.stack([pad(phi, (1, 0)), pad(psi, (0, 1)), pad(omega, (0, 1))], -1)
    return torch.where(exists, angles, 0.0), exists


def place_atom(
    a: Float[Tensor, "*batch 3"],
    b: Float[Tensor, "*batch 3"],
    c: Float[Tensor, "*batch 3"],
    *,
    length: Float[Tensor, "*batch"] | float,
    angle: Float[Tensor, "*batch"] | float,
    torsion: Float[Tensor, "*batch"] | float,
) -> Float[Tensor, "*batch 3"]:
    """Position (Å) of the atom d with the given bond c-d (Å), angle b-c-d and torsion a-b-c-d (radian).

    Natural extension reference frame, Parsons et al. 2005. a, b and c must not lie on a line.
    """
    along = unit(c - b)
    normal = unit(torch.linalg.cross(b - a, along))
    across = torch.linalg.cross(normal, along)
    far, bend, turn = (torch.as_tensor(v, dtype=c.dtype, device=c.device) for v in (length, angle, torsion))
    in_plane, sideways = bend.sin() * turn.cos(), bend.sin() * turn.sin()
    direction = -bend.cos().unsqueeze(-1) * along + in_plane.unsqueeze(-1) * across + sideways.unsqueeze(-1) * normal
    return c + far.unsqueeze(-1) * direction
