"""Motif files that hold symmetric copies: their axes, found from the copies themselves, and the file laid into them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from scipy.spatial import KDTree

from structdiff.errors import InputError
from structdiff.evaluation.superposition import rotation_of
from structdiff.geometry.point_groups import SymmetryGroup
from structdiff.spec.design import DesignSpec
from structdiff.spec.segments import ResidueId
from structdiff.structure.motif_residues import ligand_residues, motif_residues
from structdiff.structure.tables import Structure

#: Å, RMSD of all copies from exact symmetry that is still that symmetry; natural oligomers are within 0.5 Å.
ALLOWED_RMSD = 1.0
#: Degrees that a turn may be off the group's to be looked at.
_TURN = 12.0
_SHARED = 0.7  # of the residues of a chain, by number and name, that a copy of it has
_LEAST_RESIDUES = 4


@dataclass(frozen=True, kw_only=True)
class Frame:
    """Where a group's axes stand in a file: positions x of the file are ``(x - centre) @ rotation.T`` in the group's.

    rmsd: of the copies from exact symmetry (Å, CA or C1'). copies: the file's chain for each operator of the group.
    """

    rotation: np.ndarray
    centre: np.ndarray
    rmsd: float
    copies: tuple[str, ...]


def in_frame(motif: Structure, spec: DesignSpec) -> Structure:
    """The motif's structure moved into the frame of the design's symmetry, by the copies that it holds.

    Raises InputError, with numbers, where it does not hold them, or they do not have that symmetry.
    """
    assert spec.symmetry is not None
    chains = list(dict.fromkeys(residue.chain for part in (*spec.contigs.fixed, *spec.unindexed)
                                for residue in part.residues))  # fmt: skip
    if not chains:
        raise InputError("no residue of the motif is kept", key="symmetry.motif", found="copies", allowed="free")
    found = frame_of(motif, chains[0], spec.symmetry.operators)
    positions = (motif.atoms.positions.astype(np.float64) - found.centre) @ found.rotation.T
    return motif.with_positions(positions, resolved=motif.atoms.resolved)


def of_one_copy(spec: DesignSpec, asked: Sequence[str], motif: Structure) -> DesignSpec:
    """The request with the ligands of one copy alone, where a component means those of all copies in the file.

    Of ligands that the group's operators lay on each other the one nearest to the motif stays, and so does each one
    that is ``asked`` for by residue. motif: in the frame of the group.
    """
    assert spec.symmetry is not None
    if not spec.ligands:
        return spec
    component, places = motif.residues.name, motif_residues(motif)
    rows = {str(residue): row for residue, row in ligand_residues(motif).items() if str(residue) in spec.ligands}
    kept = [places[residue] for part in (*spec.contigs.fixed, *spec.unindexed) for residue in part.residues]
    around = KDTree(_atoms(motif, kept or list(rows.values())))
    far = {name: around.query(_atoms(motif, [row]))[0].min() for name, row in rows.items()}
    middle = {name: _atoms(motif, [row]).mean(0) for name, row in rows.items()}
    rotations, translations = spec.symmetry.operators.relatives
    chosen: list[str] = []
    for name in sorted(rows, key=lambda each: (each not in asked, far[each])):
        alike = [other for other in chosen if component[rows[other]] == component[rows[name]]]
        images = [rotations @ middle[other] + translations for other in alike]
        apart = np.linalg.norm(np.array(images).reshape(-1, 3) - middle[name], axis=1)
        if name in asked or not (apart < ALLOWED_RMSD).any():
            chosen.append(name)
    return replace(spec, ligands=tuple(name for name in spec.ligands if name in chosen))


def _atoms(structure: Structure, rows: Sequence[int]) -> np.ndarray:
    """Positions (atom, 3) in Å of the atoms of residues that were seen."""
    atoms = structure.atoms
    return atoms.positions[atoms.resolved & np.isin(atoms.residue, rows)].astype(np.float64)


def frame_of(structure: Structure, chain: str, group: SymmetryGroup) -> Frame:
    """The axes of a group from the copies of a chain in a structure. Raises InputError, with numbers."""
    copies = _copies(structure, chain)
    names = [name for name, _ in copies]
    if len(copies) < len(group):
        raise InputError(
            f"{group.name} has {len(group)} copies, and the motif's file holds {len(copies)} of chain {chain}",
            key="symmetry.motif", found=", ".join(names),
            allowed="as many chains with its residues and numbers, or motif=free, or a file in the group's frame and "
            "motif=placed",
        )  # fmt: skip
    positions = [points for _, points in copies]
    turns = np.array([_turn(positions[0], each) for each in positions])
    frames = [_fitted(rotation, turns, positions, names, group) for rotation in _rotations(turns, group)]
    found = min((each for each in frames if each is not None), key=lambda each: round(each.rmsd, 6), default=None)
    if found is None or found.rmsd > ALLOWED_RMSD:
        deviation = "" if found is None else f"{found.rmsd:.2f} Å RMSD from it, where {ALLOWED_RMSD:g} Å are allowed; "
        raise InputError(
            f"the copies of chain {chain} in the motif's file do not have the symmetry {group.name}: {deviation}they "
            f"are turned by {_described(turns, names)}, those of {group.name} by {_angles(group)}",
            key="symmetry.motif",
        )  # fmt: skip
    return found


def _copies(structure: Structure, chain: str) -> list[tuple[str, np.ndarray]]:
    """The chain and its copies: names, and positions of the centre atoms (CA, C1') that all of them have."""
    points = _centres(structure)
    mine = {key: at for (name, key), at in points.items() if name == chain}
    copies = {chain: mine}
    for name in dict.fromkeys(name for name, _ in points):
        other = {key: at for (own, key), at in points.items() if own == name}
        if len(set(mine) & set(other)) >= max(_LEAST_RESIDUES, _SHARED * len(mine)):
            copies[name] = other
    shared = sorted(set.intersection(*(set(each) for each in copies.values())))
    if len(shared) < _LEAST_RESIDUES:
        raise InputError("copies share too few residues to be laid over each other", key="symmetry.motif",
                         found=len(shared), allowed=f"{_LEAST_RESIDUES} or more")  # fmt: skip
    return [(name, np.array([each[key] for key in shared], np.float64)) for name, each in copies.items()]


def _centres(structure: Structure) -> Mapping[tuple[str, tuple], np.ndarray]:
    atoms, residues = structure.atoms, structure.residues
    rows = np.flatnonzero(np.isin(atoms.name, ("CA", "C1'")) & atoms.resolved & (atoms.element == 6))
    found = {}
    for row in rows.tolist():
        residue = int(atoms.residue[row])
        place = ResidueId(chain="", number=int(residues.author_seq_id[residue]),
                          insertion_code=str(residues.insertion_code[residue]).strip())  # fmt: skip
        key = (place.number, place.insertion_code, str(residues.name[residue]))
        found[str(structure.chains.name[residues.chain[residue]]), key] = atoms.positions[row]
    return found


def _turn(first: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The rotation (3, 3) that lays the first copy over another."""
    return rotation_of((first - first.mean(0)).T @ (other - other.mean(0))).T


def _rotations(turns: np.ndarray, group: SymmetryGroup) -> list[np.ndarray]:
    """Rotations from the file to the group's frame that bring turns of the file onto turns of the group.

    Two axes of the group that are not parallel decide; of Cn there is only one.
    """
    axes = [(_axis(each), _angle(each)) for each in group.rotations[1:]]
    first = min(axes, key=lambda each: each[1])
    others = [each for each in axes if abs(each[0] @ first[0]) < 0.99]
    second = min(others, key=lambda each: each[1]) if others else None
    seen = [(_axis(each), _angle(each)) for each in turns[1:]]
    one = [(sign * axis) for axis, angle in seen if abs(angle - first[1]) < _TURN for sign in (1, -1)]
    if second is None:
        return [_aligning([axis], [first[0]]) for axis in one]
    two = [(sign * axis) for axis, angle in seen if abs(angle - second[1]) < _TURN for sign in (1, -1)]
    wanted = float(first[0] @ second[0])
    return [
        _aligning([a, b], [first[0], second[0]])
        for a, b in product(one, two)
        if abs(np.degrees(np.arccos(np.clip(a @ b, -1, 1)) - np.arccos(np.clip(wanted, -1, 1)))) < _TURN
    ]


def _fitted(
    rotation: np.ndarray, turns: np.ndarray, positions: list[np.ndarray], names: list[str], group: SymmetryGroup
) -> Frame | None:
    """The frame near a rotation: each operator takes the copy that is turned most like it, then all fit together."""
    seen = np.einsum("ij,kjl,ml->kim", rotation, turns, rotation)
    apart = np.linalg.norm(group.rotations[:, None] - seen[None], axis=(2, 3))
    chosen = apart.argmin(1)
    if len(set(chosen.tolist())) < len(group):
        return None
    points = np.array([positions[place] for place in chosen])
    centre = points.mean((0, 1))
    moved = (points - centre) @ rotation.T
    for _ in range(20):  # the mean unit, and the rotation that lays the copies over its images, in turn
        unit = np.einsum("kji,kaj->kai", group.rotations, moved).mean(0)
        images = np.einsum("kij,aj->kai", group.rotations, unit)
        better = rotation_of(moved.reshape(-1, 3).T @ images.reshape(-1, 3)).T
        moved, rotation = moved @ better.T, better @ rotation
    unit = np.einsum("kji,kaj->kai", group.rotations, moved).mean(0)
    off = moved - np.einsum("kij,aj->kai", group.rotations, unit)
    return Frame(rotation=rotation, centre=centre, rmsd=float(np.sqrt(np.square(off).sum(-1).mean())),
                 copies=tuple(names[place] for place in chosen.tolist()))  # fmt: skip


def _aligning(axes: Sequence[np.ndarray], wanted: Sequence[np.ndarray]) -> np.ndarray:
    """The rotation (3, 3) that turns axes best onto those that are wanted."""
    mobile, target = np.array(axes), np.array(wanted)
    if len(axes) > 1:
        mobile, target = (np.concatenate([each, [np.cross(*each)]]) for each in (mobile, target))
    return rotation_of(mobile.T @ target).T


def _axis(rotation: np.ndarray) -> np.ndarray:
    """The axis of a rotation, so that it turns by 0 to 180 degrees around it."""
    values, vectors = np.linalg.eig(rotation)
    axis = np.real(vectors[:, np.abs(values - 1).argmin()])
    turned = np.array([rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0],
                       rotation[1, 0] - rotation[0, 1]])  # fmt: skip
    return axis * (-1 if axis @ turned < 0 else 1) / np.linalg.norm(axis)


def _angle(rotation: np.ndarray) -> float:
    """How far a rotation turns, in degrees from 0 to 180."""
    return float(np.degrees(np.arccos(np.clip((np.trace(rotation) - 1) / 2, -1, 1))))


def _described(turns: np.ndarray, names: list[str]) -> str:
    told = [f"{_angle(turn):.0f}° ({name})" for name, turn in zip(names[1:], turns[1:], strict=True)]
    return ", ".join(told[:6]) + (" ..." if len(told) > 6 else "")


def _angles(group: SymmetryGroup) -> str:
    return ", ".join(f"{angle:g}°" for angle in sorted({round(_angle(each)) for each in group.rotations[1:]}))
