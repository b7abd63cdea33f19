"""How right a structure is for a protein with so many of its letters: what a template may be trusted for.

    python benchmarks/template_likeness.py COLLECTION [--clusters 400]

COLLECTION is the compact collection of experimental structures that ``structdiff prepare`` reads. Of each cluster of
its training split (by 40 % identity) up to three pairs of chains from different entries are aligned by their letters,
as templates are, and one is judged as a model of the other: lDDT of the CA atoms of the residues that belong together.
Prints means by the share of equal letters, and a line through all.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
from collection import CollectionChain, read_chains, read_index
from inverse_folding import structure_of

from structdiff.evaluation.lddt import lddt
from structdiff.structure.sequence_alignment import aligned_residues
from structdiff.structure.tables import Structure

SHORTEST, LONGEST, FEWEST = 40, 400, 30  # residues of chains, and of those that belong together
PAIRS = 3  # of a cluster
EDGES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.97, 1.0001)


def clusters(source: Path, count: int) -> list[list[CollectionChain]]:
    """Chains of the training split that are alike, from different entries."""
    records = [
        each for each in read_index(source)
        if each["split"] == "train" and each["atoms"] == "all" and "ig" not in each["tags"]
    ]  # fmt: skip
    found: dict[int, dict[str, CollectionChain]] = defaultdict(dict)
    for record, chains in read_chains(source, records):
        for about, chain in zip(record["chains"], chains, strict=True):
            if chain.kind == "protein" and SHORTEST <= len(chain) <= LONGEST:
                found[about["c40"]].setdefault(record["id"], chain)
    several = [list(found[key].values()) for key in sorted(found) if len(found[key]) > 1]
    return [several[place] for place in np.random.default_rng(0).permutation(len(several))[:count]]


def pairs(source: Path, count: int) -> Iterator[tuple[float, float]]:
    """Share of equal letters, and lDDT, of each pair."""
    rng = np.random.default_rng(0)
    for chains in clusters(source, count):
        made = [structure_of(chain) for chain in chains]
        for place in rng.permutation(list(combinations(range(len(made)), 2)))[:PAIRS]:
            found = compared(*(made[row] for row in place.tolist()))
            if found is not None:
                yield found


def compared(one: Structure, other: Structure) -> tuple[float, float] | None:
    both = aligned_residues(one, other, np.arange(len(one.residues)), np.arange(len(other.residues)))
    traces = [_alphas(side)[rows] for side, rows in zip((one, other), both.T, strict=True)]
    seen = np.isfinite(traces).all((0, 2))
    if seen.sum() < FEWEST:
        return None
    same = one.residues.name[both[:, 0]] == other.residues.name[both[:, 1]]
    return float(same.mean()), float(lddt(traces[1][seen], traces[0][seen]).score)


def _alphas(structure: Structure) -> np.ndarray:
    found = np.full((len(structure.residues), 3), np.nan)
    alpha = (structure.atoms.name == "CA") & structure.atoms.resolved
    found[structure.atoms.residue[alpha]] = structure.atoms.positions[alpha]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("collection", type=Path)
    parser.add_argument("--clusters", type=int, default=400)
    arguments = parser.parse_args()
    found = np.array(list(pairs(arguments.collection, arguments.clusters)))
    print("| equal letters, % | pairs | lDDT of CA, mean | standard deviation |\n|---|---|---|---|")
    for low, high in pairwise(EDGES):
        own = found[(found[:, 0] >= low) & (found[:, 0] < high), 1]
        if len(own):
            print(f"| {100 * low:.0f} to {100 * min(high, 1):.0f} | {len(own)} | {own.mean():.2f} | {own.std():.2f} |")
    slope, same = np.polyfit(1 - found[:, 0], found[:, 1], 1)
    print(f"lDDT = {same:.3f} {slope:+.3f} x share of other letters ({len(found)} pairs)")


if __name__ == "__main__":
    main()
