"""Predicts a complex of a protein, a DNA duplex and a ligand from a FASTA file.

python examples/predict.py --out predictions
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import structdiff
from structdiff.errors import StructdiffError
from structdiff.model.library import load_named_weights
from structdiff.options import recommended_sampling
from structdiff.output.files import write_prediction

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fasta", type=Path, default=HERE / "metj.fasta")
    parser.add_argument("--out", type=Path, default=Path("predictions"))
    parser.add_argument("--steps", type=int, help="sampling steps (default: as the weights recommend)")
    parser.add_argument("--weights", default="mini")
    arguments = parser.parse_args()

    sampling = recommended_sampling(load_named_weights(arguments.weights), steps=arguments.steps)
    options = structdiff.RunOptions(weights=arguments.weights, sampling=sampling)
    for number, prediction in enumerate(structdiff.predict(arguments.fasta, seed=1, options=options), start=1):
        written = write_prediction(prediction, arguments.out, f"{arguments.fasta.stem}_{number}")
        confidence = prediction.confidence.summary()
        print(
            f"{written.structure}: mean pLDDT {confidence['mean_plddt_0_to_100']}, ipTM {confidence['iptm']}, "
            f"ipSAE {confidence['ipsae']}"
        )


if __name__ == "__main__":
    try:
        main()
    except StructdiffError as error:  # one line that names what to mend
        sys.exit(f"error: {error}")
