"""Everything a design is drawn under beside its motif and contacts: its fold, its burial, its energies."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from structdiff.constraints.burial import burial_term
from structdiff.constraints.chain_spacing import ChainSpacing
from structdiff.constraints.energy_descent import EnergyDescent, Term
from structdiff.constraints.energy_terms import AskedDistance, build_term, kept_clash_term
from structdiff.constraints.fold_sketch import FOLLOWED, FOLLOWED_LONG, FoldSketch
from structdiff.constraints.hydrogen_bonds import with_distances, with_fold
from structdiff.constraints.ideal_fragments import IdealFragments, fragment_pieces
from structdiff.constraints.loop_choice import loops_between
from structdiff.constraints.obstacles import obstacle_terms
from structdiff.constraints.placed_atoms import PlacedAtoms
from structdiff.constraints.relaxation import Relaxation
from structdiff.constraints.stereochemistry import Spreads, Stereochemistry
from structdiff.constraints.target_clearance import TargetClearance
from structdiff.diffusion.constraint_protocol import SamplingConstraint
from structdiff.features.requests import residue_blocks
from structdiff.spec.design import DesignSpec
from structdiff.spec.energies import (
    Angle,
    Clash,
    Contacts,
    Distance,
    Energy,
    Function,
    PlannedSize,
    RadiusOfGyration,
    Shape,
)
from structdiff.spec.fold import Block, Sketch, StrandPair, strand_pairs
from structdiff.spec.layout import Layout
from structdiff.typing import Float

#: How designs are relaxed: those of which something is asked that moves of some Å would undo, ...
NEAR_SPREADS = Spreads(torsion_preference=1.0)
NEAR_RELAXATION = Relaxation(restraint=0.5)
#: ... and new chains under a fold plan alone, which are nowhere in particular and may go further for torsions that
#: nature has (docs/log.md).
FAR_SPREADS = Spreads(torsion_preference=6.0, overlap=0.05)
FAR_RELAXATION = Relaxation(restraint=0.2, blurs=(40.0, 25.0, 15.0, 8.0))
#: Å: helices and strands of a sketch keep their distances while they are relaxed if they come as near as this, and
#: with what spread; CA pairs that are further apart than the nearest by more than the last are left out.
_SKETCH_NEAR, _SKETCH_SPREAD, _SKETCH_BAND = 10.5, 0.4, 2.5
_ASKED_SPREAD = 0.2  # Å: with what spread distances that were asked for are kept
#: What is asked of a chain as a whole, and how it is kept: distances between every so many CA atoms, their spread (Å).
_OF_THE_WHOLE = (RadiusOfGyration, Contacts, Shape, Function)
_WHOLE_STEP, _WHOLE_SPREAD = 4, 0.5


@dataclass(frozen=True, kw_only=True, eq=False)
class _Placed:
    """A sketch: its blocks and the CA atoms (Å) of each; see `Sketch`."""

    blocks: list[tuple[Block, np.ndarray]]
    in_frame: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class DesignConstraints:
    """What is followed while one design is drawn, and kept while it is relaxed.

    placed: its atoms. terms: energies. distances: those that are asked for, which the relaxation keeps. whole: CA atoms
    (rows) that keep about their distances in it, since something is asked of all of the chain. blocks, pairs: helices
    and strands that are asked for, by residue (from 0). loop: the residues that are to be in neither. sketches:
    where plans have their blocks, for each plan in order. only_fold: nothing else is asked. clearance: what keeps new
    chains out of kept ones.
    """

    placed: PlacedAtoms
    terms: tuple[Term, ...] = ()
    distances: tuple[AskedDistance, ...] = ()
    whole: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    blocks: tuple[Block, ...] = ()
    pairs: tuple[StrandPair, ...] = ()
    loop: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))
    sketches: tuple[Sketch, ...] = ()
    only_fold: bool = False
    clearance: TargetClearance | None = None

    @classmethod
    def of(
        cls,
        spec: DesignSpec,
        layout: Layout,
        placed: PlacedAtoms,
        left_out: Float[np.ndarray, "atom 3"],
        touched: Sequence[np.ndarray] = (),
        avoided: Sequence[np.ndarray] = (),
    ) -> DesignConstraints:
        """The constraints of one layout; raises InputError for chains and residues that it does not have.

        left_out: atoms (Å, in the motif's frame) of what a crop leaves out, which stand in the way all the same.
        touched, avoided: of each residue that is to be touched, or not to be, its atoms.
        """
        blocks = residue_blocks(spec, layout)
        registers = dict(spec.registers) if spec.sketches else None
        pairs = strand_pairs(blocks, spec.adjacent, spec.apart, spec.parallel, registers)
        terms = [build_term(energy, placed) for energy in spec.energies]
        if spec.burial is not None:
            term = burial_term(spec.burial_of(layout), placed)
            terms += [] if term is None else [term]
        keeps_more = any(residue.chain_is_fixed for residue in layout.residues)
        if keeps_more and not any(isinstance(energy, Clash) for energy in spec.energies):
            terms.append(kept_clash_term(placed))
            terms += obstacle_terms(placed, left_out)
        # What has its place to the axes leaves no room that copies do not take.
        may_move = keeps_more and spec.noise is None and not (spec.symmetry and spec.symmetry.motif_placed)
        # A motif in one piece is part of the fold.
        free = not placed.held.any() or (not keeps_more and placed.held.max() == 1)
        only_fold = bool(blocks) and free and _asks_for_a_fold_alone(spec)
        return cls(
            placed=placed,
            terms=tuple(terms),
            distances=tuple(each for energy in spec.energies for each in _asked_distances(energy, placed)),
            whole=_asked_as_a_whole(spec, placed),
            blocks=tuple(blocks),
            pairs=tuple(pairs),
            # Where no sketch has the ends of helices, caps would lead the chain away from what it is to touch.
            loop=np.array([bool(spec.sketches) and letter == "L" for letter in spec.secondary_structure_of(layout)]),
            sketches=spec.sketches,
            only_fold=only_fold,
            clearance=TargetClearance(placed, left_out, touched, avoided) if may_move else None,
        )

    def sampling(self) -> list[SamplingConstraint]:
        """The constraints for the sampler, in the order in which they are applied."""
        found: list[SamplingConstraint] = [] if self.clearance is None else [self.clearance]
        if self.terms:
            found.append(EnergyDescent(self.terms, self.placed.residue))
        for sketch in self._sketched():
            noise = FOLLOWED_LONG if self.only_fold else FOLLOWED
            found.append(FoldSketch(self._elements(sketch), self.placed.residue, noise))
        pieces = fragment_pieces(self.blocks, self.pairs, self.placed.backbone, self.placed.chain, self.loop)
        free = [(rows, shape) for rows, shape in pieces if not self.placed.held[rows].all()]
        if free:
            found.append(IdealFragments(free, self.placed.residue))
        # Only where a fold alone is asked: parting chains moves what energies and contacts have brought together.
        if not self.only_fold:
            return found
        rigid = np.ones(len(self.placed.new), bool)
        rigid[self.placed.structure.atoms.residue[self.placed.held == 0]] = False
        spacing = ChainSpacing(self.placed.backbone, self.placed.chain, rigid, self.placed.residue)
        return [spacing, *found, spacing]

    @property
    def relaxation(self) -> Relaxation:
        """How far the relaxation may go."""
        return FAR_RELAXATION if self.only_fold else NEAR_RELAXATION

    def chemistry(self, positions: Float[np.ndarray, "atom 3"]) -> Stereochemistry:
        """The energy of the relaxation from positions (Å) of the placed atoms, with what keeps what is asked."""
        return self.with_what_is_asked(self._of_fold(), positions, np.arange(len(positions)))

    def with_what_is_asked(
        self, model: Stereochemistry, positions: Float[np.ndarray, "atom 3"], rows: np.ndarray
    ) -> Stereochemistry:
        """The same chemistry with distances kept as they are at positions (Å), or brought to what is asked.

        rows: of each placed atom its row in positions, -1 where it has none. Mending breaks undoes them otherwise.
        """
        model = with_asked_distances(model, self.distances, positions, rows)
        whole = rows[self.whole]
        around = np.array(list(combinations(whole[whole >= 0].tolist(), 2)), np.int64).reshape(-1, 2)
        return with_distances(model, around, _lengths(positions, around), spread=_WHOLE_SPREAD)

    def _of_fold(self) -> Stereochemistry:
        held, spreads = self.placed.held > 0, FAR_SPREADS if self.only_fold else NEAR_SPREADS
        model = Stereochemistry.from_structure(self.placed.structure, held=held, spreads=spreads)
        if not self.blocks:
            return model
        model = with_fold(
            model, self.blocks, self.pairs, backbone=self.placed.backbone, chain=self.placed.chain, held=held,
            loop=self.loop,
        )  # fmt: skip
        if not self.only_fold:
            return model
        loops = loops_between(self.blocks, self.placed.backbone, self.placed.chain, self.loop)
        model = dataclasses.replace(model, loops=tuple(loops))
        rows, lengths = self._between_elements()
        usable = ~held[rows].all(1)
        return with_distances(model, rows[usable], lengths[usable], spread=_SKETCH_SPREAD)

    def _sketched(self) -> list[_Placed]:
        """The sketches with the blocks that have a place in them."""
        found, first = [], 0
        for sketch in self.sketches:
            blocks = self.blocks[first : first + len(sketch.clouds)]
            first += len(sketch.clouds)
            there = [(block, cloud) for block, cloud in zip(blocks, sketch.clouds, strict=True) if len(cloud)]
            if there:
                found.append(_Placed(blocks=there, in_frame=sketch.in_frame))
        return found

    def _elements(self, sketch: _Placed) -> list[tuple[np.ndarray, np.ndarray]]:
        """CA atoms that move as one, and where a sketch has them (Å): those of each block.

        Of a sketch in the frame of what is held, all that is held is one more, with the blocks that it is part of.
        """
        alphas = self.placed.backbone[:, 1]
        held = np.flatnonzero((alphas >= 0) & (self.placed.held[alphas] > 0) & sketch.in_frame)
        places = dict(zip(held.tolist(), self.placed.structure.atoms.positions[alphas[held]], strict=True))
        found = []
        for block, cloud in sketch.blocks:
            rows = np.arange(block.start, block.stop)
            if np.isin(rows, held).any():
                places |= dict(zip(rows.tolist(), cloud, strict=True))
            else:
                found.append((alphas[rows], cloud))
        if places:
            found.append((alphas[list(places)], np.stack(list(places.values()))))
        return found

    def _between_elements(self) -> tuple[np.ndarray, np.ndarray]:
        """CA atoms (pair, 2) of helices and strands side by side in a sketch, and how far apart they are there.

        Strands of one sheet are left to their hydrogen bonds.
        """
        paired = {(pair.first, pair.second) for pair in self.pairs}
        rows, lengths = [np.zeros((0, 2), np.int64)], [np.zeros(0)]
        for sketch in self._sketched():
            for (one, here), (other, there) in combinations(sketch.blocks, 2):
                apart = np.linalg.norm(here[:, None] - there[None], axis=-1)
                if {(one, other), (other, one)} & paired or apart.min() > _SKETCH_NEAR:
                    continue
                near = np.argwhere(apart < apart.min() + _SKETCH_BAND)
                places = near + np.array([one.start, other.start])
                rows.append(self.placed.backbone[places, 1])
                lengths.append(apart[near[:, 0], near[:, 1]])
        return np.concatenate(rows), np.concatenate(lengths)


def with_asked_distances(
    model: Stereochemistry, distances: Sequence[AskedDistance], positions: Float[np.ndarray, "atom 3"], rows: np.ndarray
) -> Stereochemistry:
    """The same chemistry with distances that are asked for; rows: of each placed atom its row in positions, or -1."""
    pairs = rows[np.array([each.atoms for each in distances], np.int64).reshape(-1, 2)]
    least, most = np.array([(each.least, each.most) for each in distances]).reshape(-1, 2).T
    there = (pairs >= 0).all(1)
    asked = np.clip(_lengths(positions, pairs), least, most)
    return with_distances(model, pairs[there], asked[there], spread=_ASKED_SPREAD)


def _lengths(positions: Float[np.ndarray, "atom 3"], pairs: np.ndarray) -> np.ndarray:
    return np.linalg.norm(positions[pairs[:, 0]] - positions[pairs[:, 1]], axis=-1)


def _asked_distances(energy: Energy, placed: PlacedAtoms) -> list[AskedDistance]:
    """The distances that an energy asks for, or that an angle hangs on."""
    if isinstance(energy, Distance):
        return [AskedDistance.of(energy, placed)]
    return AskedDistance.of_angle(energy, placed) if isinstance(energy, Angle) else []


def _asked_as_a_whole(spec: DesignSpec, placed: PlacedAtoms) -> np.ndarray:
    """Every so many CA atoms (rows) of chains of which burial, a size, contacts, a shape or a function is asked."""
    alphas = placed.backbone[:, 1]
    found = [np.zeros(0, np.int64) if spec.burial is None else alphas[alphas >= 0][::_WHOLE_STEP]]
    for energy in spec.energies:
        if isinstance(energy, _OF_THE_WHOLE) and not isinstance(energy, PlannedSize):
            chains = getattr(energy, "chains", ())
            found.append(placed.alphas(chains, key=f"energies.{energy.kind}.chains")[::_WHOLE_STEP])
    return np.unique(np.concatenate(found))


def _asks_for_a_fold_alone(spec: DesignSpec) -> bool:
    """Whether a request has no part that the place of single residues matters to; a fold plan has a size."""
    more = (spec.burial, spec.symmetry, spec.noise, *spec.cyclic, *spec.disulfides)
    return all(each is None for each in more) and all(isinstance(each, RadiusOfGyration) for each in spec.energies)
