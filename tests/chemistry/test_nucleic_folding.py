"""The least energy of nucleic acids is that of the best of all structures, and known ones are found."""

from __future__ import annotations

import itertools
import random

import pytest

from structdiff.chemistry.nearest_neighbours import BRANCH, MULTILOOP, Energies
from structdiff.chemistry.nucleic_folding import _Folding, least_energy_pairs


def signs(strands, dna):
    """Dots and brackets of the strands."""
    letters = ["."] * sum(map(len, strands))
    for i, j in least_energy_pairs(strands, dna):
        letters[i], letters[j] = "(", ")"
    bounds = list(itertools.accumulate(map(len, strands), initial=0))
    return ["".join(letters[start:stop]) for start, stop in itertools.pairwise(bounds)]


@pytest.mark.parametrize(
    ("strands", "dna", "expected"),
    [
        (["GGGGAAAACCCC"], [False], ["((((....))))"]),
        (["CGCGAATTCGCG", "CGCGAATTCGCG"], [True, True], ["((((((((((((", "))))))))))))"]),
        (["TTAGACGTCT", "AGACGTCTA"], [True, True], [".(((((((((", ")))))))))"]),
        (["GGAACUGCCG", "CGGCAGTTCC"], [False, True], ["((((((((((", "))))))))))"]),
        (["ACGTACGTTAGC", "GCTAACGTACGT", "GGGGAAAACCCC"], [True, True, False], ["(" * 12, ")" * 12, "((((....))))"]),
        # The adenine riboswitch (1Y26): three helices about a junction.
        (["CGCUUCAUAUAAUCCUAAUGAUAUGGUUUGGGAGUUUCUACCAAGAGCCUUAAACUCUUGAUUAUGAAGUG"], [False],
         ["(((((((((...((((((.........))))))........((((((.......))))))..)))))))))"]),
        (["AAAAAAAAAA"], [False], [".........."]),
        (["GNGGAAAACCNC"], [False], ["..((....)).."]),
        ([], [], []),
    ],
)  # fmt: skip
def test_known_structures(strands, dna, expected):
    found = signs(strands, dna)
    if "N" in "".join(strands):  # what is unknown does not pair, whatever else does
        assert all(sign == "." for strand, own in zip(strands, found, strict=True)
                   for letter, sign in zip(strand, own, strict=True) if letter == "N")  # fmt: skip
    else:
        assert found == expected


def every_structure(energies, rows):
    """All nested sets of pairs of these rows."""
    if len(rows) < 2:
        yield ()
        return
    yield from every_structure(energies, rows[1:])
    for place in range(1, len(rows)):
        if energies.pairs(rows[0], rows[place]):
            for inside in every_structure(energies, rows[1:place]):
                for outside in every_structure(energies, rows[place + 1 :]):
                    yield ((rows[0], rows[place]), *inside, *outside)


def energy(energies, breaks, pairs):
    """The energy of a structure, loop by loop."""
    inside = {pair: [] for pair in pairs}
    outer = []
    for pair in pairs:
        around = [each for each in pairs if each[0] < pair[0] and pair[1] < each[1]]
        (inside[max(around)] if around else outer).append(pair)
    total = sum(energies.branch(*pair) for pair in outer)
    for (i, j), branches in inside.items():
        open_breaks = [
            each for each in breaks if i <= each < j and not any(p <= each < q for p, q in branches)
        ]  # fmt: skip
        if open_breaks:
            meetings = energies.meeting(i, j) + (len(open_breaks) - 1) * energies.meeting(0, 0)
            total += meetings + energies.end(i, j) + sum(energies.branch(*pair) for pair in branches)
        elif not branches:
            total += energies.hairpin(i, j)
        elif len(branches) == 1:
            total += energies.interior(i, j, *branches[0])
        else:
            ends = energies.end(i, j) + sum(energies.branch(*pair) for pair in branches)
            total += MULTILOOP + BRANCH * (1 + len(branches)) + ends
    return total


@pytest.mark.parametrize("number", range(12))
def test_least_energy_is_that_of_the_best_of_all_structures(number):
    source = random.Random(number)
    dna = [source.random() < 0.5 for _ in range(1 + number % 3)]
    lengths = [13] if len(dna) == 1 else [7, 7] if len(dna) == 2 else [5, 5, 4]
    strands = ["".join(source.choice("GCGCAU") for _ in range(length)) for length in lengths]
    letters = "".join(strands)
    kinds = [kind for kind, strand in zip(dna, strands, strict=True) for _ in strand]
    breaks = [place - 1 for place in itertools.accumulate(lengths)][:-1]
    energies = Energies(letters, kinds, breaks)
    folding = _Folding(energies, breaks)
    best = min(energy(energies, breaks, pairs) for pairs in every_structure(energies, tuple(range(len(letters)))))
    found = energy(energies, breaks, folding.pairs())
    assert folding.outer[-1] == pytest.approx(best, abs=1e-9)
    assert found == pytest.approx(best, abs=1e-9)


@pytest.mark.parametrize("number", range(4))
def test_the_energy_of_a_long_structure_is_that_of_its_loops(number):
    """With bulges, branches and strands that meet, which short ones hardly have."""
    source = random.Random(100 + number)
    lengths = [[90], [40, 50], [30, 30, 30], [20, 60]][number]
    dna = [False, number == 3, False][: len(lengths)]
    strands = ["".join(source.choice("ACGU") for _ in range(length)) for length in lengths]
    kinds = [kind for kind, strand in zip(dna, strands, strict=True) for _ in strand]
    breaks = [place - 1 for place in itertools.accumulate(lengths)][:-1]
    energies = Energies("".join(strands), kinds, breaks)
    folding = _Folding(energies, breaks)
    assert energy(energies, breaks, folding.pairs()) == pytest.approx(folding.outer[-1], abs=1e-9)
    assert folding.outer[-1] < 0
