"""PDB files whose chain ids do not tell chains apart, and coordinates that cannot be read."""

import pytest

from structdiff.errors import InputError
from structdiff.structure.files import read_structure

_NAMES = ("N", "CA", "C", "O")


def chain(first: int, x: float, *, chain_id: str = " ", segment: str = "", residues: int = 4) -> list[str]:
    """Glycines 3 Å apart."""
    return [
        f"ATOM  {1:5d}  {name:<3} GLY {chain_id}{first + place:4d}    {x + place * 3 + row:8.3f}{0:8.3f}{0:8.3f}"
        f"  1.00 20.00      {segment:<4}{name[0]:>2}"
        for place in range(residues)
        for row, name in enumerate(_NAMES)
    ]


def read(tmp_path, lines):
    path = tmp_path / "model.pdb"
    path.write_text("\n".join([*lines, "END", ""]))
    structure = read_structure(path)
    starts = [*structure.chains.residue_start.tolist(), len(structure.residues)]
    return [
        (str(name), stop - start)
        for name, start, stop in zip(structure.chains.name, starts[:-1], starts[1:], strict=True)
    ]


@pytest.mark.parametrize(
    "lines",
    [
        chain(1, 0, segment="PROA") + chain(1, 50, segment="PROB"),
        chain(1, 0, segment="PROA") + ["TER"] + chain(1, 50, segment="PROB"),
        chain(1, 0) + chain(1, 50),
        chain(1, 0) + ["TER"] + chain(5, 50),
        chain(1, 0, chain_id="A") + ["TER"] + chain(1, 50, chain_id="A"),
        chain(3, 0, chain_id="A") + ["TER"] + chain(1, 50, chain_id="A"),
        chain(1, 0, chain_id="A", segment="PROA") + chain(5, 50, chain_id="A", segment="PROB"),
        chain(1, 0) + [chain(4, 9)[3].replace(" O  ", " OXT")] + chain(5, 50),
    ],
)
def test_chains_that_ids_do_not_tell_apart(tmp_path, lines):
    assert read(tmp_path, lines) == [("A", 4), ("B", 4)]


def test_ids_of_other_chains_are_not_given_out_again(tmp_path):
    lines = chain(1, 0) + ["TER"] + chain(1, 50) + ["TER"] + chain(1, 90, chain_id="A")
    assert read(tmp_path, lines) == [("B", 4), ("C", 4), ("A", 4)]


@pytest.mark.parametrize("segments", [("PROA", "PROB"), ("PROA", "")])
def test_what_is_bonded_is_one_chain_whatever_its_segments(tmp_path, segments):
    """The C of residue 4 is at 11 Å, that is 1.3 Å before the N of residue 5."""
    lines = chain(1, 0, chain_id="A", segment=segments[0]) + chain(5, 12.3, chain_id="A", segment=segments[1])
    assert read(tmp_path, lines) == [("A", 8)]


def test_a_gap_with_ter_is_within_its_chain(tmp_path):
    lines = chain(1, 0, chain_id="A") + ["TER"] + chain(9, 50, chain_id="A")
    assert read(tmp_path, lines) == [("A", 8)]


@pytest.mark.parametrize("text", ["********", "       ?", "        "])
def test_coordinates_that_are_no_numbers_are_told(tmp_path, text):
    lines = chain(1, 0, chain_id="A")
    lines[5] = f"{lines[5][:30]}{text}{lines[5][38:]}"
    with pytest.raises(InputError, match=r"model\.pdb:6: the coordinates of this atom are no numbers"):
        read(tmp_path, lines)


def test_conformations_in_blocks_are_one_chain(tmp_path):
    one = chain(1, 0, chain_id="A")
    other = [f"{line[:16]}B{line[17:]}" for line in chain(2, 3.5, chain_id="A", residues=2)]
    assert read(tmp_path, one + other) == [("A", 4)]


def test_letters_that_are_not_ascii_are_told(tmp_path):
    lines = chain(1, 0, chain_id="A")
    lines[2] = lines[2].replace("GLY", "GLé")
    with pytest.raises(InputError, match=r"model\.pdb:3: lines of atoms are plain ASCII .found 'é'"):
        read(tmp_path, lines)
