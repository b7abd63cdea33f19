"""Lines of atoms as force fields and old programs write them."""

import numpy as np
import pytest

from structdiff.chemistry.components import component
from structdiff.errors import InputError
from structdiff.structure.files import read_structure
from structdiff.structure.tables import ChainKind


def atom(name, residue, number, place, *, chain="A", element="", record="ATOM"):
    """A line; name: its four columns, residue: its three or four."""
    x, y, z = place
    start = f"{record:<6}    1 {name:<4} {residue:<4}{chain:1}{number:>4}    "
    return f"{start}{x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00          {element:>2}"


def residue(code, number, *, called=None, chain="A", left=False, extra=(), shift=0.0):
    """An amino acid at its ideal positions, without elements; extra: names of atoms beside its CA."""
    whole = component(code)
    kept = [row for row, name in enumerate(whole.atom_names) if name != "OXT"]
    named = [(str(whole.atom_names[row]), whole.ideal_positions[row]) for row in kept]
    beside = named[1][1] + 1.0
    return [
        atom(name if left or len(name) == 4 else f" {name}", called or code, number, place + shift, chain=chain)
        for name, place in (*named, *((name, beside) for name in extra))
    ]


def read(tmp_path, lines, **options):
    path = tmp_path / "model.pdb"
    path.write_text("\n".join([*lines, "END", ""]))
    return read_structure(path, **options)


def names(structure):
    return list(zip(structure.residues.name.tolist(), structure.chains.name[structure.residues.chain], strict=True))


def test_names_at_the_left_without_elements(tmp_path):
    """HG is no mercury, CA no calcium, NE no neon; in ligands too."""
    lines = residue("LYS", 1, left=True, extra=("HG2", "HG3", "HB2", "H")) + residue(
        "HIS", 2, left=True, called="HIE", shift=9
    )
    lines += [
        "TER",
        *(atom(name, "XXL", 3, (30 + 1.5 * row, 0, 0)) for row, name in enumerate(("CA", "NE", "HG1", "CL1"))),
    ]
    structure = read(tmp_path, lines)
    assert structure.residues.name.tolist() == ["LYS", "HIS", "XXL"]
    assert structure.atoms.resolved.all()
    assert structure.atoms.element[-3:].tolist() == [6, 7, 17]


@pytest.mark.parametrize(
    ("residue_name", "atom_name", "code"),
    [("Na+", "Na+", "NA"), ("Cl-", " Cl-", "CL"), ("SOD", " SOD", "NA"), ("CLA", " CLA", "CL"), ("POT", " POT", "K"),
     ("K+", " K+", "K"), ("MG2", "MG2", "MG"), ("NA", " NA", "NA"), ("FE2", "FE", "FE2"), ("Fe2+", "FE", "FE2")],
)  # fmt: skip
def test_ions(tmp_path, residue_name, atom_name, code):
    lines = [*residue("GLY", 1), atom(atom_name, residue_name, 2, (20, 0, 0))]
    structure = read(tmp_path, lines)
    assert structure.residues.name.tolist() == ["GLY", code]
    assert structure.chains.kind.tolist() == [ChainKind.PROTEIN, ChainKind.LIGAND]
    assert structure.atoms.element[-1] == component(code).elements[0]
    assert structure.components == {}


def test_an_ion_of_a_charge_that_the_dictionary_lacks_stays_what_it_is(tmp_path):
    structure = read(tmp_path, [*residue("GLY", 1), atom("V", "V2+", 2, (20, 0, 0), element="V")])
    assert structure.residues.name.tolist() == ["GLY", "V2+"]
    assert structure.atoms.element[-1] == 23


@pytest.mark.parametrize("chain", ["A", " "])
def test_names_of_four_letters_are_no_chain_ids(tmp_path, chain):
    lines = residue("ALA", 1, called="NALA", chain=chain) + residue("HIS", 2, called="HISE", chain=chain, shift=5)
    lines += [*residue("CYS", 3, called="CCYS", chain=chain, shift=10), "TER"]
    lines += [atom(name, "POPC", 1, (40 + 1.5 * row, 0, 0), chain="L") for row, name in enumerate((" C1", " C2", " P"))]
    lines += [atom(" OH2", "TIP3", 1, (60, 0, 0), chain="W")]
    structure = read(tmp_path, lines, keep_waters=True)
    assert names(structure) == [("ALA", "A"), ("HIS", "A"), ("CYS", "A"), ("POPC", "L"), ("HOH", "W")]


def test_chain_ids_of_two_letters(tmp_path):
    lines = [f"{line[:20]}AB{line[22:]}" for line in residue("ALA", 1) + residue("GLY", 2, shift=5)]
    lines += [f"{atom('MG', ' MG', 3, (30, 0, 0))[:20]}AC{atom('MG', ' MG', 3, (30, 0, 0))[22:]}"]
    assert names(read(tmp_path, lines)) == [("ALA", "AB"), ("GLY", "AB"), ("MG", "AC")]


def test_waters_of_four_sites(tmp_path):
    lines = residue("GLY", 1)
    lines += [atom(name, "WAT", 2, (20, 0, 0), element=element) for name, element in ((" O", "O"), (" EPW", ""))]
    assert names(read(tmp_path, lines)) == [("GLY", "A")]
    assert read(tmp_path, lines, keep_waters=True).residues.name.tolist() == ["GLY", "HOH"]


def test_residue_numbers_of_five_digits(tmp_path):
    lines = residue("GLY", 9999) + [f"{line[:22]}10000{line[27:]}" for line in residue("ALA", 1, shift=5)]
    assert read(tmp_path, lines).residues.author_seq_id.tolist() == [9999, 10000]


def test_residue_numbers_that_did_not_fit(tmp_path):
    waters = [atom(" OW", "SOL", "****", (30, 0, 0))]
    assert names(read(tmp_path, residue("GLY", 1) + waters)) == [("GLY", "A")]
    with pytest.raises(InputError, match=r"model\.pdb:5: the residue of this atom has no number .found '\*\*\*\*'"):
        read(tmp_path, residue("GLY", 1) + residue("GLY", "****", shift=5))


def test_tabs_are_told(tmp_path):
    with pytest.raises(InputError, match=r"model\.pdb:1: lines of atoms have fixed columns .found 'a tab'"):
        read(tmp_path, [residue("GLY", 1)[0].replace("    ", "\t")])


def test_frames_that_end_lines_part_are_models(tmp_path):
    lines = [*residue("GLY", 1), "END", *residue("GLY", 1, shift=5)]
    first, second = (read(tmp_path, lines, model=number) for number in (None, 2))
    assert first.metadata["models"] == 2
    assert np.allclose(first.atoms.positions + 5, second.atoms.positions, atol=1e-3)


def test_another_structure_after_end_is_told(tmp_path):
    lines = [*residue("GLY", 1), "TER", "END", *residue("ALA", 1, chain="B")]
    with pytest.raises(
        InputError, match=r"model\.pdb:6: another structure follows after END .found 'ATOM 1 N ALA B 1'"
    ):
        read(tmp_path, lines)
    assert names(read(tmp_path, [line for line in lines if line != "END"])) == [("GLY", "A"), ("ALA", "B")]


def test_joined_models_are_numbered_on(tmp_path):
    model = ["MODEL        1", *residue("GLY", 1), "TER", "ENDMDL"]
    structure = read(tmp_path, [*model, "END", *model])
    assert structure.metadata["models"] == 2


@pytest.mark.parametrize("start", [b"\xef\xbb\xbf", b""])
def test_marks_of_byte_order(tmp_path, start):
    text = "\r\n".join([*residue("GLY", 1), "END", ""])
    path = tmp_path / "model.pdb"
    path.write_bytes(start + text.encode() if start else text.encode("utf-16"))
    assert read_structure(path).atoms.resolved.all()


def test_residues_and_records_in_small_letters(tmp_path):
    lines = [line.replace("ATOM", "atom").replace("GLY", "gly") for line in residue("GLY", 1)]
    assert read(tmp_path, lines).residues.name.tolist() == ["GLY"]


@pytest.mark.parametrize("score", ["model 1", "atom_pair_constraint 0.5", "terminal 3", "end_bin 2"])
def test_scores_after_the_atoms_are_no_records(tmp_path, score):
    """RFdiffusion's peptide_complex_ideal_helix.pdb ends in a table with the line "model 1"."""
    assert names(read(tmp_path, [*residue("GLY", 1), "TER", "# All scores below are weighted", score])) == [
        ("GLY", "A")
    ]


def test_residues_of_one_number_are_told_unless_they_alternate(tmp_path):
    """All but one of them were dropped."""
    names = ("ALA", "GLY", "SER")
    line = "ATOM  {0:>5}  CA {alt}{name} A   7    {x:8.3f}   0.000   0.000{occ:6.2f}  0.00           C\n"
    path = tmp_path / "a.pdb"

    def write(alternates, occupancy):
        rows = zip(names, alternates, strict=True)
        path.write_text("".join(
            line.format(row, name=name, alt=alt, x=3.8 * row, occ=occupancy) for row, (name, alt) in enumerate(rows, 1)
        ))  # fmt: skip

    write("   ", 1)
    with pytest.raises(InputError, match=r"same number.*ALA 7, GLY 7, SER 7"):
        read_structure(path)
    write("ABC", 1)
    assert len(read_structure(path).residues) == 1
    write("   ", 0.33)
    assert len(read_structure(path).residues) == 1
