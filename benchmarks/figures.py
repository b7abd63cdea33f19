"""The tables of README.md and of a model card, from the results of the other scripts.

    python benchmarks/figures.py make WEIGHTS [--designs 100 --sets motif ... --keep FOLDER --natural DATA]
                                                                 # draws designs and writes benchmarks/results/*.json
    python benchmarks/figures.py tables [--seed 2]                # prints the tables as Markdown
    python benchmarks/figures.py tables --plan designable --seed 3   # the targets, of designs by that fold plan

``make`` draws 100 designs around the motif of examples/, 100 from nothing, the first 40 of these without relaxation,
and 100 of 64, 100 and 128 residues each, with the settings that the weights recommend; with --sets designable_64 ...
as many by the fold plan "designable". Results of another seed than 1 are kept beside those of seed 1.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path

from structdiff.evaluation.catalogue import metric

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
MOTIF = ["--motif", str(ROOT / "examples/5tpn_site_v.pdb"), "--contigs", "10-40/A163-181/10-40", "--length", "55-65"]
FREE = ["--contigs", "60-100"]
LENGTHS = (64, 100, 128)
#: file of results: (options of design, share of the designs asked for)
SETS = {
    "motif": (MOTIF, 1.0),
    "unconditional": (FREE, 1.0),
    "unconditional_unrelaxed": ([*FREE, "--no-relax"], 0.4),
    **{f"unconditional_{length}": (["--contigs", str(length)], 1.0) for length in LENGTHS},
}
DESIGNABLE = {
    f"designable_{length}": (["--contigs", str(length), "--fold-plan", "designable"], 1.0) for length in LENGTHS
}
ROWS = (
    "residues", "bond_rms", "bond_over_4_sigma", "angle_rms", "angle_over_4_sigma", "omega_rms", "ca_neighbours",
    "chain_breaks", "backbone_clashes_per_100", "new_clashes_per_100", "helices_right_handed", "rama_favoured",
    "new_rama_favoured", "rama_outlier",
    "helix", "strand", "loop", "rg", "contact_order",
)  # fmt: skip


def make(weights: str, designs: int, sets: list[str], seed: int, keep: Path | None, natural: Path | None) -> None:
    reference = [] if natural is None else ["--natural", str(natural)]
    for name in sets:
        options, share = (SETS | DESIGNABLE)[name]
        with nullcontext(keep / name) if keep else tempfile.TemporaryDirectory() as folder:
            count = str(max(1, round(share * designs)))
            command = [sys.executable, "-m", "structdiff", "design", *options, "-n", count, "--seed", str(seed),
                       "--quiet", "--refold", "none", "--judge", "none"]  # fmt: skip
            subprocess.run([*command, "--weights", weights, "--out", folder], check=True, stdout=subprocess.DEVNULL)
            judge = [sys.executable, "-m", "structdiff", "evaluate", folder, "--out", f"{folder}/judged", "--quiet",
                     *reference]  # fmt: skip
            subprocess.run(judge, check=True, stdout=subprocess.DEVNULL)
            judged = json.loads(Path(folder, "judged", "evaluation.json").read_text())
            result = {"summary": judged["summary"], "targets": judged["targets"]}
            _write_result(_results(name, seed), result, ["structdiff", *_short(command[3:])], Path(folder))


def _results(name: str, seed: int) -> Path:
    return RESULTS / (f"{name}.json" if seed == 1 else f"{name}_seed{seed}.json")


def _short(command: list[str]) -> list[str]:
    return [part.replace(f"{ROOT}/", "") for part in command]


def _write_result(path: Path, data: dict, command: list[str], folder: Path) -> None:
    """Writes what was found of a set and how it was made, without the rows of single files."""
    judged = json.loads((folder / "design_1.confidence.json").read_text())
    data["made_by"] = " ".join(command)
    data["weights_sha256"] = judged["provenance"]["weights_sha256"]
    data["sampling"] = judged["provenance"]["sampling"]
    path.write_text(json.dumps(data, indent=1) + "\n")


def tables() -> str:
    natural = json.loads((RESULTS / "natural.json").read_text())["sets"]
    sharp = next(key for key in natural if "2.0" in key and "any" in key)
    columns = {
        "around a motif": json.loads((RESULTS / "motif.json").read_text())["summary"],
        "from nothing": json.loads((RESULTS / "unconditional.json").read_text())["summary"],
        "from nothing, before relaxation": json.loads((RESULTS / "unconditional_unrelaxed.json").read_text())[
            "summary"
        ],
        "natural, held out": natural["all"],
        "natural, 2.0 Å or better": natural[sharp],
    }
    counts = [f"{name} ({summary['residues']['count']})" for name, summary in columns.items()]
    lines = ["| mean [95 % interval] | " + " | ".join(counts) + " |", "|---" * (len(columns) + 1) + "|"]
    for key in ROWS:
        cells = [_cell(summary.get(key, {"count": 0}), metric(key).scale) for summary in columns.values()]
        lines.append(f"| {metric(key).heading} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def targets(plan: str, seed: int) -> str:
    """What is wanted of designs of one length, and what they reach: of those lengths that there are results of."""
    files = {length: _results(f"{plan}_{length}", seed) for length in LENGTHS}
    sets = {length: json.loads(path.read_text()) for length, path in files.items() if path.is_file()}
    heads = [f"{length} residues ({found['summary']['residues']['count']})" for length, found in sets.items()]
    lines = ["| mean [95 % interval] | wanted | " + " | ".join(heads) + " |", "|---" * (2 + len(heads)) + "|"]
    for rows in zip(*(found["targets"] for found in sets.values()), strict=True):
        factor = 100 if "%" in rows[0]["wanted"] else 1
        cells = [_cell(row["value"], factor) for row in rows]
        lines.append(f"| {rows[0]['text']} | {rows[0]['wanted']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(summary: dict[str, float], factor: float) -> str:
    if not summary["count"]:
        return "-"
    if summary.get("low") is None:
        return f"{factor * summary['mean']:.3g}"
    return "{} [{}, {}]".format(*(f"{factor * summary[key]:.3g}" for key in ("mean", "low", "high")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("make", "tables"))
    parser.add_argument("weights", nargs="?", default="mini")
    parser.add_argument("--designs", type=int, default=100)
    parser.add_argument("--sets", nargs="+", choices=[*SETS, *DESIGNABLE], default=list(SETS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plan", choices=("unconditional", "designable"), default="unconditional")
    parser.add_argument("--keep", type=Path, help="folder where designs stay; what is there is not drawn again")
    parser.add_argument("--natural", type=Path, help="prepared set of structures, for novelty")
    options = parser.parse_args()
    if options.what == "make":
        make(options.weights, options.designs, options.sets, options.seed, options.keep, options.natural)
    print(tables(), targets(options.plan, options.seed), sep="\n\n")


if __name__ == "__main__":
    main()
