"""Bonds that a file does not state and that distances leave no doubt of."""

import gzip
from pathlib import Path

import gemmi
import numpy as np
import pytest

from structdiff.chemistry.components import component
from structdiff.structure.files import read_structure, write_structure

DATA = Path(__file__).parents[1] / "data"


def crossing(structure) -> set[frozenset[tuple[int, str]]]:
    """Bonds between residues, but those along chains, as (author number, atom)."""
    atoms, numbers = structure.atoms, structure.residues.author_seq_id
    ends = zip(structure.bonds.atom_1.tolist(), structure.bonds.atom_2.tolist(), strict=True)
    named = (frozenset((int(numbers[atoms.residue[row]]), str(atoms.name[row])) for row in pair) for pair in ends
             if atoms.residue[pair[0]] != atoms.residue[pair[1]])  # fmt: skip
    return {bond for bond in named if {name for _, name in bond} != {"C", "N"}}


def without_links(path: Path) -> Path:
    kept = [line for line in path.read_text().splitlines() if line[:6] not in ("SSBOND", "LINK  ", "CONECT")]
    path.write_text("\n".join(kept) + "\n")
    return path


def test_disulfides_of_a_file_without_ssbond_records(tmp_path):
    stated = read_structure(DATA / "1dix.cif.gz")
    path = tmp_path / "1dix.pdb"
    write_structure(stated, path)
    found = crossing(read_structure(without_links(path)))
    assert len(found) == 5
    assert found == crossing(stated)


def test_thiols_that_are_merely_near_stay_thiols(tmp_path):
    structure = read_structure(DATA / "1dix.cif.gz")
    atoms, numbers = structure.atoms, structure.residues.author_seq_id
    first = (atoms.name == "SG") & (numbers[atoms.residue] == 18)
    (second,) = np.flatnonzero((atoms.name == "SG") & (numbers[atoms.residue] == 24))
    atoms.positions[first] += 0.3 * (atoms.positions[first] - atoms.positions[second])  # 2.7 Å
    path = tmp_path / "1dix.pdb"
    write_structure(structure, path)
    found = crossing(read_structure(without_links(path)))
    assert len(found) == 4
    assert not {(18, "SG"), (24, "SG")} & {end for bond in found for end in bond}


def test_selenium_of_selenocysteine_is_as_sulphur(tmp_path):
    path = tmp_path / "1dix.pdb"
    write_structure(read_structure(DATA / "1dix.cif.gz"), path)
    lines = [line for line in without_links(path).read_text().splitlines() if line[:6] != "SEQRES"]
    for row, line in enumerate(lines):
        if line[22:26] == "  18":
            line = line.replace("CYS", "SEC")
            lines[row] = f"{line[:12]}SE  {line[16:76]}SE" if line[12:16] == " SG " else line
    path.write_text("\n".join(lines))
    assert frozenset({(18, "SE"), (24, "SG")}) in crossing(read_structure(path))


def glycan(tmp_path: Path, *, length: float, with_hydroxyl: bool) -> Path:
    """An asparagine with a sugar that points away from it, whose C1 is that far from its ND2."""
    asparagine, sugar = component("ASN"), component("NAG")
    places = asparagine.ideal_positions
    amide, carbon = asparagine.atom_index["ND2"], sugar.atom_index["C1"]
    out = places[amide] - places[asparagine.atom_index["CG"]]
    out /= np.linalg.norm(out)
    theirs = sugar.ideal_positions - sugar.ideal_positions[carbon]
    own = theirs[sugar.atom_index["O1"]] / np.linalg.norm(theirs[sugar.atom_index["O1"]])
    axis = (own - out) / np.linalg.norm(own - out)  # a half turn about it brings the hydroxyl to the amide
    turned = 2 * np.outer(theirs @ axis, axis) - theirs
    lines, serial = [], 0
    for whole, number, atoms, record in (
        (asparagine, 1, places, "ATOM  "), (sugar, 2, turned + places[amide] + length * out, "HETATM")
    ):  # fmt: skip
        for name, place, element in zip(whole.atom_names, atoms, whole.elements, strict=True):
            if (name == "O1" and whole is sugar and not with_hydroxyl) or name == "OXT":
                continue
            serial += 1
            symbol = {6: "C", 7: "N", 8: "O"}[int(element)]
            lines.append(f"{record}{serial:5d}  {name:<3s} {whole.name} A{number:4d}    {place[0]:8.3f}{place[1]:8.3f}"
                         f"{place[2]:8.3f}  1.00 20.00          {symbol:>2s}")  # fmt: skip
    path = tmp_path / "glycan.pdb"
    path.write_text("\n".join([*lines, "END", ""]))
    return path


@pytest.mark.parametrize(
    ("length", "with_hydroxyl", "bonded"), [(1.45, False, True), (1.45, True, False), (1.9, False, False)]
)
def test_a_sugar_without_its_hydroxyl_is_bonded_to_what_is_there_instead(tmp_path, length, with_hydroxyl, bonded):
    found = crossing(read_structure(glycan(tmp_path, length=length, with_hydroxyl=with_hydroxyl)))
    assert found == ({frozenset({(1, "ND2"), (2, "C1")})} if bonded else set())


@pytest.mark.filterwarnings("ignore:1DIX. atoms whose coordinates are no numbers")
def test_sulphurs_without_a_place_are_not_asked(tmp_path):
    document = gemmi.cif.read(str(DATA / "1dix.cif.gz"))
    block = document.sole_block()
    block.find_mmcif_category("_struct_conn.").erase()
    table = block.find("_atom_site.", ["label_atom_id", "Cartn_x"])
    next(row for row in table if row[0] == "SG")[1] = "?"
    path = tmp_path / "unplaced.cif"
    document.write_file(str(path))
    structure = read_structure(path)
    assert not structure.atoms.resolved[np.flatnonzero(structure.atoms.name == "SG")[0]]
    assert len(crossing(structure)) == 4


def test_a_bond_that_is_stated_is_not_made_twice():
    with gzip.open(DATA / "1dix.cif.gz", "rt") as file:
        assert file.read().count("disulf") >= 5
    structure = read_structure(DATA / "1dix.cif.gz")
    pairs = np.stack([structure.bonds.atom_1, structure.bonds.atom_2], 1)
    assert len(np.unique(np.sort(pairs, 1), axis=0)) == len(pairs)
