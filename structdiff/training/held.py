"""Examples of which parts are held, as in predictions: what is told of them, and what keeps the parts in place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from structdiff.constraints.per_sample import PerSample
from structdiff.diffusion.constraint_protocol import SamplingConstraint
from structdiff.features.collate import collate
from structdiff.features.schema import Features
from structdiff.features.tokens import TokenTable
from structdiff.structure.tables import ChainKind, Structure
from structdiff.typing import Float


@dataclass(frozen=True, kw_only=True)
class HeldExample:
    """A crop of which parts are told and held.

    features: positions are the experiment's, those of the motif may be others. constraints: what the parts follow while
    they are drawn, by the atoms of these rows (token, slot). wrong: structures [sample, row, 3] (Å) with the parts as
    they are and in wrong places, as many for each example of a batch.
    """

    features: Features
    constraints: tuple[SamplingConstraint, ...]
    rows: np.ndarray
    wrong: Float[torch.Tensor, "sample row 3"]


@dataclass(frozen=True, kw_only=True)
class HeldBatch:
    """Several examples padded together; constraints and rows as in the examples.

    wrong: structures [batch, sample, token, slot, 3] (Å).
    """

    features: Features
    constraints: tuple[tuple[SamplingConstraint, ...], ...]
    rows: tuple[np.ndarray, ...]
    wrong: Float[torch.Tensor, "batch sample token slot 3"]

    @classmethod
    def of(cls, items: Sequence[HeldExample]) -> HeldBatch:
        """The examples as one batch."""
        features = collate([item.features for item in items])
        wrong = torch.zeros(len(items), len(items[0].wrong), features.num_tokens, features.num_slots, 3)
        for place, item in enumerate(items):
            wrong[place][:, item.rows[:, 0], item.rows[:, 1]] = item.wrong
        return cls(
            features=features,
            constraints=tuple(item.constraints for item in items),
            rows=tuple(item.rows for item in items),
            wrong=wrong,
        )

    def constraint(self, samples: int) -> PerSample:
        """What each example follows, ``samples`` times in a row."""
        slots = self.features.num_slots
        atoms = [torch.from_numpy(rows[:, 0] * slots + rows[:, 1]) for rows in self.rows]
        parts = [own for own in self.constraints for _ in range(samples)]
        return PerSample(parts, [rows for rows in atoms for _ in range(samples)])


def centred(structure: Structure) -> np.ndarray:
    """Residues of which CA, or C1', or (of ligands) anything was seen."""
    ligand = (structure.chains.kind == ChainKind.LIGAND)[structure.atom_chain]
    seen = structure.atoms.resolved & (ligand | np.isin(structure.atoms.name, ("CA", "C1'")))
    return np.bincount(structure.atoms.residue[seen], minlength=len(structure.residues)) > 0


def atom_places(tokens: TokenTable, seen: np.ndarray) -> np.ndarray:
    """Token and slot of each atom that is seen [token, slot], in the order of the structure's atoms."""
    places = np.argwhere(seen)
    return places[np.argsort(tokens.atoms[seen], kind="stable")]
