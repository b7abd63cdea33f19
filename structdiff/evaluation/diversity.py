"""How many folds a set of structures holds, and how near each is to known ones."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from structdiff.commands import run_command
from structdiff.errors import StructdiffError
from structdiff.evaluation.structural_alignment import MINIMAL_LENGTH, align_pairs
from structdiff.evaluation.summary import Summary, summarise

CLUSTER_TM = 0.6
_FOLDSEEK_SECONDS = 6 * 3600.0  # for all structures; what takes longer hangs
_SHOWN = 300  # characters of what a program said in the end
_SAMPLED_PAIRS = 600  # for the mean over pairs
CANDIDATES = 80  # references aligned to each structure, quickly
_ALIGNED = 5  # of these, the best, aligned in full
_QUICK = 2.0  # a floor above every score: first alignments only


@dataclass(frozen=True, kw_only=True)
class Diversity:
    """Clusters of a set: number of each structure's cluster (structure), from 1 for the largest, 0 for none.

    nearest: TM-score to the nearest other (structure; a lower bound under the threshold). mean_tm over pairs, with a
    bootstrap interval. near: which pairs (structure, structure) reach the threshold.
    """

    cluster: np.ndarray
    nearest: np.ndarray
    mean_tm: Summary
    near: np.ndarray

    def clusters_among(self, members: np.ndarray) -> int:
        """How many clusters some of the structures (their rows) form by themselves."""
        usable = self.cluster[members] > 0
        return int(_set_cover(self.near[np.ix_(members, members)], usable).max(initial=0))


def diversity(
    traces: Sequence[np.ndarray], *, threshold: float = CLUSTER_TM, seed: int = 0,
    on_done: Callable[[int], None] | None = None,
) -> Diversity:  # fmt: skip
    """Clusters CA traces (residue, 3) by TM-score, over the longer chain's length.

    All pairs are aligned. Then the structure with most others at the threshold and above becomes a cluster with these,
    again and again (greedy set cover, as Foldseek clusters). Chains of under five residues get cluster 0.
    """
    usable = np.array([len(trace) >= MINIMAL_LENGTH for trace in traces], bool)
    rows = np.flatnonzero(usable)
    first, second = np.triu_indices(len(rows), 1)
    lengths = np.array([len(trace) for trace in traces])
    pairs = np.stack([rows[first], rows[second]], -1)
    length = np.sort(lengths[pairs], -1)
    possible = length[:, 0] >= threshold * length[:, 1]  # a TM-score never exceeds the shorter over the longer
    scores = np.zeros((len(traces), len(traces)))
    chosen = pairs[possible]
    found = align_pairs(traces, chosen, floor=threshold, on_done=on_done).by_longer
    scores[chosen[:, 0], chosen[:, 1]] = scores[chosen[:, 1], chosen[:, 0]] = found
    return Diversity(
        cluster=np.where(usable, _set_cover(scores >= threshold, usable), 0),
        nearest=scores.max(1) if len(traces) > 1 else np.full(len(traces), np.nan),
        mean_tm=_mean_tm(traces, pairs, seed),
        near=scores >= threshold,
    )


def foldseek_clusters(files: Sequence[Path], *, threshold: float = CLUSTER_TM) -> int | None:
    """Number of clusters by Foldseek (TM-align mode) where it is on the PATH; None where it is not.

    Raises StructdiffError with Foldseek's last line where it fails.
    """
    program = shutil.which("foldseek")
    if program is None or not files:
        return None
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        command = [program, "easy-cluster", *map(str, files), str(out), str(Path(folder) / "work"), "-c", "0",
                   "--alignment-type", "1", "--tmscore-threshold", str(threshold)]  # fmt: skip
        done = run_command(command, _FOLDSEEK_SECONDS)
        table = Path(f"{out}_cluster.tsv")
        if done.code is None:
            raise StructdiffError(f"foldseek was ended after {_FOLDSEEK_SECONDS / 3600:g} hours")
        if done.code or not table.is_file():
            raise StructdiffError(f"foldseek failed: {done.said[-_SHOWN:]}")
        return len({line.split("\t")[0] for line in table.read_text().splitlines() if line})


def _set_cover(near: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Number of each structure's cluster, from 1, given which are near each other (structure, structure)."""
    near = near | np.eye(len(near), dtype=bool)
    free = usable.copy()
    cluster = np.zeros(len(near), np.int64)
    number = 0
    while free.any():
        number += 1
        centre = int(np.argmax(np.where(free, (near & free).sum(1), -1)))
        members = near[centre] & free
        cluster[members] = number
        free &= ~members
    return cluster


def _mean_tm(traces: Sequence[np.ndarray], pairs: np.ndarray, seed: int) -> Summary:
    """Mean TM-score of some random pairs, aligned in full."""
    if len(pairs) > _SAMPLED_PAIRS:
        pairs = pairs[np.random.default_rng(seed).choice(len(pairs), _SAMPLED_PAIRS, replace=False)]
    return summarise(align_pairs(traces, pairs).by_longer if len(pairs) else [], seed=seed)


@dataclass(frozen=True, kw_only=True)
class References:
    """Known chains, and long ones in pieces: name, CA trace (residue, 3) and place in the space of folds of each."""

    names: tuple[str, ...]
    traces: tuple[np.ndarray, ...]
    folds: np.ndarray


def nearest_references(
    traces: Sequence[np.ndarray], folds: np.ndarray, references: References, *, candidates: int = CANDIDATES,
    on_done: Callable[[int], None] | None = None,
) -> tuple[np.ndarray, list[str]]:  # fmt: skip
    """Highest TM-score (structure), by the structure's own length, to any reference, and that reference's name.

    Only the references nearest in the space of folds (structure, dimension) are aligned, at first roughly, so a
    likeness may be missed.
    """
    best, names = np.full(len(traces), np.nan), [""] * len(traces)
    rows = [row for row, trace in enumerate(traces) if len(trace) >= MINIMAL_LENGTH]
    if not rows or not references.names:
        return best, names
    squared = (np.square(folds[rows]).sum(1)[:, None] + np.square(references.folds).sum(1)
               - 2 * folds[rows] @ references.folds.T)  # fmt: skip
    near = np.argsort(squared, axis=1, kind="stable")[:, :candidates]
    offset = len(traces)
    chains = [*traces, *references.traces]
    pairs = np.stack([np.repeat(rows, near.shape[1]), near.ravel() + offset], -1)
    quick = align_pairs(chains, pairs, floor=_QUICK, on_done=on_done).by_first.reshape(near.shape)
    near = np.take_along_axis(near, np.argsort(-quick, axis=1, kind="stable")[:, :_ALIGNED], 1)
    pairs = np.stack([np.repeat(rows, near.shape[1]), near.ravel() + offset], -1)
    found = align_pairs(chains, pairs).by_first.reshape(near.shape)
    winner = found.argmax(1)
    for place, row in enumerate(rows):
        best[row] = found[place, winner[place]]
        names[row] = references.names[near[place, winner[place]]]
    return best, names
