"""How a body of chains lies against others: of all ways to touch the best by its residues, and of these by its atoms.

As ATTRACT does it (Zacharias, Protein Sci. 12, 1271, 2003): from everywhere, downhill in a potential of beads, then
with all atoms. Both use the native kernel of ligands; a body has no torsions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.spatial import KDTree
from torch import Tensor

from structdiff.docking.approaches import approaches
from structdiff.docking.asked_contacts import AIMED, AskedContacts
from structdiff.docking.beads import Beads
from structdiff.docking.contact_potential import learnt_potential, potential_maps
from structdiff.docking.maps import Maps, affordable_spacing, build_maps, kinds_of
from structdiff.docking.rigid_poses import RigidPoses
from structdiff.docking.search import Landscape, descended
from structdiff.docking.torsions import Torsions
from structdiff.evaluation.ligand_atom_types import AtomTypes
from structdiff.evaluation.vinardo import Kinds
from structdiff.features.requests import Proximity
from structdiff.structure.tables import Structure
from structdiff.typing import Bool, Float, Int

_DIRECTIONS, _TURNS = 256, 800  # of approaches
_AT_ONCE = 8192  # poses that are looked at together
_COARSE, _COARSE_STEPS = 20_000, 20  # poses that go downhill as beads, and how far
_UNLIKE = 1.5  # Å between poses that are not taken for the same
#: Stages with atoms: how many poses come to each, what no atom costs more than (kcal/mol), and steps downhill.
_STAGES = ((4096, 0.5, 25), (1024, 2.0, 40), (256, None, 60))
_SPACING, _MARGIN = 0.6, 9.0  # Å, of maps of atoms
_NEIGHBOURS, _OUTSIDE = 6.5, 0.75  # Å; the share of a body's atoms, those with fewest neighbours, that are looked at
_BEAD = 4.0  # Å from the middle of a bead to what it stands for


@dataclass(frozen=True, kw_only=True, eq=False)
class Meeting:
    """A body and what stands where it is: atoms of a structure at their positions (Å), and what is asked of both."""

    structure: Structure
    types: AtomTypes
    still: Bool[np.ndarray, " atom"]
    body: Bool[np.ndarray, " atom"]
    asked: tuple[Proximity, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class FoundPoses:
    """Poses of a body, best first: what each costs (kcal/mol) and how much of what is asked it misses.

    anchor: the body's middle (Å) where it was; points: all its atoms about that.
    """

    poses: RigidPoses
    cost: Float[Tensor, " pose"]
    missed: Int[Tensor, " pose"]
    anchor: Float[Tensor, " 3"]
    points: Float[Tensor, "atom 3"]


def found_poses(meeting: Meeting, generator: torch.Generator) -> FoundPoses:
    """Poses of a body that lie well, the one that it has among them if it does."""
    positions = meeting.structure.atoms.positions
    still, own = Beads.of(meeting.structure, meeting.still), Beads.of(meeting.structure, meeting.body)
    anchor = own.positions.mean(0)
    beads = torch.from_numpy(own.positions - anchor)
    begun = approaches(torch.from_numpy(still.positions), beads, _DIRECTIONS, _TURNS, generator)
    poses = _as_beads(meeting, still, own, beads, begun)
    drawn = RigidPoses(turn=torch.eye(3)[None], middle=torch.from_numpy(anchor)[None])
    poses = RigidPoses.joined(drawn, poses)
    rows = np.flatnonzero(meeting.body)
    points = torch.from_numpy(positions[rows] - anchor)
    poses, cost, missed = _as_atoms(meeting, rows, points, poses)
    return FoundPoses(poses=poses, cost=cost, missed=missed, anchor=drawn.middle[0], points=points)


def _as_beads(
    meeting: Meeting, still: Beads, own: Beads, beads: Float[Tensor, "bead 3"], begun: RigidPoses
) -> RigidPoses:  # fmt: skip
    """The best unlike ones of poses that went downhill as beads."""
    landscape = rigid_landscape(
        potential_maps(still, learnt_potential()), own.kind, _asked_of_beads(meeting, still, own)
    )
    cost = torch.cat([
        landscape(begun[first : first + _AT_ONCE].placed(beads))[0] for first in range(0, len(begun), _AT_ONCE)
    ])  # fmt: skip
    begun = begun[cost.argsort(stable=True)[:_COARSE]]
    places, cost = descended(landscape, begun.placed(beads), _COARSE_STEPS)
    poses = RigidPoses.of(beads, places)[cost.argsort(stable=True)]
    return poses[poses.distinct(beads, _UNLIKE, _STAGES[0][0] - 1)]


def _as_atoms(
    meeting: Meeting, rows: np.ndarray, points: Float[Tensor, "atom 3"], poses: RigidPoses
) -> tuple[RigidPoses, Float[Tensor, " pose"], Int[Tensor, " pose"]]:
    """Poses that went downhill with all their atoms, best first, what they cost and what they miss."""
    positions = meeting.structure.atoms.positions
    around = np.flatnonzero(meeting.still)
    outside = _outside(positions[rows]) | np.isin(rows, [row for each in meeting.asked for row in _ends(each)])
    asked = AskedContacts.of(meeting.asked, rows[outside], positions, meeting.still)
    kinds, kind = kinds_of(meeting.types.rows(rows[outside]))
    receptor = positions[around].astype(np.float64)
    low, high = receptor.min(0) - _MARGIN, receptor.max(0) + _MARGIN
    maps = build_maps(kinds, receptor, meeting.types.rows(around), low, high, affordable_spacing(low, high, _SPACING))
    landscape = rigid_landscape(replace(maps, outside=0.0), kind, asked)
    seen, cost = points[torch.from_numpy(outside)], torch.zeros(0)
    for most, softness, steps in _STAGES:
        here = landscape if softness is None else landscape.softened(softness)
        places, cost = descended(here, poses[:most].placed(seen), steps)
        order = cost.argsort(stable=True)
        poses, cost = RigidPoses.of(seen, places)[order], cost[order]
    kept = poses.distinct(points, _UNLIKE, len(poses))
    poses, cost = poses[kept], cost[kept]
    missed = torch.zeros(len(poses), dtype=torch.int64) if asked is None else asked.missed(poses.placed(seen))
    return poses, cost, missed


def rigid_landscape(maps: Maps, kind: Int[np.ndarray, " point"], asked: AskedContacts | None = None) -> Landscape:
    """What poses of a rigid body cost."""
    none, no_two = torch.zeros(0), torch.zeros(0, 2, dtype=torch.int64)
    side = torch.zeros(0, len(kind), dtype=torch.bool)
    torsions = Torsions(axes=no_two, ends=no_two, side=side, pairs=no_two)
    inner = Kinds(touching=none, hydrophobic=none, bonding=none)
    return Landscape(receptor=maps, kind=torch.from_numpy(kind), torsions=torsions, inner=inner, asked=asked)


def _outside(positions: Float[np.ndarray, "atom 3"]) -> Bool[np.ndarray, " atom"]:
    """Which atoms of a body others can come near to."""
    neighbours = KDTree(positions).query_ball_point(positions, _NEIGHBOURS, return_length=True)
    return neighbours <= np.quantile(neighbours, _OUTSIDE)


def _ends(asked: Proximity) -> list[int]:
    return [*asked.first.tolist(), *asked.second.tolist()]


def _asked_of_beads(meeting: Meeting, still: Beads, own: Beads) -> AskedContacts | None:
    """Contacts that are asked for, between the beads of the residues that they are of; how near is known to some Å."""
    residue = meeting.structure.atoms.residue
    found = []
    for each in meeting.asked:
        for first, second in ((each.first, each.second), (each.second, each.first)):
            mine = np.flatnonzero(np.isin(own.residue, residue[first[meeting.body[first]]]))
            theirs = np.isin(still.residue, residue[second[meeting.still[second]]])
            if not each.avoid and len(mine) and theirs.any():
                aimed = each.bound * AIMED + _BEAD
                found.append((torch.from_numpy(mine), torch.from_numpy(still.positions[theirs]), aimed, False))
    if not found:
        return None
    mine, theirs, aimed, avoid = zip(*found, strict=True)
    return AskedContacts(own=mine, others=theirs, aimed=aimed, avoid=avoid)
