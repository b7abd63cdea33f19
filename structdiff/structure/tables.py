"""A structure as four tables: chains, residues, atoms, bonds.

Rows are in file order; a chain's residues and a residue's atoms are contiguous. Every residue lists all the heavy atoms
that its component has in that place, also those the experiment did not see (``resolved`` is False, position 0), so
that a structure read from a file and one built from a sequence look alike.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

from structdiff.errors import InputError

if TYPE_CHECKING:
    from structdiff.chemistry.components import Component


#: So many chains are named where a structure is shown.
_SHOWN = 12


class ChainKind(IntEnum):
    """What a chain is made of; ligands hold everything that is no polymer, ions and glycans too."""

    PROTEIN = 0
    DNA = 1
    RNA = 2
    LIGAND = 3
    WATER = 4


class Table:
    """Columns of one length. Tables are compared by identity, and shown by their size: columns are long."""

    def __len__(self) -> int:
        return len(getattr(self, self._columns()[0]))

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self)} rows of {', '.join(self._columns())}>"

    def _columns(self) -> list[str]:
        return [each.name for each in dataclasses.fields(self)]  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class ChainTable(Table):
    """One row a chain (mmCIF: one asym).

    name: author chain id (``auth_asym_id``), as users write it. label_id: ``label_asym_id``.
    kind: ChainKind. entity_id: chains of the same sequence share it (from 0). sym_id: which copy of its entity it is
    (from 0). cyclic: the last residue is bonded to the first. residue_start: row of the first residue.
    """

    name: np.ndarray  # str
    label_id: np.ndarray  # str
    kind: np.ndarray  # int8
    entity_id: np.ndarray  # int32
    sym_id: np.ndarray  # int32
    cyclic: np.ndarray  # bool
    residue_start: np.ndarray  # int32


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class ResidueTable(Table):
    """One row a residue, nucleotide or ligand component.

    chain: row in the chain table. name: CCD code. label_seq_id: place in the full sequence, from 1 (ligands: from 1
    too). author_seq_id and insertion_code: the depositor's numbering ("" is no insertion code). atom_start: row of its
    first atom.
    """

    chain: np.ndarray  # int32
    name: np.ndarray  # str
    label_seq_id: np.ndarray  # int32
    author_seq_id: np.ndarray  # int32
    insertion_code: np.ndarray  # str
    atom_start: np.ndarray  # int32


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class AtomTable(Table):
    """One row a heavy atom; positions in Å, charge in e, b_factor in Å² (confidence 0-100 in predictions)."""

    residue: np.ndarray  # int32
    name: np.ndarray  # str
    element: np.ndarray  # uint8, atomic number
    charge: np.ndarray  # int8, formal
    positions: np.ndarray  # float32, (atom, 3)
    resolved: np.ndarray  # bool
    b_factor: np.ndarray  # float32
    occupancy: np.ndarray  # float32


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class BondTable(Table):
    """One row a covalent bond, within residues and between them; order 1, 2, 3 or 4 (aromatic)."""

    atom_1: np.ndarray  # int32
    atom_2: np.ndarray  # int32
    order: np.ndarray  # uint8


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Structure:
    """A molecular complex: its tables, the components that the CCD does not hold, and free metadata.

    metadata keys in use: method (str), resolution (float, Å), deposited (ISO date), model (int), assembly (str).
    """

    name: str
    chains: ChainTable
    residues: ResidueTable
    atoms: AtomTable
    bonds: BondTable
    components: Mapping[str, Component] = field(default_factory=dict)
    metadata: Mapping[str, object] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<Structure {self.name}: {self.described()}>"

    def kept_file(self) -> str:
        """The path of a file with this structure in the user's cache, for requests, which name structures by files."""
        from structdiff.structure.kept_structures import kept_file

        return kept_file(self)

    def described(self) -> str:
        """Its chains and their sizes in words, as a notebook shows them: ``A protein 76, B ligand 1; 612 atoms``."""
        sizes = np.bincount(self.residues.chain, minlength=len(self.chains)).tolist()
        kinds = [ChainKind(kind).name.lower() for kind in self.chains.kind.tolist()]
        shown = [f"{name} {kind} {size}" for name, kind, size in zip(self.chains.name, kinds, sizes, strict=True)]
        if len(shown) > _SHOWN:
            shown[_SHOWN:] = [f"{len(shown) - _SHOWN} more chains"]
        unseen = int((~self.atoms.resolved).sum())
        return f"{', '.join(shown)}; {len(self.atoms)} atoms" + (f", {unseen} of them not resolved" if unseen else "")

    @property
    def atom_chain(self) -> np.ndarray:
        """Row of the chain of each atom."""
        return self.residues.chain[self.atoms.residue]

    def residue_atoms(self, residue: int) -> slice:
        """Rows of the atoms of one residue."""
        start = self.residues.atom_start
        stop = start[residue + 1] if residue + 1 < len(start) else len(self.atoms)
        return slice(int(start[residue]), int(stop))

    def chain_residues(self, chain: int) -> slice:
        """Rows of the residues of one chain."""
        start = self.chains.residue_start
        stop = start[chain + 1] if chain + 1 < len(start) else len(self.residues)
        return slice(int(start[chain]), int(stop))

    def with_positions(
        self, positions: np.ndarray, *, b_factor: np.ndarray | None = None, resolved: np.ndarray | None = None
    ) -> Structure:
        """The same molecules at other positions (atom, 3) in Å.

        resolved (atom): unless told otherwise those that are, and all of a structure of which none is yet, as it is
        built from a sequence. Raises InputError where these are not as many as the atoms.
        """
        count, known = len(self.atoms), self.atoms.resolved
        positions = np.asarray(positions, np.float32)
        if positions.size != 3 * count:
            raise InputError("three numbers for each atom are needed", key="positions", found=positions.shape,
                             allowed=f"({count}, 3)")  # fmt: skip
        if resolved is None:
            resolved = known if known.any() else np.ones(count, bool)
        atoms = dataclasses.replace(
            self.atoms,
            positions=positions.reshape(count, 3),
            resolved=np.asarray(resolved, bool),
            b_factor=self.atoms.b_factor if b_factor is None else np.asarray(b_factor, np.float32),
        )
        return dataclasses.replace(self, atoms=atoms)

    def moved_to_origin(self) -> Structure:
        """The structure moved so that the mean of its resolved atoms is the origin."""
        resolved = self.atoms.resolved
        if not resolved.any():
            return self
        middle = self.atoms.positions[resolved].mean(axis=0, dtype=np.float64)
        moved = np.where(resolved[:, None], self.atoms.positions - middle, self.atoms.positions)
        return self.with_positions(moved, resolved=resolved)

    def select(self, atoms: np.ndarray) -> Structure:
        """Only the atoms of a boolean mask; residues and chains left without atoms go, bonds are re-indexed.

        ``structure.select(structure.chains.name[structure.atom_chain] == "A")`` is chain A. Raises InputError for what
        is no mask of all atoms.
        """
        keep = np.asarray(atoms)
        if keep.shape != (len(self.atoms),) or keep.dtype != bool:
            raise InputError("true or false for each atom is needed", key="atoms", found=f"{keep.dtype} {keep.shape}",
                             allowed=f"bool ({len(self.atoms)},)")  # fmt: skip
        residue_kept = np.zeros(len(self.residues), bool)
        residue_kept[self.atoms.residue[keep]] = True
        chain_kept = np.zeros(len(self.chains), bool)
        chain_kept[self.residues.chain[residue_kept]] = True
        new_atom, new_residue, new_chain = (np.cumsum(mask) - 1 for mask in (keep, residue_kept, chain_kept))
        atom_table = _rows(self.atoms, keep)
        atom_table = dataclasses.replace(atom_table, residue=new_residue[atom_table.residue].astype(np.int32))
        residue_table = _rows(self.residues, residue_kept)
        residue_table = dataclasses.replace(
            residue_table,
            chain=new_chain[residue_table.chain].astype(np.int32),
            atom_start=_first_rows(atom_table.residue, len(residue_table)),
        )
        chain_table = _rows(self.chains, chain_kept)
        chain_table = dataclasses.replace(chain_table, residue_start=_first_rows(residue_table.chain, len(chain_table)))
        bond_kept = keep[self.bonds.atom_1] & keep[self.bonds.atom_2]
        bonds = BondTable(
            atom_1=new_atom[self.bonds.atom_1[bond_kept]].astype(np.int32),
            atom_2=new_atom[self.bonds.atom_2[bond_kept]].astype(np.int32),
            order=self.bonds.order[bond_kept],
        )
        return dataclasses.replace(self, chains=chain_table, residues=residue_table, atoms=atom_table, bonds=bonds)


def _rows(table, keep: np.ndarray):  # noqa: ANN001, ANN202 - any of the tables, returned as the same
    return dataclasses.replace(table, **{f.name: getattr(table, f.name)[keep] for f in dataclasses.fields(table)})


def _first_rows(parent: np.ndarray, count: int) -> np.ndarray:
    """First row of each parent in a sorted column."""
    return np.searchsorted(parent, np.arange(count)).astype(np.int32)
