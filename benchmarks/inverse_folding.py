"""Recovery, likelihood, side chains and speed of inverse folding on held-out natural chains.

    structdiff weights fetch proteinmpnn ligandmpnn
    python benchmarks/inverse_folding.py COLLECTION [--chains 30] [--out benchmarks/results/inverse_folding.json]

COLLECTION is a folder with index.jsonl.gz (docs/data.md). Chains are of its test split, one of each 40 % cluster, alone
and without ligands. Held out from our own weights; ProteinMPNN and LigandMPNN were trained on the Protein Data Bank and
may have seen them.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from collection import CollectionChain, read_chains, read_index

from structdiff.evaluation.clashes import clashes
from structdiff.inverse_folding import (
    Restrictions,
    SequenceConfig,
    design_for_backbones,
    design_sequences,
    pack_side_chains,
    score_sequence,
)
from structdiff.inverse_folding.backbone import protein_backbone
from structdiff.inverse_folding.packing import slot_positions
from structdiff.inverse_folding.rigid_groups import chis_exist, measure_chis
from structdiff.structure.files import read_structure
from structdiff.structure.tables import Structure

MODELS = ("proteinmpnn", "solublempnn", "ligandmpnn", "proteinmpnn_ca")
NUM_SEQUENCES = 4
TEMPERATURE = 0.1
SPEED_LENGTH = 100


def chosen_chains(source: Path, count: int) -> list[CollectionChain]:
    records = [
        record
        for record in read_index(source)
        if record["split"] == "test" and record["atoms"] == "all" and "ig" not in record["tags"]
        and record["resolution"] and record["resolution"] <= 3.0
    ]  # fmt: skip
    found: dict[int, CollectionChain] = {}
    for record, chains in read_chains(source, records):
        for about, chain in zip(record["chains"], chains, strict=True):
            if chain.kind == "protein" and 50 <= len(chain) <= 300 and about["c40"] not in found:
                found[about["c40"]] = chain
    every = sorted(found.values(), key=lambda chain: (chain.entry, chain.name))
    return [every[row] for row in np.random.default_rng(0).permutation(len(every))[:count]]


def structure_of(chain: CollectionChain) -> Structure:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{chain.entry}_{chain.name}.pdb"
        path.write_text(chain.pdb_text())
        return read_structure(path)


def summary(values: list[float]) -> dict[str, float]:
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return {
        "median": round(middle, 4),
        "quartile_1": round(low, 4),
        "quartile_3": round(high, 4),
        "chains": len(values),
    }


def judged_sequences(structures: list[Structure], model: str) -> dict[str, dict[str, float]]:
    config = SequenceConfig(model=model, num_sequences=NUM_SEQUENCES, temperature=TEMPERATURE)
    designed = design_for_backbones([(each, Restrictions()) for each in structures], config)
    own = [score_sequence(each, model=model).negative_log_likelihood for each in structures]
    rescored = [score_sequence(each[0].structure, model=model).negative_log_likelihood for each in designed]
    return {
        "recovery": summary([float(np.mean([one.recovery for one in each])) for each in designed]),
        "negative_log_likelihood_designed": summary(
            [float(np.mean([one.negative_log_likelihood for one in each])) for each in designed]
        ),
        "negative_log_likelihood_designed_other_orders": summary(rescored),
        "negative_log_likelihood_natural": summary(own),
    }


def judged_side_chains(structures: list[Structure]) -> dict[str, object]:
    """chi1 and chi1 with chi2 within 20 degrees, the RMSD of side-chain atoms, and clashes, by chain."""
    shares: dict[str, list[float]] = {"chi1_within_20": [], "chi1_and_chi2_within_20": [], "side_chain_rmsd": []}
    for structure in structures:
        backbone, packed = protein_backbone(structure), pack_side_chains(structure)
        letters = torch.from_numpy(backbone.letters)
        truth = slot_positions(structure, backbone)
        found = slot_positions(packed, protein_backbone(packed))
        seen = ~np.isnan(truth).any(axis=(1, 2)) & backbone.standard
        chis = [measure_chis(letters, torch.from_numpy(np.nan_to_num(each))).numpy() for each in (truth, found)]
        off = np.abs(np.remainder(chis[0] - chis[1] + np.pi, 2 * np.pi) - np.pi) < np.radians(20)
        exist = chis_exist(letters).numpy() & seen[:, None]
        shares["chi1_within_20"].append(float(off[exist[:, 0], 0].mean()))
        both = exist[:, 1]
        shares["chi1_and_chi2_within_20"].append(float((off[both, 0] & off[both, 1]).mean()))
        side = (truth[seen] - found[seen])[:, 5:]
        there = np.abs(truth[seen][:, 5:]).sum(-1) > 0
        shares["side_chain_rmsd"].append(float(np.sqrt((side[there] ** 2).sum(-1).mean())))
        drawn = pack_side_chains(structure, relieve_clashes=False)
        for name, each in (("natural", structure), ("packed", packed), ("packed_not_relieved", drawn)):
            shares.setdefault(f"clashes_per_100_residues_{name}", []).append(clashes(each).per_100_residues)
    return {name: summary(values) | {"mean": round(float(np.mean(values)), 4)} for name, values in shares.items()}


def speed(structure: Structure) -> dict[str, object]:
    """Sequences a second for the first residues of a chain, by wall and by processor time; the best of five."""
    rows = protein_backbone(structure).rows[:SPEED_LENGTH]
    part = structure.select(np.isin(structure.atoms.residue, rows))
    found: dict[str, object] = {"residues": len(rows), "threads": torch.get_num_threads()}
    for model in ("proteinmpnn", "ligandmpnn"):
        for number in (1, 8, 32):
            wall, processor = [], []
            for _ in range(6):
                began = time.perf_counter(), time.process_time()
                design_sequences(part, model=model, num_sequences=number)
                wall.append(time.perf_counter() - began[0])
                processor.append(time.process_time() - began[1])
            found[f"{model}, {number} at once"] = {
                "sequences_per_second": round(number / min(wall[1:]), 1),
                "sequences_per_processor_second": round(number / min(processor[1:]), 1),
            }
    began = time.process_time()
    pack_side_chains(part)
    return found | {"packing_processor_seconds": round(time.process_time() - began, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("collection", type=Path)
    parser.add_argument("--chains", type=int, default=30)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "inverse_folding.json")
    options = parser.parse_args()
    chains = chosen_chains(options.collection, options.chains)
    structures = [structure_of(chain) for chain in chains]
    results: dict[str, object] = {
        "what": (__doc__ or "").splitlines()[0],
        "chains": [f"{chain.entry}_{chain.name} {len(chain)}" for chain in chains],
        "num_sequences": NUM_SEQUENCES,
        "temperature": TEMPERATURE,
    }
    for model in MODELS:
        results[model] = judged_sequences(structures, model)
        print(model, json.dumps(results[model]), flush=True)
    results["side_chains"] = judged_side_chains(structures)
    print(json.dumps(results["side_chains"]), flush=True)
    results["speed"] = speed(next(each for each in structures if len(protein_backbone(each)) >= SPEED_LENGTH))
    print(json.dumps(results["speed"]), flush=True)
    options.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
