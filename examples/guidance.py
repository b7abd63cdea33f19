"""Asks for a bundle of two helices with more and more weight, and counts how much of it is helix.

Guidance contrasts the network's answer with and without a condition: at weight 0 the condition is not heard, at 1 as in
training, above 1 it is exaggerated. What is asked is laid out as ideal helices at any weight (docs/design.md, Folds),
so that most of it is helix even at 0.

python examples/guidance.py --out designs
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import structdiff
from structdiff.errors import StructdiffError
from structdiff.evaluation.backbone import Backbone
from structdiff.evaluation.secondary_structure import secondary_structure
from structdiff.model.library import load_named_weights
from structdiff.options import recommended_sampling
from structdiff.output.files import write_design

ASKED = "L2H22L4H22L2"


def helix_share(structure: structdiff.Structure) -> float:
    """The share of residues in a helix, by hydrogen bonds (DSSP)."""
    return float((secondary_structure(Backbone.from_structure(structure)) == "H").mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("designs"))
    parser.add_argument("--weights-of-condition", type=float, nargs="+", default=[0.0, 1.0, 2.0])
    parser.add_argument("--num-designs", type=int, default=2)
    parser.add_argument("--steps", type=int, help="sampling steps (default: as the weights recommend)")
    parser.add_argument("--weights", default="mini")
    arguments = parser.parse_args()

    spec = structdiff.DesignSpec(
        contigs=structdiff.parse_contigs("52"),
        secondary_structure=ASKED,
        num_designs=arguments.num_designs,
        seed=1,
    )
    sampling = recommended_sampling(load_named_weights(arguments.weights), steps=arguments.steps)
    for gamma in arguments.weights_of_condition:
        options = structdiff.RunOptions(
            weights=arguments.weights, sampling=sampling, guidance={"secondary_structure": gamma}
        )
        shares = []
        for number, design in enumerate(structdiff.design(spec, options=options), start=1):
            write_design(design, arguments.out, f"helices_weight_{gamma:g}_{number}")
            shares.append(helix_share(design.structure))
        print(f"weight {gamma:g}: helix {100 * sum(shares) / len(shares):.0f} % (asked 85 %)")


if __name__ == "__main__":
    try:
        main()
    except StructdiffError as error:  # one line that names what to mend
        sys.exit(f"error: {error}")
