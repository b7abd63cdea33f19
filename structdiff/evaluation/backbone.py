"""The backbone of a protein as plain arrays: what most measures of quality look at."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from structdiff.arguments import check_kind
from structdiff.chemistry.residues import BACKBONE_ATOMS
from structdiff.errors import InputError
from structdiff.evaluation.internal_coordinates import dihedral, ideal_cb
from structdiff.structure.tables import ChainKind, Structure

N, CA, C, O = range(4)
CHAIN_BREAK_DISTANCE = 2.0  # Å between C and the next N; a peptide bond is 1.33
_CARBONYL = 1.23  # Å


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """The protein residues of a structure: N, CA, C, O and CB (Å), NaN where an atom is absent.

    positions (residue, 4, 3); cb (residue, 3); chain (residue), a number a chain; residue_index (residue), place in the
    chain's full sequence; restype (residue), CCD names ("UNK" where no sequence is known); sequence_known: whether the
    names mean anything (an unsequenced design has all its residues called GLY, ALA or UNK); follows (residue): the
    residue before belongs to the same chain and is its neighbour in the sequence, bonded or not.
    """

    positions: np.ndarray
    cb: np.ndarray
    chain: np.ndarray
    residue_index: np.ndarray
    restype: np.ndarray
    follows: np.ndarray
    sequence_known: bool

    def __len__(self) -> int:
        return len(self.chain)

    @classmethod
    def from_arrays(
        cls,
        positions: np.ndarray,
        chain: np.ndarray | None = None,
        *,
        residue_index: np.ndarray | None = None,
        restype: np.ndarray | None = None,
        cb: np.ndarray | None = None,
    ) -> Backbone:
        """A backbone from N, CA, C, O positions (residue, 4, 3) in Å and a chain number a residue.

        Without residue_index, residues of a chain are taken as neighbours in sequence; without restype, as unsequenced.
        Raises InputError when the arrays do not fit each other.
        """
        positions = np.asarray(positions, np.float64)
        if positions.ndim != 3 or positions.shape[1:] != (4, 3):
            raise InputError("a backbone is N, CA, C, O", found=positions.shape, allowed="(residue, 4, 3)")
        count = len(positions)
        chain = np.zeros(count, np.int64) if chain is None else np.asarray(chain)
        index = np.arange(count) if residue_index is None else np.asarray(residue_index)
        names = np.full(count, "UNK") if restype is None else np.asarray(restype, np.str_)
        cb = np.full((count, 3), np.nan) if cb is None else np.asarray(cb, np.float64)
        for key, array in (("chain", chain), ("residue_index", index), ("restype", names), ("cb", cb)):
            if len(array) != count:
                raise InputError("one row a residue is needed", key=key, found=len(array), allowed=str(count))
        follows = np.zeros(count, bool)
        follows[1:] = (chain[1:] == chain[:-1]) & (index[1:] == index[:-1] + 1)
        return cls(
            positions=positions, cb=cb, chain=chain, residue_index=index, restype=names, follows=follows,
            sequence_known=has_sequence(names),
        )  # fmt: skip

    @classmethod
    def from_structure(cls, structure: Structure) -> Backbone:
        """The backbone of all protein chains of a structure; unresolved atoms are NaN. Raises InputError."""
        check_kind(structure, Structure, "structure", "a Structure: read_structure(file), or a design's .structure")
        residues = structure.residues
        protein = structure.chains.kind[residues.chain] == ChainKind.PROTEIN
        row = np.cumsum(protein) - 1
        found = np.full((int(protein.sum()), 5, 3), np.nan)
        usable = structure.atoms.resolved & protein[structure.atoms.residue]
        for slot, name in enumerate((*BACKBONE_ATOMS, "CB")):
            atoms = np.flatnonzero(usable & (structure.atoms.name == name))
            found[row[structure.atoms.residue[atoms]], slot] = structure.atoms.positions[atoms]
        backbone = cls.from_arrays(
            found[:, :4], residues.chain[protein], residue_index=residues.label_seq_id[protein],
            restype=residues.name[protein], cb=found[:, 4],
        )  # fmt: skip
        # A file without the full sequence numbers what it has from 1 on: there, a jump in the depositor's numbering
        # over an open peptide bond means missing residues, and not a broken chain.
        author = residues.author_seq_id[protein]
        jump = np.zeros(len(backbone), bool)
        jump[1:] = ~np.isin(author[1:] - author[:-1], (0, 1))
        open_bond = ~(backbone.peptide_bond <= CHAIN_BREAK_DISTANCE)
        return dataclasses.replace(backbone, follows=backbone.follows & ~(jump & open_bond))

    @property
    def complete(self) -> np.ndarray:
        """Whether N, CA and C of each residue are there."""
        return np.asarray(np.isfinite(self.positions[:, :3]).all((1, 2)))

    @property
    def peptide_bond(self) -> np.ndarray:
        """Distance (Å) from the C before to each residue's N; NaN where the chain begins or an atom is absent."""
        distance = np.full(len(self), np.nan)
        distance[1:] = np.linalg.norm(self.positions[1:, N] - self.positions[:-1, C], axis=-1)
        return np.where(self.follows, distance, np.nan)

    @cached_property
    def bonded(self) -> np.ndarray:
        """Whether each residue is joined to the one before by a peptide bond shorter than 2.0 Å."""
        return np.asarray(self.peptide_bond <= CHAIN_BREAK_DISTANCE)

    @property
    def cb_or_ideal(self) -> np.ndarray:
        """CB (residue, 3), or the place an L residue would have it where the file has none."""
        ideal = ideal_cb(self.positions[:, N], self.positions[:, CA], self.positions[:, C])
        return np.where(np.isfinite(self.cb), self.cb, ideal)

    @property
    def oxygen_or_ideal(self) -> np.ndarray:
        """O (residue, 3), or where the file has none its place in the plane of the peptide bond (1.23 Å from C)."""
        after = np.full((len(self), 3), np.nan)
        after[:-1] = np.where(self.bonded[1:, None], self.positions[1:, N], np.nan)
        carbon = self.positions[:, C]
        with np.errstate(invalid="ignore"):
            away = sum((carbon - end) / np.linalg.norm(carbon - end, axis=-1, keepdims=True)
                       for end in (self.positions[:, CA], after))  # fmt: skip
            ideal = carbon + _CARBONYL * away / np.linalg.norm(away, axis=-1, keepdims=True)
        return np.where(np.isfinite(self.positions[:, O]), self.positions[:, O], ideal)

    @cached_property
    def torsions(self) -> np.ndarray:
        """phi, psi, omega of residues (residue, 3) in radian; omega is that of the bond before; NaN if undefined."""
        p = self.positions
        out = np.full((len(self), 3), np.nan)
        if len(self) > 1:
            bonded = self.bonded[1:]
            phi = dihedral(p[:-1, C], p[1:, N], p[1:, CA], p[1:, C])
            psi = dihedral(p[:-1, N], p[:-1, CA], p[:-1, C], p[1:, N])
            omega = dihedral(p[:-1, CA], p[:-1, C], p[1:, N], p[1:, CA])
            out[1:, 0] = np.where(bonded, phi, np.nan)
            out[:-1, 1] = np.where(bonded, psi, np.nan)
            out[1:, 2] = np.where(bonded, omega, np.nan)
        return out

    def select(self, residues: np.ndarray) -> Backbone:
        """Some residues (boolean mask); neighbours stay neighbours only where both are kept and adjacent."""
        residues = np.asarray(residues, bool)
        before_kept = np.concatenate([[False], residues[:-1]])
        follows = (self.follows & before_kept)[residues]
        names = ("positions", "cb", "chain", "residue_index", "restype")
        arrays = {name: getattr(self, name)[residues] for name in names}
        return Backbone(**arrays, follows=follows, sequence_known=self.sequence_known)


def has_sequence(names: np.ndarray) -> bool:
    """Whether the names of residues mean anything: programs call all of a design without a sequence GLY, ALA or UNK."""
    kinds = set(np.unique(names))
    return not (len(kinds) <= 1 and kinds <= {"GLY", "ALA", "UNK"})
