"""Atoms and frames of tokens in predicted or experimental positions; errors are aligned in these frames."""

from __future__ import annotations

import torch
from torch import Tensor

from structdiff.geometry.frames import RigidTransform, bisector_frames, frames_are_valid
from structdiff.typing import Bool, Float, Int


def atom_of_token(by_slot: Float[Tensor, "*batch token slot 3"], slot: Int[Tensor, "*batch token"]) -> Tensor:
    """The position (Å) of one atom of each token, given its slot."""
    return torch.take_along_dim(by_slot, slot[..., None, None], -2)[..., 0, :]


def token_frames(
    positions: Float[Tensor, "*batch token slot 3"],
    frame: Int[Tensor, "*batch token 3"],
    atom_mask: Bool[Tensor, "*batch token slot"],
) -> tuple[RigidTransform, Bool[Tensor, "*batch token"]]:
    """The frame of each token, and which of them mean anything.

    positions in Å; frame: slots of the three atoms, -1 for none. A frame counts when its three atoms exist and span a
    plane, no two of them on a line with the third to 25 degrees. AlphaFold 3, Algorithm 29 and section 4.3.2.
    """
    slots = frame.clamp(min=0)
    a, b, c = torch.take_along_dim(positions, slots[..., None], -2).unbind(-2)
    exists = (torch.take_along_dim(atom_mask, slots, -1) & (frame >= 0)).all(-1)
    return bisector_frames(a, b, c), exists & frames_are_valid(a, b, c)


def valid_frames(
    positions: Float[Tensor, "*batch token slot 3"],
    frame: Int[Tensor, "*batch token 3"],
    atom_mask: Bool[Tensor, "*batch token slot"],
) -> Bool[Tensor, "*batch token"]:
    """Which tokens have a frame to align on: three atoms that exist and span a plane (positions in Å)."""
    return token_frames(positions, frame, atom_mask)[1]
