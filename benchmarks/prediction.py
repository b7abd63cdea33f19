"""How well held-out single chains are predicted from their sequence alone, and whether the confidence knows.

    python benchmarks/prediction.py DATA [--entries 60 --minutes 20 --json benchmarks/results/prediction.json]
    python benchmarks/prediction.py --table benchmarks/results/prediction.json

DATA is a set made by ``structdiff prepare``; single chains of its test split are predicted, in an order drawn from the
seed, until there are --entries or --minutes are over. Beside each prediction stand the same network given the sequence
shuffled, a sequence that ProteinMPNN designed for the chain's backbone (``structdiff weights fetch proteinmpnn``) and
that one shuffled, the nearest training sequence by alignment with its structure laid on, and an ideal helix. For the
confidence the chain is also drawn from its true structure under noise, which gives predictions of every quality. A run
that was stopped goes on from its file. --table writes the tables of the model card.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from foretelling import correlated, correlation_text
from held_out_chains import CLASSES, Chain, TrainingSequences, held_out_chains

from structdiff.assembly import finished_prediction
from structdiff.complex_jobs import complex_job
from structdiff.diffusion.partial import partial_sampling
from structdiff.diffusion.sampler import sample_generator
from structdiff.engine import Engine
from structdiff.evaluation.backbone import Backbone
from structdiff.evaluation.chirality import hands
from structdiff.evaluation.lddt import lddt
from structdiff.evaluation.oxygen import with_oxygen
from structdiff.evaluation.summary import summarise
from structdiff.evaluation.tm_score import tm_score
from structdiff.finishing import finish_of
from structdiff.inverse_folding import design_sequences
from structdiff.options import RunOptions, recommended_sampling
from structdiff.output.prediction import Prediction
from structdiff.pipeline import load_engine
from structdiff.spec.chain import ChainSpec
from structdiff.spec.complex import ComplexSpec
from structdiff.structure.files import write_atomically
from structdiff.training.dataset import StructureSet

NOISE = (1.0, 4.0, 16.0)  # Å: how far from its true structure a chain is drawn again
BANDS = ((40, 70), (71, 100), (101, 150))  # residues
SYSTEMS = {
    "prediction": "prediction",
    "shuffled": "same network, shuffled sequence",
    "designed": "same network, ProteinMPNN sequence",
    "nearest": "nearest training sequence",
    "helix": "ideal helix",
}
WRONG = 0.5  # lDDT under which a prediction is called wrong


def ideal_helix(count: int) -> np.ndarray:
    """CA positions (Å) of an alpha helix: radius 2.3 Å, 100° and 1.5 Å a residue."""
    turn = np.radians(100.0) * np.arange(count)
    return np.stack([2.3 * np.cos(turn), 2.3 * np.sin(turn), 1.5 * np.arange(count)], -1)


def drawn(engine: Engine, chain: Chain, sequence: str, options: RunOptions, noise: float | None = None) -> Prediction:
    """The chain predicted from a sequence; with noise (Å), drawn from its true structure under so much of it."""
    spec = ComplexSpec(name=chain.name, chains=(ChainSpec(ids=("A",), kind="protein", sequence=sequence),))
    job = complex_job(spec)
    sampling = recommended_sampling(engine.weights)
    start = None
    if noise is not None:
        sampling = partial_sampling(sampling, sigma=noise)
        start = [true_positions(chain, job.structure.atoms, job.tokens.atoms)]
        options = replace(options, relax=False)
    finish = finish_of(job, options, sample_generator(0, 0), [], lambda _: None)
    (draw,) = engine.draw([job.features], [sample_generator(0, 0)], sampling, start=start, finish=[finish])
    return finished_prediction(job, draw, engine, options, seed=0, index=0)


def true_positions(chain: Chain, atoms: Any, rows: np.ndarray) -> torch.Tensor:
    """True positions [token, slot, 3] (Å) of a job's atoms; an atom that was not seen lies at its residue's CA."""
    own = chain.structure.atoms
    seen = np.flatnonzero(own.resolved)
    keys = zip(own.residue[seen].tolist(), own.name[seen].tolist(), strict=True)
    place = dict(zip(keys, own.positions[seen], strict=True))
    wanted = zip(atoms.residue.tolist(), atoms.name.tolist(), strict=True)
    found = np.array([place.get(key, chain.ca[key[0]]) for key in wanted], np.float32)
    return torch.from_numpy(np.where(rows[..., None] >= 0, found[rows], np.float32(0)))


def against_truth(ca: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """lDDT of CA and TM-score; residues that are not placed (NaN) count as wrong."""
    there = np.isfinite(ca).all(-1)
    tm = tm_score(ca[there], truth[there], length=len(truth)).score if there.sum() > 2 else 0.0
    return {"lddt": lddt(ca, truth).score, "tm": tm}


def judged(prediction: Prediction, truth: np.ndarray) -> dict[str, float]:
    atoms = prediction.structure.atoms
    return against_truth(atoms.positions[atoms.name == "CA"], truth) | {
        "plddt": prediction.confidence.mean_plddt / 100,
        "share_l": hands(Backbone.from_structure(prediction.structure)).share_l,  # glycine has no hand
    }


def shuffled(sequence: str) -> str:
    """The letters in an order that depends on their number alone."""
    return "".join(np.random.default_rng(len(sequence)).permutation(list(sequence)))


def designed_sequence(chain: Chain) -> str:
    """What ProteinMPNN writes for the chain's backbone at its usual temperature."""
    (found,) = design_sequences(with_oxygen(chain.structure), model="proteinmpnn", num_sequences=1, seed=0)
    return "".join(found.sequences.values())


def entry(chain: Chain, engine: Engine, training: TrainingSequences, options: RunOptions) -> dict[str, Any]:
    """All that is measured of one chain."""
    designed = designed_sequence(chain)
    template = training.nearest(chain.sequence)
    found = {
        "prediction": judged(drawn(engine, chain, chain.sequence, options), chain.ca),
        "shuffled": judged(drawn(engine, chain, shuffled(chain.sequence), options), chain.ca),
        "designed": judged(drawn(engine, chain, designed, options), chain.ca),
        "designed_shuffled": judged(drawn(engine, chain, shuffled(designed), options), chain.ca),
        "nearest": against_truth(template.ca, chain.ca)
        | {"identity": template.identity, "coverage": template.coverage},
        "helix": against_truth(ideal_helix(len(chain.ca)), chain.ca),
    }
    for noise in NOISE:
        found[f"noise {noise:g} Å"] = judged(drawn(engine, chain, chain.sequence, options, noise), chain.ca)
    rounded = {name: {key: round(value, 4) for key, value in values.items()} for name, values in found.items()}
    return {
        "name": chain.name, "residues": len(chain.ca), "helix": round(chain.helix, 3),
        "strand": round(chain.strand, 3), "class": chain.fold_class, "template": template.name,
        "systems": rounded,
    }  # fmt: skip


def groups(entries: Sequence[dict]) -> dict[str, list[dict]]:
    """The entries together, by length and by class."""
    found = {"all": list(entries)}
    for first, last in BANDS:
        found[f"{first} to {last} residues"] = [each for each in entries if first <= each["residues"] <= last]
    return found | {name: [each for each in entries if each["class"] == name] for name in CLASSES}


def mean(rows: Sequence[dict], system: str, key: str) -> dict[str, float | int]:
    summary = summarise([row["systems"][system][key] for row in rows])
    return {
        "mean": round(summary.mean, 4), "low": round(summary.low, 4), "high": round(summary.high, 4),
        "count": summary.count,
    }  # fmt: skip


def confidence(entries: Sequence[dict]) -> dict[str, Any]:
    """Does pLDDT follow the true lDDT: over what the network drew in every way, and over predictions alone?"""
    kinds = ["prediction", "shuffled", *(f"noise {noise:g} Å" for noise in NOISE)]
    rows = [row["systems"][kind] | {"kind": kind} for row in entries for kind in kinds]
    wrong, right = ([row for row in rows if (row["lddt"] < WRONG) == low] for low in (True, False))
    return {
        "drawn": len(rows),
        "spearman": correlated(told_and_true(rows)),
        "spearman_predictions_alone": correlated(told_and_true([row for row in rows if row["kind"] == "prediction"])),
        "mean_plddt_where_lddt_under_0.5": rounded_mean(wrong, "plddt"),
        "mean_plddt_elsewhere": rounded_mean(right, "plddt"),
        "share_of_wrong_with_plddt_over_0.7": rounded_mean([{"high": row["plddt"] > 0.7} for row in wrong], "high"),
        "mean_absolute_error": rounded_mean([{"error": abs(row["plddt"] - row["lddt"])} for row in rows], "error"),
        "by_kind": {
            kind: {key: rounded_mean([row for row in rows if row["kind"] == kind], key) for key in ("lddt", "plddt")}
            for kind in kinds
        },
    }


def told_and_true(rows: Sequence[dict]) -> list[tuple[float, float]]:
    return [(row["plddt"], row["lddt"]) for row in rows]


def rounded_mean(rows: Sequence[dict], key: str) -> float | None:
    return round(float(np.mean([row[key] for row in rows])), 4) if rows else None


def report(entries: Sequence[dict], weights: str) -> dict[str, Any]:
    measured = {"prediction": ("lddt", "tm", "plddt", "share_l"), "shuffled": ("lddt", "tm", "plddt"),
                "designed": ("lddt", "tm", "plddt"), "designed_shuffled": ("lddt", "tm", "plddt"),
                "nearest": ("lddt", "tm", "identity", "coverage"), "helix": ("lddt", "tm")}  # fmt: skip
    summary = {
        name: {system: {key: mean(rows, system, key) for key in keys} for system, keys in measured.items()}
        for name, rows in groups(entries).items()
        if rows
    }
    return {"weights": weights, "summary": summary, "confidence": confidence(entries), "entries": list(entries)}


def table(result: dict[str, Any]) -> str:
    """The tables of the model card."""
    lines = []
    for key, label in (("lddt", "lDDT of CA"), ("tm", "TM-score")):
        lines += [f"| {label}, mean [95 % interval] | chains | " + " | ".join(SYSTEMS.values()) + " |",
                  "|---" * (2 + len(SYSTEMS)) + "|"]  # fmt: skip
        for name, systems in result["summary"].items():
            cells = [_cell(systems[system][key]) for system in SYSTEMS]
            lines.append(f"| {name} | {systems['prediction'][key]['count']} | " + " | ".join(cells) + " |")
        lines.append("")
    found = result["confidence"]
    lines += ["| drawn from | lDDT of CA | pLDDT / 100 |", "|---|---|---|"]
    labels = {"prediction": "the sequence", "shuffled": "the sequence, shuffled"}
    for kind, values in found["by_kind"].items():
        label = labels.get(kind, f"the true structure and {kind.removeprefix('noise ')} of noise")
        lines.append(f"| {label} | {values['lddt']:.2f} | {values['plddt']:.2f} |")
    every, alone = (found[key] for key in ("spearman", "spearman_predictions_alone"))
    text = f"Spearman correlation of pLDDT with lDDT over all {found['drawn']}: {correlation_text(every)}; over the "
    text += f"predictions alone {correlation_text(alone)}. "
    if found["mean_plddt_where_lddt_under_0.5"] is not None:
        text += f"Where lDDT is under {WRONG}, pLDDT is {100 * found['mean_plddt_where_lddt_under_0.5']:.0f} in the "
        text += f"mean and over 70 in {100 * found['share_of_wrong_with_plddt_over_0.7']:.0f} %"
        other = found["mean_plddt_elsewhere"]
        text += f"; elsewhere {100 * other:.0f}." if other is not None else "."
    nearest = result["summary"]["all"]["nearest"]
    text += f" The nearest training sequence covers {100 * nearest['coverage']['mean']:.0f} % of the residues, "
    text += f"{100 * nearest['identity']['mean']:.0f} % of these alike."
    designed, letters = (result["summary"]["all"][name] for name in ("designed", "designed_shuffled"))
    text += f" ProteinMPNN sequences shuffled: lDDT {_cell(letters['lddt'])}, TM-score {_cell(letters['tm'])}; pLDDT "
    text += f"{100 * designed['plddt']['mean']:.0f} as they are, {100 * letters['plddt']['mean']:.0f} shuffled."
    return "\n".join([*lines, "", text])


def _cell(value: dict[str, float]) -> str:
    return f"{value['mean']:.2f} [{value['low']:.2f}, {value['high']:.2f}]"


def measured(arguments: argparse.Namespace, keep: Callable[[list[dict]], None]) -> list[dict]:
    """The entries of a file of before that belong to these weights, and those that follow them."""
    chains = held_out_chains(
        StructureSet(arguments.data, "test"), shortest=BANDS[0][0], longest=BANDS[-1][1]
    )[: arguments.entries]  # fmt: skip
    known = json.loads(arguments.json.read_text()) if arguments.json and arguments.json.is_file() else {}
    kept = {row["name"]: row for row in known.get("entries", []) if known.get("weights") == identity(arguments.weights)}
    print(f"{len(chains)} chains, {len(kept)} of them known; reading the training sequences", file=sys.stderr)
    training = TrainingSequences(StructureSet(arguments.data, "train"))
    options = RunOptions(weights=arguments.weights)
    engine, entries, began = load_engine(options), [], time.monotonic()
    for number, chain in enumerate(chains, start=1):
        if chain.name not in kept and time.monotonic() - began > 60 * arguments.minutes:
            print(f"{arguments.minutes:g} minutes are over after {len(entries)} chains", file=sys.stderr)
            break
        entries.append(kept.get(chain.name) or entry(chain, engine, training, options))
        keep(entries)
        own = entries[-1]["systems"]
        text = ", ".join(f"{name} {own[name]['lddt']:.2f} {own[name]['tm']:.2f}" for name in SYSTEMS)
        print(f"{number}/{len(chains)} {chain.name} {len(chain.ca)} {chain.fold_class}: {text}", flush=True)
    return entries


def identity(weights: str) -> str:
    """The weights by the first digits of their file's SHA-256, so that nothing is taken over from others."""
    return load_engine(RunOptions(weights=weights)).weights.sha256[:16]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--weights", default="mini")
    parser.add_argument("--entries", type=int, default=60)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--table", type=Path, help="write the tables of a result, and measure nothing")
    arguments = parser.parse_args()
    if arguments.table:
        print(table(json.loads(arguments.table.read_text())))
        return
    if arguments.data is None:
        parser.error("DATA is missing")
    if arguments.threads:
        torch.set_num_threads(arguments.threads)

    def keep(entries: list[dict]) -> None:
        if arguments.json:
            found = report(entries, identity(arguments.weights))
            write_atomically(arguments.json, json.dumps(found, indent=1) + "\n")

    entries = measured(arguments, keep)
    print(table(report(entries, arguments.weights)))


if __name__ == "__main__":
    main()
