"""Base pairs of a prediction: those asked for, those that energies predict, and the helices that they form."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from structdiff.chemistry.nucleic_folding import least_energy_pairs
from structdiff.chemistry.nucleic_helices import Form, helix, helix_axis
from structdiff.features.templates import Templates
from structdiff.spec.base_pairs import BasePairsSpec
from structdiff.spec.chain import UNKNOWN_LETTER
from structdiff.spec.complex import ComplexSpec
from structdiff.structure.base_pairs import PairAtoms, pair_atoms
from structdiff.structure.tables import ChainKind, Structure
from structdiff.typing import Int

#: Pairs on each other from which on they are predicted.
SHORTEST_HELIX = 3
#: Unpaired nucleotides of both strands through which a helix goes on, the likeliest first.
_CONTINUED = ((0, 0), (1, 0), (0, 1), (1, 1), (2, 0), (0, 2), (1, 2), (2, 1), (2, 2), (3, 3))
#: Nucleotides (of chains of which no pairs are given) up to which pairs are predicted: some 15 s.
MOST_FOLDED = 600
_NOTHING = np.zeros(0, np.int64)


@dataclass(frozen=True, kw_only=True)
class PairsOfComplex:
    """Base pairs of a complex, by rows of residues [pair, 2]; letters: the base of each residue.

    unfolded: nucleotides of which no pairs are given and none were predicted, since they are more than MOST_FOLDED.
    """

    asked: Int[np.ndarray, "asked 2"]
    predicted: Int[np.ndarray, "predicted 2"]
    letters: np.ndarray
    unfolded: int = 0

    def atoms(self, structure: Structure) -> PairAtoms:
        """The hydrogen bonds of all pairs."""
        return pair_atoms(structure, self.every, self.letters)

    @property
    def asked_alone(self) -> PairsOfComplex:
        """The pairs that are asked for, without those that are predicted."""
        return dataclasses.replace(self, predicted=self.predicted[:0], unfolded=0)

    @property
    def every(self) -> Int[np.ndarray, "pair 2"]:
        """All pairs."""
        return np.concatenate([self.asked, self.predicted])


def pairs_of_complex(spec: ComplexSpec, structure: Structure) -> PairsOfComplex:
    """What a complex asks for, and for the other chains of nucleic acid the pairs of least free energy.

    Of the predicted ones those in helices alone.
    """
    free = _free_chains(spec)
    count = sum(len(spec.chain(name)) for name in free)
    letters = np.array([letter for name in spec.chain_ids for letter in _letters(spec, name)], "U1")
    strands = [_residues(structure, name) for name in free] if count <= MOST_FOLDED else []
    return PairsOfComplex(
        asked=_rows_of_pairs([pair for asked in spec.base_pairs for pair in _asked(asked, structure)]),
        predicted=predicted_pairs(structure, strands, letters),
        letters=letters,
        unfolded=count if count > MOST_FOLDED else 0,
    )


def predicted_pairs(
    structure: Structure, strands: Sequence[np.ndarray], letters: np.ndarray
) -> Int[np.ndarray, "pair 2"]:
    """Rows of the residues that pair by least free energy, in and between strands; those in helices alone.

    strands: rows of the residues of each, 5' to 3'. letters: the base of each residue of the structure.
    """
    rows = np.concatenate([_NOTHING, *strands])
    dna = [structure.chains.kind[structure.residues.chain[strand[0]]] == ChainKind.DNA for strand in strands]
    pairs = rows[_rows_of_pairs(least_energy_pairs(["".join(letters[strand]) for strand in strands], dna))]
    return _rows_of_pairs([pair for own in helices(pairs, structure, shortest=SHORTEST_HELIX) for pair in own.pairs])


def _rows_of_pairs(pairs: Sequence[tuple[int, int]]) -> Int[np.ndarray, "pair 2"]:
    return np.array(pairs, np.int64).reshape(-1, 2)


def _asked(asked: BasePairsSpec, structure: Structure) -> list[tuple[int, int]]:
    rows = np.concatenate([_residues(structure, name) for name in asked.chains])
    return [(int(rows[one]), int(rows[other])) for one, other in asked.pairs()]


def _free_chains(spec: ComplexSpec) -> list[str]:
    """Chains of nucleic acid of whose base pairs nothing is said."""
    said = {name for asked in spec.base_pairs for name in asked.chains}
    return [name for name in spec.chain_ids if spec.chain(name).kind in ("dna", "rna") and name not in said]


def _residues(structure: Structure, chain: str) -> np.ndarray:
    span = structure.chain_residues(int(np.flatnonzero(structure.chains.name == chain)[0]))
    return np.arange(span.start, span.stop)


@dataclass(frozen=True, kw_only=True)
class Helix:
    """Base pairs of a helix, from the 5' end of the first strand on: rows of residues, and the step each stands on."""

    pairs: tuple[tuple[int, int], ...]
    steps: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class HelixBody:
    """A helix that moves as one piece: rows of its atoms, where they stand in it, and its axis (both ends), in Å."""

    rows: np.ndarray
    places: np.ndarray
    axis: np.ndarray


def helices(pairs: Int[np.ndarray, "pair 2"], structure: Structure, *, shortest: int = 1) -> list[Helix]:
    """The helices of some pairs, in the order of their first residues; shortest: pairs that a helix has at least.

    A helix goes on through a bulge, whose nucleotides are outside, and through an internal loop of much the same length
    on both sides, whose nucleotides are taken as stacked. A strand may end and another begin, as long as its partner
    runs on.
    """
    partner = {a: b for pair in pairs.tolist() for a, b in (pair, pair[::-1])}
    found: list[Helix] = []
    seen: set[int] = set()
    for first, second in sorted((min(pair), max(pair)) for pair in pairs.tolist()):
        if first in seen:
            continue
        own, steps = [(first, second)], [0]
        while (after := _next_pair(*own[-1], partner, structure)) is not None:
            own.append(after[0])
            steps.append(steps[-1] + after[1])
        seen.update(row for pair in own for row in pair)
        if len(own) >= shortest:
            found.append(Helix(pairs=tuple(own), steps=tuple(steps)))
    return found


def _next_pair(i: int, j: int, partner: dict[int, int], structure: Structure) -> tuple[tuple[int, int], int] | None:
    """The pair that continues a helix after (i, j), and how many steps of the helix it is further."""
    chain = structure.residues.chain
    for left, right in _CONTINUED:
        p, q = i + 1 + left, j - 1 - right
        if p >= q or partner.get(p) != q:
            continue
        whole = (chain[i] == chain[p], chain[j] == chain[q])
        if all(whole) or (any(whole) and left == right == 0):
            return (p, q), 1 + min(left, right)
    return None


def helix_bodies(templates: Templates, structure: Structure, pairs: PairsOfComplex) -> list[HelixBody]:
    """The helices of a complex as pieces that move, of the atoms that `with_helices` has laid."""
    first = len(templates.asked) + 1
    found = []
    for number, own in enumerate(helices(pairs.every, structure), start=first):
        rows = np.flatnonzero(templates.group == number)
        axis = helix_axis(_form(own, structure), own.steps[-1])
        found.append(HelixBody(rows=rows, places=templates.positions[rows].astype(np.float64), axis=axis))
    return found


def _form(own: Helix, structure: Structure) -> Form:
    """B for two strands of DNA, else A."""
    kind = structure.chains.kind[structure.residues.chain[np.array(own.pairs)]]
    return "B" if (kind == ChainKind.DNA).all() else "A"


def with_helices(templates: Templates, structure: Structure, pairs: PairsOfComplex) -> Templates:
    """The templates, and all pairs as further groups that are held: those on each other as an ideal helix."""
    positions, group, fixed = templates.positions.copy(), templates.group.copy(), templates.fixed.copy()
    number = len(templates.asked)
    for own in helices(pairs.every, structure):
        number += 1
        strands = np.array(own.pairs).T
        first, second = (pairs.letters[strand].tolist() for strand in strands)
        laid = helix(first, second, _form(own, structure), steps=own.steps)
        for residue, places in zip(strands.ravel().tolist(), (*laid[0], *laid[1]), strict=True):
            part = structure.residue_atoms(residue)
            for row in range(part.start, part.stop):
                place = places.get(str(structure.atoms.name[row]))
                if place is not None:
                    positions[row], group[row], fixed[row] = place, number, True
    return dataclasses.replace(templates, positions=positions, group=group, fixed=fixed)


def _letters(spec: ComplexSpec, name: str) -> Sequence[str]:
    """A letter for each residue of a chain; nothing that pairs where it is no nucleic acid."""
    chain = spec.chain(name)
    return chain.sequence if chain.kind in ("dna", "rna") else UNKNOWN_LETTER["dna"] * len(chain)
