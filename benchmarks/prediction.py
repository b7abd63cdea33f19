"""How well held-out single chains are predicted from their sequence alone, and whether the confidence knows.

    python benchmarks/prediction.py DATA [--weights mini] [--entries 40] [--max-residues 100] [--json OUT]

DATA is a set made by ``structdiff prepare``; its test split is used. Beside the prediction stand two baselines: the
same network given the sequence shuffled, and an ideal helix of the same length.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr

from structdiff.chemistry.residues import PROTEIN_THREE_TO_ONE
from structdiff.evaluation.backbone import Backbone
from structdiff.evaluation.chirality import hands
from structdiff.evaluation.lddt import lddt
from structdiff.evaluation.summary import summarise
from structdiff.evaluation.tm_score import tm_score
from structdiff.options import RunOptions
from structdiff.pipeline import predict
from structdiff.spec.complex import ChainSpec, ComplexSpec
from structdiff.structure.tables import ChainKind
from structdiff.training.dataset import StructureSet


def ideal_helix(count: int) -> np.ndarray:
    """CA positions (Å) of an alpha helix: radius 2.3 Å, 100° and 1.5 Å a residue."""
    turn = np.radians(100.0) * np.arange(count)
    return np.stack([2.3 * np.cos(turn), 2.3 * np.sin(turn), 1.5 * np.arange(count)], -1)


def chosen(structures: StructureSet, entries: int, max_residues: int) -> list[tuple[str, str, np.ndarray]]:
    """Name, sequence and CA positions of single-chain proteins, shortest gaps first: no missing residue inside."""
    found = []
    for index in np.flatnonzero((structures.num_residues <= max_residues) & (structures.num_residues >= 40)):
        structure = structures.structure(int(index))
        names = structure.residues.name.tolist()
        number = structure.residues.label_seq_id
        whole = len(structure.chains) == 1 and structure.chains.kind[0] == ChainKind.PROTEIN
        if not whole or (np.diff(number) != 1).any() or not set(names) <= set(PROTEIN_THREE_TO_ONE):
            continue
        ca = structure.atoms.name == "CA"
        if structure.atoms.resolved[ca].all():
            sequence = "".join(PROTEIN_THREE_TO_ONE[name] for name in names)
            found.append((structures.names[int(index)], sequence, structure.atoms.positions[ca]))
    order = np.random.default_rng(0).permutation(len(found))[:entries]
    return [found[place] for place in order]


def judged(sequence: str, truth: np.ndarray, weights: str) -> dict[str, float]:
    spec = ComplexSpec(name="chain", chains=(ChainSpec(ids=("A",), kind="protein", sequence=sequence),))
    (prediction,) = predict(spec, options=RunOptions(weights=weights))
    atoms = prediction.structure.atoms
    ca = atoms.positions[atoms.name == "CA"]
    share_l = hands(Backbone.from_structure(prediction.structure)).share_l  # glycine has no hand and does not count
    return {
        "lddt_ca": lddt(ca, truth).score,
        "tm": tm_score(ca, truth).score,
        "plddt": prediction.confidence.mean_plddt / 100,
        "l_share": share_l,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--weights", default="mini")
    parser.add_argument("--entries", type=int, default=40)
    parser.add_argument("--max-residues", type=int, default=100)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    rows: dict[str, list[float]] = {}
    rng = np.random.default_rng(1)
    for name, sequence, truth in chosen(StructureSet(options.data, "test"), options.entries, options.max_residues):
        row = judged(sequence, truth, options.weights)
        row |= {f"shuffled_{key}": value for key, value in
                judged("".join(rng.permutation(list(sequence))), truth, options.weights).items()}  # fmt: skip
        helix = ideal_helix(len(truth))
        row |= {"helix_lddt_ca": lddt(helix, truth).score, "helix_tm": tm_score(helix, truth).score}
        for key, value in row.items():
            rows.setdefault(key, []).append(float(value))
        print(name, len(sequence), " ".join(f"{key} {value:.3f}" for key, value in row.items()), flush=True)
    result = {key: vars_of(values) for key, values in rows.items()}
    result["spearman_plddt_lddt"] = float(spearmanr(rows["plddt"], rows["lddt_ca"]).statistic)
    for key, value in result.items():
        print(key, value)
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


def vars_of(values: list[float]) -> dict[str, float]:
    summary = summarise(np.array(values))
    return {
        "mean": round(summary.mean, 4),
        "low": round(summary.low, 4),
        "high": round(summary.high, 4),
        "count": summary.count,
    }


if __name__ == "__main__":
    main()
