"""The atoms that the network places, as constraints see them: which are new, which are held, where the backbone is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from structdiff.chemistry.residues import BACKBONE_ATOMS
from structdiff.errors import InputError
from structdiff.structure.tables import ChainKind, Structure


@dataclass(frozen=True, kw_only=True, eq=False)
class PlacedAtoms:
    """A design's atoms without the side chains that are not built yet.

    structure: their tables; its positions are those of the motif, if any. new (residue): to be designed. held (atom):
    number of the motif group that holds the atom, 0 for none.
    """

    structure: Structure
    new: np.ndarray
    held: np.ndarray

    @cached_property
    def backbone(self) -> np.ndarray:
        """Rows of N, CA, C, O of each residue (residue, 4), -1 where there is none."""
        atoms = self.structure.atoms
        rows = np.full((len(self.structure.residues), 4), -1, np.int64)
        protein = self.structure.chains.kind[self.structure.atom_chain] == ChainKind.PROTEIN
        for slot, name in enumerate(BACKBONE_ATOMS):
            found = np.flatnonzero(protein & (atoms.name == name))
            rows[atoms.residue[found], slot] = found
        return rows

    @property
    def residue(self) -> torch.Tensor:
        """The residue of each atom."""
        return torch.from_numpy(self.structure.atoms.residue.astype(np.int64))

    @property
    def chain(self) -> np.ndarray:
        """The chain of each residue, as a number."""
        return np.asarray(self.structure.residues.chain)

    @property
    def designed_chains(self) -> list[str]:
        """Names of the chains that hold new residues."""
        rows = np.unique(self.chain[self.new])
        return [str(self.structure.chains.name[row]) for row in rows]

    def alphas(self, chains: Iterable[str] = (), *, key: str) -> np.ndarray:
        """Rows of the CA atoms of some chains, by default of those with new residues; raises InputError under key."""
        names = list(chains) or self.designed_chains
        known = self.structure.chains.name.tolist()
        for name in names:
            if name not in known:
                raise InputError("the design has no such chain", key=key, found=name, allowed=known)
        wanted = np.isin(self.structure.chains.name[self.chain], names)
        rows = self.backbone[wanted, 1]
        return rows[rows >= 0]

    def atom(self, chain: str, number: int, name: str, *, key: str) -> int:
        """The row of an atom, by chain, place in the chain (negative: from its end) and name; raises InputError."""
        known = self.structure.chains.name.tolist()
        if chain not in known:
            raise InputError("the design has no such chain", key=key, found=chain, allowed=known)
        span = self.structure.chain_residues(known.index(chain))
        size = span.stop - span.start
        if not 1 <= abs(number) <= size:
            raise InputError(f"chain {chain} has residues 1 to {size}", key=key, found=f"{chain}{number}")
        atoms = self.structure.residue_atoms(span.start + number - 1 if number > 0 else span.stop + number)
        names = self.structure.atoms.name[atoms].tolist()
        if name not in names:
            raise InputError(f"residue {chain}{number} has no such atom while it is drawn", key=key, found=name,
                             allowed=names, suggest_from=names)  # fmt: skip
        return atoms.start + names.index(name)
