"""Which torsions natural loops have together, and how many loops of designs and of held-out chains have such.

    python benchmarks/natural_loops.py SOURCE [--refit] [--designs FOLDER...]

SOURCE is the folder of the structure collection. With --refit the table that loops of designs are relaxed towards is
made anew: of chains of the training split at 2.5 Å or better (one of each 90 % cluster) all loops of 2 to 8 residues
between helices and strands (DSSP) are sorted by the regions of phi and psi of their residues; each sort seen often
enough is written with its count and its mean torsions to structdiff/evaluation/data. Then, for chains of the validation
and test splits and for each FOLDER of designs, it is printed how many loops there are of lengths that the table has,
and which share is of a sort in it.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections import defaultdict
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

import numpy as np
from collection import CollectionChain, read_index
from natural_reference import DATA, distinct_chains

from structdiff.chemistry.natural_loops import FILE, LENGTHS, loop_shapes, region
from structdiff.evaluation.backbone import Backbone
from structdiff.evaluation.secondary_structure import secondary_structure
from structdiff.structure.files import read_structure, write_atomically

_RESOLUTION = 2.5  # Å or better
_FEWEST, _MOST = 4, 24  # loops of a sort; sorts of one kind
_SHORTEST = 3  # residues of the helices and strands that are joined

Loops = dict[str, dict[str, list[np.ndarray]]]


def add_loops(backbone: Backbone, loops: Loops) -> None:
    """Adds a chain's loops by kind and by the regions of their residues."""
    torsions = backbone.torsions
    # Sorts that are seen often are sound by their number: single strained residues do no harm to means of regions.
    trans = np.abs(np.abs(torsions[:, 2]) - np.pi) < np.radians(30)
    sound = np.isfinite(torsions[:, :2]).all(1) & trans
    runs, place = [], 0
    for letter, run in groupby("".join(secondary_structure(backbone))):
        size = len(list(run))
        runs.append((letter, place, place + size))
        place += size
    for before, (letter, start, stop), after in zip(runs, runs[1:], runs[2:], strict=False):
        joined = min(before[2] - before[1], after[2] - after[1]) >= _SHORTEST
        known = LENGTHS[0] <= stop - start <= LENGTHS[1]
        if letter == "L" and joined and known and sound[start - 1 : stop + 1].all():
            own = torsions[start:stop, :2]
            loops[f"{before[0]}{after[0]}{stop - start}"]["".join(region(own))].append(own)


def common(sorts: dict[str, list[np.ndarray]]) -> list[dict]:
    """The commonest sorts of one kind of loop, with their mean torsions in whole degrees."""
    rows = []
    for regions, found in sorted(sorts.items(), key=lambda item: -len(item[1]))[:_MOST]:
        if len(found) < _FEWEST:
            break
        mean = np.angle(np.exp(1j * np.array(found)).mean(0))
        rows.append(
            {"regions": regions, "count": len(found), "torsions": np.degrees(mean).round().astype(int).tolist()}
        )
    return rows


def sharp_chains(source: Path, splits: tuple[str, ...]) -> list[CollectionChain]:
    """Chains of these splits at good resolution, one of each 90 % cluster."""
    return distinct_chains(source, [
        record for record in read_index(source)
        if record["split"] in splits and record["atoms"] == "all" and (record["resolution"] or 9) <= _RESOLUTION
    ])  # fmt: skip


def refit(source: Path) -> None:
    """Writes the table of natural loops."""
    loops: Loops = defaultdict(lambda: defaultdict(list))
    chains = sharp_chains(source, ("train",))
    for chain in chains:
        add_loops(chain.backbone(), loops)
    provenance = {
        "source": "Protein Data Bank (CC0), training split of the structure collection",
        "selection": f"all-atom entries at {_RESOLUTION} A or better, one chain of each 90 % cluster; loops between "
        "helices and strands by DSSP, without cis peptides",
        "chains": len(chains),
        "script": "benchmarks/natural_loops.py --refit",
    }
    table = {kind: common(sorts) for kind, sorts in sorted(loops.items())}
    text = json.dumps({"provenance": provenance, "loops": table}, separators=(",", ":"))
    write_atomically(DATA / FILE, gzip.compress(text.encode(), mtime=0))
    for kind, sorts in sorted(loops.items()):
        seen, kept = sum(map(len, sorts.values())), sum(row["count"] for row in table[kind])
        print(kind, seen, "loops,", len(table[kind]), "sorts hold", f"{kept / seen:.0%}")


def report(name: str, backbones: Iterable[Backbone]) -> None:
    """Prints for each kind of loop the number, and the share whose sort is known."""
    found: Loops = defaultdict(lambda: defaultdict(list))
    for backbone in backbones:
        add_loops(backbone, found)
    for joins in ("EE", "EH", "HE", "HH"):
        seen = known = 0
        for length in range(LENGTHS[0], LENGTHS[1] + 1):
            shapes = loop_shapes(joins, length)
            if shapes is None:
                continue
            sorts = {"".join(region(own)) for own in shapes.torsions}
            for regions, own in found[f"{joins}{length}"].items():
                seen, known = seen + len(own), known + len(own) * (regions in sorts)
        print(f"{name}, {joins}: {seen} loops, {known / max(seen, 1):.0%} of a known sort", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("--refit", action="store_true")
    parser.add_argument("--designs", nargs="*", type=Path, default=[])
    arguments = parser.parse_args()
    if arguments.refit:
        refit(arguments.source)
    held_out = sharp_chains(arguments.source, ("validation", "test"))
    report("natural, held out", (chain.backbone() for chain in held_out))
    for folder in arguments.designs:
        files = sorted(folder.glob("*.cif"))
        report(folder.name, (Backbone.from_structure(read_structure(path)) for path in files))


if __name__ == "__main__":
    main()
