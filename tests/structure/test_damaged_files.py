"""Files that are damaged, cut, absent or empty."""

import gzip
import io
import lzma
import zipfile

import gemmi
import numpy as np
import pytest

from structdiff.errors import InputError
from structdiff.structure.build import ChainSequence, build_structure
from structdiff.structure.files import read_structure, write_structure
from structdiff.structure.tables import ChainKind
from tests.structure.comparison import DATA

CIF_TEXT = gzip.decompress((DATA / "5i55.cif.gz").read_bytes()).decode()
ATOM_START = CIF_TEXT.index("_atom_site.group_PDB")


def zipped(files):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.cif", b"", "empty"),
        ("a.pdb", b"  \n", "empty"),
        ("a.cif", b"not a cif at all", "a.cif:1: this is not a whole mmCIF file: expected"),
        ("a.cif", b"data_x\n_entry.id x\n", "no _atom_site"),
        ("a.cif", CIF_TEXT[: ATOM_START + 3000].encode(), "not a whole mmCIF file|cannot be read"),
        ("a.cif", b"\x00\xff\xfe" * 50, "not a whole mmCIF file"),
        ("a.cif", b"CRYST1   78.000\nATOM", "this is a PDB file, called as mmCIF files are .*allowed: NAME.pdb"),
        ("a.pdb", b"# comment\ndata_x\n", "this is an mmCIF file, called as PDB files are .found 'data_x'"),
        ("a.pdb", b"HEADER    NOTHING\nEND\n", "no atoms"),
        ("a.pdb", b"\x00\xff\xfe" * 50, "no atoms"),
        ("a.pdb", b"ATOM      1  N   ALA A   1       0.0", "not a whole PDB file"),
        ("a.cif.gz", gzip.compress(CIF_TEXT.encode())[:2000], "damaged or cut short"),
        ("a.cif.gz", b"\x1f\x8bgarbage", "damaged or cut short"),
        ("a.txt", b"x", "unknown kind of structure file"),
        ("a", b"x", "unknown kind of structure file"),
        ("a.pdb.zip", b"x", "the zip archive is damaged"),
        ("a.cif.xz", lzma.compress(CIF_TEXT.encode())[:2000], "the xz data are damaged or cut short"),
        ("a.cif.zst", b"\x28\xb5\x2f\xfdx", r"packed by zstd are not read: unpack it first \(zstd -d a.cif.zst\)"),
        ("a.zip", zipped({"b.txt": "x"}), r"a structure: unpack it and name that .found 'no structure"),
        (
            "a.zip",
            zipped({"b.cif": "x", "c.pdb": "x"}),
            "of one file are read, a structure: unpack it .*found 'b.cif, c.pdb'",
        ),
        ("a.zip", zipped({"b.cif": "data_x\n"}), "no _atom_site"),
    ],
)
def test_damaged_files(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_structure(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.cif.xz", lzma.compress(CIF_TEXT.encode())),
        ("a.cif", gzip.compress(CIF_TEXT.encode())),
        ("a.zip", zipped({"folder/b.cif": CIF_TEXT, "__MACOSX/folder/._b.cif": "x", "readme.txt": "x"})),
    ],
)
def test_packed_files_are_read(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    found, plain = read_structure(tmp_path / name), read_structure(DATA / "5i55.cif.gz")
    assert (found.name, len(found.atoms)) == (plain.name, len(plain.atoms))
    again = read_structure(write_structure(found, tmp_path / "out.cif.xz"))
    np.testing.assert_allclose(again.atoms.positions, plain.atoms.positions, atol=1e-3)
    with pytest.raises(InputError, match="structures are not packed so"):
        write_structure(found, tmp_path / "out.cif.zip")


def test_absent_file_and_folder(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_structure(tmp_path / "none.cif")
    (tmp_path / "folder.cif").mkdir()
    for folder in (tmp_path, tmp_path / "folder.cif"):
        with pytest.raises(InputError, match="this is a folder, not a file of a structure"):
            read_structure(folder)


def test_only_waters(tmp_path):
    path = tmp_path / "water.pdb"
    path.write_text("HETATM    1  O   HOH A   1       0.000   0.000   0.000  1.00 10.00           O\nEND\n")
    with pytest.raises(InputError, match="no atoms"):
        read_structure(path)
    assert len(read_structure(path, keep_waters=True).atoms) == 1


@pytest.mark.parametrize(
    ("ion", "lacking"), [((), "last residue, 4 of A"), (("ZN",), "last chain, B")], ids=["residue", "chain"]
)
def test_a_file_that_is_cut_between_lines_is_told(tmp_path, ion, lacking):
    chains = [ChainSequence(name="A", kind=ChainKind.PROTEIN, residues=("GLY", "ALA", "SER", "GLY"))]
    chains += [ChainSequence(name="B", kind=ChainKind.LIGAND, residues=(name,)) for name in ion]
    made = build_structure(chains)
    places = np.arange(3 * len(made.atoms), dtype=np.float32).reshape(-1, 3)
    path = tmp_path / "cut.cif"
    write_structure(made.with_positions(places), path, confidence=True)
    whole = path.read_text().rstrip().splitlines(keepends=True)
    assert read_structure(path).atoms.resolved.all()
    path.write_text("".join(whole[: -1 if ion else -int((made.atoms.residue == 3).sum())]))
    with pytest.raises(InputError, match=f"not a whole mmCIF file: it has no atoms of its {lacking}$"):
        read_structure(path)
    cut = path.read_text()
    # As programs end a file that they have written whole, and where something comes after the atoms.
    for end in ("#\n", "_exptl.entry_id cut\n"):
        path.write_text(cut + end)
        assert read_structure(path).atoms.resolved.any()


def test_a_file_without_its_waters_is_whole(tmp_path):
    document = gemmi.cif.read(str(DATA / "5i55.cif.gz"))
    block = document[0]
    atoms = block.find("_atom_site.", ["label_comp_id"])
    for row in reversed([row for row in range(len(atoms)) if atoms[row][0] == "HOH"]):
        atoms.remove_row(row)
    for category in [each for each in block.get_mmcif_category_names() if each > "_atom_site."]:
        if category not in ("_entity.", "_struct_asym.", "_entity_poly_seq.", "_entity_poly."):
            block.find_mmcif_category(category).erase()
    block.move_item(block.get_index("_atom_site.id"), -1)
    file = tmp_path / "dry.cif"
    document.write_file(str(file))
    assert not file.read_text().rstrip().endswith("#")
    assert len(read_structure(file).residues) == len(read_structure(DATA / "5i55.cif.gz").residues)
