"""Held-out chains to be predicted, what class of fold each is, and the nearest training sequence as a template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np
from Bio.Align import PairwiseAligner, substitution_matrices
from scipy.sparse import csr_matrix

from structdiff.chemistry.residues import PROTEIN_THREE_TO_ONE
from structdiff.evaluation.backbone import CA, Backbone
from structdiff.evaluation.secondary_structure import secondary_structure
from structdiff.structure.tables import ChainKind, Structure
from structdiff.training.dataset import StructureSet

CLASSES = ("all alpha", "all beta", "mixed", "little structure")
_LITTLE, _ENOUGH = 0.10, 0.15  # shares of helix or strand
_LETTERS = "ACDEFGHIKLMNPQRSTVWY"
_WORD = 3  # residues
_CANDIDATES = 300  # training chains that are aligned, those with most words in common


@dataclass(frozen=True, kw_only=True)
class Chain:
    """One chain without gaps: its entry's name, letters, CA positions (residue, 3) in Å, content and class of fold."""

    name: str
    sequence: str
    structure: Structure
    ca: np.ndarray
    helix: float
    strand: float

    @property
    def fold_class(self) -> str:
        """By content of DSSP: under a tenth of one and more than 15 % of the other, or a tenth of both and more."""
        if self.helix >= _LITTLE and self.strand >= _LITTLE:
            return "mixed"
        if max(self.helix, self.strand) < _ENOUGH:
            return "little structure"
        return "all alpha" if self.helix > self.strand else "all beta"


def held_out_chains(structures: StructureSet, *, shortest: int, longest: int, seed: int = 0) -> list[Chain]:
    """Single protein chains of a split with every residue seen, in an order drawn from the seed."""
    fitting = (structures.num_residues >= shortest) & (structures.num_residues <= longest) & ~structures.antibody
    found = []
    for index in np.random.default_rng(seed).permutation(np.flatnonzero(fitting)).tolist():
        structure = structures.structure(index)
        names = structure.residues.name.tolist()
        single = len(structure.chains) == 1 and structure.chains.kind[0] == ChainKind.PROTEIN
        if not single or not set(names) <= set(PROTEIN_THREE_TO_ONE):
            continue
        backbone = Backbone.from_structure(structure)
        if not backbone.complete.all() or (np.diff(backbone.residue_index) != 1).any():
            continue
        kinds = secondary_structure(backbone)
        sequence = "".join(PROTEIN_THREE_TO_ONE[name] for name in names)
        found.append(
            Chain(
                name=structures.names[index], sequence=sequence, structure=structure, ca=backbone.positions[:, CA],
                helix=float(np.mean(kinds == "H")), strand=float(np.mean(kinds == "E")),
            )
        )  # fmt: skip
    return found


def of_both_splits(data: Path, *, shortest: int, longest: int) -> list[Chain]:
    """Held-out chains of the validation and test splits of a prepared set in turn, so that any first ones hold both."""
    splits = [
        held_out_chains(StructureSet(data, split), shortest=shortest, longest=longest) for split in ("val", "test")
    ]
    return [chain for pair in zip_longest(*splits) for chain in pair if chain is not None]


@dataclass(frozen=True, kw_only=True)
class Template:
    """A training chain laid on a sequence: CA positions (residue, 3) in Å, NaN where nothing is aligned."""

    name: str
    ca: np.ndarray
    identity: float  # of the aligned residues
    coverage: float  # share of the sequence that is aligned


class TrainingSequences:
    """The chains of the training split, to be searched for the one nearest in sequence.

    The best local alignment (Smith & Waterman; BLOSUM62, gaps 11 and 1) names the chain, among the 300 that have most
    words of three residues in common with the sequence; aligned over its whole length, ends of the template free, it
    lends its coordinates to the residues aligned with it.
    """

    def __init__(self, structures: StructureSet, *, shortest: int = 30) -> None:
        self.structures = structures
        self.sequences: list[str] = []
        self.places: list[tuple[int, int]] = []
        for index in np.flatnonzero(structures.num_residues >= shortest).tolist():
            structure = structures.structure(index)
            for chain in np.flatnonzero(structure.chains.kind == ChainKind.PROTEIN).tolist():
                sequence = _letters(structure, chain)
                if len(sequence) >= shortest:
                    self.sequences.append(sequence)
                    self.places.append((index, chain))
        self._words = _words(self.sequences)
        matrix = substitution_matrices.load("BLOSUM62")
        gaps = {"open_gap_score": -11, "extend_gap_score": -1}
        self._local = PairwiseAligner(mode="local", substitution_matrix=matrix, **gaps)
        self._over = PairwiseAligner(mode="global", substitution_matrix=matrix, end_gap_score=0.0, **gaps)

    def nearest(self, sequence: str) -> Template:
        """The training chain with the best local alignment, laid on the sequence."""
        shared = np.asarray((self._words @ _words([sequence]).T).todense()).ravel()
        candidates = np.argsort(-shared, kind="stable")[:_CANDIDATES]
        scores = [self._local.score(sequence, self.sequences[row]) for row in candidates.tolist()]
        best = int(candidates[int(np.argmax(scores))])
        return self._laid(sequence, best)

    def _laid(self, sequence: str, row: int) -> Template:
        index, chain = self.places[row]
        other = self.sequences[row]
        own, theirs = (
            np.concatenate([np.arange(*span) for span in spans] or [np.zeros(0, np.int64)])
            for spans in self._over.align(sequence, other)[0].aligned
        )
        positions = np.full((len(sequence), 3), np.nan)
        positions[own] = _ca(self.structures.structure(index), chain)[theirs]
        same = [sequence[i] == other[j] for i, j in zip(own.tolist(), theirs.tolist(), strict=True)]
        return Template(
            name=self.structures.names[index], ca=positions, identity=float(np.mean(same)) if same else 0.0,
            coverage=float(np.isfinite(positions).all(-1).mean()),
        )  # fmt: skip


def _letters(structure: Structure, chain: int) -> str:
    span = structure.chain_residues(chain)
    letters = (PROTEIN_THREE_TO_ONE.get(name, "X") for name in structure.residues.name[span].tolist())
    return "".join(letters)


def _ca(structure: Structure, chain: int) -> np.ndarray:
    span = structure.chain_residues(chain)
    out = np.full((span.stop - span.start, 3), np.nan)
    atoms = structure.atoms
    chosen = np.flatnonzero(
        (atoms.name == "CA") & atoms.resolved & (atoms.residue >= span.start) & (atoms.residue < span.stop)
    )
    out[atoms.residue[chosen] - span.start] = atoms.positions[chosen]
    return out


def _words(sequences: Sequence[str]) -> csr_matrix:
    """Which words of three residues each sequence has: (sequence, word) of zeros and ones."""
    number = {letter: place for place, letter in enumerate(_LETTERS)}
    rows, columns = [], []
    for row, sequence in enumerate(sequences):
        codes = np.array([number.get(letter, -1) for letter in sequence])
        windows = np.lib.stride_tricks.sliding_window_view(codes, _WORD)
        known = np.unique(windows[(windows >= 0).all(1)] @ (len(_LETTERS) ** np.arange(_WORD)))
        rows.append(np.full(len(known), row))
        columns.append(known)
    row, column = np.concatenate(rows), np.concatenate(columns)
    shape = (len(sequences), len(_LETTERS) ** _WORD)
    return csr_matrix((np.ones(len(row), np.float32), (row, column)), shape=shape)
