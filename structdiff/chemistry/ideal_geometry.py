"""What a component looks like: bond lengths, 1-3 distances, handedness and planes, from its ideal conformer.

Backbones of polymers take their values from ``linkage``; carboxylates and phosphates are taken as ionised, while the
dictionary's conformers are neutral acids with one short and one long bond.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from structdiff.chemistry.components import AROMATIC, DNA, RNA, Component
from structdiff.chemistry.linkage import BACKBONE_ANGLES, BACKBONE_LENGTHS, RESIDUE_ANGLES, RESIDUE_LENGTHS

_CARBON, _NITROGEN, _OXYGEN, _PHOSPHORUS = 6, 7, 8, 15
#: Elements whose arrangement of neighbours can be handed: C, Si, P, S, As, Se, and ammonium nitrogen.
_TETRAHEDRAL = (6, 7, 14, 15, 16, 33, 34)
_INVERTIBLE = (7,)
#: Normalised volume of three unit vectors: 0.77 for a tetrahedron, 0 in a plane.
_HANDED_VOLUME, _FLAT_VOLUME = 0.3, 0.12
_PLANE_DEVIATION = 0.06  # Å, of any atom from the plane through its group
_CARBOXYLATE_LENGTH, _CARBOXYLATE_ANGLE = 1.249, math.radians(123.3)
_PHOSPHATE_LENGTH = 1.51
#: OP1 is pro-S and OP2 pro-R in a chain (IUPAC-IUB 1983); the dictionary's free nucleotides are drawn either way.
_LINKED_PHOSPHATE = {("P", "OP1", "OP2", "O5'"): -1}


@dataclass(frozen=True, kw_only=True, eq=False)
class ReferenceGeometry:
    """The ideal local geometry of a component or a structure; indices are rows of its atoms.

    bonds (bond, 2) with bond_lengths in Å. angles (angle, 3), the vertex in the middle, with angle_distances between
    the outer two in Å. chiral (centre, 4): the centre and three of its neighbours a, b, c, with chiral_volumes a . (b
    x c) in Å^3 of the vectors from the centre; chiral_stereo tells the stereocentres of the definition from those
    that are only named by convention (CB of valine, phosphates). planar_groups: atoms, four or more, that lie in one
    plane.
    """

    bonds: np.ndarray  # int32
    bond_lengths: np.ndarray  # float32
    angles: np.ndarray  # int32
    angle_distances: np.ndarray  # float32
    chiral: np.ndarray  # int32
    chiral_volumes: np.ndarray  # float32
    chiral_stereo: np.ndarray  # bool
    planar_groups: tuple[np.ndarray, ...]  # int32


@lru_cache(maxsize=4096)
def reference_geometry(component: Component) -> ReferenceGeometry:
    """Ideal bond lengths, 1-3 distances, chiral volumes and planes of a component, leaving atoms included."""
    lengths = _lengths(component)
    angles = _angles(component)
    chiral, signs = chiral_centres(component)
    triples = np.array(list(angles), np.int32).reshape(-1, 3)
    return ReferenceGeometry(
        bonds=component.bonds,
        bond_lengths=np.array([lengths[_pair(i, j)] for i, j in component.bonds.tolist()], np.float32),
        angles=triples,
        angle_distances=np.array([outer_distance(lengths, angles, *t) for t in triples.tolist()], np.float32),
        chiral=chiral,
        chiral_volumes=_volumes(component, chiral, signs, lengths, angles),
        chiral_stereo=component.stereo[chiral[:, 0]],
        planar_groups=planar_groups(component),
    )


def chiral_centres(component: Component) -> tuple[np.ndarray, np.ndarray]:
    """The handed atoms of a component: rows (centre, 4) of a centre and three neighbours, and the sign of their volume.

    Every tetrahedral atom with at least three heavy neighbours counts, stereocentre or not; of four neighbours the
    first three by row, those that a link takes away last. Nitrogen that can invert does not count: that of a ring of
    three, if its hand is stated, cannot. The sign is that of (a - centre) . ((b - centre) x (c - centre)) in the ideal
    conformer: +1 for N, C, CB around CA of L-alanine.
    """
    rows, signs = [], []
    for centre, near in enumerate(component.neighbours()):
        element = int(component.elements[centre])
        degree = len(near) + int(component.hydrogens[centre])
        if len(near) < 3 or degree > 4 or element not in _TETRAHEDRAL:
            continue
        if element in _INVERTIBLE and degree < 4 and not _is_stiff(component, centre, near):
            continue
        staying = sorted(near, key=lambda row: (component.leaving[row], row))[:3]
        volume = _normalised_volume(component.ideal_positions, centre, staying)
        if abs(volume) > _HANDED_VOLUME and not _has_equivalent_oxygens(component, centre, near):
            rows.append((centre, *staying))
            names = tuple(component.atom_names[[centre, *staying]].tolist())
            signs.append(_LINKED_PHOSPHATE.get(names, 1 if volume > 0 else -1))
    return np.array(rows, np.int32).reshape(-1, 4), np.array(signs, np.int8)


def _is_stiff(component: Component, centre: int, near: list[int]) -> bool:
    """Whether a ring of three keeps a nitrogen from inverting, and its hand is stated."""
    ends = np.isin(component.bonds, near).all(axis=1)
    return bool(component.stereo[centre] and ends.any())


def _has_equivalent_oxygens(component: Component, centre: int, near: list[int]) -> bool:
    """Whether a phosphate or sulphate of a ligand has oxygens that only their arbitrary names tell apart."""
    if component.kind in (DNA, RNA) or component.elements[centre] == _CARBON:
        return False
    ends = [other for other in near if component.elements[other] == _OXYGEN and (component.bonds == other).sum() == 1]
    return len(ends) >= 2


def planar_groups(component: Component) -> tuple[np.ndarray, ...]:
    """Groups of at least four atoms that lie in one plane: rings, bases, carboxylates, amides, guanidinium."""
    near = component.neighbours()
    flat = {atom for atom in range(len(component)) if _is_flat(component, atom, near[atom])}
    groups = [frozenset((atom, *near[atom])) for atom in sorted(flat) if len(near[atom]) == 3]
    for (first, second), order in zip(component.bonds.tolist(), component.bond_orders.tolist(), strict=True):
        stiff = order in (2, AROMATIC) or _is_amide(component, first, second, near)
        if stiff and first in flat and second in flat:
            groups.append(frozenset((first, second, *near[first], *near[second])))
    groups = [group for group in groups if len(group) >= 4 and _lies_in_plane(component.ideal_positions, group)]
    merged = _merge(component.ideal_positions, groups)
    return tuple(np.array(sorted(group), np.int32) for group in merged)


def outer_distance(
    lengths: dict[tuple[int, int], float], angles: dict[tuple[int, int, int], float], i: int, j: int, k: int
) -> float:
    """Distance (Å) between the ends of an angle by the law of cosines."""
    a, b = lengths[_pair(i, j)], lengths[_pair(j, k)]
    return math.sqrt(a * a + b * b - 2 * a * b * math.cos(angles[i, j, k]))


def _pair(i: int, j: int) -> tuple[int, int]:
    return (i, j) if i < j else (j, i)


def _lengths(component: Component) -> dict[tuple[int, int], float]:
    points, names = component.ideal_positions.astype(np.float64), component.atom_names.tolist()
    known = dict(BACKBONE_LENGTHS.get(component.kind, {}))
    for residue in (component.parent, component.name):
        known.update(RESIDUE_LENGTHS.get(residue, {}))
    lengths = {}
    for i, j in component.bonds.tolist():
        measured = float(np.linalg.norm(points[i] - points[j]))
        lengths[_pair(i, j)] = known.get((names[i], names[j]), known.get((names[j], names[i]), measured))
    for centre, oxygens, ideal in _ionised_groups(component):
        for oxygen in oxygens:
            if (names[centre], names[oxygen]) not in known:
                lengths[_pair(centre, oxygen)] = ideal
    return lengths


def _ionised_groups(component: Component) -> list[tuple[int, list[int], float]]:
    """Centre, terminal oxygens and bond length of each carboxylate and phosphate."""
    near = component.neighbours()
    groups = []
    for centre, others in enumerate(near):
        ends = [other for other in others if component.elements[other] == _OXYGEN and len(near[other]) == 1]
        element = component.elements[centre]
        if len(ends) >= 2 and element == _CARBON and len(others) == 3 and "OXT" not in component.atom_names[ends]:
            groups.append((centre, ends, _CARBOXYLATE_LENGTH))
        elif len(ends) >= 2 and element == _PHOSPHORUS:
            groups.append((centre, ends, _PHOSPHATE_LENGTH))
    return groups


def _angles(component: Component) -> dict[tuple[int, int, int], float]:
    points, names = component.ideal_positions.astype(np.float64), component.atom_names.tolist()
    known = dict(BACKBONE_ANGLES.get(component.kind, {}))
    for residue in (component.parent, component.name):
        known.update(RESIDUE_ANGLES.get(residue, {}))
    angles = {}
    for vertex, near in enumerate(component.neighbours()):
        for i, k in itertools.combinations(near, 2):
            a, b = points[i] - points[vertex], points[k] - points[vertex]
            cosine = float(a @ b) / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-6)
            degrees = known.get((names[i], names[vertex], names[k]), known.get((names[k], names[vertex], names[i])))
            angles[i, vertex, k] = math.acos(np.clip(cosine, -1, 1)) if degrees is None else math.radians(degrees)
    for centre, ends, length in _ionised_groups(component):
        if length != _CARBOXYLATE_LENGTH:
            continue
        for i, vertex, k in [key for key in angles if key[1] == centre]:
            both = i in ends and k in ends
            angles[i, vertex, k] = _CARBOXYLATE_ANGLE if both else math.pi - _CARBOXYLATE_ANGLE / 2
    return angles


def _volumes(
    component: Component,
    chiral: np.ndarray,
    signs: np.ndarray,
    lengths: dict[tuple[int, int], float],
    angles: dict[tuple[int, int, int], float],
) -> np.ndarray:
    """Signed volumes that agree with the lengths and angles (Gram's determinant), signed as in the conformer."""
    volumes = []
    for (centre, a, b, c), sign in zip(chiral.tolist(), signs.tolist(), strict=True):
        x, y, z = (math.cos(angles[min(i, k), centre, max(i, k)]) for i, k in ((a, b), (b, c), (a, c)))
        unit = math.sqrt(max(1 + 2 * x * y * z - x * x - y * y - z * z, 0.0))
        size = math.prod(lengths[_pair(centre, other)] for other in (a, b, c))
        volumes.append(sign * unit * size)
    return np.array(volumes, np.float32)


def _normalised_volume(positions: np.ndarray, centre: int, near: list[int]) -> float:
    arms = positions[near].astype(np.float64) - positions[centre]
    arms /= np.maximum(np.linalg.norm(arms, axis=1, keepdims=True), 1e-6)
    return float(np.linalg.det(arms))


def _is_flat(component: Component, atom: int, near: list[int]) -> bool:
    """Whether an atom's neighbours lie in a plane with it: sp2 carbon, nitrogen that shares its pair, aromatics."""
    if component.elements[atom] not in (_CARBON, _NITROGEN, _OXYGEN, 16):
        return False
    if len(near) >= 3:
        degree = len(near) + int(component.hydrogens[atom])
        return degree == 3 and abs(_normalised_volume(component.ideal_positions, atom, near[:3])) < _FLAT_VOLUME
    orders = component.bond_orders[(component.bonds == atom).any(axis=1)]
    return bool(np.isin(orders, (2, AROMATIC)).any() or component.elements[atom] == _NITROGEN)


def _is_amide(component: Component, first: int, second: int, near: list[list[int]]) -> bool:
    for carbon, nitrogen in ((first, second), (second, first)):
        if component.elements[carbon] == _CARBON and component.elements[nitrogen] == _NITROGEN:
            for other in near[carbon]:
                row = (component.bonds == sorted((carbon, other))).all(axis=1)
                if other != nitrogen and component.kekule_orders[row][0] == 2:
                    return True
    return False


def _lies_in_plane(positions: np.ndarray, group: frozenset[int]) -> bool:
    points = positions[sorted(group)].astype(np.float64)
    points -= points.mean(axis=0)
    normal = np.linalg.svd(points)[2][2]
    return bool(np.abs(points @ normal).max() < _PLANE_DEVIATION)


def _merge(positions: np.ndarray, groups: list[frozenset[int]]) -> list[frozenset[int]]:
    """Joins groups that share three atoms while the union stays flat; drops groups inside another."""
    pending = sorted(set(groups), key=lambda group: (-len(group), sorted(group)))
    merged: list[frozenset[int]] = []
    while pending:
        group = pending.pop(0)
        partner = next(
            (other for other in pending if len(group & other) >= 3 and _lies_in_plane(positions, group | other)), None
        )
        if partner is None:
            merged.append(group)
        else:
            pending.remove(partner)
            pending.insert(0, group | partner)
    return [group for group in merged if not any(group < other for other in merged)]
