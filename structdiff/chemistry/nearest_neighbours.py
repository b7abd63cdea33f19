"""Free energies of nucleic acid secondary structure, nearest neighbour model, kcal/mol at 37 °C.

RNA: Xia et al., Biochemistry 37, 14719 (1998), Mathews et al., PNAS 101, 7287 (2004). DNA: SantaLucia & Hicks, Annu.
Rev. Biophys. 33, 415 (2004). Hybrids: Sugimoto et al., Biochemistry 34, 11211 (1995). Mismatches beside loops have one
mean value.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: Two neighbouring pairs as "5' to 3' / 3' to 5'" of the two strands, T written as U; each can be read from either.
_RNA_STACKS = {
    "AA/UU": -0.93, "AU/UA": -1.10, "UA/AU": -1.33, "CU/GA": -2.08, "CA/GU": -2.11, "GU/CA": -2.24, "GA/CU": -2.35,
    "CG/GC": -2.36, "GG/CC": -3.26, "GC/CG": -3.42, "AG/UU": -0.55, "AU/UG": -1.36, "CG/GU": -1.41, "CU/GG": -2.11,
    "GG/CU": -1.53, "GU/CG": -2.51, "GA/UU": -1.27, "GG/UU": -0.5, "GU/UG": 1.29, "UA/GU": -1.0, "UG/GU": 0.30,
}  # fmt: skip
_DNA_STACKS = {
    "AA/UU": -1.00, "AU/UA": -0.88, "UA/AU": -0.58, "CA/GU": -1.45, "GU/CA": -1.44, "CU/GA": -1.28, "GA/CU": -1.30,
    "CG/GC": -2.17, "GC/CG": -2.24, "GG/CC": -1.84,
}  # fmt: skip
#: The RNA strand first.
_HYBRID_STACKS = {
    "AA/UU": -1.0, "AC/UG": -2.1, "AG/UC": -1.8, "AU/UA": -0.9, "CA/GU": -0.9, "CC/GG": -2.1, "CG/GC": -1.7,
    "CU/GA": -0.9, "GA/CU": -1.3, "GC/CG": -2.7, "GG/CC": -2.9, "GU/CA": -1.1, "UA/AU": -0.6, "UC/AG": -1.5,
    "UG/AC": -1.6, "UU/AA": -0.2,
}  # fmt: skip
_GAS = 1.75 * 0.61632  # kcal/mol: what a loop costs more, for each e-fold of its length (Jacobson & Stockmayer)


@dataclass(frozen=True, kw_only=True)
class LoopCosts:
    """Costs (kcal/mol) of loops by their number of unpaired nucleotides; longer ones by the logarithm.

    mismatch: of the first unpaired nucleotides beside a pair in a hairpin; end: of a pair other than G-C at the end of
    a helix; asymmetry: for each nucleotide that one side of an internal loop has more; internal_end: as end, in
    internal loops; strands: of two strands coming together.
    """

    hairpin: Mapping[int, float]
    bulge: Mapping[int, float]
    internal: Mapping[int, float]
    mismatch: float
    end: float
    asymmetry: float
    internal_end: float
    strands: float


_RNA = LoopCosts(
    hairpin={3: 5.4, 4: 5.6, 5: 5.7, 6: 5.4, 7: 6.0, 8: 5.5, 9: 6.4},
    bulge={1: 3.8, 2: 2.8, 3: 3.2, 4: 3.6, 5: 4.0, 6: 4.4},
    internal={2: 0.5, 3: 1.6, 4: 1.1, 5: 2.0, 6: 2.0},
    mismatch=-0.8, end=0.45, asymmetry=0.6, internal_end=0.7, strands=4.09,
)  # fmt: skip
_DNA = LoopCosts(
    hairpin={3: 3.5, 4: 3.5, 5: 3.3, 6: 4.0, 7: 4.2, 8: 4.3, 9: 4.5},
    bulge={1: 4.0, 2: 2.9, 3: 3.1, 4: 3.2, 5: 3.3, 6: 3.5},
    internal={2: 0.6, 3: 3.2, 4: 3.2, 5: 3.3, 6: 3.5},
    mismatch=-0.6, end=0.05, asymmetry=0.3, internal_end=0.2, strands=1.96,
)  # fmt: skip
#: A loop with branches: closing it, and each branch (Mathews et al., J. Mol. Biol. 288, 911 (1999)).
MULTILOOP, BRANCH = 3.4, 0.4
#: Bases that pair, T written as U.
PAIRING = frozenset(("AU", "UA", "GC", "CG", "GU", "UG"))
MOST_UNPAIRED = 16  # in an internal loop
_SHORTEST_HAIRPIN = 3
#: A base before the first of a pair, and one after the second, that stack on it from outside (Turner 2004). Not of DNA,
#: whose last pairs would open for them.
_DANGLE_5 = {
    "CG": {"A": -0.5, "C": -0.3, "G": -0.2, "U": -0.1}, "GC": {"A": -0.2, "C": -0.3},
    "GU": {"A": -0.3, "C": -0.3, "G": -0.4, "U": -0.2}, "UG": {"A": -0.3, "C": -0.1, "G": -0.2, "U": -0.2},
    "AU": {"A": -0.3, "C": -0.3, "G": -0.4, "U": -0.2}, "UA": {"A": -0.3, "C": -0.1, "G": -0.2, "U": -0.2},
}  # fmt: skip
_DANGLE_3 = {
    "CG": {"A": -1.1, "C": -0.4, "G": -1.3, "U": -0.6}, "GC": {"A": -1.7, "C": -0.8, "G": -1.7, "U": -1.2},
    "GU": {"A": -0.7, "C": -0.1, "G": -0.7, "U": -0.1}, "UG": {"A": -0.8, "C": -0.5, "G": -0.8, "U": -0.6},
    "AU": {"A": -0.7, "C": -0.1, "G": -0.7, "U": -0.1}, "UA": {"A": -0.8, "C": -0.5, "G": -0.8, "U": -0.6},
}  # fmt: skip
#: What hairpins of four with the sequences GNRA (N any, R A or G) and UUCG gain: about the mean of measured ones.
_TETRALOOP, _STABLE_LOOP = -1.5, re.compile("G[ACGU][AG]A|UUCG")


class Energies:
    """Energies of strands written one after the other.

    letters: ACGU, T as U; dna: which of them are DNA; breaks: the last nucleotides of the strands but the last.
    """

    def __init__(self, letters: str, dna: Sequence[bool], breaks: Sequence[int] = ()) -> None:
        self.letters, self.dna = letters, tuple(dna)
        # Whether a nucleotide follows another of its own strand; what would come after the last does not.
        self.joined = [0 < row < len(letters) and row - 1 not in breaks for row in range(len(letters) + 1)]

    def pairs(self, i: int, j: int) -> bool:
        """Whether two bases pair; G pairs with U in RNA alone."""
        pair = self.letters[i] + self.letters[j]
        return pair in PAIRING and (pair not in ("GU", "UG") or not (self.dna[i] or self.dna[j]))

    def stack(self, i: int, j: int, p: int, q: int) -> float:
        """Pair (p, q) upon pair (i, j): i is followed by p, q by j."""
        table = _TABLES[self.dna[i] and self.dna[p], self.dna[q] and self.dna[j]]
        return table[f"{self.letters[i]}{self.letters[p]}/{self.letters[j]}{self.letters[q]}"]

    def end(self, i: int, j: int) -> float:
        """What the end of a helix costs."""
        return 0.0 if self._strong(i, j) else self._costs(i, j).end

    def branch(self, i: int, j: int) -> float:
        """What a helix that ends with a pair costs in the loop outside of it: its end, and bases that dangle on it."""
        pair, cost = self.letters[i] + self.letters[j], self.end(i, j)
        if self.dna[i] and self.dna[j]:
            return cost
        if self.joined[i]:
            cost += _DANGLE_5[pair].get(self.letters[i - 1], 0.0)
        if self.joined[j + 1]:
            cost += _DANGLE_3[pair].get(self.letters[j + 1], 0.0)
        return cost

    def hairpin(self, i: int, j: int) -> float:
        """Pair (i, j) with nothing but unpaired nucleotides inside; infinite where there are too few."""
        length = j - i - 1
        if length < _SHORTEST_HAIRPIN:
            return math.inf
        costs = self._costs(i, j)
        # In a loop of three there is no room for a mismatch.
        own = costs.mismatch if length > _SHORTEST_HAIRPIN else self.end(i, j)
        if not self.dna[i] and _STABLE_LOOP.fullmatch(self.letters[i + 1 : j]):
            own += _TETRALOOP
        return _by_length(costs.hairpin, length) + own

    def interior(self, i: int, j: int, p: int, q: int) -> float:
        """Pair (p, q) within pair (i, j): a stack, a bulge or an internal loop."""
        left, right = p - i - 1, j - q - 1
        if left == right == 0:
            return self.stack(i, j, p, q)
        costs = self._costs(i, j)
        if left == 0 or right == 0:
            own = _by_length(costs.bulge, left + right)
            return own + (self.stack(i, j, p, q) if left + right == 1 else self.end(i, j) + self.end(p, q))
        ends = sum(costs.internal_end for pair in ((i, j), (p, q)) if not self._strong(*pair))
        return _by_length(costs.internal, left + right) + costs.asymmetry * abs(left - right) + ends

    def meeting(self, i: int, j: int) -> float:
        """What it costs that the strands of a pair come together."""
        return self._costs(i, j).strands

    def _strong(self, i: int, j: int) -> bool:
        return {self.letters[i], self.letters[j]} == {"G", "C"}

    def _costs(self, i: int, j: int) -> LoopCosts:
        return _DNA if self.dna[i] and self.dna[j] else _RNA


def _by_length(table: Mapping[int, float], length: int) -> float:
    longest = max(table)
    return table[length] if length <= longest else table[longest] + _GAS * math.log(length / longest)


def _both_ways(stacks: Mapping[str, float]) -> dict[str, float]:
    """With each stack read from the other strand too: 5'-AC-3' / 3'-UG-5' is 5'-GU-3' / 3'-CA-5'."""
    return {name[::-1]: value for name, value in stacks.items()} | dict(stacks)


#: By whether the first strand is DNA, and the second.
_TABLES: Mapping[tuple[bool, bool], Mapping[str, float]] = {
    (False, False): _both_ways(_RNA_STACKS),
    (True, True): _both_ways(_DNA_STACKS),
    (False, True): _HYBRID_STACKS,
    (True, False): {name[::-1]: value for name, value in _HYBRID_STACKS.items()},
}
