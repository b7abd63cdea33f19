"""Designs proteins around antigenic site V of the RSV F protein, and shows how well the motif was kept.

python examples/design_motif.py --out designs
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import structdiff
from structdiff.errors import StructdiffError
from structdiff.model.library import load_named_weights
from structdiff.options import recommended_sampling
from structdiff.output.files import write_design

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("designs"))
    parser.add_argument("--num-designs", type=int, default=4)
    parser.add_argument("--steps", type=int, help="sampling steps (default: as the weights recommend)")
    parser.add_argument("--weights", default="mini")
    arguments = parser.parse_args()

    spec = structdiff.DesignSpec(
        motif=str(HERE / "5tpn_site_v.pdb"),
        contigs=structdiff.parse_contigs("10-40/A163-181/10-40"),
        length=(55, 65),
        num_designs=arguments.num_designs,
        seed=1,
    )
    sampling = recommended_sampling(load_named_weights(arguments.weights), steps=arguments.steps)
    options = structdiff.RunOptions(weights=arguments.weights, sampling=sampling)
    for number, design in enumerate(structdiff.design(spec, options=options), start=1):
        written = write_design(design, arguments.out, f"site_v_{number}")
        print(written.structure, *design.sequences.values())
        for verdict in design.verdicts:
            met = "met" if verdict.met else "not met"
            print(f"  {verdict.name}: asked {verdict.asked}, reached {verdict.reached}, {met}")


if __name__ == "__main__":
    try:
        main()
    except StructdiffError as error:  # one line that names what to mend
        sys.exit(f"error: {error}")
