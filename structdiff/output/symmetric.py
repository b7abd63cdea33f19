"""Symmetric designs finished: the assembly of all copies, the part of it that was judged, and what was reached."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from scipy.spatial import KDTree

from structdiff.constraints.symmetry import context_chains
from structdiff.diffusion.trajectory import Snapshot, Trajectory
from structdiff.geometry.point_groups import SymmetryGroup
from structdiff.output.prediction import Verdict
from structdiff.structure.assembly import symmetric_assembly
from structdiff.structure.tables import ChainKind, Structure

#: How far (Å) an atom of a copy may be from where the operator puts that of the first copy.
SYMMETRY_TOLERANCE = 1e-3
#: Backbone atoms of different copies nearer than this (Å) clash; CA atoms nearer than ``CONTACT`` (Å) are in contact.
CLASH, CONTACT = 2.6, 8.0
#: Any atoms of different copies nearer than this (Å), ligands and side chains that are held among them, are inside each
#: other; a disulfide is longer.
INSIDE = 1.8
_BACKBONE = ("N", "CA", "C", "O")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Assembly:
    """A finished assembly. part: the first copy and those that were judged beside it; copies: chains of each copy."""

    structure: Structure
    part: Structure
    copies: tuple[tuple[str, ...], ...]


def finished_assembly(
    unit: Structure, group: SymmetryGroup, relatives: Sequence[int], drawn: Structure | None = None
) -> Assembly:
    """All copies of a finished unit, and the part that the network judged: it and its ``relatives`` in that order.

    drawn: what of the unit the network saw, where that is not all of it.
    """
    drawn = unit if drawn is None else drawn
    whole = symmetric_assembly(unit, group)
    per_copy = len(unit.chains)
    names = whole.chains.name.tolist()
    copies = tuple(tuple(names[start : start + per_copy]) for start in range(0, len(names), per_copy))
    seen = context_chains(group, relatives)
    shown = symmetric_assembly(
        drawn,
        SymmetryGroup(name=group.name, rotations=group.rotations[seen], translations=group.translations[seen]),
    )
    place = [names.index(name) for name in drawn.chains.name.tolist()]
    called = np.array([copies[copy][each] for copy in seen for each in place])
    part = dataclasses.replace(shown, chains=dataclasses.replace(shown.chains, name=called))
    return Assembly(structure=whole, part=part, copies=copies)


def whole_map(residue_map: Mapping[str, Any], assembly: Assembly, group: SymmetryGroup) -> dict[str, Any]:
    """The residue map of one copy as that of all, with the copies' chains and operators, ready for JSON.

    Copies have motif groups of their own: what two of them hold is not in the pose that the motif's file has.
    """
    first = assembly.copies[0]
    chains, residues = [], []
    groups = max((row["group"] for row in residue_map["residues"]), default=0)
    for number, copy in enumerate(assembly.copies):
        called = dict(zip(first, copy, strict=True))
        chains += [{**row, "chain": called[row["chain"]]} for row in residue_map["chains"]]
        residues += [
            {
                **row,
                "design": {**row["design"], "chain": called[row["design"]["chain"]]},
                "group": row["group"] + groups * number,
            }
            for row in residue_map["residues"]
        ]
    operators = zip(assembly.copies, group.rotations, group.translations, strict=True)
    copies = [
        {"chains": list(names), "rotation": rotation.tolist(), "translation_angstrom": translation.tolist()}
        for names, rotation, translation in operators
    ]
    whole = {**residue_map, "chains": chains, "residues": residues}
    return {**whole, "symmetry": {"group": group.name, "copies": copies}}


def symmetry_verdicts(assembly: Structure, group: SymmetryGroup) -> tuple[Verdict, Verdict]:
    """Whether copies are equal under the operators, with equal sequences, and whether they touch without clashing."""
    count, size = len(group), len(assembly.atoms) // len(group)
    seen = assembly.atoms.resolved[:size]
    positions = np.round(assembly.atoms.positions.astype(np.float64), 3).reshape(count, size, 3)[:, seen]
    deviation = float(np.linalg.norm(positions - group.apply(positions[0]), axis=-1).max())
    names = assembly.residues.name.reshape(count, -1)
    equal = bool((names == names[0]).all())
    exact = Verdict(
        name="symmetry",
        asked=f"{group.name}: {count} copies of one sequence, equal within {SYMMETRY_TOLERANCE:g} Å",
        reached=f"{deviation:.1g} Å" if equal else "different sequences",
        met=deviation <= SYMMETRY_TOLERANCE and equal,
    )
    backbone = np.isin(assembly.atoms.name[:size][seen], _BACKBONE)
    protein = (assembly.chains.kind == ChainKind.PROTEIN)[assembly.atom_chain[:size][seen]]
    alpha = protein & (assembly.atoms.name[:size][seen] == "CA")  # calcium is called so too
    nearest = _nearest(positions[0][backbone], group)
    touching = _nearest(positions[0][alpha], group) < CONTACT
    joined = group.joined(touching)
    clear, other = float(nearest.min(initial=np.inf)), float(_nearest(positions[0], group).min(initial=np.inf))
    into = "" if other >= INSIDE else f", other atoms {other:.1f} Å"
    packed = Verdict(
        name="copies",
        asked=f"all joined (CA within {CONTACT:g} Å), backbone atoms {CLASH:g} Å apart or more, others {INSIDE:g} Å",
        reached=f"{'joined' if joined else 'not joined'} by {int(touching.sum())} contacts a copy, {clear:.1f} Å apart"
        + into,
        met=joined and clear >= CLASH and not into,
    )
    return exact, packed


def _nearest(positions: np.ndarray, group: SymmetryGroup) -> np.ndarray:
    """The shortest distance (Å) between a copy and each of the group's ``relatives`` of it."""
    rotations, translations = group.relatives
    tree = KDTree(positions)
    images = np.einsum("kij,aj->kai", rotations, positions) + translations[:, None]
    return np.array([tree.query(image)[0].min(initial=np.inf) for image in images])


def whole_trajectory(path: Trajectory, group: SymmetryGroup) -> Trajectory:
    """The way of a unit as that of all copies."""
    rotations, translations = (torch.from_numpy(x).float() for x in (group.rotations, group.translations))

    def every(positions: torch.Tensor) -> torch.Tensor:
        moved = torch.einsum("kij,saj->skai", rotations, positions.float()) + translations[:, None]
        return moved.flatten(1, 2)

    whole = Trajectory(every=path.every)
    whole.snapshots = [
        Snapshot(step=each.step, sigma=each.sigma, positions=every(each.positions), denoised=every(each.denoised))
        for each in path.snapshots
    ]
    return whole
