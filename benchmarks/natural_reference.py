"""What natural proteins look like: estimates the densities the package ships, then measures held-out chains.

    python benchmarks/natural_reference.py SOURCE [--refit]

SOURCE is the folder of the structure collection. With --refit the Ramachandran densities and the law of the radius of
gyration are estimated anew from high-resolution chains of its training split and written to structdiff/evaluation/data.
Then the checks of validity are made on chains of 40 to 128 residues of the validation and test splits; their means,
intervals and spread are printed and written to benchmarks/results/natural.json.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from collection import CollectionChain, read_chains, read_index

from structdiff.evaluation import component_geometry as components
from structdiff.evaluation import ramachandran as rama
from structdiff.evaluation.backbone import Backbone
from structdiff.evaluation.covalent import residue_strain
from structdiff.evaluation.descriptors import SIZE_FILE, radius_of_gyration
from structdiff.evaluation.secondary_structure import secondary_structure
from structdiff.evaluation.validity import Validity, format_table, summarise_validity, validity
from structdiff.structure.files import read_structure
from structdiff.structure.tables import Structure

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "structdiff" / "evaluation" / "data"
RESULT = ROOT / "benchmarks" / "results" / "natural.json"
RESOLUTION = 2.0  # Å or better, for the densities
SHARP = 1.5  # Å or better, for the contours: without B-factors, poorly seen loops are kept out by resolution alone
STRAIN = 3.0  # sigma: residues with a worse bond or angle, or twisted, are not trusted
LENGTHS = (40, 128)
BANDS = ((40, 60), (61, 80), (81, 100), (101, 128))


def distinct_chains(source: Path, records: list[dict]) -> list[CollectionChain]:
    """Protein chains of some entries, one of each 90 % cluster: the one with most residues."""
    best: dict[int, CollectionChain] = {}
    for _, chains in read_chains(source, records):
        for chain in chains:
            known = best.get(chain.cluster)
            if chain.kind == "protein" and len(chain) >= 20 and (known is None or len(chain) > len(known)):
                best[chain.cluster] = chain
    return list(best.values())


def trusted_torsions(backbone: Backbone) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """phi, psi, class and state (H, E, L) of the residues whose covalent geometry, and their neighbours', is sound."""
    phi, psi, omega = backbone.torsions.T
    sound = residue_strain(backbone) < STRAIN
    planar = ~(np.minimum(np.abs(omega), np.pi - np.abs(omega)) > np.radians(20))
    sound &= planar & np.isfinite(backbone.positions).all((1, 2))
    sound[1:] &= sound[:-1].copy()
    sound[:-1] &= sound[1:].copy()
    keep = sound & np.isfinite(phi) & np.isfinite(psi)
    return phi[keep], psi[keep], rama.residue_classes(backbone)[keep], secondary_structure(backbone)[keep]


def refit(source: Path, index: list[dict]) -> None:
    training = [record for record in index if record["split"] == "train" and record["atoms"] == "all"]
    sharp = [record for record in training if record["resolution"] and record["resolution"] <= RESOLUTION]
    resolution = {record["id"]: record["resolution"] for record in sharp}
    chains = distinct_chains(source, sharp)
    torsions: list[list[np.ndarray]] = [[] for _ in rama.CLASSES]
    in_loops: list[list[np.ndarray]] = [[] for _ in rama.CLASSES]
    sharpest: list[list[np.ndarray]] = [[] for _ in rama.CLASSES]
    for chain in chains:
        phi, psi, kind, state = trusted_torsions(chain.backbone())
        for number, pairs in enumerate(torsions):
            pairs.append(np.stack([phi, psi], -1)[kind == number])
            in_loops[number].append(np.stack([phi, psi], -1)[(kind == number) & (state == "L")])
            sharpest[number].append(np.full(len(pairs[-1]), resolution[chain.entry] <= SHARP))
    pooled, loops = ([np.concatenate(pairs) for pairs in each] for each in (torsions, in_loops))
    placing = [np.concatenate(flags) for flags in sharpest]
    provenance = {
        "source": "Protein Data Bank (CC0), training split of the structure collection",
        "selection": f"all-atom entries at {RESOLUTION} A or better, one chain of each 90 % cluster; residues without "
        f"bond or angle over {STRAIN:g} sigma and with planar peptides, and such neighbours; contours placed by "
        f"entries at {SHARP} A or better",
        "chains": len(chains),
        "residues": {name: len(pairs) for name, pairs in zip(rama.CLASSES, pooled, strict=True)},
        "residues_for_contours": {n: int(f.sum()) for n, f in zip(rama.CLASSES, placing, strict=True)},
        "script": "benchmarks/natural_reference.py --refit",
    }
    np.savez_compressed(DATA / rama.DATA_FILE, **rama.pack(rama.estimate(pooled, placing, provenance)))
    counts = {name: len(pairs) for name, pairs in zip(rama.CLASSES, loops, strict=True)}
    write_loops(loops, provenance | {"residues": counts, "states": "neither helix nor strand (DSSP)"})
    print(json.dumps(provenance, indent=1))
    single = [record for record in training if "single" in record["tags"]]
    law = size_law([chain.backbone() for chain in distinct_chains(source, single)])
    (DATA / SIZE_FILE).write_text(json.dumps(law, indent=1) + "\n")
    print(json.dumps(law, indent=1))
    sharpest_chains = [chain for chain in chains if resolution[chain.entry] <= SHARP]
    side_chains = {
        "provenance": f"medians over {len(sharpest_chains)} chains at {SHARP} A or better of the training split; "
        "lengths in A, angles in radian",
        "script": "benchmarks/natural_reference.py --refit",
        "residues": components.estimate_side_chains(structures(sharpest_chains)),
    }
    (DATA / components.SIDE_CHAIN_FILE).write_text(json.dumps(side_chains, indent=1) + "\n")
    rama.reference.cache_clear()


def write_loops(torsions: list[np.ndarray], provenance: dict[str, object]) -> None:
    """The densities of loops, which the relaxation of designs takes for residues that are to be in one."""
    arrays = rama.pack_density(np.stack([rama.estimated_density(pairs) for pairs in torsions]))
    text = json.dumps({key: value for key, value in provenance.items() if key != "residues_for_contours"})
    np.savez_compressed(DATA / rama.LOOP_FILE, provenance=np.array(text), **arrays)


def size_law(backbones: list[Backbone]) -> dict[str, object]:
    """Radius of gyration against length, as a power law through the medians: least absolute deviation of the logs."""
    length = np.array([np.isfinite(b.positions[:, 1]).all(-1).sum() for b in backbones])
    size = np.array([radius_of_gyration(b) for b in backbones])
    used = (length >= 40) & (length <= 400)
    x, y = np.log(length[used]), np.log(size[used])
    weight = np.ones_like(x)
    for _ in range(50):
        b, log_a = np.polyfit(x, y, 1, w=np.sqrt(weight))
        weight = 1 / np.maximum(np.abs(y - b * x - log_a), 1e-3)
    rest = y - b * x - log_a
    low, high = np.quantile(rest, (0.25, 0.75))
    return {
        "a": float(np.exp(log_a)), "b": float(b), "sd_log": float((high - low) / 1.349), "chains": int(used.sum()),
        "provenance": "Rg = a * length^b (CA, A): entries of one chain, 40 to 400 residues, one of each 90 % cluster "
        "of the training split; sd_log is the interquartile range of log(Rg) about the law, as a normal sd",
        "script": "benchmarks/natural_reference.py --refit",
    }  # fmt: skip


def structures(chains: list[CollectionChain]) -> Iterator[Structure]:
    """The chains by way of PDB files, as any design is read."""
    with tempfile.TemporaryDirectory() as folder:
        for chain in chains:
            path = Path(folder) / f"{chain.entry}_{chain.name}.pdb"
            path.write_text(chain.pdb_text())
            yield dataclasses.replace(read_structure(path), name=path.stem)


def measure(chains: list[CollectionChain]) -> list[Validity]:
    return [validity(structure) for structure in structures(chains)]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("--refit", action="store_true")
    arguments = parser.parse_args()
    index = read_index(arguments.source)
    if arguments.refit:
        refit(arguments.source, index)
    held_out = [
        record for record in index
        if record["split"] in ("val", "test") and record["atoms"] == "all" and "ig" not in record["tags"]
    ]  # fmt: skip
    chains = [c for c in distinct_chains(arguments.source, held_out) if len(c) >= LENGTHS[0]]
    sharp = {record["id"] for record in held_out if record["resolution"] and record["resolution"] <= RESOLUTION}
    alone = {record["id"] for record in held_out if "single" in record["tags"]}
    measured = measure([c for c in chains if len(c) <= LENGTHS[1] or c.entry in sharp])
    checks = [check for check in measured if check.residues <= LENGTHS[1]]

    def of(entries: set[str], among: list[Validity]) -> list[Validity]:
        return [check for check in among if check.name.rsplit("_", 1)[0] in entries]

    sets = {"all": checks, "entries of one chain": of(alone, checks), f"{RESOLUTION} Å or better": of(sharp, checks)}
    sets[f"{RESOLUTION} Å or better, any length"] = of(sharp, measured)
    sets |= {f"{low}-{high} residues": [c for c in checks if low <= c.residues <= high] for low, high in BANDS}
    tables = {f"{name} ({len(members)})": summarise_validity(members) for name, members in sets.items()}
    print("mean [95 % interval]\n" + format_table(tables))
    print("\nmedian (quartiles)\n" + format_table(tables, show="quartiles"))
    result = {
        "what": "protein chains of 40 to 128 residues of the validation and test splits (no antibody or T-cell "
        "receptor domains), one of each 90 % cluster, each chain alone; one set has the longer chains too",
        "sets": {
            name: {key: dataclasses.asdict(value) for key, value in summarise_validity(members).items()}
            for name, members in sets.items()
        },
        "chains": [dataclasses.asdict(check) for check in measured],
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print(f"written: {RESULT.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
