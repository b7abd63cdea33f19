"""Poses of a ligand judged by GNINA's networks, where their published weights were fetched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from structdiff.docking.gnina_atoms import NUM_CHANNELS, GninaAtoms
from structdiff.docking.gnina_grid import REACH, densities
from structdiff.docking.gnina_networks import Default2018, Dense, network_of
from structdiff.published_weights import full_names, is_present, weights_path
from structdiff.published_weights.conversion import read_safetensors
from structdiff.typing import Bool, Float, Int

#: What the weights are called together: the five that GNINA itself uses unless it is told otherwise.
GNINA = "gnina"
_AT_ONCE = 8  # poses


@dataclass(frozen=True, kw_only=True)
class PoseScores:
    """Of each pose the probability that it is within 2 Å of the truth, and the pK that it would have then.

    Means over five networks, whose affinities spread by ``affinity_spread`` (standard deviation).
    """

    probability: Float[Tensor, " pose"]
    affinity: Float[Tensor, " pose"]
    affinity_spread: Float[Tensor, " pose"]


@cache
def gnina_networks() -> tuple[Default2018 | Dense, ...]:
    """The networks, loaded once. Raises InputError, which says how to fetch them, where they are not here."""
    return tuple(network_of(read_safetensors(weights_path(name))[0]) for name in full_names(GNINA))


def gnina_is_here() -> bool:
    """Whether all of the weights were fetched."""
    return all(is_present(name) for name in full_names(GNINA))


def scored_poses(
    atoms: GninaAtoms,
    positions: Float[np.ndarray, "atom 3"],
    receptor: Bool[np.ndarray, " atom"],
    ligand: Int[np.ndarray, " ligand_atom"],
    poses: Float[Tensor, "pose ligand_atom 3"],
) -> PoseScores:
    """Scores of poses (Å) of a ligand.

    atoms, positions: of the whole structure. receptor: which of its atoms the ligand lies at. ligand: rows of its own.
    """
    found = []
    with torch.inference_mode():
        for some in poses.float().split(_AT_ONCE):
            grids = torch.stack([_grid(atoms, positions, receptor, ligand, pose) for pose in some])
            found.append(torch.stack([torch.stack(network(grids)) for network in gnina_networks()]))
    answers = torch.cat(found, -1)  # [network, probability or affinity, pose]
    return PoseScores(
        probability=answers[:, 0].mean(0), affinity=answers[:, 1].mean(0),
        affinity_spread=answers[:, 1].std(0, correction=0),
    )  # fmt: skip


def _grid(
    atoms: GninaAtoms, positions: np.ndarray, receptor: np.ndarray, ligand: np.ndarray, pose: Float[Tensor, "atom 3"]
) -> Float[Tensor, "channel x y z"]:
    """What the networks see of a pose: the receptor's channels, then the ligand's, about the ligand's middle."""
    middle = pose.mean(0)
    near = np.flatnonzero(receptor & (np.abs(positions - middle.numpy()).max(1) < REACH))
    parts: Sequence[tuple[Tensor, np.ndarray, np.ndarray]] = (
        (torch.from_numpy(positions[near]).float(), atoms.receptor[near], near),
        (pose, atoms.ligand[ligand], ligand),
    )
    return torch.cat([
        densities(places, torch.from_numpy(channel), torch.from_numpy(atoms.radius[rows]), middle, NUM_CHANNELS)
        for places, channel, rows in parts
    ])  # fmt: skip
