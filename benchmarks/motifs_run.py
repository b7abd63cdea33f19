"""Whether the motifs of the public benchmarks are read by ``structdiff import`` and run: a short sampling of each.

    python benchmarks/motifs_run.py FOLDER... [--steps 4] [--json benchmarks/results/motifs_run.json]

A FOLDER is a copy of the repository blt2114/MotifBench (30 motifs), or holds PDB files with lines ``REMARK 999 INPUT``
such as data/design25 of aqlaboratory/genie2: the motifs of RFdiffusion's benchmark (Watson et al. 2023, 24 without
6VW1). Each motif is written as RFdiffusion's settings, read as ``structdiff import`` reads them, and designed with few
steps and without relaxation: what is checked is that it runs, that its length is what was asked, and that the motif is
held with its residue types, not what the design is like. The exit code is 1 if one is not.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from structdiff import pipeline
from structdiff.errors import StructdiffError
from structdiff.evaluation.motifbench import CASES_FILE, read_problems
from structdiff.options import RunOptions, recommended_sampling
from structdiff.output.prediction import Design
from structdiff.spec.design import design_from_dict
from structdiff.spec.rfdiffusion import design_from_rfdiffusion
from structdiff.spec.rfdiffusion_command import parse_overrides
from structdiff.structure.files import write_atomically


@dataclass(frozen=True, kw_only=True)
class Case:
    """A motif: its file, contigs and length as RFdiffusion writes them, and residues whose type is free."""

    name: str
    path: Path
    contigs: str
    length: str
    redesign: tuple[str, ...] = ()

    @property
    def settings(self) -> dict[str, str]:
        words = [f"inference.input_pdb={self.path}", f"contigmap.contigs=[{self.contigs}]",
                 f"contigmap.length={self.length}"]  # fmt: skip
        words += [f"contigmap.inpaint_seq=[{'/'.join(self.redesign)}]"] if self.redesign else []
        return parse_overrides(words)

    @property
    def bounds(self) -> tuple[int, int]:
        low, _, high = self.length.partition("-")
        return int(low), int(high or low)


def cases(folder: Path) -> Iterator[Case]:
    if (folder / CASES_FILE).is_file():
        for problem in read_problems(folder):
            free = tuple(f"{chain}{number}-{number}" for chain, number in sorted(problem.redesign))
            yield Case(name=problem.name, path=problem.path, contigs=problem.contigs,
                       length=f"{problem.length}-{problem.length}", redesign=free)  # fmt: skip
        return
    for path in sorted(folder.glob("*.pdb")):
        lines = [line for line in path.read_text().splitlines() if line.startswith("REMARK 999")]
        parts = [line.split()[3:] for line in lines if line.split()[2] == "INPUT"]
        limits = [line.split()[-1] for line in lines if line.endswith(tuple("0123456789")) and "LENGTH" in line]
        contigs = "/".join(f"{each[0]}{each[1]}-{each[2]}" if len(each) == 3 else "-".join(each) for each in parts)
        yield Case(name=path.stem, path=path, contigs=contigs, length="-".join(limits))


def faults(case: Case, design: Design) -> list[str]:
    """What is wrong with a design, in words."""
    found = [f"{each.name}: {each.reached}" for each in design.verdicts if each.name == "motif" and not each.met]
    length = sum(map(len, design.sequences.values()))
    low, high = case.bounds
    found += [] if low <= length <= high else [f"{length} residues instead of {case.length}"]
    held = len(design.residue_map["residues"])
    return found + ([] if held else ["no residue of the motif is in the residue map"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    engine = pipeline.load_engine(RunOptions())
    options = RunOptions(sampling=recommended_sampling(engine.weights, steps=given.steps), relax=False)
    rows, failed = [], 0
    for folder in given.folders:
        for case in cases(folder):
            began = time.monotonic()
            try:
                spec = design_from_dict({**design_from_rfdiffusion(case.settings).data, "num_designs": 1, "seed": 1})
                (design,) = pipeline.design(spec, options=options, engine=engine)
                wrong = faults(case, design)
                length = sum(map(len, design.sequences.values()))
            except StructdiffError as error:
                wrong, length = [str(error)], 0
            failed += bool(wrong)
            rows.append({"folder": folder.name, "name": case.name, "contigs": case.contigs, "residues": length,
                         "seconds": round(time.monotonic() - began, 1), "faults": wrong})  # fmt: skip
            print(f"{case.name:14} {length:4} residues  {'; '.join(wrong) or 'ran'}", flush=True)
    print(f"{len(rows) - failed} of {len(rows)} motifs were read and run")
    if given.json:
        write_atomically(given.json, json.dumps({"steps": given.steps, "motifs": rows}, indent=1) + "\n")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
