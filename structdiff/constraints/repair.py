"""Faults that no minimisation mends by itself: centres of the wrong hand."""

from __future__ import annotations

import torch
from torch import Tensor

from structdiff.constraints.stereochemistry import Stereochemistry, signed_volumes
from structdiff.geometry.distances import unit
from structdiff.typing import Bool, Float

_SMALLEST_SHARE = 0.2  # of the ideal volume; a centre flatter than this is put right too


def restore_hands(
    model: Stereochemistry, positions: Float[Tensor, "atom 3"], free: Bool[Tensor, " atom"]
) -> Float[Tensor, "atom 3"]:
    """Turns over every centre of the wrong hand: it is moved through the plane of its three neighbours.

    The centre is put as far on the right side as its ideal volume says; a held centre stays and its first free
    neighbour is mirrored instead.
    """
    for row, ideal in zip(model.quadruples[: model.num_handed], model.volume[: model.num_handed], strict=True):
        volume = signed_volumes(positions[None], row[None])[0, 0]
        if float(volume * ideal.sign()) > _SMALLEST_SHARE * float(ideal.abs()):
            continue
        centre, a, b, c = positions[row].unbind(0)
        normal = torch.linalg.cross(b - a, c - a)
        area = float(normal.norm())
        if area < 1e-6 or not bool(free[row[0]]):
            continue
        # volume = -(centre - a) . normal, so this height gives the ideal volume.
        height = float(-((centre - a) * unit(normal)).sum())
        wanted = float((ideal / area).clamp(-0.8, 0.8))
        positions = positions.clone()
        positions[row[0]] = centre - (wanted - height) * unit(normal)
    return positions
