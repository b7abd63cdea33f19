from collections import Counter
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from structdiff.errors import InputError
from structdiff.spec.contig_grammar import parse_contigs, parse_residues
from structdiff.spec.contigs import Contigs
from structdiff.spec.lengths import format_length, parse_length, sample_rows
from structdiff.spec.segments import FixedSegment, FreeSegment, ResidueId


def residues(chain, numbers, code=""):
    return tuple(ResidueId(chain=chain, number=number, insertion_code=code) for number in numbers)


def free(low, high=None):
    return FreeSegment(minimum=low, maximum=low if high is None else high)


def fixed(chain, start, stop, group=1):
    named = residues(chain, range(start, stop + 1))
    return FixedSegment(chain=chain, start=start, stop=stop, group=group, residues=named)


@pytest.mark.parametrize(
    ("text", "chains"),
    [
        ("100", ((free(100),),)),
        ("10-40/A163-181/10-40", ((free(10, 40), fixed("A", 163, 181), free(10, 40)),)),
        ("5-15/A10-25/30-40/0 B1-100", ((free(5, 15), fixed("A", 10, 25), free(30, 40)), (fixed("B", 1, 100),))),
        ("[5-15/A10-25/30-40/0 B1-100/0]", ((free(5, 15), fixed("A", 10, 25), free(30, 40)), (fixed("B", 1, 100),))),
        ("['10 B1-100']", ((free(10),), (fixed("B", 1, 100),))),
        ('"10/A5"', ((free(10), fixed("A", 5, 5)),)),
        ("  10   20/0  ", ((free(10),), (free(20),))),
        ("10 /0 B1-2", ((free(10),), (fixed("B", 1, 2),))),
        ("0-5/A1-2/0-5", ((free(0, 5), fixed("A", 1, 2), free(0, 5)),)),
        ("5/A10-A12", ((free(5), fixed("A", 10, 12)),)),
        ("5/AA10-12", ((free(5), fixed("AA", 10, 12)),)),
        ("5/1:10-12", ((free(5), fixed("1", 10, 12)),)),
        ("5/A1-3@2/5", ((free(5), fixed("A", 1, 3, group=2), free(5)),)),
        ("5/A-3--1", ((free(5), fixed("A", -3, -1)),)),
        ("5 B", ((free(5),), (FixedSegment(chain="B"),))),
        (
            "5/A52A-60",
            ((free(5), FixedSegment(chain="A", start=52, stop=60, start_insertion_code="A")),),
        ),
        (
            "5/A52B",
            (
                (
                    free(5),
                    FixedSegment(
                        chain="A", start=52, stop=52, start_insertion_code="B", stop_insertion_code="B",
                        residues=residues("A", [52], "B"),
                    ),
                ),
            ),
        ),
    ],
)  # fmt: skip
def test_parse(text, chains):
    contigs = parse_contigs(text)
    assert contigs.chains == chains
    assert parse_contigs(str(contigs)) == contigs


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", ["empty"]),
        ("[ ]", ["empty"]),
        ("/0", ["missing", "character 1"]),
        ("/0 10", ["missing", "character 1"]),
        ("0", ["leave out stretches of no residues"]),
        ("10 0 20", ["leave out stretches of no residues", "character 4"]),
        ("40-10", ["reversed", "write 10-40", ">>>40-10<<<"]),
        ("10/A20-10/5", ["reversed", "write A10-20", "character 4", "10/>>>A20-10<<</5"]),
        ("5/A52B-52A", ["reversed", "write A52A-52B"]),
        ("10//5", ["missing", "character 4"]),
        ("/5", ["missing", "character 1"]),
        ("5/", ["missing"]),
        ("5/ B1-3", ["chain break is '/0'"]),
        ("10/0/20", ["chain break", "character 4", "10/>>>0<<</20"]),
        ("10/x!/5", ["no stretch", "character 4", ">>>x!<<<"]),
        ("10/A1-/5", ["no stretch", ">>>A1-<<<"]),
        ("10/-5", ["no stretch", ">>>-5<<<"]),
        ("10-20-30", ["no stretch"]),
        ("10.5", ["no stretch"]),
        ("10,A5", ["separated by '/'", "character 3"]),
        ("5/A1-B10", ["one chain", "A and B"]),
        ("5/A1-10/5/A5-7", ["A1-10 and A5-7 share residues", "once"]),
        ("5/A1-10/5 A10-20", ["A1-10 and A10-20 share residues"]),
        ("A/5/A3-4", ["A and A3-4 share residues"]),
        ("A/5/A", ["A and A share residues"]),
        ("5@2", ["only stretches of the motif"]),
        ("A5@0", ["from 1"]),
        ("A5@x", ["from 1"]),
        ("5/0-0/5", ["leave out stretches of no residues", ">>>0-0<<<"]),
        ("5/00", ["leave out stretches of no residues"]),
        ("0-5 B1-10", ["without residues"]),
        ("1000000", ["more than 100000"]),
        ("A1-1000000", ["more than 100000"]),
    ],
)
def test_bad_contigs_name_the_piece(text, says):
    with pytest.raises(InputError) as caught:
        parse_contigs(text)
    assert str(caught.value).startswith("contigs: ")
    for part in says:
        assert part in str(caught.value)


segments = st.one_of(
    st.tuples(st.integers(0, 40), st.integers(0, 40)).map(lambda pair: free(min(pair), max(pair))),
    st.tuples(st.integers(-20, 50), st.integers(0, 10), st.integers(1, 3)),
)


@st.composite
def contig_sets(draw):
    """Contigs whose fixed stretches lie on chains of their own, so that they cannot overlap."""
    names = iter("BCDEFGHIJKLMNOPQRSTUVWXYZ")
    chains = []
    for _ in range(draw(st.integers(1, 3))):
        row = []
        for segment in draw(st.lists(segments, min_size=1, max_size=4)):
            if isinstance(segment, tuple):
                row.append(fixed(next(names), segment[0], segment[0] + segment[1], segment[2]))
            elif segment.maximum:
                row.append(segment)
        chains.append((free(3, 5), *row) if sum(getattr(each, "minimum", 1) for each in row) == 0 else tuple(row))
    return Contigs(chains=tuple(chains))


@given(contig_sets())
def test_text_round_trip(contigs):
    assert parse_contigs(str(contigs)) == contigs
    assert parse_contigs(f"[{str(contigs).replace(' ', '/0 ')}/0]") == contigs


@given(contig_sets(), st.integers(0, 2**32 - 1), st.data())
@settings(max_examples=50)
def test_lengths_meet_every_total_in_range_and_none_outside(contigs, seed, data):
    low, high = contigs.length_range()
    total = data.draw(st.integers(low, high))
    rng = np.random.default_rng(seed)
    lengths = contigs.sample_lengths(rng, (total, total))
    spans = [segment for segment in contigs.segments if isinstance(segment, FreeSegment)]
    assert all(span.minimum <= length <= span.maximum for span, length in zip(spans, lengths, strict=True))
    known = sum(
        len(segment.residues)
        for chain in contigs.chains
        if any(isinstance(each, FreeSegment) for each in chain)
        for segment in chain
        if isinstance(segment, FixedSegment)
    )
    assert sum(lengths) + known == total
    for outside in (low - 1, high + 1):
        with pytest.raises(InputError, match="cannot reach this length") as caught:
            contigs.sample_lengths(rng, (outside, outside))
        assert format_length((low, high)) in str(caught.value)


def test_all_allowed_rows_are_equally_likely():
    spans, low, high = [3, 2, 4], 4, 6
    allowed = [row for row in product(range(4), range(3), range(5)) if low <= sum(row) <= high]
    rng = np.random.default_rng(5)
    draws = 20_000
    counts = Counter(tuple(sample_rows(spans, low, high, rng)) for _ in range(draws))
    assert set(counts) == set(allowed)
    expected = draws / len(allowed)
    chi_square = sum((counts[row] - expected) ** 2 / expected for row in allowed)
    degrees = len(allowed) - 1
    assert chi_square < degrees + 4 * (2 * degrees) ** 0.5


def test_target_does_not_count_in_the_length():
    assert parse_contigs("5-15/A10-25/30-40/0 B1-100").length_range() == (51, 71)


@pytest.mark.parametrize(
    ("text", "names", "designed"),
    [
        ("100", ("A",), ("A",)),
        ("10 20", ("A", "B"), ("A", "B")),
        ("B1-100 70", ("B", "A"), ("A",)),
        ("A1-100 70", ("A", "B"), ("B",)),
        ("10/A5-9/10 A20-30", ("B", "A"), ("B",)),
        ("70 B1-50/B60-99", ("A", "B"), ("A",)),
        ("70 B60-99/B1-50", ("A", "B"), ("A",)),
        ("70 B1-50 B60-99", ("A", "B", "C"), ("A",)),
        ("70 B1-50/C1-9", ("A", "B"), ("A",)),
        ("70 HL1-50", ("A", "HL"), ("A",)),
        ("70 B C", ("A", "B", "C"), ("A",)),
    ],
)
def test_chain_names(text, names, designed):
    contigs = parse_contigs(text)
    assert contigs.chain_ids == names
    assert contigs.designed_chain_ids == designed


MOTIF = (*residues("A", [1, 2, 3, 7, 8]), *residues("A", [8], "A"), *residues("A", [9]), *residues("B", [1, 2]),
         *residues("B-2", [1, 2, 4]))  # fmt: skip


def test_resolve_follows_the_file():
    contigs = parse_contigs("5/A7-9/5 B").resolve(MOTIF)
    assert contigs.fixed[0].residues == MOTIF[3:7]
    assert contigs.fixed[1].residues == MOTIF[7:9]
    assert contigs.is_resolved
    assert not parse_contigs("5 B").is_resolved
    assert parse_contigs("5/A8A-9").resolve(MOTIF).fixed[0].residues == MOTIF[5:7]


def test_numbers_that_jump_are_no_gap_where_the_file_bonds_the_residues():
    chain = [ResidueId(chain="H", number=n, bonded=n != 20) for n in (8, 9, 12, 13, 20)]
    assert parse_contigs("5/H8-13").resolve(chain).fixed[0].residues == tuple(chain[:4])
    with pytest.raises(InputError, match="no H14-19"):
        parse_contigs("5/H8-20").resolve(chain)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("5/C1-2", ["no chain 'C'", "allowed: A, B"]),
        ("5/B-3:1", ["no chain 'B-3'", "did you mean 'B-2'"]),
        ("5 C", ["no chain 'C'"]),
        ("5/A1-12", ["no residue A12", "A1-12", "from 1 to 9"]),
        ("5/B0-2", ["no residue B0"]),
        ("5/A1-9", ["missing", "A4-6", "bridge the gap"]),
        ("5/A9A", ["no residue A9A"]),
        ("5/B/5/B2", ["B and B2 share residues"]),
        ("5/B2/5/B", ["B2 and B share residues"]),
        ("5/B/5/B7", ["no residue B7"]),
        ("5 B-2", ["no residue B-2", "B-2: for the chain B-2"]),
        ("5 B B-2", ["no residue B-2", "B-2: for the chain B-2"]),
        ("5/B-2:1-4", ["missing", "no B-2:3"]),
        ("5/B-2:3", ["no residue B-2:3"]),
    ],
)
def test_resolve_names_what_is_not_there(text, says):
    with pytest.raises(InputError) as caught:
        parse_contigs(text).resolve(MOTIF)
    for part in says:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("text", "chain", "count"),
    [("5/B-2:1-2", "B-2", 2), ("5 B-2:", "B-2", 3), ("5 B B-2:", "B-2", 3), ("5/B-2:4", "B-2", 1),
     ("5/B-2:1-B-2:2", "B-2", 2), ("5/A-2-5:3@2", "A-2-5", 1), ("5/A-2-5:3-4", "A-2-5", 2),
     ("5/x_1.a+b:-3--1", "x_1.a+b", 3)],
)  # fmt: skip
def test_a_colon_ends_any_name_of_a_chain(text, chain, count):
    contigs = parse_contigs(text)
    found = contigs.resolve((*MOTIF, *residues("A-2-5", [3, 4]), *residues("x_1.a+b", [-3, -2, -1]))).fixed[-1]
    assert (found.chain, len(found.residues)) == (chain, count)
    assert str(contigs) == text.replace("-B-2:2", "-2")
    assert parse_contigs(str(contigs)) == contigs


def test_unresolved_chains_have_no_length_yet():
    with pytest.raises(InputError, match="length of B is known only once the motif is read"):
        parse_contigs("5/B").length_range()


@pytest.mark.parametrize(
    ("text", "length"), [("100", (100, 100)), ("80-120", (80, 120)), (" 5-5 ", (5, 5)), (70, (70, 70))]
)
def test_length(text, length):
    assert parse_length(text) == length
    assert parse_length(format_length(length)) == length


@pytest.mark.parametrize("text", ["", "x", "120-80", "0", "-5", "5-", "1.5"])
def test_bad_length(text):
    with pytest.raises(InputError, match=r"^length: "):
        parse_length(text)


def test_residue_lists():
    assert parse_residues("[A45, A67-68]", "hotspots") == residues("A", [45, 67, 68])
    assert parse_residues("A45 1:3", "hotspots") == (*residues("A", [45]), *residues("1", [3]))
    assert [str(residue) for residue in parse_residues("A52B,1:3", "hotspots")] == ["A52B", "1:3"]
    assert parse_residues("A-2,A-2:3-4", "hotspots") == (*residues("A", [-2]), *residues("A-2", [3, 4]))


@pytest.mark.parametrize("text", ["", "A", "45", "A45,,A46", "A45,A45", "A45@2", "A9-5", "A45;B1"])
def test_bad_residue_lists(text):
    with pytest.raises(InputError, match=r"^hotspots: "):
        parse_residues(text, "hotspots")


@pytest.mark.parametrize(
    ("text", "names", "lengths"),
    [
        ("[150-150]", ("A",), (150, 150)),
        ("[100-200]", ("A",), (100, 200)),
        ("[A25-109/0 0-70/B17-29/0-70]", ("A", "B"), (13, 153)),
        ("[B1-100/0 100-100]", ("B", "A"), (100, 100)),
        ("[A1-150/0 70-100]", ("A", "B"), (70, 100)),
        ("[172-172/0 34-34]", ("A", "B"), (206, 206)),
        ("[10-100/A1083-1083/10-100/A1051-1051/10-100/A1180-1180/10-100]", ("A",), (43, 403)),
        ("[50/A2-4/50/0 50/A7-9/50/0 50/A12-14/50/0 50/A17-19/50/0]", ("A", "B", "C", "D"), (412, 412)),
    ],
)
def test_contigs_as_users_of_rfdiffusion_write_them(text, names, lengths):
    contigs = parse_contigs(text)
    assert contigs.chain_ids == names
    assert contigs.length_range() == lengths


def test_many_wide_ranges_are_drawn_at_once():
    contigs = parse_contigs("/".join(["0-400"] * 29 + ["1-400"]))
    assert sum(contigs.sample_lengths(np.random.default_rng(0), (6000, 6000))) == 6000


def test_a_stretch_along_which_insertion_codes_fall_is_named_by_its_residues():
    """As in thrombin, whose light chain begins 1H, 1G ... 1A, 1, 2; it was told that residue 1 is missing."""
    present = [ResidueId(chain="L", number=1, insertion_code=code) for code in ("C", "B", "A", "")]
    with pytest.raises(InputError, match=r"other way round, L1C before L1A .found 'L1A-1C'; allowed: L1C/L1B/L1A"):
        parse_contigs("5/L1A-1C/5").resolve(present)
    named = parse_contigs("5/L1C/L1B/L1A/5").resolve(present).fixed
    assert [residue for stretch in named for residue in stretch.residues] == present[:3]
