"""Which torsions natural loops have together: writes the table that designs' loops are relaxed towards.

    python benchmarks/natural_loops.py SOURCE

SOURCE is the folder of the structure collection. Of chains of its training split at 2.5 Å or better (one of each 90 %
cluster) all loops of 2 to 8 residues between helices and strands (DSSP) are taken and sorted by the regions of phi
and psi of their residues. Each sort seen often enough is written with its count and its mean torsions to
structdiff/evaluation/data.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections import defaultdict
from itertools import groupby
from pathlib import Path

import numpy as np
from collection import read_index
from natural_reference import DATA, distinct_chains

from structdiff.chemistry.natural_loops import FILE, LENGTHS, region
from structdiff.evaluation.backbone import Backbone
from structdiff.evaluation.secondary_structure import secondary_structure

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    source = parser.parse_args().source
    sharp = [
        record
        for record in read_index(source)
        if record["split"] == "train" and record["atoms"] == "all" and (record["resolution"] or 9) <= _RESOLUTION
    ]
    loops: Loops = defaultdict(lambda: defaultdict(list))
    chains = distinct_chains(source, sharp)
    for chain in chains:
        add_loops(chain.backbone(), loops)
    table = {kind: common(sorts) for kind, sorts in sorted(loops.items())}
    provenance = {
        "source": "Protein Data Bank (CC0), training split of the structure collection",
        "selection": f"all-atom entries at {_RESOLUTION} A or better, one chain of each 90 % cluster; loops between "
        "helices and strands by DSSP, without cis peptides",
        "chains": len(chains),
        "script": "benchmarks/natural_loops.py",
    }
    text = json.dumps({"provenance": provenance, "loops": table}, separators=(",", ":"))
    (DATA / FILE).write_bytes(gzip.compress(text.encode(), mtime=0))
    for kind, sorts in loops.items():
        seen, kept = sum(map(len, sorts.values())), sum(row["count"] for row in table[kind])
        print(kind, seen, "loops,", len(table[kind]), "sorts hold", f"{kept / seen:.0%}")


if __name__ == "__main__":
    main()
