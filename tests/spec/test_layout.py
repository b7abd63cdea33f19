import json

import numpy as np
import pytest

from structdiff.errors import InputError
from structdiff.spec.contig_grammar import parse_contigs
from structdiff.spec.layout import sample_layout
from structdiff.spec.segments import ResidueId


def draw_layout(text, length=None, seed=0, **more):
    return sample_layout(parse_contigs(text), np.random.default_rng(seed), length, **more)


def test_a_layout_is_printed_as_it_is_drawn():
    layout = draw_layout("5/A10-12/5")
    assert str(layout) == layout.draw(80)
    assert "6-8 = A10-12" in str(layout)


def test_origins_numbers_and_groups():
    layout = draw_layout("2/A10-11/1/C5@2 B7-8")
    rows = [
        (residue.chain, residue.number, str(residue.origin) if residue.origin else None, residue.group)
        for residue in layout.residues
    ]
    assert rows == [
        ("A", 1, None, 0), ("A", 2, None, 0), ("A", 3, "A10", 1), ("A", 4, "A11", 1), ("A", 5, None, 0),
        ("A", 6, "C5", 2), ("B", 7, "B7", 1), ("B", 8, "B8", 1),
    ]  # fmt: skip
    assert [residue.chain_is_fixed for residue in layout.residues] == [False] * 6 + [True] * 2
    assert layout.designed_length == 6
    assert len(layout) == 8


def test_kept_chains_keep_insertion_codes():
    motif = [ResidueId(chain="H", number=52), ResidueId(chain="H", number=52, insertion_code="A")]
    layout = sample_layout(parse_contigs("3 H").resolve(motif), np.random.default_rng(0))
    assert [str(residue.id) for residue in layout.residues] == ["A1", "A2", "A3", "H52", "H52A"]


def test_a_second_chain_from_one_source_is_renamed_and_numbered_from_1():
    layout = draw_layout("5 B1-3 B7-9")
    assert {name: [residue.number for residue in row] for name, row in layout.chains.items()} == {
        "A": [1, 2, 3, 4, 5], "B": [1, 2, 3], "C": [1, 2, 3],
    }  # fmt: skip
    assert [str(residue.origin) for residue in layout.chains["C"]] == ["B7", "B8", "B9"]


def test_reversed_order_gives_up_numbers():
    layout = draw_layout("5 B7-8/B1-2")
    assert [str(residue.id) for residue in layout.chains["B"]] == ["B1", "B2", "B3", "B4"]
    assert [str(residue.origin) for residue in layout.chains["B"]] == ["B7", "B8", "B1", "B2"]


def test_total_length_is_met_and_counts_designed_chains_only():
    for seed in range(20):
        layout = draw_layout("10-40/A163-181/10-40 B1-100", (60, 62), seed)
        assert 60 <= layout.designed_length <= 62
        assert len(layout) == layout.designed_length + 100


def test_same_seed_same_layout():
    assert draw_layout("10-40/A163-181/10-40", seed=3) == draw_layout("10-40/A163-181/10-40", seed=3)
    assert len({len(draw_layout("10-40/A163-181/10-40", seed=seed)) for seed in range(10)}) > 3


def test_chain_lengths():
    layout = draw_layout("5-20/A1-3/5-20 10-30", chain_lengths=(33, 12))
    assert {name: len(row) for name, row in layout.chains.items()} == {"A": 33, "B": 12}
    with pytest.raises(InputError, match="each designed chain"):
        draw_layout("5 10", chain_lengths=(5,))


def test_indices():
    layout = draw_layout("2/A10-11 B7-8")
    assert layout.indices([ResidueId(chain="B", number=8), ResidueId(chain="A", number=10)], "hotspots") == (5, 2)
    with pytest.raises(InputError, match=r"hotspots: .*'B9'"):
        layout.indices([ResidueId(chain="B", number=9)], "hotspots")


def test_residue_map_is_json_and_holds_every_kept_residue():
    found = json.loads(json.dumps(draw_layout("2/A10-11/1 B7-8").residue_map()))
    assert found["chains"] == [
        {"chain": "A", "length": 5, "new": 3, "kept": False}, {"chain": "B", "length": 2, "new": 0, "kept": True},
    ]  # fmt: skip
    assert found["residues"][0] == {
        "design": {"chain": "A", "number": 3, "insertion_code": ""},
        "motif": {"chain": "A", "number": 10, "insertion_code": ""},
        "group": 1,
    }
    assert [row["motif"]["number"] for row in found["residues"]] == [10, 11, 7, 8]


def test_unresolved_and_impossible():
    with pytest.raises(InputError, match="what B holds is known only once the motif is read"):
        draw_layout("5 B")
    with pytest.raises(InputError, match=r"length: .*found '100'; allowed: 39-99 residues"):
        draw_layout("10-40/A163-181/10-40", (100, 100))


PICTURES = {
    ("10/A163-181/8", 60): """\
A  ░░░░░░░░░░███████████████████░░░░░░░░  37 residues
   1-10 new · 11-29 = A163-181 · 30-37 new
░ new   █ motif""",
    ("10/A5/10/A9@2/10 B1-100", 50): """\
A  ░░░1░░░2░░░                        32 residues
   1-10 new · 11 = A5@1 · 12-21 new · 22 = A9@2
   23-32 new
B  ▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓  100 residues
   1-100 = B1-100@1
░ new   1 2 motif groups   ▓ chain kept whole
the 2 groups move freely""",
}


@pytest.mark.parametrize("width", [40, 47, 60, 80, 120])
@pytest.mark.parametrize("text", ["10/A163-181/8", "10/A5/10/A9@2/10 B1-100", "300 A1-2", "1", "1 HEAVY1-500"])
def test_picture_fits_the_terminal(text, width):
    layout = draw_layout(text)
    lines = layout.draw(width).splitlines()
    assert max(map(len, lines)) <= width
    bars = [line for line in lines if line.endswith(("residues", "residue"))]
    assert len(bars) == len(layout.chains)


def test_single_residues_stay_visible_in_a_long_chain():
    picture = draw_layout("150/A5/150/A9/150").draw(60)
    assert picture.splitlines()[0].count("█") == 2


@pytest.mark.parametrize(("text", "width"), PICTURES)
def test_picture(text, width):
    assert draw_layout(text).draw(width) == PICTURES[text, width]


def test_too_narrow():
    with pytest.raises(InputError, match=r"width: .*40 columns"):
        draw_layout("5").draw(10)
