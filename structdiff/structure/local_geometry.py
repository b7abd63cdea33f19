"""The ideal local geometry of a whole structure: its components' and that of the bonds between them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from structdiff.chemistry.components import Component, component
from structdiff.chemistry.double_bonds import DoubleBonds, component_double_bonds
from structdiff.chemistry.ideal_geometry import ReferenceGeometry, reference_geometry
from structdiff.chemistry.linkage import Linkage, polymer_linkage
from structdiff.structure.observed_components import COVALENT_RADII, OTHER_RADIUS
from structdiff.structure.tables import ChainKind, Structure

_KIND_NAMES = {ChainKind.PROTEIN: "peptide", ChainKind.DNA: "dna", ChainKind.RNA: "rna"}
#: Lengths (Å) of other bonds between residues, by atomic numbers (International Tables C, section 9.5); what is not
#: listed is as long as the two covalent radii, and metals have lengths of their own (``constraints.covalent_tables``).
_LENGTHS = {
    (16, 16): 2.033, (6, 16): 1.82, (6, 8): 1.43, (6, 7): 1.45, (6, 6): 1.53, (8, 15): 1.61, (7, 15): 1.65,
    (8, 16): 1.58, (7, 16): 1.63, (8, 8): 1.46, (16, 34): 2.2, (34, 34): 2.33,
}  # fmt: skip
_CARBONYL_LENGTHS = {(6, 7): 1.33, (6, 8): 1.35, (6, 16): 1.76}
_ANGLES = {16: math.radians(104.0), 8: math.radians(117.0), 15: math.radians(107.0)}
_TETRAHEDRAL, _TRIGONAL = math.radians(109.5), math.radians(120.0)


def structure_geometry(structure: Structure) -> ReferenceGeometry:
    """Ideal bonds, 1-3 distances, handedness and planes of all atoms of a structure, resolved or not.

    Links of polymers follow Engh & Huber and Parkinson et al. (``chemistry.linkage``); other bonds between residues
    have typical lengths and angles; a centre keeps its hand where the partner of such a bond takes the place of an atom
    that has left (the anomeric carbon of a glycan), and amides that they make or bind are flat. Rows are atoms of the
    structure.
    """
    parts = list(_residue_parts(structure))
    cross = _CrossLinks(structure)
    columns = {
        name: np.concatenate([getattr(part, name) for part in (*parts, cross.geometry())])
        for name in (
            "bonds", "bond_lengths", "angles", "angle_distances", "chiral", "chiral_volumes", "chiral_stereo",
        )
    }  # fmt: skip
    groups = tuple(group for part in parts for group in part.planar_groups) + cross.planar_groups()
    return ReferenceGeometry(**columns, planar_groups=groups)


def structure_double_bonds(structure: Structure) -> DoubleBonds:
    """The double bonds of all residues that are E or Z, of which the judging atoms are there, resolved or not."""
    atoms, cis = [np.zeros((0, 4), np.int64)], [np.zeros(0, bool)]
    for row, code in enumerate(structure.residues.name.tolist()):
        whole = component(code, structure.components)
        found = component_double_bonds(whole)
        if len(found.atoms):
            span = structure.residue_atoms(row)
            place = {name: at for at, name in enumerate(structure.atoms.name[span].tolist(), span.start)}
            rows = np.array([place.get(str(name), -1) for name in whole.atom_names])[found.atoms]
            there = (rows >= 0).all(axis=1)
            atoms.append(rows[there])
            cis.append(found.cis[there])
    return DoubleBonds(atoms=np.concatenate(atoms), cis=np.concatenate(cis))


def _residue_parts(structure: Structure) -> Iterator[ReferenceGeometry]:
    for row, code in enumerate(structure.residues.name.tolist()):
        span = structure.residue_atoms(row)
        names = tuple(structure.atoms.name[span].tolist())
        yield _shifted(_restricted(component(code, structure.components), names), span.start)


@lru_cache(maxsize=4096)
def _restricted(whole: Component, names: tuple[str, ...]) -> ReferenceGeometry:
    """A component's geometry on the atoms that a residue has, in the residue's order."""
    place = {name: row for row, name in enumerate(names)}
    rows = np.array([place.get(str(name), -1) for name in whole.atom_names], np.int32)
    full = reference_geometry(whole)
    bonds, angles, chiral = rows[full.bonds], rows[full.angles], rows[full.chiral]
    keep_bonds, keep_angles, keep_chiral = ((table >= 0).all(axis=1) for table in (bonds, angles, chiral))
    groups = [rows[group][rows[group] >= 0] for group in full.planar_groups]
    return ReferenceGeometry(
        bonds=bonds[keep_bonds],
        bond_lengths=full.bond_lengths[keep_bonds],
        angles=angles[keep_angles],
        angle_distances=full.angle_distances[keep_angles],
        chiral=chiral[keep_chiral],
        chiral_volumes=full.chiral_volumes[keep_chiral],
        chiral_stereo=full.chiral_stereo[keep_chiral],
        planar_groups=tuple(group for group in groups if len(group) >= 4),
    )


def _shifted(part: ReferenceGeometry, start: int) -> ReferenceGeometry:
    return ReferenceGeometry(
        bonds=part.bonds + np.int32(start),
        bond_lengths=part.bond_lengths,
        angles=part.angles + np.int32(start),
        angle_distances=part.angle_distances,
        chiral=part.chiral + np.int32(start),
        chiral_volumes=part.chiral_volumes,
        chiral_stereo=part.chiral_stereo,
        planar_groups=tuple(group + np.int32(start) for group in part.planar_groups),
    )


class _CrossLinks:
    """The bonds between residues with the angles around them."""

    def __init__(self, structure: Structure) -> None:
        self.structure = structure
        self.atoms = structure.atoms
        bonds = structure.bonds
        self.lengths: dict[tuple[int, int], float] = {}
        self.angles: dict[tuple[int, int, int], float] = {}
        self.planes: list[np.ndarray] = []
        self.neighbours: dict[int, list[int]] = defaultdict(list)
        self.double: set[int] = set()
        self.carbonyls: set[int] = set()
        for first, second, order in zip(
            bonds.atom_1.tolist(), bonds.atom_2.tolist(), bonds.order.tolist(), strict=True
        ):
            self.neighbours[first].append(second)
            self.neighbours[second].append(first)
            if order in (2, 4):
                self.double.update((first, second))
            if order == 2:
                self.carbonyls.update(_carbonyl(self.atoms.element, first, second))
        crossing = self.atoms.residue[bonds.atom_1] != self.atoms.residue[bonds.atom_2]
        pairs = list(zip(bonds.atom_1[crossing].tolist(), bonds.atom_2[crossing].tolist(), strict=True))
        self.within = _restricted_lengths(structure)
        self.hands: list[tuple[tuple[int, ...], float, bool]] = []
        for first, second in pairs:
            self._add(first, second)

    def _add(self, first: int, second: int) -> None:
        for leave, enter in ((first, second), (second, first)):
            linkage = self._linkage(leave, enter)
            if linkage is not None:
                self._add_linkage(linkage, leave, enter)
                return
        elements = _ordered(int(self.atoms.element[first]), int(self.atoms.element[second]))
        carbonyl = any(int(self.atoms.element[end]) == 6 and end in self.double for end in (first, second))
        length = (_CARBONYL_LENGTHS if carbonyl else _LENGTHS).get(elements, _LENGTHS.get(elements))
        if length is None:
            length = sum(COVALENT_RADII.get(element, OTHER_RADIUS) for element in elements)
        self.lengths[_ordered(first, second)] = length
        for vertex, other in ((first, second), (second, first)):
            self._add_hand(vertex, other, length)
            self._add_typical_angles(vertex, other)
            self._add_amide(vertex)

    def _add_typical_angles(self, vertex: int, other: int) -> None:
        """Angles about an end of a bond, beside those that are known already."""
        for neighbour in self.neighbours[vertex]:
            if neighbour != other:
                self.angles.setdefault(_angle_key(neighbour, vertex, other), self._typical_angle(vertex))

    def _add_amide(self, nitrogen: int) -> None:
        """The plane of a secondary amide whose nitrogen has the bond: an isopeptide's, an N-glycan's."""
        if self.atoms.element[nitrogen] != 7 or len(self.neighbours[nitrogen]) != 2:
            return
        for carbon in self.carbonyls.intersection(self.neighbours[nitrogen]):
            ends = {*self.neighbours[carbon], *self.neighbours[nitrogen]} - {carbon, nitrogen}
            if sorted(self.atoms.element[list(ends)].tolist()) == [6, 6, 8]:  # no carbamate, no hydroxamate
                self.planes.append(np.array(sorted({*ends, carbon, nitrogen}), np.int32))

    def _add_hand(self, vertex: int, other: int, length: float) -> None:
        """The hand of a centre of which one neighbour has left for the partner of the bond."""
        residue = int(self.atoms.residue[vertex])
        span = self.structure.residue_atoms(residue)
        whole = component(str(self.structure.residues.name[residue]), self.structure.components)
        present = {name: row for row, name in enumerate(self.atoms.name[span].tolist(), span.start)}
        full = reference_geometry(whole)
        for row, volume, stereo in zip(full.chiral, full.chiral_volumes, full.chiral_stereo, strict=True):
            rows = [present.get(str(name)) for name in whole.atom_names[row]]
            if rows[0] == vertex and rows.count(None) == 1:
                gone = row[rows.index(None)]
                left = float(np.linalg.norm(whole.ideal_positions[row[0]] - whole.ideal_positions[gone]))
                placed = tuple(other if each is None else each for each in rows)
                self.hands.append((placed, float(volume) * length / left, bool(stereo)))

    def _typical_angle(self, vertex: int) -> float:
        element = int(self.atoms.element[vertex])
        return _ANGLES.get(element, _TRIGONAL if vertex in self.double or element == 7 else _TETRAHEDRAL)

    def _linkage(self, leave: int, enter: int) -> Linkage | None:
        residues, chains = self.structure.residues, self.structure.chains
        row_1, row_2 = int(self.atoms.residue[leave]), int(self.atoms.residue[enter])
        chain = int(residues.chain[row_1])
        kind = _KIND_NAMES.get(ChainKind(int(chains.kind[chain])))
        if kind is None or chain != int(residues.chain[row_2]):
            return None
        following = row_2 == row_1 + 1
        closing = bool(chains.cyclic[chain]) and row_2 == int(chains.residue_start[chain]) and row_1 > row_2
        linkage = polymer_linkage(kind, str(residues.name[row_2]))
        names = (str(self.atoms.name[leave]), str(self.atoms.name[enter]))
        fits = linkage is not None and names == (linkage.leave, linkage.enter)
        return linkage if fits and (following or closing) else None

    def _add_linkage(self, linkage: Linkage, leave: int, enter: int) -> None:
        self.lengths[_ordered(leave, enter)] = linkage.length
        tables = []
        for atom in (leave, enter):
            span = self.structure.residue_atoms(int(self.atoms.residue[atom]))
            tables.append({name: row for row, name in enumerate(self.atoms.name[span].tolist(), span.start)})
        for i, j, k, angle in linkage.angles:
            rows = [tables[side].get(name) for side, name in (i, j, k)]
            if None not in rows:
                self.angles[_angle_key(*rows)] = angle  # type: ignore[arg-type]
        # What a modified residue has there beside the standard atoms: the sulphur of a phosphorothioate.
        self._add_typical_angles(leave, enter)
        self._add_typical_angles(enter, leave)
        plane = [tables[side][name] for side, name in linkage.planar if name in tables[side]]
        if len(plane) >= 4:
            self.planes.append(np.array(plane, np.int32))

    def planar_groups(self) -> tuple[np.ndarray, ...]:
        return tuple(self.planes)

    def geometry(self) -> ReferenceGeometry:
        lengths = self.within | self.lengths
        angles, distances = [], []
        for (i, j, k), angle in self.angles.items():
            a, b = lengths.get(_ordered(i, j)), lengths.get(_ordered(j, k))
            if a is not None and b is not None:
                angles.append((i, j, k))
                distances.append(math.sqrt(a * a + b * b - 2 * a * b * math.cos(angle)))
        return ReferenceGeometry(
            bonds=np.array(list(self.lengths), np.int32).reshape(-1, 2),
            bond_lengths=np.array(list(self.lengths.values()), np.float32),
            angles=np.array(angles, np.int32).reshape(-1, 3),
            angle_distances=np.array(distances, np.float32),
            chiral=np.array([rows for rows, *_ in self.hands], np.int32).reshape(-1, 4),
            chiral_volumes=np.array([volume for _, volume, _ in self.hands], np.float32),
            chiral_stereo=np.array([stereo for *_, stereo in self.hands], bool),
            planar_groups=(),
        )


def _carbonyl(element: np.ndarray, first: int, second: int) -> tuple[int, ...]:
    """The carbon of a double bond if it is that of a carbonyl group."""
    pair = (first, second) if element[first] == 6 else (second, first)
    return pair[:1] if (int(element[pair[0]]), int(element[pair[1]])) == (6, 8) else ()


def _restricted_lengths(structure: Structure) -> dict[tuple[int, int], float]:
    """Ideal length of every bond within a residue."""
    lengths = {}
    for part in _residue_parts(structure):
        for (first, second), length in zip(part.bonds.tolist(), part.bond_lengths.tolist(), strict=True):
            lengths[_ordered(first, second)] = length
    return lengths


def _ordered(first: int, second: int) -> tuple[int, int]:
    return (first, second) if first < second else (second, first)


def _angle_key(i: int, vertex: int, k: int) -> tuple[int, int, int]:
    return (i, vertex, k) if i < k else (k, vertex, i)
