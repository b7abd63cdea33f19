"""Faults that no minimisation mends by itself: centres of the wrong hand, atoms in one place."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial import KDTree
from torch import Tensor

from structdiff.constraints.stereochemistry import Stereochemistry, signed_volumes
from structdiff.geometry.distances import unit
from structdiff.geometry.superposition import superposed
from structdiff.typing import Bool, Float

_SMALLEST_SHARE = 0.2  # of the ideal volume; a centre flatter than this is put right too
_SMALLEST_CROWDED_SHARE = 0.6  # the same where four neighbours are there: they get stuck halfway
_COINCIDING, _NUDGE = 0.02, 0.3  # Å
_END_WEIGHT = 0.01  # of an end of a star when it is laid: it settles what the others leave open
_LARGEST_HEIGHT = 0.8  # Å above the plane of three neighbours; 0.5 in an ideal tetrahedron


def restore_hands(
    model: Stereochemistry, positions: Float[Tensor, "atom 3"], free: Bool[Tensor, " atom"]
) -> Float[Tensor, "atom 3"]:
    """Turns over every centre of the wrong hand.

    A centre with four neighbours is laid anew, with those of them that are ends (the oxygens of a phosphate). Any other
    is moved through the plane of its three neighbours, as far as its ideal volume says: no other motion moves so
    little. A held centre stays: the minimisation then has to turn its neighbours.
    """
    positions = _lay_stars(model, positions.clone(), free)
    handed, ideals = model.quadruples[: model.num_handed], model.volume[: model.num_handed]
    volumes = signed_volumes(positions[None], handed)[0]
    wrong = (volumes * ideals.sign() < _SMALLEST_SHARE * ideals.abs()) & free[handed[:, 0]]
    for row, ideal in zip(handed[wrong], ideals[wrong], strict=True):
        centre, a, b, c = positions[row].unbind(0)
        normal = torch.linalg.cross(b - a, c - a)
        area = float(normal.norm())
        volume = float(signed_volumes(positions[None], row[None])[0, 0])
        if area < 1e-6 or volume * float(ideal.sign()) >= _SMALLEST_SHARE * float(ideal.abs()):
            continue  # no plane, or put right by way of another row
        # volume = -(centre - a) . normal, so this height gives the ideal volume.
        height = float(((centre - a) * unit(normal)).sum())
        wanted = -max(-_LARGEST_HEIGHT, min(_LARGEST_HEIGHT, float(ideal) / area))
        positions[row[0]] = centre + (wanted - height) * unit(normal)
    return positions


def part_coinciding(positions: Float[Tensor, "atom 3"], free: Bool[Tensor, " atom"]) -> Float[Tensor, "atom 3"]:
    """Moves free atoms that lie in one place a little apart, where no force could: always the same way."""
    pairs = KDTree(positions.numpy()).query_pairs(_COINCIDING, output_type="ndarray")
    if not len(pairs):
        return positions
    together = torch.zeros(len(positions), dtype=torch.bool)
    together[torch.from_numpy(pairs.ravel())] = True
    nudge = torch.from_numpy(np.random.default_rng(0).normal(0.0, _NUDGE, positions.shape))
    return torch.where((together & free)[:, None], positions + nudge, positions)


def _lay_stars(model: Stereochemistry, positions: Tensor, free: Tensor) -> Tensor:
    """Lays the ideal star of each flattened or inverted centre with four neighbours on those that lead elsewhere."""
    tables = model.tables
    handed, ideals = model.quadruples[: model.num_handed], model.volume[: model.num_handed]
    share = signed_volumes(positions[None], handed)[0] / ideals
    flattened = set(handed[share < _SMALLEST_CROWDED_SHARE, 0].tolist())
    for row, shape, ends in zip(tables.stars, tables.star_shapes, tables.star_ends, strict=True):
        if int(row[0]) in flattened:
            atoms, ideal = torch.from_numpy(row), torch.from_numpy(shape)
            weights = torch.from_numpy(np.where(ends, _END_WEIGHT, 1.0))
            laid = superposed(ideal, positions[atoms], weights=weights)
            moving = free[atoms] & torch.from_numpy(ends | (np.arange(5) == 0))
            positions[atoms] = torch.where(moving[:, None], laid, positions[atoms])
    return positions
