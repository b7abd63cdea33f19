"""Loops to be inpainted, and what partial diffusion keeps and changes."""

from __future__ import annotations

import numpy as np
import pytest

from structdiff.errors import InputError
from structdiff.spec.design import design_from_dict, design_to_dict
from structdiff.spec.rebuilding import parse_loops, parse_noise
from structdiff.spec.segments import ResidueId

#: Chain A from 1 to 20 without 11 and 12, chain B from 5 to 9.
RESIDUES = [ResidueId(chain="A", number=n) for n in range(1, 21) if n not in (11, 12)] + [
    ResidueId(chain="B", number=n) for n in range(5, 10)
]


def resolved(**asked):
    spec = design_from_dict({"motif": "x.pdb", **asked})
    found = spec.resolve(RESIDUES)
    again = design_from_dict(design_to_dict(found)).resolve(RESIDUES)
    assert again == found, "what was asked is not what is written"
    return found


def marks(spec) -> list[str]:
    """A letter for each residue, by chain: k kept, n new, b new where a residue was."""
    layout = spec.sample_layout(np.random.default_rng(0))
    letter = {(True, False): "k", (False, False): "n", (False, True): "b"}
    return [
        "".join(letter[each.origin is not None, each.instead_of is not None] for each in row)
        for row in layout.chains.values()
    ]


def test_a_loop_is_new_and_as_long_as_its_numbers():
    assert marks(resolved(contigs="A13-20", inpaint="A15-17")) == ["kkbbbkkk"]


def test_a_loop_of_another_length():
    spec = resolved(contigs="A13-20", inpaint="A15-17:6")
    assert marks(spec) == ["kknnnnnnkkk"]


def test_gaps_are_filled_where_it_is_asked():
    assert marks(resolved(inpaint="gaps")) == ["k" * 10 + "nn" + "k" * 8, "kkkkk"]
    assert marks(resolved(inpaint="A3-4,gaps"))[0] == "kkbb" + "k" * 6 + "nn" + "k" * 8


def test_a_loop_over_a_gap_fills_it():
    assert marks(resolved(inpaint="A9-13"))[0] == "k" * 8 + "nnnnn" + "k" * 7


def test_a_gap_that_nothing_bridges_is_an_error():
    with pytest.raises(InputError, match=r"A10 and A13.*gaps"):
        resolved(inpaint="A3-4")


def test_numbers_that_are_left_out_are_no_gap_where_the_file_bonds_the_residues():
    """Numbering schemes of antibodies leave numbers out; new residues were put between neighbours there."""
    chain = [ResidueId(chain="H", number=n, bonded=n > 1) for n in (1, 2, 3, 4, 9, 10, 11)]

    def drawn(loop):
        return marks(design_from_dict({"motif": "x.pdb", "inpaint": loop}).resolve(chain))

    assert drawn("H2-3") == ["kbbkkkk"]
    assert drawn("H3-10") == ["kkbbbbk"]
    assert drawn("H5-8:2") == ["kkkknnkkk"]
    with pytest.raises(InputError, match=r"no residue is missing there.*'H5-8'; allowed: H5-8:3-5"):
        drawn("H5-8")
    with pytest.raises(InputError, match="no gaps"):
        drawn("gaps")


def test_chains_that_are_not_changed_are_kept_with_their_names():
    spec = resolved(inpaint="B6-7", contigs="B A13-20")
    layout = spec.sample_layout(np.random.default_rng(0))
    assert [each.number for each in layout.residues][:5] == [5, 6, 7, 8, 9]
    assert list(layout.chains) == ["B", "A"]


@pytest.mark.parametrize(("asked", "says"), [("A40-50", "not part"), ("B", "no stretch"), ("A5:0", "at least one"),
                                             ("A9-3", "no part|no stretch"), ("", "no stretch|no part")])  # fmt: skip
def test_loops_that_are_none(asked, says):
    with pytest.raises(InputError, match=says):
        resolved(contigs="A13-20", inpaint=asked)


def test_a_loop_that_is_not_there_is_told_what_is():
    with pytest.raises(InputError, match="allowed: A1 to A20, B5 to B9"):
        resolved(inpaint="A40-50")


def test_partial_diffusion_changes_all_but_what_is_held():
    spec = resolved(noise="5", hold="A3-4, B", keep_sequence="A1-2")
    assert marks(spec) == ["bbkk" + "b" * 14, "kkkkk"]
    layout = spec.sample_layout(np.random.default_rng(0))
    assert [str(each.instead_of) for each in layout.residues if each.keeps_type] == ["A1", "A2"]
    assert [each.number for each in layout.chains["A"]] == [n for n in range(1, 21) if n not in (11, 12)]


def test_numbers_with_insertion_codes_stay_where_a_part_is_held():
    chain = [ResidueId(chain="H", number=82, insertion_code=code) for code in ("", "A", "B")]
    chain.append(ResidueId(chain="H", number=83))
    spec = design_from_dict({"motif": "x.pdb", "noise": "5", "hold": "H82A"}).resolve(chain)
    layout = spec.sample_layout(np.random.default_rng(0))
    assert [str(each.id) for each in layout.residues] == ["H82", "H82A", "H82B", "H83"]


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"noise": "5", "hold": "A,B"}, "nothing is left"),
        ({"noise": "5", "hold": "Q"}, "not part.*'Q'; allowed: A1 to A20, B5 to B9"),
        ({"noise": "5", "hold": "A15-40"}, "no residue A40 for A15-40.*'A15-40'; allowed: residues from A1 to A20"),
        ({"noise": "5", "hold": "A9-12"}, "no residue A12"),
        ({"noise": "5", "hold": "A1-5", "keep_sequence": "A0-8"}, "keep_sequence: .*no residue A0 for A0-8"),
        ({"hold": "A3"}, "no noise"),
        ({"noise": "-3"}, "how much noise"),
        ({"noise": "120%"}, "how much noise"),
        ({"noise": "lots"}, "how much noise"),
        ({"noise": "5", "inpaint": "A3"}, "no place to begin"),
    ],
)
def test_what_partial_diffusion_cannot_be_asked(asked, says):
    with pytest.raises(InputError, match=says):
        resolved(**({} if "noise" in asked else {"contigs": "A1-9/4"}) | asked)


def test_partial_diffusion_needs_a_structure():
    with pytest.raises(InputError, match="no structure"):
        design_from_dict({"noise": "5", "contigs": "40"})


def test_noise_and_loops_are_written_as_they_were():
    assert [str(parse_noise(each)) for each in ("4", "12.5", "40%")] == ["4", "12.5", "40%"]
    assert [str(each) for each in parse_loops("A20-30:8-14 gaps,B5")] == ["A20-30:8-14", "gaps", "B5"]


def test_loops_of_chains_whose_names_end_in_a_colon():
    loops = parse_loops("1:20-30, A-2:20-30:8-14, A-2:20-30:, A-2:5-9")
    assert [(each.stretch.chain, each.stretch.name, each.length) for each in loops] == [
        ("1", "1:20-30", None), ("A-2", "A-2:20-30", (8, 14)), ("A-2", "A-2:20-30", None), ("A", "A-2", (5, 9)),
    ]  # fmt: skip
    assert parse_loops(", ".join(map(str, loops))) == loops
    spec = design_from_dict({"motif": "x.pdb", "inpaint": "A-2:5-9"})
    with pytest.raises(InputError, match="A-2:5-9: for the chain A-2"):
        spec.resolve([ResidueId(chain=chain, number=number) for chain in ("A", "A-2") for number in range(1, 12)])
