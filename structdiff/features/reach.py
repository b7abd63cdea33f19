"""How many residues a chain needs between parts of a motif that keep their pose, so that it can reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from structdiff.errors import InputError
from structdiff.spec.contigs import Contigs, is_fixed
from structdiff.spec.design import DesignSpec
from structdiff.spec.segments import FixedSegment, FreeSegment, ResidueId, Segment
from structdiff.structure.tables import Structure

#: Å that a chain gains with each residue: drawn out straight, and drawn out but not straight.
STRAIGHT, DRAWN_OUT = 3.8, 3.3
_SLACK = 0.3  # Å, for neighbours of a crystal structure that are a little further apart


@dataclass(frozen=True, kw_only=True)
class Reach:
    """Distances between residues of a motif. rows: of its residues in its tables."""

    motif: Structure
    rows: Mapping[ResidueId, int]

    def fewest(self, end: ResidueId, start: ResidueId, per_residue: float) -> int:
        """The fewest residues that lead from one residue to another."""
        return max(0, int(np.ceil((self.distance(end, start) - _SLACK) / per_residue)) - 1)

    def distance(self, one: ResidueId, other: ResidueId) -> float:
        """Between the CA atoms of two residues, in Å."""
        return float(np.linalg.norm(alpha(self.motif, self.rows[one]) - alpha(self.motif, self.rows[other])))


def alpha(motif: Structure, row: int) -> np.ndarray:
    """Where the CA of a residue is (Å), or its first atom where it has none."""
    atoms = motif.residue_atoms(row)
    names = motif.atoms.name[atoms].tolist()
    return motif.atoms.positions[atoms.start + (names.index("CA") if "CA" in names else 0)]


def reaching(spec: DesignSpec, motif: Structure, rows: Mapping[ResidueId, int]) -> DesignSpec:
    """The request with lengths of new stretches that can reach from one part of a motif group to the next.

    A stretch is long enough to be drawn out but not straight where its range and the length allow it. Raises InputError
    where not even a straight chain of all the residues that are allowed would reach.
    """
    reach = Reach(motif=motif, rows=rows)
    for name, row in zip(spec.contigs.chain_ids, spec.contigs.chains, strict=True):
        if name in spec.cyclic and not is_fixed(row):
            _check_ring(row, reach)
    possible = replace(spec, contigs=_lengthened(spec.contigs, reach, STRAIGHT))
    try:
        return replace(spec, contigs=_lengthened(spec.contigs, reach, DRAWN_OUT))
    except InputError:  # the length, or the letters of a fold, leave no room for that
        return possible


def _lengthened(contigs: Contigs, reach: Reach, per_residue: float) -> Contigs:
    chains = tuple(row if is_fixed(row) else _longer(row, reach, per_residue) for row in contigs.chains)
    return contigs if chains == contigs.chains else replace(contigs, chains=chains, asked=str(contigs))


def _longer(row: Sequence[Segment], reach: Reach, per_residue: float) -> tuple[Segment, ...]:
    """A chain whose stretches of new residues between parts of one motif group are at least so long that they reach."""
    found = list(row)
    fixed = [place for place, segment in enumerate(row) if isinstance(segment, FixedSegment)]
    for place, following in pairwise(fixed):
        before, after = row[place], row[following]
        assert isinstance(before, FixedSegment)
        assert isinstance(after, FixedSegment)
        if before.group != after.group:
            continue
        free = range(place + 1, following)
        needed = reach.fewest(before.residues[-1], after.residues[0], per_residue)
        if per_residue == STRAIGHT:
            _check(row[place + 1 : following], needed, before.residues[-1], after.residues[0], reach)
        short = needed - sum(_minimum(found[each]) for each in free)
        for each in free:
            segment = found[each]
            assert isinstance(segment, FreeSegment)
            more = max(0, min(short, segment.maximum - segment.minimum))
            found[each] = replace(segment, minimum=segment.minimum + more)
            short -= more
    return tuple(found)


def _check_ring(row: Sequence[Segment], reach: Reach) -> None:
    """Raises InputError where the ends of a chain that is to be closed cannot reach each other."""
    fixed = [place for place, segment in enumerate(row) if isinstance(segment, FixedSegment)]
    if not fixed:
        return
    first, last = row[fixed[0]], row[fixed[-1]]
    assert isinstance(first, FixedSegment)
    assert isinstance(last, FixedSegment)
    if first.group == last.group:
        needed = reach.fewest(last.residues[-1], first.residues[0], STRAIGHT)
        ends = [*row[fixed[-1] + 1 :], *row[: fixed[0]]]
        _check(ends, needed, last.residues[-1], first.residues[0], reach)


def _check(free: Sequence[Segment], needed: int, end: ResidueId, start: ResidueId, reach: Reach) -> None:
    most = sum(segment.maximum for segment in free if isinstance(segment, FreeSegment))
    if most < needed:
        raise InputError(
            f"a chain cannot reach from {end} to {start}, {reach.distance(end, start):.0f} Å away", key="contigs",
            found=f"{most} residues between them", allowed=f"at least {needed}, or another motif group (@2)",
        )  # fmt: skip


def _minimum(segment: Segment) -> int:
    return segment.minimum if isinstance(segment, FreeSegment) else 0


def gaps(spec: DesignSpec, motif: Structure, rows: Mapping[ResidueId, int]) -> dict[tuple[ResidueId, ResidueId], int]:
    """The fewest residues from the end of each stretch of the motif to the start of each other; 1 between groups."""
    reach = Reach(motif=motif, rows=rows)
    designed = [segment for chain in spec.contigs.chains if not is_fixed(chain) for segment in chain]
    stretches = [*spec.unindexed, *(segment for segment in designed if isinstance(segment, FixedSegment))]
    return {
        (one.residues[-1], other.residues[0]): max(1, reach.fewest(one.residues[-1], other.residues[0], DRAWN_OUT))
        if one.group == other.group
        else 1
        for one in stretches
        for other in stretches
        if one is not other
    }
