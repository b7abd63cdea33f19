"""By how many degrees neighbouring strands are turned against each other, in designs and in natural chains.

    python benchmarks/sheet_twist.py FOLDER... [--natural DATA]

FOLDERs hold designs, DATA is a set made by ``structdiff prepare``, of which the chains that come with the package are
taken that have 54 to 148 residues. A place counts where five residues in a row are strand on either side and the CA
atoms in their middle are less than 6 Å apart: the angle between the two courses, seen along the line from one to the
other. It is negative where strands twist as in nature.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from structdiff.cli.natural_set import chains_of_set
from structdiff.evaluation.backbone import CA, Backbone
from structdiff.evaluation.internal_coordinates import dihedral
from structdiff.evaluation.natural import bundled_chains
from structdiff.evaluation.secondary_structure import secondary_structure
from structdiff.structure.files import read_structure

_SHORTEST, _LONGEST = 54, 148  # residues of natural chains
_NEAR, _LEAST_APART = 6.0, 4  # Å between CA atoms; residues along the chain
_QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)


def twists(backbone: Backbone) -> Iterator[tuple[bool, float]]:
    """Of each place where two strands lie side by side whether they are antiparallel, and their twist (degrees)."""
    alphas, letters = backbone.positions[:, CA], "".join(secondary_structure(backbone))
    inner = [row for row in range(2, len(letters) - 2) if letters[row - 2 : row + 3] == "EEEEE"]
    for here in inner:
        beside = [row for row in inner if row - here >= _LEAST_APART]
        apart = [float(np.linalg.norm(alphas[row] - alphas[here])) for row in beside]
        if not apart or min(apart) >= _NEAR:
            continue
        there = beside[int(np.argmin(apart))]
        first, second = alphas[here + 2] - alphas[here - 2], alphas[there + 2] - alphas[there - 2]
        antiparallel = bool(first @ second < 0)
        second = -second if antiparallel else second
        ends = (alphas[here] + first, alphas[here], alphas[there], alphas[there] + second)
        yield antiparallel, float(np.degrees(dihedral(*(each[None] for each in ends)))[0])


def report(name: str, backbones: Iterable[Backbone]) -> None:
    found = [each for backbone in backbones for each in twists(backbone)]
    for antiparallel, word in ((True, "antiparallel"), (False, "parallel")):
        own = np.array([twist for anti, twist in found if anti == antiparallel])
        if len(own):
            spread = " ".join(f"{value:.1f}" for value in np.quantile(own, _QUANTILES))
            print(f"{name}, {word}: {len(own)} places, mean {own.mean():.1f}, sd {own.std():.1f}, "
                  f"at 10, 25, 50, 75, 90 %: {spread}", flush=True)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--natural", type=Path)
    arguments = parser.parse_args()
    for folder in arguments.folders:
        files = sorted(folder.glob("*.cif"))
        report(folder.name, (Backbone.from_structure(read_structure(path)) for path in files))
    if arguments.natural is not None:
        chains = bundled_chains()
        fits = (chains.lengths >= _SHORTEST) & (chains.lengths <= _LONGEST)
        wanted = set(np.array(chains.names)[fits].tolist())
        report("natural", (chain for name, chain in chains_of_set(arguments.natural) if name in wanted))


if __name__ == "__main__":
    main()
