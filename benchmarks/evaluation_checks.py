"""Does the evaluation tell good from bad: the tables of docs/evaluation.md.

    python benchmarks/evaluation_checks.py likeness SET      # natural chains, and the same changed, beside others
    python benchmarks/evaluation_checks.py alignment SET     # our TM-scores beside TM-align's (needs tmtools)

SET is a folder made by ``structdiff prepare``. Chains of its validation and test splits are used, so that none is part
of the natural chains of the package.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from structdiff.cli.natural_set import chains_of_set
from structdiff.evaluation.backbone import CA, Backbone
from structdiff.evaluation.descriptors import radius_of_gyration_score
from structdiff.evaluation.distribution import likeness
from structdiff.evaluation.fold_embedding import fold_embedding
from structdiff.evaluation.natural import bundled_chains, describe
from structdiff.evaluation.structural_alignment import align_pairs


def held_out(path: Path, shortest: int, longest: int) -> list[Backbone]:
    """Whole, compact chains of the validation and test splits."""
    chains = [chain for split in ("val", "test") for _, chain in chains_of_set(path, split)]
    return [
        chain for chain in chains
        if shortest <= len(chain) <= longest and chain.follows[1:].all() and radius_of_gyration_score(chain) <= 3
    ]  # fmt: skip


def check_likeness(path: Path) -> None:
    """Prints a row for natural chains and for each way of changing them."""
    generator = np.random.default_rng(0)
    chains, natural = held_out(path, 75, 130)[:100], bundled_chains()

    def shuffled(positions: np.ndarray) -> np.ndarray:
        pieces = [positions[first : first + 10] for first in range(0, len(positions), 10)]
        return np.concatenate([pieces[number] for number in generator.permutation(len(pieces))])

    changes = {
        "natural, held out": lambda p: p, "mirrored": lambda p: p * [1, 1, -1],
        "cut in pieces of ten residues and shuffled": shuffled,
        "noise of 0.5 Å": lambda p: p + generator.normal(0, 0.5, p.shape),
        "noise of 1 Å": lambda p: p + generator.normal(0, 1.0, p.shape),
        "one chain a hundred times": None,
    }  # fmt: skip
    print(f"{len(chains)} chains\n| set | Fréchet ratio, fold shape | descriptors | precision | recall |")
    print("|---|---|---|---|---|")
    for name, change in changes.items():
        own = [
            chains[len(chains) // 2] if change is None
            else Backbone.from_arrays(change(chain.positions), restype=chain.restype)
            for chain in chains
        ]  # fmt: skip
        lengths = np.array([len(chain) for chain in own])
        described = natural.descriptor_points(np.array([describe(chain) for chain in own]))
        shape = likeness(fold_embedding(own), lengths, natural.folds, natural.lengths)
        descriptors = likeness(described, lengths, natural.descriptor_points(natural.descriptors), natural.lengths)
        assert shape is not None
        assert descriptors is not None
        ratios = " | ".join(f"{each.frechet_ratio.mean:.2g}" for each in (shape, descriptors))
        print(f"| {name} | {ratios} | {shape.precision.mean:.0%} | {shape.recall.mean:.0%} |", flush=True)


def check_alignment(path: Path) -> None:
    """Prints how our TM-scores differ from TM-align's, and the processor time of both."""
    import tmtools

    traces = [chain.positions[:, CA] for chain in held_out(path, 70, 130)][:45]
    pairs = np.array([(i, j) for i in range(len(traces)) for j in range(i)])
    clock = time.process_time()
    own = align_pairs(traces, pairs).by_longer
    taken = time.process_time() - clock
    clock = time.process_time()
    align_pairs(traces, pairs, floor=0.6)
    floored = time.process_time() - clock
    clock = time.process_time()
    letters = ["A" * len(trace) for trace in traces]
    found = [tmtools.tm_align(traces[i], traces[j], letters[i], letters[j]) for i, j in pairs]
    other = np.array([min(each.tm_norm_chain1, each.tm_norm_chain2) for each in found])
    theirs = time.process_time() - clock
    per_pair = [f"{1000 * seconds / len(pairs):.2f}" for seconds in (taken, floored, theirs)]
    print(
        f"{len(pairs)} pairs; ms a pair: ours {per_pair[0]}, with a floor of 0.6 {per_pair[1]}, TM-align {per_pair[2]}"
    )
    for low, high in ((0, 0.3), (0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (0.6, 1.01)):
        rows = (other >= low) & (other < high)
        if rows.any():
            off = (own - other)[rows]
            figures = f"ours less TM-align's {off.mean():+.4f}, lowest {off.min():+.3f}"
            print(f"TM {low} to {high}: {rows.sum()} pairs, {figures}")
    print(f"at 0.6 or more: TM-align {np.sum(other >= 0.6)}, of these by us {np.sum((own >= 0.6) & (other >= 0.6))}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("likeness", "alignment"))
    parser.add_argument("set", type=Path)
    options = parser.parse_args()
    (check_likeness if options.what == "likeness" else check_alignment)(options.set)


if __name__ == "__main__":
    main()
