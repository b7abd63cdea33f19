"""Index tables of the covalent geometry of a structure, in the form that energies and repairs use."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from structdiff.chemistry.components import component
from structdiff.chemistry.ideal_geometry import ReferenceGeometry
from structdiff.structure.local_geometry import structure_geometry
from structdiff.structure.tables import Structure

BOND, ANGLE, TORSION = range(3)
#: Atomic numbers of what is no metal; bonds of all others between residues are coordination.
ORGANIC = (1, 5, 6, 7, 8, 9, 14, 15, 16, 17, 33, 34, 35, 53)
#: Arginine's NH1 is the one on the side of CD (IUPAC-IUB 1970); the dictionary's conformer has it on the other.
_NAMED_CIS = {("ARG", "CD", "NH1"): True, ("ARG", "CD", "NH2"): False}
_METAL_BOND, _METAL_SULPHUR_BOND = 2.1, 2.33  # Å
#: Å, of sodium, potassium and calcium, whose bonds are longer (Harding 2006, Acta Cryst. D62, 678).
_LONG_BONDS = {11: 2.41, 19: 2.81, 20: 2.38}


@dataclass(frozen=True, kw_only=True, eq=False)
class CovalentTables:
    """Rows of atoms with the distances (Å) and signed volumes (Å³) that they should have.

    pair_kind: BOND, ANGLE (1-3) or TORSION (1-4 within a plane); pairs stand in this order. cis_distance, proline_bond,
    proline_omega: see ``Stereochemistry``. quadruples: num_handed handed centres, then planes. bonds (bond, 2) and
    angles (angle, 3) for measuring; planes: the atoms of each. stars (star, 5): handed centres with all of their four
    neighbours, star_shapes (star, 5, 3) where these are in Å about the centre, and star_ends (star, 5) which of them
    have no other bond.
    """

    pairs: np.ndarray
    pair_kind: np.ndarray
    distance: np.ndarray
    cis_distance: np.ndarray
    proline_bond: np.ndarray
    proline_omega: np.ndarray
    quadruples: np.ndarray
    volume: np.ndarray
    num_handed: int
    bonds: np.ndarray
    angles: np.ndarray
    planes: tuple[np.ndarray, ...]
    stars: np.ndarray
    star_shapes: np.ndarray
    star_ends: np.ndarray


@dataclass(frozen=True, kw_only=True)
class _FlatTorsion:
    """Four bonded atoms in a plane, and which way they are; residue: of the proline, if the bond before it is meant."""

    atoms: tuple[int, int, int, int]
    cis: bool
    proline: int | None


def covalent_tables(structure: Structure) -> CovalentTables:
    """The tables of all atoms of a structure, resolved or not."""
    geometry = structure_geometry(structure)
    bonds, lengths, angles, spans = _without_metals(structure, geometry)
    torsions = list(_flat_torsions(structure, geometry, bonds))
    distances = {**_keyed(bonds, lengths), **_keyed(angles[:, [0, 2]], spans)}
    one_four = [torsion for torsion in torsions if _key(torsion.atoms[0], torsion.atoms[3]) not in distances]
    far = np.array([_one_four_distances(distances, torsion.atoms) for torsion in one_four]).reshape(-1, 2)
    cis = np.array([torsion.cis for torsion in one_four], bool)
    omegas = _proline_omegas(structure, one_four)
    order = {residue: row for row, residue in enumerate(omegas)}
    own = np.where(cis, far[:, 0], far[:, 1])
    other = np.where(cis, far[:, 1], far[:, 0])
    proline_bond = np.array(
        [-1 if torsion.proline is None else order.get(torsion.proline, -1) for torsion in one_four], np.int64
    )
    ends = np.array([(torsion.atoms[0], torsion.atoms[3]) for torsion in one_four], np.int64).reshape(-1, 2)
    near = len(bonds) + len(angles)
    stars, shapes, ends_of_stars = _stars(geometry, bonds, distances)
    # With the fourth neighbour in place of the third, which lies on the other side: without these rows a phosphorus can
    # be pushed out through the plane of three of its oxygens, with the fourth inside.
    fourth = stars[:, [0, 1, 2, 4]]
    fourth_volumes = np.linalg.det(shapes[:, [1, 2, 4]])
    plane_rows = [torsion.atoms for torsion in torsions] + list(_flat_centres(geometry, bonds))
    planes = np.array(plane_rows, np.int64).reshape(-1, 4)
    return CovalentTables(
        pairs=np.concatenate([bonds, angles[:, [0, 2]], ends]).astype(np.int64),
        pair_kind=np.repeat((BOND, ANGLE, TORSION), (len(bonds), len(angles), len(ends))),
        distance=np.concatenate([lengths, spans, own]).astype(np.float64),
        cis_distance=np.concatenate([lengths, spans, np.where(proline_bond >= 0, other, own)]).astype(np.float64),
        proline_bond=np.concatenate([np.full(near, -1), proline_bond]).astype(np.int64),
        proline_omega=np.array(list(omegas.values()), np.int64).reshape(-1, 4),
        quadruples=np.concatenate([geometry.chiral, fourth, planes]).astype(np.int64),
        volume=np.concatenate([geometry.chiral_volumes, fourth_volumes, np.zeros(len(planes))]).astype(np.float64),
        num_handed=len(geometry.chiral) + len(fourth),
        bonds=bonds.astype(np.int64),
        angles=angles.astype(np.int64),
        planes=geometry.planar_groups,
        stars=stars,
        star_shapes=shapes,
        star_ends=ends_of_stars,
    )


def _without_metals(
    structure: Structure, geometry: ReferenceGeometry
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Bonds, lengths, angles and spans; bonds of metals to other residues are long, and their angles free."""
    element, residue = structure.atoms.element, structure.atoms.residue
    metal = ~np.isin(element, ORGANIC)
    lengths = geometry.bond_lengths.copy()
    first, second = geometry.bonds.T
    coordinating = (metal[first] | metal[second]) & (residue[first] != residue[second])
    sulphur = (element[first] == 16) | (element[second] == 16)
    typical = np.where(sulphur, _METAL_SULPHUR_BOND, _METAL_BOND)
    for metal_element, length in _LONG_BONDS.items():
        typical[(element[first] == metal_element) | (element[second] == metal_element)] = length
    lengths[coordinating] = typical[coordinating]
    own_residue = (residue[geometry.angles] == residue[geometry.angles[:, 1:2]]).all(axis=1)
    kept = own_residue | ~metal[geometry.angles].any(axis=1)
    return geometry.bonds, lengths, geometry.angles[kept], geometry.angle_distances[kept]


def _flat_torsions(structure: Structure, geometry: ReferenceGeometry, bonds: np.ndarray) -> Iterator[_FlatTorsion]:
    """Every torsion about a bond inside a planar group."""
    neighbours = _neighbours(bonds)
    seen: set[tuple[int, int, int, int]] = set()
    for group in geometry.planar_groups:
        inside = set(group.tolist())
        for b in sorted(inside):
            for c in (other for other in neighbours[b] if other in inside and other > b):
                for a in (other for other in neighbours[b] if other in inside and other != c):
                    for d in (other for other in neighbours[c] if other in inside and other not in (a, b)):
                        if (a, b, c, d) not in seen:
                            seen.add((a, b, c, d))
                            yield _flat_torsion(structure, (a, b, c, d))


def _flat_torsion(structure: Structure, atoms: tuple[int, int, int, int]) -> _FlatTorsion:
    residues = structure.atoms.residue[list(atoms)].tolist()
    names = structure.atoms.name[list(atoms)].tolist()
    if len(set(residues)) == 1:
        ideal = component(str(structure.residues.name[residues[0]]), structure.components)
        index = ideal.atom_index
        a, b, c, d = (ideal.ideal_positions[index[name]].astype(np.float64) for name in names)
        axis = c - b
        drawn = bool(np.cross(a - b, axis) @ np.cross(d - c, axis) > 0)
        first, last = sorted((names[0], names[3]))
        cis = _NAMED_CIS.get((str(structure.residues.name[residues[0]]), first, last), drawn)
        return _FlatTorsion(atoms=atoms, cis=cis, proline=None)
    # Only amides are planar across residues, and they are trans: O is cis to CA, CA is cis to the CD of proline.
    into = residues[1] if names[1] == "N" else residues[2]
    linked = {names[1], names[2]} == {"C", "N"} and str(structure.residues.name[into]) == "PRO"
    oxygen = bool((structure.atoms.element[[atoms[0], atoms[3]]] == 8).any())
    cis = oxygen != (linked and "CD" in (names[0], names[3]))
    return _FlatTorsion(atoms=atoms, cis=cis, proline=into if linked else None)


def _proline_omegas(structure: Structure, torsions: list[_FlatTorsion]) -> dict[int, tuple[int, int, int, int]]:
    """CA, C, N, CA of the bond before each proline, by the proline's row."""
    omegas = {}
    for torsion in torsions:
        if torsion.proline is not None:
            names = structure.atoms.name[list(torsion.atoms)].tolist()
            if names in (["CA", "C", "N", "CA"], ["CA", "N", "C", "CA"]):
                omegas[torsion.proline] = torsion.atoms
    return omegas


def _flat_centres(geometry: ReferenceGeometry, bonds: np.ndarray) -> Iterator[tuple[int, int, int, int]]:
    """Atoms of planes with their three neighbours in the plane."""
    neighbours = _neighbours(bonds)
    seen: set[int] = set()
    for group in geometry.planar_groups:
        inside = set(group.tolist())
        for centre in sorted(inside - seen):
            near = [other for other in neighbours[centre] if other in inside]
            if len(near) == 3:
                seen.add(centre)
                yield (centre, near[0], near[1], near[2])


def _stars(
    geometry: ReferenceGeometry, bonds: np.ndarray, distances: dict[tuple[int, int], float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Handed centres with four neighbours: rows (star, 5), ideal positions about the centre, and which are ends."""
    neighbours = _neighbours(bonds)
    rows, shapes = [], []
    for (centre, a, b, c), volume in zip(geometry.chiral.tolist(), geometry.chiral_volumes.tolist(), strict=True):
        rest = [other for other in neighbours[centre] if other not in (a, b, c)]
        if len(rest) == 1:
            atoms = (a, b, c, rest[0])
            gram = np.array([[_dot(distances, centre, one, two) for two in atoms] for one in atoms])
            # Three arms from their scalar products, turned to the right hand; the fourth from its products with them.
            three = np.linalg.cholesky(gram[:3, :3]) * (1.0, 1.0, math.copysign(1.0, volume))
            fourth = np.linalg.solve(three, gram[:3, 3])
            rows.append((centre, *atoms))
            shapes.append(np.stack([np.zeros(3), *three, fourth]))
    stars = np.array(rows, np.int64).reshape(-1, 5)
    ends = np.array([[len(neighbours[atom]) == 1 for atom in row] for row in rows], bool).reshape(-1, 5)
    return stars, np.array(shapes, np.float64).reshape(-1, 5, 3), ends


def _dot(distances: dict[tuple[int, int], float], centre: int, one: int, two: int) -> float:
    """Scalar product of two arms of a centre, from their lengths and the distance between their ends."""
    across = 0.0 if one == two else distances[_key(one, two)]
    return 0.5 * (distances[_key(centre, one)] ** 2 + distances[_key(centre, two)] ** 2 - across**2)


def _one_four_distances(
    distances: dict[tuple[int, int], float], atoms: tuple[int, int, int, int]
) -> tuple[float, float]:
    """Distance (Å) of the ends of a flat torsion, cis and trans, from the bonds and angles between."""
    a, b, c, d = atoms
    ab, bc, cd = distances[_key(a, b)], distances[_key(b, c)], distances[_key(c, d)]
    along = []
    heights = []
    for outer, inner, span in ((ab, bc, distances[_key(a, c)]), (cd, bc, distances[_key(b, d)])):
        cosine = max(-1.0, min(1.0, (outer**2 + inner**2 - span**2) / (2 * outer * inner)))
        along.append(outer * cosine)
        heights.append(outer * math.sqrt(1 - cosine**2))
    length = bc - along[0] - along[1]
    return math.hypot(length, heights[0] - heights[1]), math.hypot(length, heights[0] + heights[1])


def _neighbours(bonds: np.ndarray) -> dict[int, list[int]]:
    table: dict[int, list[int]] = defaultdict(list)
    for first, second in bonds.tolist():
        table[first].append(second)
        table[second].append(first)
    return table


def _keyed(pairs: np.ndarray, values: np.ndarray) -> dict[tuple[int, int], float]:
    return {_key(i, j): value for (i, j), value in zip(pairs.tolist(), values.tolist(), strict=True)}


def _key(i: int, j: int) -> tuple[int, int]:
    return (i, j) if i < j else (j, i)
