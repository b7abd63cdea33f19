"""Residues of proteins as beads, which is how chains are seen while most of their poses are still to be left out.

One bead is the CA atom, the others are the middles of side chains; of long ones the parts near the backbone and far
from it have one each (as in ATTRACT: Zacharias, Protein Sci. 12, 1271, 2003).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from structdiff.chemistry.residues import BACKBONE_ATOMS, PROTEIN_THREE_TO_ONE
from structdiff.structure.tables import Structure
from structdiff.typing import Bool, Float, Int

_LONG = ("ARG", "GLN", "GLU", "HIS", "LYS", "MET", "PHE", "TRP", "TYR")
_NEAR_BACKBONE = ("CB", "CG")
_UNKNOWN = "ALA"  # what other residues count as
_AMINO_ACIDS = tuple(sorted(PROTEIN_THREE_TO_ONE))
#: The kinds of beads: CA (of glycine its own), side chains, and the ends of long side chains.
BEAD_KINDS = ("CA", *_AMINO_ACIDS, *(f"{name} end" for name in _LONG))
_KIND = {name: number for number, name in enumerate(BEAD_KINDS)}


@dataclass(frozen=True, kw_only=True, eq=False)
class Beads:
    """Beads of chains: positions (bead, 3) in Å, kinds (bead) by their place in `BEAD_KINDS`, and residue rows."""

    positions: Float[np.ndarray, "bead 3"]
    kind: Int[np.ndarray, " bead"]
    residue: Int[np.ndarray, " bead"]

    def __len__(self) -> int:
        return len(self.kind)

    @classmethod
    def of(cls, structure: Structure, atoms: Bool[np.ndarray, " atom"]) -> Beads:
        """The beads of some atoms of proteins, in the order of residues."""
        rows = np.flatnonzero(atoms)
        residue = structure.atoms.residue[rows]
        part, kind = _parts(structure.residues.name[residue], structure.atoms.name[rows])
        rows, residue, part, kind = (each[part >= 0] for each in (rows, residue, part, kind))
        _, first, bead = np.unique(3 * residue.astype(np.int64) + part, return_index=True, return_inverse=True)
        middle = np.zeros((len(first), 3))
        np.add.at(middle, bead, structure.atoms.positions[rows].astype(np.float64))
        middle /= np.bincount(bead, minlength=len(first))[:, None]
        return cls(positions=middle.astype(np.float32), kind=kind[first], residue=residue[first])


def _parts(residue: np.ndarray, atom: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each atom which bead of its residue it belongs to (0 for CA, 1, 2; -1 for none), and the kind of that bead."""
    known = np.where(np.isin(residue, _AMINO_ACIDS), residue, _UNKNOWN)
    end = np.isin(known, _LONG) & ~np.isin(atom, _NEAR_BACKBONE)
    alpha, backbone = atom == "CA", np.isin(atom, (*BACKBONE_ATOMS, "OXT"))
    part = np.where(alpha, 0, np.where(backbone, -1, np.where(end, 2, 1)))
    side = [_KIND[f"{name} end" if far else name] for name, far in zip(known.tolist(), end.tolist(), strict=True)]
    own = np.where(known == "GLY", _KIND["GLY"], _KIND["CA"])
    return part.astype(np.int64), np.where(alpha, own, np.array(side, np.int64))
