"""Names of force fields: of the last oxygens, of nucleotides, of protonation states and waters."""

import gemmi
import pytest

from structdiff.chemistry.components import component
from structdiff.structure.file_components import ForeignAtomsWarning
from structdiff.structure.files import read_structure


def residue_lines(code: str, number: int, names: dict[str, str], called: str) -> list[str]:
    """A residue at its ideal positions: names of its atoms in the dictionary, by those in the file."""
    whole = component(code)
    lines = []
    for written, name in names.items():
        x, y, z = whole.ideal_positions[whole.atom_index[name]]
        lines.append(f"ATOM  {1:5d}  {written:<3} {called:>3} A{number:4d}    {x:8.3f}{y:8.3f}{z:8.3f}  1.00 20.00"
                     f"          {name[0]:>2}")  # fmt: skip
    return lines


def read(tmp_path, lines, suffix, **options):
    path = tmp_path / "model.pdb"
    path.write_text("\n".join([*lines, "END", ""]))
    if suffix == ".cif":
        structure = gemmi.read_structure(str(path))
        structure.setup_entities()
        path = tmp_path / "model.cif"
        structure.make_mmcif_document().write_file(str(path))
    return read_structure(path, **options)


def own_names(code: str) -> dict[str, str]:
    return {str(name): str(name) for name in component(code).atom_names if name not in ("OXT", "OP3")}


@pytest.mark.parametrize("suffix", [".pdb", ".cif"])
@pytest.mark.parametrize("oxygens", [("O1", "O2"), ("OC1", "OC2"), ("OT1", "OT2")])
def test_last_oxygen(tmp_path, oxygens, suffix):
    names = {"N": "N", "CA": "CA", "C": "C", oxygens[0]: "O", oxygens[1]: "OXT"}
    atoms = read(tmp_path, residue_lines("GLY", 1, names, "GLY"), suffix).atoms
    assert atoms.name[atoms.resolved].tolist() == ["N", "CA", "C", "O"]


@pytest.mark.parametrize("suffix", [".pdb", ".cif"])
@pytest.mark.parametrize(
    ("code", "called"), [("HIS", "HIE"), ("HIS", "HIP"), ("HIS", "HSE"), ("GLU", "GLH"), ("DA", "DA5"), ("DG", "GUA")]
)
def test_residues_of_force_fields(tmp_path, code, called, suffix):
    structure = read(tmp_path, residue_lines(code, 1, own_names(code), called), suffix)
    assert structure.residues.name.tolist() == [code]
    assert structure.atoms.resolved.all()


def test_phosphohistidine_keeps_its_phosphate(tmp_path):
    structure = read(tmp_path, residue_lines("HIP", 1, own_names("HIP"), "HIP"), ".pdb")
    assert structure.residues.name.tolist() == ["HIP"]
    assert "P" in structure.atoms.name


@pytest.mark.parametrize(("code", "oxygen"), [("SOL", "OW"), ("TIP", "OH2")])
def test_waters_after_the_chain(tmp_path, code, oxygen):
    lines = residue_lines("GLY", 1, own_names("GLY"), "GLY") + ["TER"]
    lines += residue_lines("HOH", 2, {oxygen: "O"}, code)
    assert read(tmp_path, lines, ".pdb").residues.name.tolist() == ["GLY"]
    assert read(tmp_path, lines, ".pdb", keep_waters=True).residues.name.tolist() == ["GLY", "HOH"]


def test_methionine_with_selenium_is_selenomethionine(tmp_path):
    structure = read(tmp_path, residue_lines("MSE", 1, own_names("MSE"), "MET"), ".pdb")
    assert structure.residues.name.tolist() == ["MSE"]
    assert structure.atoms.resolved.all()


@pytest.mark.parametrize(("called", "atoms"), [("NMA", {"N": "N", "CA": "C"}), ("NME", {"N": "N", "CH3": "C"})])
def test_caps_that_the_dictionary_calls_otherwise(tmp_path, called, atoms):
    structure = read(tmp_path, residue_lines("NME", 1, atoms, called), ".pdb")
    assert structure.residues.name.tolist() == ["NME"]
    assert structure.atoms.name.tolist() == ["N", "C"]
    assert structure.components == {}


def test_caps_that_charmm_writes_as_atoms_of_the_chain(tmp_path):
    first = own_names("GLY") | {"CAY": "CA", "CY": "C", "OY": "O"}
    last = own_names("GLY") | {"NT": "N", "CAT": "CA"}
    lines = residue_lines("GLY", 5, first, "GLY") + residue_lines("GLY", 6, last, "GLY")
    structure = read(tmp_path, lines, ".pdb")
    assert structure.residues.name.tolist() == ["ACE", "GLY", "GLY", "NME"]
    assert structure.residues.author_seq_id.tolist() == [4, 5, 6, 7]
    assert sorted(structure.atoms.name[structure.atoms.residue == 0].tolist()) == ["C", "CH3", "O"]
    assert structure.atoms.resolved.all()


def test_atoms_that_have_no_place_are_told(tmp_path):
    """CHARMM's phosphoserine is called SER: its phosphate was left out without a word."""
    lines = residue_lines("SER", 7, own_names("SER") | {"P": "OG", "O1P": "CB"}, "SER")
    with pytest.warns(ForeignAtomsWarning, match="^model: .* are left out: P O1P of SER 7 of chain A$"):
        structure = read(tmp_path, lines, ".pdb")
    assert structure.residues.name.tolist() == ["SER"]
