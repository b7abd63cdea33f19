"""Secondary structure of nucleic acids: the base pairs of least free energy, within strands and between them.

The recursions of Zuker & Stiegler, Nucleic Acids Res. 9, 133 (1981), over strands written one after the other, where a
loop that is open between two strands costs their meeting (Dimitrov & Zuker, Biophys. J. 87, 215 (2004)). Pairs are
nested: no pseudoknots, triplexes or quadruplexes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from structdiff.chemistry.nearest_neighbours import BRANCH, MOST_UNPAIRED, MULTILOOP, Energies

Pair = tuple[int, int]
_SLACK = 1e-9


def least_energy_pairs(strands: Sequence[str], dna: Sequence[bool]) -> list[Pair]:
    """The pairs (row, row) of the strands, numbered through from 0, that together have the least free energy.

    strands: 5' to 3', of A, C, G, T and U; any other letter does not pair. dna: which strands are DNA. Time grows with
    the cube of the number of nucleotides: 0.2 s for 100, 1.3 s for 200, 6 s for 400.
    """
    letters = "".join(strands).upper().replace("T", "U")
    kinds = [kind for strand, kind in zip(strands, dna, strict=True) for _ in strand]
    ends = np.cumsum([len(strand) for strand in strands])[:-1].tolist()
    breaks = [end - 1 for end in ends]
    return sorted(_Folding(Energies(letters, kinds, breaks), breaks).pairs()) if letters else []


class _Folding:
    """Tables of least energies (kcal/mol) of stretches [i, j], filled from the short ones to the long, and traced back.

    paired: i and j pair; open: the stretch lies outside all pairs, or in a loop that is open between strands; branches:
    it lies in a loop and has at least one branch. breaks: the last nucleotides of the strands but the last.
    """

    def __init__(self, energies: Energies, breaks: Sequence[int]) -> None:
        self.energies, self.size = energies, len(energies.letters)
        self.breaks = np.array(breaks, np.int64)
        self.broken = np.zeros(self.size, bool)
        self.broken[self.breaks] = True
        shape = (self.size + 1, self.size + 1)
        self.paired, self.branches = np.full(shape, np.inf), np.full(shape, np.inf)
        # With the cost of its end: as it counts in a loop, by column and row.
        self.ended = np.full(shape, np.inf)
        self.open = np.zeros(shape)  # open[i, j] is of [i, j - 1]
        self.outer = np.zeros(self.size + 1)  # as open, but strands need not meet
        self.meet = min((energies.meeting(i, i) for i in range(self.size)), default=0.0)
        self._fill()

    def _fill(self) -> None:
        for length in range(2, self.size + 1):
            for i in range(self.size - length + 1):
                j = i + length - 1
                if self.energies.pairs(i, j):
                    self.paired[i, j] = self._pair(i, j)
                    self.ended[i, j] = self.paired[i, j] + self.energies.branch(i, j)
                self.branches[i, j] = self._branches(i, j)
                self.open[i, j + 1] = self._open(i, j)
        for j in range(self.size):
            self.outer[j + 1] = min(self.outer[j], float((self.outer[: j + 1] + self.ended[: j + 1, j]).min()))

    def _pair(self, i: int, j: int) -> float:
        best = np.inf if self.broken[i:j].any() else self.energies.hairpin(i, j)
        best = min(best, min((cost for cost, _ in self._interiors(i, j)), default=np.inf))
        return min(best, self._multiloop(i, j), self._open_loop(i, j)[0])

    def _interiors(self, i: int, j: int) -> list[tuple[float, Pair]]:
        """Each pair right inside (i, j) without a break between, with the energy of both."""
        found = []
        for p in range(i + 1, min(j, i + MOST_UNPAIRED + 2)):
            if self.broken[p - 1]:
                break
            for q in range(j - 1, max(p, j - (MOST_UNPAIRED - (p - i - 1)) - 2), -1):
                if self.broken[q]:
                    break
                if self.paired[p, q] < np.inf:
                    found.append((self.energies.interior(i, j, p, q) + self.paired[p, q], (p, q)))
        return found

    def _multiloop(self, i: int, j: int) -> float:
        if self.broken[i] or self.broken[j - 1]:
            return np.inf
        return MULTILOOP + BRANCH + self.energies.end(i, j) + self._split(i + 1, j - 1)[0]

    def _split(self, i: int, j: int) -> tuple[float, int]:
        """The stretch as two with branches each, no break between them; the last nucleotide of the first."""
        if j <= i:
            return np.inf, i
        costs = self.branches[i, i:j] + self.branches[i + 1 : j + 1, j] + np.where(self.broken[i:j], np.inf, 0.0)
        best = int(costs.argmin())
        return float(costs[best]), i + best

    def _branches(self, i: int, j: int) -> float:
        best = self.ended[i, j] + BRANCH
        if not self.broken[i]:
            best = min(best, self.branches[i + 1, j])
        if not self.broken[j - 1]:
            best = min(best, self.branches[i, j - 1])
        return min(best, self._split(i, j)[0])

    def _open_loop(self, i: int, j: int) -> tuple[float, int]:
        """Pair (i, j) closes a loop that is open after some break; the energy and that break."""
        breaks = self.breaks[(self.breaks >= i) & (self.breaks < j)]
        if not len(breaks):
            return np.inf, i
        costs = self.open[i + 1, breaks + 1] + self.open[breaks + 1, j]
        # A strand that ends, or begins, right at the pair's other side is held there too.
        costs += self.meet * ((self.broken[i] & (breaks > i)) + 1.0 * (self.broken[j - 1] & (breaks < j - 1)))
        best = int(costs.argmin())
        return float(costs[best]) + self.energies.meeting(i, j) + self.energies.end(i, j), int(breaks[best])

    def _open(self, i: int, j: int) -> float:
        return min(float(self._open_unpaired(i, j)), self._open_pairs(i, j)[0])

    def _open_unpaired(self, i: int, j: int) -> float:
        return self.open[i, j] + self._crossing(j) if j > i else 0.0

    def _crossing(self, j: int | np.ndarray) -> np.ndarray:
        """What lies before nucleotide j in an open loop is of another strand, which is to be held there too."""
        return np.where(self.broken[j - 1], self.meet, 0.0)

    def _open_pairs(self, i: int, j: int) -> tuple[float, int]:
        """The stretch with a pair that ends it; the energy and where that pair begins."""
        starts = np.arange(i, j)
        costs = self.open[i, i:j] + self.ended[i:j, j] + np.where(starts > i, self._crossing(starts), 0.0)
        best = int(costs.argmin()) if len(costs) else 0
        return (float(costs[best]), i + best) if len(costs) else (np.inf, i)

    def pairs(self) -> list[Pair]:
        """One structure of least energy."""
        found: list[Pair] = []
        j = self.size
        while j > 0:
            if self.outer[j] >= self.outer[j - 1] - _SLACK:
                j -= 1
                continue
            start = int((self.outer[:j] + self.ended[:j, j - 1]).argmin())
            self._trace_pair(start, j - 1, found)
            j = start
        return found

    def _trace_pair(self, i: int, j: int, found: list[Pair]) -> None:
        while True:
            found.append((i, j))
            target = self.paired[i, j] + _SLACK
            if not self.broken[i:j].any() and self.energies.hairpin(i, j) <= target:
                return
            inner = min(self._interiors(i, j), default=(np.inf, (i, j)))
            if inner[0] <= target:
                i, j = inner[1]
                continue
            if self._multiloop(i, j) <= target:
                return self._trace_branches(i + 1, j - 1, found, split=True)
            gap = self._open_loop(i, j)[1]
            self._trace_open(i + 1, gap, found)
            return self._trace_open(gap + 1, j - 1, found)

    def _trace_branches(self, i: int, j: int, found: list[Pair], *, split: bool = False) -> None:
        """A stretch with branches; split: with two at least."""
        if not split:
            target = self.branches[i, j] + _SLACK
            while not self.broken[i] and self.branches[i + 1, j] <= target:
                i += 1
            while not self.broken[j - 1] and self.branches[i, j - 1] <= target:
                j -= 1
            if self.ended[i, j] + BRANCH <= target:
                return self._trace_pair(i, j, found)
        at = self._split(i, j)[1]
        self._trace_branches(i, at, found)
        return self._trace_branches(at + 1, j, found)

    def _trace_open(self, i: int, j: int, found: list[Pair]) -> None:
        while j > i:
            if self._open_unpaired(i, j) <= self.open[i, j + 1] + _SLACK:
                j -= 1
                continue
            start = self._open_pairs(i, j)[1]
            self._trace_pair(start, j, found)
            j = start - 1
