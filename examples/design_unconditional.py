"""Makes proteins up from nothing, and prints how their geometry compares with what is normal.

python examples/design_unconditional.py --out designs
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import structdiff
from structdiff.errors import StructdiffError
from structdiff.evaluation.validity import format_table, summarise_validity, validity
from structdiff.model.library import load_named_weights
from structdiff.options import recommended_sampling
from structdiff.output.files import write_design


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("designs"))
    parser.add_argument("--length", default="60", help="residues, such as 60 or 50-70")
    parser.add_argument("--num-designs", type=int, default=4)
    parser.add_argument("--steps", type=int, help="sampling steps (default: as the weights recommend)")
    parser.add_argument("--weights", default="mini")
    arguments = parser.parse_args()

    spec = structdiff.DesignSpec(
        contigs=structdiff.parse_contigs(arguments.length), num_designs=arguments.num_designs, seed=1
    )
    sampling = recommended_sampling(load_named_weights(arguments.weights), steps=arguments.steps)
    options = structdiff.RunOptions(weights=arguments.weights, sampling=sampling)
    checks = []
    for number, design in enumerate(structdiff.design(spec, options=options), start=1):
        print(write_design(design, arguments.out, f"free_{number}").structure)
        checks.append(validity(design.structure))
    print(format_table({"designs": summarise_validity(checks)}))


if __name__ == "__main__":
    try:
        main()
    except StructdiffError as error:  # one line that names what to mend
        sys.exit(f"error: {error}")
