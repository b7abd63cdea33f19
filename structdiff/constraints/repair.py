"""Faults that no minimisation mends by itself: centres of the wrong hand."""

from __future__ import annotations

import torch
from torch import Tensor

from structdiff.constraints.stereochemistry import Stereochemistry, signed_volumes
from structdiff.geometry.distances import unit
from structdiff.typing import Bool, Float

_SMALLEST_SHARE = 0.2  # of the ideal volume; a centre flatter than this is put right too
_LARGEST_HEIGHT = 0.8  # Å above the plane of three neighbours; 0.5 in an ideal tetrahedron


def restore_hands(
    model: Stereochemistry, positions: Float[Tensor, "atom 3"], free: Bool[Tensor, " atom"]
) -> Float[Tensor, "atom 3"]:
    """Turns over every centre of the wrong hand: it is moved through the plane of its three neighbours.

    The centre is put as far on the right side as its ideal volume says. A held centre stays: the minimisation then has
    to turn its neighbours.
    """
    handed = model.quadruples[: model.num_handed]
    ideals = model.volume[: model.num_handed]
    volumes = signed_volumes(positions[None], handed)[0]
    wrong = volumes * ideals.sign() < _SMALLEST_SHARE * ideals.abs()
    positions = positions.clone()
    for row, ideal in zip(handed[wrong & free[handed[:, 0]]], ideals[wrong & free[handed[:, 0]]], strict=True):
        centre, a, b, c = positions[row].unbind(0)
        normal = torch.linalg.cross(b - a, c - a)
        area = float(normal.norm())
        if area < 1e-6:
            continue
        # volume = -(centre - a) . normal, so this height gives the ideal volume.
        height = float(((centre - a) * unit(normal)).sum())
        wanted = -max(-_LARGEST_HEIGHT, min(_LARGEST_HEIGHT, float(ideal) / area))
        positions[row[0]] = centre + (wanted - height) * unit(normal)
    return positions
