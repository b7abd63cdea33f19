"""Guidance: how much variety more obedience costs, by gamma, where nothing but the network follows what is asked.

    python benchmarks/guidance.py [--minutes 20 --json benchmarks/results/guidance.json --plot docs/guidance.png]
    python benchmarks/guidance.py --table benchmarks/results/guidance.json [--plot docs/guidance.png]

Designs hold their motif by construction, and the sampler lays out secondary structure that is asked for; both are left
out here, so that the network's own obedience is seen. Two requests: the motif of examples/5tpn_site_v.pdb with twenty
residues on either side, and helix, hairpin, helix as secondary structure. Gamma 0 hears nothing, 1 is as trained.
Results of a run before are kept; after --minutes nothing further is begun.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from drawn_designs import stated, subject_of

from structdiff.design_jobs import job_of
from structdiff.diffusion.guidance import Denoiser, guided
from structdiff.diffusion.sampler import sample, sample_generator
from structdiff.engine import Engine
from structdiff.evaluation.backbone import Backbone
from structdiff.evaluation.diversity import diversity
from structdiff.evaluation.measures import validity_values
from structdiff.evaluation.secondary_structure import secondary_structure
from structdiff.evaluation.superposition import rmsd
from structdiff.features.collate import collate
from structdiff.features.guidance import keep_conditions
from structdiff.features.schema import Features
from structdiff.jobs import Job
from structdiff.options import RunOptions, recommended_sampling
from structdiff.pipeline import load_engine
from structdiff.spec.contig_grammar import parse_contigs
from structdiff.spec.design import DesignSpec
from structdiff.structure.files import write_atomically
from structdiff.structure.tables import Structure

GAMMAS = (1.0, 0.0, 2.0, 1.5, 0.5, 3.0)
MOTIF = Path(__file__).parent.parent / "examples" / "5tpn_site_v.pdb"
ASKED = "LL" + "H" * 16 + "LLL" + "E" * 6 + "LLL" + "E" * 6 + "LLL" + "H" * 15 + "LL"
#: What is asked, what of it is measured, and which way is better.
REQUESTS = {
    "motif": ("motif RMSD, Å", "lower"),
    "secondary structure": ("asked helix and strand, %", "higher"),
}


def job_for(request: str) -> Job:
    if request == "motif":
        return job_of(DesignSpec(motif=MOTIF, contigs=parse_contigs("20/A163-181/20"), fold_plan="none"), 0)
    return job_of(
        DesignSpec(contigs=parse_contigs(str(len(ASKED))), secondary_structure=ASKED, fold_plan="none"), 0
    )  # fmt: skip


def drawn(engine: Engine, job: Job, gamma: float, count: int) -> list[Structure]:
    """Structures that the network draws under guidance, no constraint taking part."""
    batch = collate([job.features] * count).to(engine.device)

    def hearing(features: Features) -> Denoiser:
        trunk = engine.network.trunk(features)
        condition = engine.network.denoiser.condition(features, trunk)
        return lambda noisy, sigma, previous: engine.network.denoiser(condition, noisy, sigma, previous).positions

    with torch.inference_mode():
        denoise = guided(hearing(keep_conditions(batch, ())), {"all": hearing(batch)}, gamma)
        positions = sample(
            denoise, batch.atom.mask, generators=[sample_generator(1, number) for number in range(count)],
            config=recommended_sampling(engine.weights),
        ).unflatten(1, (batch.num_tokens, batch.num_slots)).cpu()  # fmt: skip
    return [structure_of(job, own.numpy()) for own in positions]


def structure_of(job: Job, by_slot: np.ndarray) -> Structure:
    visible = job.features.atom.mask.unflatten(0, job.tokens.atoms.shape).numpy()
    rows = job.tokens.atoms[visible]
    positions = np.zeros((len(job.structure.atoms), 3), np.float32)
    placed = np.zeros(len(positions), bool)
    positions[rows], placed[rows] = by_slot[visible], True
    return job.structure.with_positions(positions, resolved=placed)


def fidelity(request: str, job: Job, structure: Structure) -> float:
    """Backbone RMSD (Å) of the motif, or the share of residues that are the helix or strand they should be."""
    if request == "motif":
        atoms = job.structure.atoms
        held = (job.held > 0) & np.isin(atoms.name, ("N", "CA", "C", "O"))
        return float(rmsd(structure.atoms.positions[held], atoms.positions[held]))
    found = secondary_structure(Backbone.from_structure(structure))
    wanted = np.array(list(ASKED))
    return float((found == wanted)[wanted != "L"].mean())


def measured(engine: Engine, request: str, gamma: float, count: int) -> dict[str, Any]:
    job = job_for(request)
    structures = drawn(engine, job, gamma, count)
    subjects = [subject_of(structure) for structure in structures]
    folds = diversity([subject.trace for subject in subjects])
    validity = [validity_values(subject) for subject in subjects]
    return {
        "request": request, "gamma": gamma, "designs": count,
        "fidelity": stated([fidelity(request, job, structure) for structure in structures]),
        "clusters": int(folds.cluster.max()), "mean_tm": stated(folds.mean_tm),
        "rama_favoured": stated([own["rama_favoured"] for own in validity]),
        "chain_breaks": stated([own["chain_breaks"] for own in validity]),
        "backbone_clashes_per_100": stated([own["backbone_clashes_per_100"] for own in validity]),
    }  # fmt: skip


def table(result: dict[str, Any]) -> str:
    """The table of the documents."""
    heads = ["gamma", "followed", "mean TM of pairs", "clusters at TM 0.6", "Ramachandran favoured, %", "chain breaks"]
    lines = []
    for request, (words, _) in REQUESTS.items():
        scale = 100 if words.endswith("%") else 1
        lines += [f"| {request}: {' | '.join(heads).replace('followed', words)} |", "|---" * len(heads) + "|"]
        for row in rows_of(result["rows"], request):
            cells = [f"{row['gamma']:g}", _cell(row["fidelity"], scale), _cell(row["mean_tm"], 1),
                     f"{row['clusters']} of {row['designs']}", _cell(row["rama_favoured"], 100),
                     _cell(row["chain_breaks"], 1)]  # fmt: skip
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def rows_of(rows: Sequence[dict], request: str) -> list[dict]:
    return sorted((row for row in rows if row["request"] == request), key=lambda row: row["gamma"])


def _cell(value: dict[str, float], scale: float) -> str:
    return f"{scale * value['mean']:.3g} [{scale * value['low']:.3g}, {scale * value['high']:.3g}]"


def plot(result: dict[str, Any], path: Path) -> None:
    """Fidelity against likeness of the designs to each other, a point a gamma, with 95 % intervals."""
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, len(REQUESTS), figsize=(9, 3.8), layout="constrained")
    for axis, (request, (words, better)) in zip(panels, REQUESTS.items(), strict=True):
        rows, scale = rows_of(result["rows"], request), 100 if words.endswith("%") else 1
        x, y = ([row[key]["mean"] * by for row in rows] for key, by in (("mean_tm", 1), ("fidelity", scale)))
        bars = [
            np.abs([[(row[key][end] - row[key]["mean"]) * by for row in rows] for end in ("low", "high")])
            for key, by in (("mean_tm", 1), ("fidelity", scale))
        ]
        axis.errorbar(x, y, xerr=bars[0], yerr=bars[1], fmt="-o", color="#2b6cb0", ecolor="#b0bec5", capsize=2)
        for row, across, up in zip(rows, x, y, strict=True):
            axis.annotate(f"γ {row['gamma']:g}", (across, up), xytext=(6, 5), textcoords="offset points", fontsize=9)
        axis.set_xlabel("mean TM-score of pairs (left is more varied)")
        axis.set_ylabel(f"{words} ({'down' if better == 'lower' else 'up'} is better)")
        axis.set_title(f"{request}, {rows[0]['designs']} designs a point" if rows else request, fontsize=10)
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="mini")
    parser.add_argument("--designs", type=int, default=16)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--table", type=Path, help="write the table of a result, and draw nothing new")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    if arguments.table:
        result = json.loads(arguments.table.read_text())
    else:
        result = run(arguments)
    print(table(result))
    if arguments.plot:
        plot(result, arguments.plot)


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    engine = load_engine(RunOptions(weights=arguments.weights))
    known = json.loads(arguments.json.read_text()) if arguments.json and arguments.json.is_file() else {}
    same = known.get("weights") == engine.weights.sha256
    rows = [row for row in known.get("rows", []) if same and row["designs"] == arguments.designs]
    kept = {(row["request"], row["gamma"]): row for row in rows}
    result: dict[str, Any] = {"weights": engine.weights.sha256, "rows": []}
    every = [(request, gamma) for gamma in GAMMAS for request in REQUESTS]
    began = time.monotonic()
    for number, place in enumerate(every, start=1):
        if place not in kept and time.monotonic() - began > 60 * arguments.minutes:
            print(f"{arguments.minutes:g} minutes are over", flush=True)
            break
        result["rows"].append(kept.get(place) or measured(engine, *place, arguments.designs))
        print(f"{number}/{len(every)} {json.dumps(result['rows'][-1])}", flush=True)
        if arguments.json:
            write_atomically(arguments.json, json.dumps(result, indent=1) + "\n")
    return result


if __name__ == "__main__":
    main()
