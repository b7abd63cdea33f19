"""Makes the natural reference of `structdiff evaluate`: descriptors of natural chains, and the space of folds.

    python benchmarks/natural_chains.py SET

SET is a folder made by ``structdiff prepare``; its training split is used, without antibodies and T-cell receptors.
Written: structdiff/evaluation/data/fold_embedding.npz and natural_chains.npz. The same set gives the same files.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import numpy as np

from structdiff.cli.natural_set import chains_of_set
from structdiff.evaluation import fold_embedding, natural

DATA = Path(__file__).resolve().parent.parent / "structdiff" / "evaluation" / "data"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("set", type=Path)
    options = parser.parse_args()
    provenance = {
        "source": "Protein Data Bank (CC0), training split of the prepared set, no antibodies or T-cell receptors",
        "selection": "protein chains of 40 to 300 residues without gaps, radius of gyration at most 3 natural standard "
        "deviations over that of a single chain, one of each kin (40 % of three-letter words in common)",
        "script": "benchmarks/natural_chains.py",
    }
    chains, features = natural.natural_chains(chains_of_set(options.set), provenance=provenance)
    space = fold_embedding.FoldSpace.of(features)
    np.savez_compressed(DATA / fold_embedding.DATA_FILE, **natural.packed_space(space))
    fold_embedding.fold_space.cache_clear()
    chains = dataclasses.replace(chains, folds=fold_embedding.fold_space().place(features))
    np.savez_compressed(DATA / natural.DATA_FILE, **natural.packed(chains))
    size = sum((DATA / name).stat().st_size for name in (natural.DATA_FILE, fold_embedding.DATA_FILE))
    print(f"{len(chains)} chains; {size} bytes")


if __name__ == "__main__":
    main()
