"""A job: the molecules to draw, what the network sees of them, and what is checked in the end."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.spatial.distance import cdist
from torch import Tensor

from structdiff.constraints.energy_terms import AskedDistance
from structdiff.constraints.of_design import DesignConstraints
from structdiff.diffusion.constraint_protocol import SamplingConstraint
from structdiff.docking.complex_docking import ComplexDocking
from structdiff.features.chain_folds import ChainFold
from structdiff.features.helices import PairsOfComplex
from structdiff.features.requests import Proximity
from structdiff.features.schema import Features
from structdiff.features.templates import Templates
from structdiff.features.tokens import TokenTable
from structdiff.model.abilities import PLAIN, Abilities
from structdiff.output.whole_target import WholeTarget
from structdiff.spec.design import DesignSpec
from structdiff.spec.layout import Layout
from structdiff.spec.rebuilding import Noise
from structdiff.spec.symmetry import Symmetry
from structdiff.structure.tables import Structure
from structdiff.typing import Float

#: Å: contacts asked for are kept if they lie within this of what is asked, and brought this much within it; those that
#: are to be nearer than the last are bonds.
_CONTACT_MARGIN, _LEAST_CONTACT = 0.5, 4.0

ContactRows = tuple[str, Tensor, Tensor, float, bool]
#: Raises ResourceError where a structure of so many tokens does not fit into memory.
CheckSize = Callable[[int], None]


@dataclass(frozen=True, kw_only=True)
class Job:
    """One structure to draw: its molecules, what the network sees of them, and what is to be checked in the end.

    held: motif group of each atom of the structure, 0 where it is free. templates, bonds, base_pairs: those of a
    prediction, a bond by its name and rows of atoms; folds: of its chains with an alignment, or of a design's that are
    made up; clearance: what keeps chains and helices out of each other, and folds as they are while noise is large.
    docking: of its known chains and its free ligands, once it is drawn. symmetry: the structure is one copy of it.
    spec: what it is drawn under, a fold plan of our own included; user: what the user asked for, without that plan.
    asked: what a design is drawn under beside that; motif: where it takes its parts from; whole: what it is with all of
    a target that was cropped. start: positions [token, slot, 3] (Å) that partial diffusion begins with.
    abilities: what the network that draws it does by itself. binder: the ligand whose affinity is asked for, by its
    chain.
    """

    name: str
    structure: Structure
    tokens: TokenTable
    features: Features
    proximities: tuple[Proximity, ...]
    held: np.ndarray
    request: Mapping[str, Any]
    layout: Layout | None = None
    symmetry: Symmetry | None = None
    spec: DesignSpec | None = None
    user: DesignSpec | None = None
    asked: DesignConstraints | None = None
    motif: Structure | None = None
    templates: Templates | None = None
    bonds: tuple[tuple[str, tuple[int, int]], ...] = ()
    base_pairs: PairsOfComplex | None = None
    folds: tuple[ChainFold, ...] = ()
    clearance: tuple[SamplingConstraint, ...] = ()
    docking: ComplexDocking | None = None
    whole: WholeTarget | None = None
    start: Tensor | None = None
    abilities: Abilities = PLAIN
    binder: str | None = None

    @property
    def noise(self) -> Noise | None:
        """How far partial diffusion goes back from the start."""
        return None if self.spec is None else self.spec.noise

    @property
    def contacts(self) -> list[ContactRows]:
        """The proximities with atoms as (token, slot)."""
        place, visible = self._places(), self.visible
        return [
            (
                asked.name,
                torch.from_numpy(place[asked.first[visible[asked.first]]]),
                torch.from_numpy(place[asked.second[visible[asked.second]]]),
                asked.bound,
                asked.avoid,
            )
            for asked in self.proximities
        ]

    @property
    def constraints(self) -> tuple[list[SamplingConstraint], Tensor]:
        """What the sampler follows beside contacts and motif, and the atoms (token, slot) that this sees."""
        own = self.asked.sampling() if self.asked is not None else []
        return [*own, *self.clearance], torch.from_numpy(self._places()[self.visible])

    @property
    def seen_tokens(self) -> int:
        """How many tokens the network sees: of a symmetric assembly those of the copies beside one too."""
        return num_seen_tokens(self.tokens, self.symmetry)

    def _places(self) -> np.ndarray:
        """Token and slot of each atom of the structure."""
        place = np.full((len(self.structure.atoms), 2), -1, np.int64)
        rows, slots = np.nonzero(self.tokens.atoms >= 0)
        place[self.tokens.atoms[rows, slots]] = np.stack([rows, slots], -1)
        return place

    def kept_at(self, positions: Float[np.ndarray, "atom 3"]) -> DesignConstraints | None:
        """What a design is drawn under, with the contacts that it has at positions (Å).

        Those of symmetric assemblies are with any of the copies, and are left to the drawing.
        """
        if self.asked is None or self.symmetry is not None:
            return self.asked
        return dataclasses.replace(self.asked, distances=(*self.asked.distances, *self.contacts_at(positions)))

    def contacts_at(self, positions: Float[np.ndarray, "atom 3"]) -> tuple[AskedDistance, ...]:
        """The contacts that a draw has at positions (Å), by rows of visible atoms: nearest atoms are to stay as near.

        Relaxation mends breaks and so moves chains by some Å, off what they are to touch. Contacts of bonded atoms are
        the chemistry's.
        """
        place, kept = np.cumsum(self.visible) - 1, []
        for each in self.proximities:
            first, second = (rows[self.visible[rows]] for rows in (each.first, each.second))
            if each.avoid or each.bound < _LEAST_CONTACT or not (len(first) and len(second)):
                continue
            apart = cdist(positions[first], positions[second])
            one, other = np.unravel_index(apart.argmin(), apart.shape)
            if apart[one, other] <= each.bound + _CONTACT_MARGIN:
                atoms = (int(place[first[one]]), int(place[second[other]]))
                kept.append(AskedDistance(atoms=atoms, least=0.0, most=each.bound - _CONTACT_MARGIN))
        return tuple(kept)

    def asked_of(self, *, avoid: bool) -> list[np.ndarray]:
        """Of each held residue that is to be touched, or not to be, its atoms, by rows of visible atoms."""
        visible = self.visible
        place = np.cumsum(visible) - 1
        asked = [
            rows[visible[rows]]
            for each in self.proximities
            if each.avoid == avoid
            for rows in (each.first, each.second)
        ]
        return [place[rows] for rows in asked if len(rows) and bool((self.held[rows] > 0).all())]

    @property
    def visible(self) -> np.ndarray:
        """Which atoms of the structure the network places: all but the side chains of what is designed."""
        mask = self.features.atom.mask.unflatten(0, self.tokens.atoms.shape).numpy()
        visible = np.zeros(len(self.structure.atoms), bool)
        visible[self.tokens.atoms[mask]] = True
        return visible


def num_seen_tokens(tokens: TokenTable, symmetry: Symmetry | None) -> int:
    """How many tokens the network sees of a structure, or of one copy of a symmetric assembly beside others."""
    return len(tokens) * (1 if symmetry is None else 1 + symmetry.seen)
