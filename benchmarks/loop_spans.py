"""How much loops have to bridge in designs and in natural chains, and whether an independent judge minds.

    python benchmarks/loop_spans.py FOLDER... [--judged JSON] [--natural DATA --length 64 100]

FOLDERs hold designs of one length. Å from the last CA atom of each helix or strand (5 and 3 residues or more) to the
first of the next, added up over the chain and divided by its residues. With --judged, a result of designability.py for
folders of the same names, Spearman's correlation with trRosetta's log likelihood stands beside. DATA is a set made by
``structdiff prepare``, of which the chains that come with the package are taken, up to 12 % shorter or longer.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from structdiff.cli.natural_set import chains_of_set
from structdiff.evaluation.backbone import CA, Backbone
from structdiff.evaluation.distribution import like_length
from structdiff.evaluation.natural import bundled_chains
from structdiff.evaluation.secondary_structure import secondary_structure
from structdiff.evaluation.summary import summarise
from structdiff.spec.fold import blocks_of
from structdiff.spec.ideal_folds import kind_of
from structdiff.structure.files import read_structure

_SHORTEST = {"H": 5, "E": 3}


def bridged(backbone: Backbone) -> tuple[float, bool]:
    """Å that loops bridge per residue of a chain, NaN with one element or none; whether it has strands."""
    letters = "".join(secondary_structure(backbone))
    blocks = [block for block in blocks_of(letters) if len(block) >= _SHORTEST[block.letter]]
    alphas = backbone.positions[:, CA]
    spans = [float(np.linalg.norm(alphas[after.start] - alphas[before.stop - 1])) for before, after in pairwise(blocks)]
    per_residue = sum(spans) / len(letters) if spans else float("nan")
    return per_residue, kind_of(letters) != "bundle"


def report(name: str, backbones: Iterable[Backbone], judged: list[float] | None = None) -> None:
    found = np.array([bridged(backbone) for backbone in backbones])
    for stranded, kind in ((1.0, "with strands"), (0.0, "bundles")):
        own = (found[:, 1] == stranded) & np.isfinite(found[:, 0])
        if own.sum() < 2:
            continue
        spans = summarise(found[own, 0])
        line = f"{name}, {kind}: {own.sum()} chains, {spans.mean:.3f} [{spans.low:.3f}, {spans.high:.3f}] Å a residue"
        if judged:
            own[len(judged) :] = False
            rank = spearmanr(found[own, 0], np.array(judged)[own[: len(judged)]]).statistic
            line += f", Spearman with log likelihood {rank:.2f} ({own.sum()})"
        print(line, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--judged", type=Path, metavar="JSON")
    parser.add_argument("--natural", type=Path, metavar="DATA")
    parser.add_argument("--length", type=int, nargs="*", default=[64, 100], help="residues of natural chains")
    arguments = parser.parse_args()
    judged = json.loads(arguments.judged.read_text()) if arguments.judged else {}
    for folder in arguments.folders:
        files = sorted(folder.glob("*.cif"), key=lambda path: (len(path.stem), path.stem))
        found = judged.get(folder.name, {}).get("each", {}).get("log_likelihood")
        report(folder.name, (Backbone.from_structure(read_structure(path)) for path in files), found)
    if arguments.natural is not None:
        chains = bundled_chains()
        known = dict(chains_of_set(arguments.natural))
        for length in arguments.length:
            names = np.array(chains.names)[like_length(chains.lengths, length)].tolist()
            report(f"natural, {length}", (known[name] for name in names if name in known))


if __name__ == "__main__":
    main()
