"""Fold plans: helices and strands in order, and which of them lie side by side; of ideal folds or of natural chains."""

from __future__ import annotations

import gzip
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from importlib import resources
from itertools import groupby

import numpy as np

from structdiff.spec.anchor import Anchor
from structdiff.spec.design import DesignSpec
from structdiff.spec.energies import Energy, PlannedSize, RadiusOfGyration
from structdiff.spec.fold import AUTO, BlockPair, Register, Sketch, blocks_of
from structdiff.spec.fold_elements import SIZE_EXPONENT, IdealFold
from structdiff.spec.grown_folds import grow_fold, helices_around
from structdiff.spec.ideal_folds import draw_ideal_folds, draw_kind, kind_of
from structdiff.spec.layout import Layout
from structdiff.spec.motif_folds import draw_anchored_fold
from structdiff.typing import Float

#: How far (share of the length) a natural plan is stretched or shortened, and the least it may be by (residues).
_STRETCH, _STRETCH_RESIDUES = 0.15, 5
_SHORTEST_LOOP = 2
#: Standard deviations of `FoldPlan.shape` among natural plans of one length, less for what counts for more.
_SHAPE_SPREADS = np.array([0.10, 0.10, 0.03, 0.05])
#: Ideal folds of which one is taken, and of how many the one whose loops have little to bridge: what an Å of that a
#: residue counts beside the squared distance of shapes.
_CANDIDATES = 16
_DESIGNABLE_OF, _BRIDGED = 64, 100.0
_TRIES = 30  # to draw a natural plan of a kind


@dataclass(frozen=True, kw_only=True)
class FoldPlan:
    """Helix (H), strand (E) or loop (L) of each residue, and pairs of blocks (from 1) that lie side by side.

    parallel: those pairs of strands that run the same way. radius_of_gyration: of the CA atoms (Å), None if it does not
    matter. sketch: where the blocks stand, if that is known. registers: how pairs of strands are shifted and bonded, if
    that is known. origin: the natural chain it is that of.
    """

    letters: str
    adjacent: tuple[BlockPair, ...]
    parallel: tuple[BlockPair, ...] = ()
    radius_of_gyration: float | None = None
    sketch: Sketch | None = field(default=None, compare=False)
    registers: tuple[tuple[BlockPair, Register], ...] = field(default=(), compare=False)
    origin: str = ""

    def to_row(self) -> list[str]:
        """The plan as short strings."""
        runs = "".join(f"{letter}{len(list(run))}" for letter, run in groupby(self.letters))
        same_way = set(self.parallel)
        pairs = [f"{low}-{high}" + "p" * ((low, high) in same_way) for low, high in self.adjacent]
        size = "" if self.radius_of_gyration is None else str(self.radius_of_gyration)
        return [self.origin, runs, " ".join(pairs), size]

    @classmethod
    def from_row(cls, row: Sequence[str]) -> FoldPlan:
        """The plan of the short strings that `to_row` makes."""
        origin, runs, pairs, size = row
        letters = "".join(letter * int(count) for letter, count in re.findall(r"([HEL])(\d+)", runs))
        found = [(int(low), int(high), way) for low, high, way in re.findall(r"(\d+)-(\d+)(p?)", pairs)]
        return cls(
            letters=letters,
            adjacent=tuple((low, high) for low, high, _ in found),
            parallel=tuple((low, high) for low, high, way in found if way),
            radius_of_gyration=float(size) if size else None,
            origin=origin,
        )

    def shape(self) -> Float[np.ndarray, "4"]:
        """Shares of helix and strand, log radius of gyration, and mean separation in sequence of blocks side by
        side over the length: each over its standard deviation among natural plans of one length.
        """
        length, blocks = len(self.letters), blocks_of(self.letters)
        middles = [0.5 * (block.start + block.stop) for block in blocks]
        apart = [middles[high - 1] - middles[low - 1] for low, high in self.adjacent]
        shares = [self.letters.count(letter) / length for letter in "HE"]
        size = math.log(self.radius_of_gyration or length**SIZE_EXPONENT)
        return np.array([*shares, size, float(np.mean(apart or [0.0])) / length]) / _SHAPE_SPREADS

    def fitted(self, length: int, rng: np.random.Generator) -> FoldPlan | None:
        """The same plan for another length: loops, and the ends of the longest helices, grow or shrink.

        None where neither has residues enough to give.
        """
        runs = [[letter, len(list(run))] for letter, run in groupby(self.letters)]
        loops = [run for run in runs if run[0] == "L"]
        helices = [run for run in runs if run[0] == "H"]
        for _ in range(abs(length - len(self.letters))):
            grow = length > len(self.letters)
            able = loops if grow else [run for run in loops if run[1] > _SHORTEST_LOOP]
            if not able or (helices and rng.random() < 0.3):
                able = [run for run in helices if grow or run[1] > 8] or able
            if not able:
                return None
            chosen = able[rng.integers(len(able))]
            chosen[1] += 1 if grow else -1
        size = self.radius_of_gyration
        if size is not None:
            size *= (length / len(self.letters)) ** SIZE_EXPONENT
        return replace(self, letters="".join(letter * count for letter, count in runs), radius_of_gyration=size)


def draw_fold_plan(length: int, rng: np.random.Generator) -> FoldPlan | None:
    """A plan for a chain of that many residues, that of a natural chain of nearly that length; None if none is known.

    Every plan of a length between 85 and 115 % of the one asked for is as likely as any other.
    """
    plans = natural_fold_plans()
    reach = max(_STRETCH_RESIDUES, int(_STRETCH * length))
    near = [plan for plan in plans if abs(len(plan.letters) - length) <= reach]
    for place in rng.permutation(len(near)):
        fitted = near[place].fitted(length, rng)
        if fitted is not None:
            return fitted
    return None


def ideal_fold_plan(length: int, rng: np.random.Generator, *, designable: bool = False) -> FoldPlan | None:
    """The plan of an ideal fold of that length, with its sketch; None where there is none.

    Of several of one kind the one most like a natural chain of that kind, drawn at random, in its shares of helix and
    strand, its size and how far apart in the sequence neighbours are: so that many together are distributed as natural
    chains are. designable: of more, and rather one whose loops have little to bridge, which sequences fold into more
    often (docs/log.md); many together are less varied.
    """
    kind = draw_kind(rng)
    natural = _natural_of(kind, length, rng)
    folds = draw_ideal_folds(length, rng, _DESIGNABLE_OF if designable else _CANDIDATES, kind)
    plans = [_plan_of(fold) for fold in folds]
    if natural is None or not plans:
        return plans[0] if plans else None
    unlike = np.square([plan.shape() - natural.shape() for plan in plans]).sum(-1)
    if designable:
        unlike += _BRIDGED * np.array([fold.bridged() for fold in folds])
    return plans[int(np.argmin(unlike))]


def _natural_of(kind: str, length: int, rng: np.random.Generator) -> FoldPlan | None:
    """A natural plan of a kind; any, if none was drawn."""
    found = None
    for _ in range(_TRIES):
        found = draw_fold_plan(length, rng)
        if found is None or kind_of(found.letters) == kind:
            break
    return found


def _plan_of(fold: IdealFold) -> FoldPlan:
    sketch = tuple(element.alphas() for element in fold.elements)
    return FoldPlan(
        letters=fold.letters,
        adjacent=fold.adjacent,
        parallel=fold.parallel,
        radius_of_gyration=fold.radius_of_gyration(),
        sketch=Sketch(clouds=sketch),
        registers=fold.registers,
        origin=fold.name,
    )


def plan_around(length: int, anchor: Anchor, rng: np.random.Generator) -> FoldPlan | None:
    """The plan of an ideal fold that a motif is part of, its sketch in the motif's frame.

    Where none fits, helices that grow from the motif; where they find no place either, helices that stand where they
    will. None if something else stands around the motif, since the network lays chains around that by itself.
    """
    fold = draw_anchored_fold(length, anchor, rng)
    if fold is None and len(anchor.obstacles):
        return None
    fold = fold or grow_fold(length, anchor, rng)
    if fold is None:
        return FoldPlan(letters=helices_around(length, anchor.places, rng), adjacent=())
    return FoldPlan(
        letters=fold.letters,
        adjacent=fold.adjacent,
        parallel=fold.parallel,
        sketch=Sketch(clouds=fold.sketch, in_frame=True),
        registers=fold.registers,
    )


def with_fold_plan(
    spec: DesignSpec, layout: Layout, rng: np.random.Generator, anchors: Mapping[str, Anchor] | None = None
) -> DesignSpec:
    """The request for one design, with a plan drawn for each chain that may have one; as it is where none is wanted.

    A plan is drawn where ``fold_plan`` is neither "none" nor "hallucinated" and the request says nothing of secondary
    structure itself: for chains that are all new, and by ideal folds for those of ``anchors``, by their names, around
    what they keep of a structure. Other chains that hold residues of a structure, and lengths for which no plan is
    known, are left open.
    """
    if spec.fold_plan not in _PLANS or spec.secondary_structure is not None or spec.fold_of is not None:
        return spec
    # A sketch says where everything stands, and so would stand against energies.
    draw = draw_fold_plan if spec.energies else _PLANS[spec.fold_plan]
    plans: dict[str, FoldPlan] = {}
    for name, chain in layout.chains.items():
        if chain[0].chain_is_fixed:
            continue
        # What partial diffusion begins with has a fold already.
        new = all(residue.origin is None and residue.instead_of is None for residue in chain)
        plan = draw(len(chain), rng) if new else None
        if anchors and name in anchors and draw is not draw_fold_plan:
            plan = plan_around(len(chain), anchors[name], rng)
        plans[name] = plan or FoldPlan(letters="?" * len(chain), adjacent=())
    if not any(set(plan.letters) - {"?"} for plan in plans.values()):
        return spec
    return _following(spec, plans, alone=not any(chain[0].chain_is_fixed for chain in layout.chains.values()))


def _following(spec: DesignSpec, plans: Mapping[str, FoldPlan], *, alone: bool) -> DesignSpec:
    """The request with the plans of its designed chains, by name in their order; alone: there are no other chains."""
    adjacent: list[BlockPair] = []
    parallel: list[BlockPair] = []
    registers: list[tuple[BlockPair, Register]] = []
    sizes: list[Energy] = []
    sketches: list[Sketch] = []
    own_size = any(isinstance(energy, RadiusOfGyration) for energy in spec.energies)
    before = 0
    for name, plan in plans.items():
        adjacent += [(low + before, high + before) for low, high in plan.adjacent]
        parallel += [(low + before, high + before) for low, high in plan.parallel]
        registers += [((low + before, high + before), shift) for (low, high), shift in plan.registers]
        # Blocks without a place are counted all the same, since blocks are counted along all chains.
        blocks = len(blocks_of(plan.letters))
        before += blocks
        sketches.append(plan.sketch or Sketch(clouds=(np.zeros((0, 3)),) * blocks))
        # A sketch that is followed to the end has its size already.
        sized = own_size or (alone and plan.sketch is not None)
        if plan.radius_of_gyration is not None and not sized:
            sizes.append(PlannedSize(target=round(plan.radius_of_gyration, 2), tolerance=1.0, chains=(name,)))
    return replace(
        spec,
        secondary_structure="/".join(plan.letters for plan in plans.values()),
        adjacent=tuple(adjacent),
        parallel=tuple(parallel),
        energies=(*spec.energies, *sizes),
        sketches=tuple(sketches) if any(plan.sketch for plan in plans.values()) else (),
        registers=tuple(registers),
    )


def _ideal_or_natural(length: int, rng: np.random.Generator, *, designable: bool = False) -> FoldPlan | None:
    """An ideal fold; for chains too short or too long for one the plan of a natural chain."""
    return ideal_fold_plan(length, rng, designable=designable) or draw_fold_plan(length, rng)


_PLANS = {
    AUTO: _ideal_or_natural,
    "ideal": _ideal_or_natural,
    "designable": partial(_ideal_or_natural, designable=True),
    "natural": draw_fold_plan,
}


@lru_cache(maxsize=1)
def natural_fold_plans() -> tuple[FoldPlan, ...]:
    """The plans that come with the package, by length."""
    path = resources.files("structdiff").joinpath("spec").joinpath("data").joinpath("fold_plans.json.gz")
    return tuple(map(FoldPlan.from_row, json.loads(gzip.decompress(path.read_bytes()))))
