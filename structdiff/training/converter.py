"""Experimental structures to a compact memory-mapped training set, which ``structdiff.training.dataset`` reads.

``python -m structdiff.training.converter SOURCE OUT`` does it from the command line (docs/data.md).
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from structdiff.errors import InputError, StructdiffError
from structdiff.training.collection import Collection, TemplateList
from structdiff.training.folder import convert_folder
from structdiff.training.progress import shown
from structdiff.training.set_files import SPLITS, TRACES
from structdiff.training.set_writer import SetSummary, SetWriter

#: Sources whose licence is non-commercial or academic; only coordinates were taken from them, yet they are left out.
EXCLUDED_SOURCES = ("RosettaCommons/demos", "Acellera/moleculekit")
_MEBIBYTE = 2**20
#: What a set needs, measured: bytes for each atom with its share of the residues, and for names and templates.
_BYTES_AN_ATOM, _BYTES_FIXED = 6.35, 1.0 * _MEBIBYTE
#: The same for traces, whose atoms are residues.
_BYTES_A_TRACE_ATOM = 8.5
_UNKNOWN_RESOLUTION = 2.8  # Å, ranks entries without one


def convert_structures(
    source: str | Path,
    out: str | Path,
    *,
    max_mebibytes: float = 60.0,
    max_residues: int = 512,
    excluded_sources: Iterable[str] = EXCLUDED_SOURCES,
    progress: bool = True,
) -> SetSummary:
    """Turns a structure collection into a compact training set; returns where it is, its size and counts.

    All-atom and backbone-only entries are taken; traces (CA or P alone) of the training split become a split of their
    own, ``traces``, as far as there is room, those of validation and test are left out. Redundant entries of the
    training split are thinned (see ``choose``); validation and test are kept as they are, and no entry changes its
    split. Of entries of more than max_residues residues a compact part is kept. The same collection gives the same
    bytes.

    Raises InputError when the source is no collection, the set does not fit or the output cannot be written.
    """
    collection = Collection(source)
    excluded = set(excluded_sources)
    usable = [r for r in collection.records if r["source"] not in excluded]
    chosen = {
        split: [r for r in usable if r["atoms"] != "ca" and collection.split_of.get(r["id"]) == split]
        for split in SPLITS
    }
    held_out = sum(atoms_kept(r, max_residues) for split in SPLITS[1:] for r in chosen[split])
    room = (max_mebibytes * _MEBIBYTE - _BYTES_FIXED) / _BYTES_AN_ATOM - held_out
    if room <= 0:
        raise InputError("validation and test alone are larger", key="max_mebibytes", found=max_mebibytes)
    chosen["train"] = choose(chosen["train"], max_atoms=room, max_residues=max_residues)
    room -= sum(atoms_kept(r, max_residues) for r in chosen["train"])
    traces = [r for r in usable if r["atoms"] == "ca" and collection.split_of.get(r["id"]) == "train"]
    traces = [r for r in traces if any(chain["kind"] == "protein" for chain in r["chains"])]
    trace_room = room * _BYTES_AN_ATOM / _BYTES_A_TRACE_ATOM
    chosen[TRACES] = choose(traces, max_atoms=trace_room, max_residues=max_residues)
    templates = TemplateList()
    writer = SetWriter(templates, max_residues=max_residues)
    for split in chosen:
        sizes = cluster_sizes(chosen[split])
        raw = collection.entries(chosen[split], templates)
        for entry in shown(raw, len(chosen[split]), f"Converting {split}", progress):
            writer.add(entry, split, cluster=sizes[entry.name])
    return writer.write(out, source=Path(source).name)


def choose(records: Sequence[dict], *, max_atoms: float, max_residues: int) -> list[dict]:
    """Thins out redundant entries of one split until they fit, keeping the best of each cluster.

    Of a cluster (about 90 % identity) that n entries share, about sqrt(n) are kept: entries are taken in order of
    quality (all atoms before backbone, other folds before antibodies, finer resolution, more residues) while one of
    their clusters has room. When the atoms do not fit, the second, third ... of their clusters go first.
    """
    clusters = {record["id"]: chain_clusters(record) for record in records}
    size = Counter(cluster for members in clusters.values() for cluster in members)
    taken: Counter[int] = Counter()
    ranked: list[tuple[int, int, dict]] = []
    for order, record in enumerate(sorted(records, key=_quality)):
        mine = clusters[record["id"]]
        if mine and all(taken[cluster] >= math.ceil(math.sqrt(size[cluster])) for cluster in mine):
            continue
        ranked.append((min((taken[cluster] for cluster in mine), default=0), order, record))
        taken.update(mine)
    kept, atoms = [], 0.0
    for _, _, record in sorted(ranked, key=lambda item: item[:2]):
        cost = atoms_kept(record, max_residues)
        if atoms + cost <= max_atoms:
            atoms += cost
            kept.append(record)
    return kept


def _quality(record: dict) -> tuple:
    return (
        record["atoms"] != "all",
        "ig" in record["tags"],
        record["resolution"] or _UNKNOWN_RESOLUTION,
        -sum(chain["n"] for chain in record["chains"]),
        record["id"],
    )


def chain_clusters(record: dict) -> set[int]:
    """Clusters (about 90 % identity) of an entry's chains."""
    return {chain["c90"] for chain in record["chains"] if chain.get("c90") is not None}


def cluster_sizes(records: Sequence[dict]) -> dict[str, float]:
    """For each entry, how many entries of the list share its rarest cluster."""
    size = Counter(cluster for record in records for cluster in chain_clusters(record))
    return {r["id"]: float(min((size[c] for c in chain_clusters(r)), default=1)) for r in records}


def atoms_kept(record: dict, max_residues: int) -> float:
    """About how many atoms of an entry are stored."""
    return record["n_atoms"] * min(1.0, max_residues / max(sum(chain["n"] for chain in record["chains"]), 1))


def main(arguments: Sequence[str] | None = None) -> int:
    """Converts a collection or a folder of files from the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m structdiff.training.converter", description=__doc__)
    parser.add_argument(
        "source", help="structure collection (a folder with index.jsonl.gz), or any folder of mmCIF and PDB files"
    )
    parser.add_argument("out", help="folder to write")
    parser.add_argument(
        "--max-mebibytes", type=float, default=60.0, help="largest size of the set, of collections only (default 60)"
    )
    parser.add_argument("--max-residues", type=int, default=512, help="larger entries are cut to this (default 512)")
    options = parser.parse_args(arguments)
    try:
        if (Path(options.source) / "index.jsonl.gz").is_file():
            limits = {"max_mebibytes": options.max_mebibytes, "max_residues": options.max_residues}
            summary = convert_structures(options.source, options.out, **limits)
        else:
            summary = convert_folder(options.source, options.out, max_residues=options.max_residues)
    except StructdiffError as error:
        print(error, file=sys.stderr)
        return 2
    for reason in summary.skipped:
        print(f"skipped: {reason}", file=sys.stderr)
    print(f"{summary.path}: {summary.mebibytes} MiB, {summary.atoms} atoms")
    for split in (*SPLITS, TRACES):
        print(f"  {split}: {summary.entries.get(split, 0)} entries, {summary.residues.get(split, 0)} residues")
    return 0


if __name__ == "__main__":
    sys.exit(main())
