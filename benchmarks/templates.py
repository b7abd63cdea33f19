"""Whether predictions follow a template that they are told, not held by: held-out chains told their own structure.

    python benchmarks/templates.py DATA [--entries 30] [--json benchmarks/results/templates.json]

DATA is a set made by ``structdiff prepare``, of whose test split single chains are predicted (those of
``prediction.py``), each once by itself and once with its true structure as a template. A TM-score under 0.5 with a
high lDDT is a mirror image, which distances alone do not tell from the structure.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
from held_out_chains import Chain, held_out_chains
from prediction import against_truth

from structdiff.engine import Engine
from structdiff.evaluation.summary import summarise
from structdiff.options import RunOptions
from structdiff.pipeline import load_engine, predict
from structdiff.spec import ChainSpec, ComplexSpec, TemplateSpec
from structdiff.structure.files import write_atomically, write_structure
from structdiff.training.dataset import StructureSet

SHORTEST, LONGEST = 40, 150
OTHER_FOLD = 0.5  # TM-score under which two chains have not the same fold (Xu & Zhang 2010)


def judged(chain: Chain, template: Path | None, engine: Engine, options: RunOptions) -> dict[str, float]:
    """lDDT of CA and TM-score of a prediction with or without a template."""
    spec = ComplexSpec(
        name=chain.name,
        chains=(ChainSpec(ids=("A",), kind="protein", sequence=chain.sequence),),
        templates=() if template is None else (TemplateSpec(path=str(template), chains=("A",)),),
    )
    (found,) = predict(spec, seed=0, engine=engine, options=options)
    atoms = found.structure.atoms
    scores = against_truth(atoms.positions[atoms.name == "CA"], chain.ca)
    return {key: round(float(value), 4) for key, value in scores.items()}


def table(entries: list[dict]) -> str:
    """The means, with how many predictions have another fold than the template."""
    lines = ["| held-out chains | lDDT of CA | TM-score | TM-score under 0.5 |", "|---|---|---|---|"]
    for system in ("alone", "template"):
        columns = [np.array([each[system][key] for each in entries]) for key in ("lddt", "tm")]
        means = [summarise(column.tolist()) for column in columns]
        text = " | ".join(f"{mean.mean:.2f} [{mean.low:.2f}, {mean.high:.2f}]" for mean in means)
        lines.append(f"| {system} ({len(entries)}) | {text} | {int((columns[1] < OTHER_FOLD).sum())} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--entries", type=int, default=30)
    parser.add_argument("--weights", default="mini")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    options = RunOptions(weights=arguments.weights)
    engine = load_engine(options)
    chains = held_out_chains(StructureSet(arguments.data, "test"), shortest=SHORTEST, longest=LONGEST)
    entries = []
    with tempfile.TemporaryDirectory() as folder:
        for chain in chains[: arguments.entries]:
            path = write_structure(chain.structure, Path(folder) / "template.cif")
            found = {"alone": judged(chain, None, engine, options), "template": judged(chain, path, engine, options)}
            entries.append({"name": chain.name, "residues": len(chain.sequence), **found})
            print(chain.name, len(chain.sequence), found, flush=True)
    print(table(entries))
    if arguments.json:
        record = {"weights": engine.weights.sha256[:16], "entries": entries}
        write_atomically(arguments.json, json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
