"""Residues of two chains that belong together, by their names."""

from __future__ import annotations

import numpy as np

from structdiff.structure.tables import Structure
from structdiff.typing import Int


def aligned_residues(
    one: Structure, other: Structure, rows: Int[np.ndarray, " residue"], other_rows: Int[np.ndarray, " residue"]
) -> Int[np.ndarray, "pair 2"]:
    """Rows of residues paired by a global alignment of the residue names; ends may hang over.

    rows, other_rows: the residues of one chain of each structure, in order.
    """
    from Bio.Align import PairwiseAligner

    names = [one.residues.name[rows].tolist(), other.residues.name[other_rows].tolist()]
    letters = {name: chr(0x100 + number) for number, name in enumerate(sorted({*names[0], *names[1]}))}
    aligner = PairwiseAligner(mode="global", match_score=2, mismatch_score=-1, open_gap_score=-4, extend_gap_score=-0.2)
    aligner.end_gap_score = 0
    found = aligner.align(*("".join(letters[name] for name in part) for part in names))
    if not len(found):
        return np.zeros((0, 2), np.int64)
    blocks = zip(*found[0].aligned, strict=True)
    pairs = [(rows[a + k], other_rows[b + k]) for (a, end), (b, _) in blocks for k in range(end - a)]
    return np.array(pairs, np.int64).reshape(-1, 2)
