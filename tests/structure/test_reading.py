"""Real files: what is read from them."""

import gzip
import time

import gemmi
import numpy as np
import pytest

from structdiff.errors import InputError
from structdiff.structure.files import read_structure
from structdiff.structure.reading import LostAtomsWarning
from structdiff.structure.tables import ChainKind
from tests.structure.comparison import CIF_FILES, DATA, PDB_FILES, named_bonds


def _chains(structure):
    lengths = [
        structure.chain_residues(row).stop - structure.chain_residues(row).start for row in range(len(structure.chains))
    ]
    kinds = [ChainKind(kind).name for kind in structure.chains.kind.tolist()]
    return list(zip(structure.chains.name.tolist(), kinds, lengths, strict=True))


@pytest.mark.parametrize("name", [*CIF_FILES, *PDB_FILES])
def test_every_position_is_one_of_the_file(name):
    """Against gemmi: each resolved atom stands where the file puts an atom of that chain, residue and name."""
    structure = read_structure(DATA / name)
    places = set()
    for chain in gemmi.read_structure(str(DATA / name))[0] if "1gdr" not in name else []:
        for residue in chain:
            for atom in residue:
                key = (chain.name, residue.seqid.num, residue.seqid.icode.strip(), atom.name)
                places.add((*key, *(round(1000 * value) for value in atom.pos.tolist())))
    atoms, residues = structure.atoms, structure.residues
    for row in np.flatnonzero(atoms.resolved) if places else []:
        residue = atoms.residue[row]
        key = (
            str(structure.chains.name[residues.chain[residue]]),
            int(residues.author_seq_id[residue]),
            str(residues.insertion_code[residue]),
            str(atoms.name[row]),
        )
        assert (*key, *(round(1000 * float(value)) for value in atoms.positions[row])) in places
    assert atoms.resolved.any()


def test_insertion_codes_and_disulfides():
    structure = read_structure(DATA / "1dix.cif.gz")
    codes = structure.residues.insertion_code
    marked = [f"{structure.residues.author_seq_id[row]}{codes[row]}" for row in np.flatnonzero(codes != "")]
    assert len(marked) == 4
    assert marked == sorted(marked)
    disulfides = [bond for bond in named_bonds(structure) if bond[0][4] == bond[1][4] == "SG"]
    assert len(disulfides) == 5
    assert structure.metadata["resolution"] == 1.65
    assert structure.metadata["method"] == "X-RAY DIFFRACTION"


def test_atoms_without_coordinates_are_told_and_close_no_ring(tmp_path):
    lines = (DATA.parents[1] / "examples" / "5tpn_site_v.pdb").read_text().splitlines()
    atoms = [line for line in lines if line.startswith("ATOM")]
    lost = f"{atoms[0][:30]}{'nan':>8}{'nan':>8}{'nan':>8}{atoms[0][54:]}"
    (tmp_path / "x.pdb").write_text("\n".join([lost, *atoms[1:]]))
    with pytest.warns(LostAtomsWarning, match="x: atoms whose coordinates .* not seen: N of SER 150 of chain A$"):
        structure = read_structure(tmp_path / "x.pdb")
    assert not structure.chains.cyclic.any()
    assert (~structure.atoms.resolved).sum() == 1
    (tmp_path / "y.pdb").write_text("\n".join(f"{line[:30]}{0:8.3f}{0:8.3f}{0:8.3f}{line[54:]}" for line in atoms))
    assert not read_structure(tmp_path / "y.pdb").chains.cyclic.any()


def test_chains_whose_name_is_a_blank_are_called_by_their_labels(tmp_path):
    block = gemmi.cif.read(str(DATA / "4i39.cif.gz")).sole_block()
    names = block.find_values("_atom_site.auth_asym_id")
    for row in range(len(names)):
        names[row] = "' '"
    (tmp_path / "x.cif").write_text(block.as_string())
    found = read_structure(tmp_path / "x.cif")
    assert found.chains.name.tolist() == found.chains.label_id.tolist() == ["A", "B"]


def test_missing_residues_are_there_unresolved():
    structure = read_structure(DATA / "1o1z.cif.gz")
    assert _chains(structure) == [("A", "PROTEIN", 234, ), ("A", "LIGAND", 1)]  # fmt: skip
    seen = np.bincount(structure.atoms.residue[structure.atoms.resolved], minlength=len(structure.residues)) > 0
    assert (~seen).sum() == 8
    assert structure.residues.author_seq_id[~seen].tolist() == [*range(-11, -3)]
    assert structure.residues.label_seq_id.tolist() == [*range(1, 235), 1]
    assert not structure.atoms.positions[~structure.atoms.resolved].any()


def test_pdb_and_mmcif_of_one_entry_agree_on_a_missing_stretch():
    """The PDB file's SEQRES gives the same sequence and residues before and after the gap."""
    structure = read_structure(DATA / "5ugo.pdb.gz")
    assert _chains(structure)[:4] == [("T", "DNA", 16), ("P", "DNA", 11), ("D", "DNA", 5), ("A", "PROTEIN", 335)]
    protein = structure.chain_residues(3)
    seen = np.bincount(structure.atoms.residue[structure.atoms.resolved], minlength=len(structure.residues)) > 0
    assert (~seen[protein]).sum() == 9
    assert np.diff(structure.residues.author_seq_id[protein]).tolist() == [1] * 334


def test_alternate_locations_are_whole():
    """Of two conformations of a whole chain one is taken, not a mixture."""
    structure = read_structure(DATA / "4i39.cif.gz")
    raw = gemmi.read_structure(str(DATA / "4i39.cif.gz"))[0]
    conformations = {}
    for residue in (residue for chain in raw for residue in chain):
        for atom in residue:
            key = (residue.seqid.num, residue.name, atom.name, *(round(1000 * value) for value in atom.pos.tolist()))
            conformations.setdefault(key, set()).add(atom.altloc)
    atoms, residues = structure.atoms, structure.residues
    alternating = 0
    for row in range(len(residues)):
        found = []
        for atom in range(*structure.residue_atoms(row).indices(len(atoms))):
            position = (round(1000 * float(value)) for value in atoms.positions[atom])
            key = (int(residues.author_seq_id[row]), str(residues.name[row]), str(atoms.name[atom]), *position)
            found.append(conformations[key])
        assert any(all(letters & {letter, "\0"} for letters in found) for letter in "ABC")
        alternating += any("\0" not in letters for letters in found)
    assert alternating > 100


def test_highest_occupancy_wins(tmp_path):
    lines = [
        "ATOM      1  N   ALA A   1       0.000   0.000   0.000  1.00 10.00           N",
        "ATOM      2  CA AALA A   1       1.000   0.000   0.000  0.40 10.00           C",
        "ATOM      3  CA BALA A   1       2.000   0.000   0.000  0.60 10.00           C",
        "ATOM      4  C  AALA A   1       3.000   0.000   0.000  0.40 10.00           C",
        "ATOM      5  C  BALA A   1       4.000   0.000   0.000  0.60 10.00           C",
        "ATOM      6  N  AGLY A   2       5.000   0.000   0.000  0.50 10.00           N",
        "ATOM      7  N  BGLY A   2       6.000   0.000   0.000  0.50 10.00           N",
        "ATOM      8  D   GLY A   2       6.000   1.000   0.000  0.50 10.00           D",
    ]
    path = tmp_path / "two.pdb"
    path.write_text("\n".join(lines) + "\nEND\n")
    structure = read_structure(path)
    seen = structure.atoms.resolved
    assert structure.atoms.positions[seen, 0].tolist() == [0, 2, 4, 5]
    assert structure.atoms.name[seen].tolist() == ["N", "CA", "C", "N"]
    np.testing.assert_allclose(structure.atoms.occupancy[seen], [1, 0.6, 0.6, 0.5])


def test_models():
    models = [read_structure(DATA / "1l2y_3_models.cif.gz", model=number) for number in (1, 2, 3)]
    assert [structure.metadata["model"] for structure in models] == [1, 2, 3]
    shift = np.abs(models[0].atoms.positions - models[1].atoms.positions).max()
    assert 0.1 < shift < 20
    with pytest.raises(InputError, match=r"1l2y.*found 4; allowed: 1 to 3"):
        read_structure(DATA / "1l2y_3_models.cif.gz", model=4)


def test_the_first_model_is_taken_whatever_its_number(tmp_path):
    """Programs count models from 0, and files of chosen models keep their numbers."""
    lines = gzip.decompress((DATA / "1orc.pdb.gz").read_bytes()).decode().splitlines(keepends=True)
    atoms = [line for line in lines if line.startswith("ATOM")]
    for first in (0, 4):
        file = tmp_path / f"from_{first}.pdb"
        models = [f"MODEL     {number:4}\n{''.join(atoms)}ENDMDL\n" for number in (first, first + 1)]
        file.write_text("".join(models))
        structure = read_structure(file)
        assert structure.metadata["model"] == first
        assert read_structure(file, model=first + 1).metadata["model"] == first + 1


def test_columns_that_mmcif_files_may_lack(tmp_path):
    document = gemmi.cif.read(str(DATA / "1o1z.cif.gz"))
    whole = read_structure(DATA / "1o1z.cif.gz")
    atoms = document[0].find_loop("_atom_site.Cartn_x").get_loop()
    file = tmp_path / "less.cif"
    atoms.remove_column("_atom_site.label_alt_id")
    document.write_file(str(file))
    assert len(read_structure(file).residues) == len(whole.residues)
    atoms.remove_column("_atom_site.label_asym_id")
    atoms.remove_column("_atom_site.type_symbol")
    document.write_file(str(file))
    with pytest.raises(InputError, match=r"less.cif: _atom_site: .*no type_symbol, label_asym_id"):
        read_structure(file)


def test_residues_without_their_authors_numbers_have_those_of_their_sequence(tmp_path):
    """Programs write files with labels alone, where all residues of a chain were taken for one."""
    document = gemmi.cif.read(str(DATA / "1o1z.cif.gz"))
    whole = read_structure(DATA / "1o1z.cif.gz")
    atoms = document[0].find_loop("_atom_site.Cartn_x").get_loop()
    for name in ("auth_seq_id", "auth_asym_id"):
        atoms.remove_column(f"_atom_site.{name}")
    file = tmp_path / "labels.cif"
    document.write_file(str(file))
    labelled = read_structure(file)
    assert len(labelled.residues) == len(whole.residues)
    wet = read_structure(DATA / "1o1z.cif.gz", keep_waters=True)
    assert len(read_structure(file, keep_waters=True).residues) == len(wet.residues)
    np.testing.assert_array_equal(labelled.atoms.positions, whole.atoms.positions)
    places = document[0].find_values("_atom_site.label_seq_id")
    for row in range(len(places)):
        places[row] = "?"
    document.write_file(str(file))
    with pytest.raises(InputError, match=r"labels.cif: _atom_site: the residues of chain A cannot be told apart"):
        read_structure(file)


def test_chains_of_one_label_are_told_by_their_authors_names(tmp_path):
    """Programs that know segments write one label for all; the second chain was lost."""
    document = gemmi.cif.read(str(DATA / "1l2y_3_models.cif.gz"))
    for name in ("label_asym_id", "auth_asym_id"):
        column = document[0].find_values(f"_atom_site.{name}")
        for row in range(len(column) // 2, len(column)):
            column[row] = "B" if name == "auth_asym_id" else "A"
    numbers = document[0].find_values("_atom_site.pdbx_PDB_model_num")
    for row in range(len(numbers)):
        numbers[row] = "1"
    file = tmp_path / "segments.cif"
    document.write_file(str(file))
    structure = read_structure(file)
    assert structure.chains.name.tolist() == ["A", "B"]
    assert len(set(structure.chains.label_id.tolist())) == 2


def test_modified_residues_ligands_and_waters():
    structure = read_structure(DATA / "5i55.cif.gz")
    assert _chains(structure)[0] == ("A", "PROTEIN", 22)
    assert structure.residues.name[0] == "MSE"
    assert 34 in structure.atoms.element[structure.residue_atoms(0)]
    assert set(structure.residues.name[22:]) == {"ACT", "MPD"}
    wet = read_structure(DATA / "5i55.cif.gz", keep_waters=True)
    assert wet.chains.kind.tolist().count(ChainKind.WATER) == 1
    assert (wet.residues.name == "HOH").sum() > 10


def test_glycan_is_one_chain_bonded_to_its_asparagine():
    structure = read_structure(DATA / "1gya_1_model.cif.gz")
    assert _chains(structure) == [("A", "PROTEIN", 105), ("B", "LIGAND", 9)]
    links = [bond for bond in named_bonds(structure) if bond[0][:3] != bond[1][:3] and bond[0][0] != bond[1][0]]
    assert [(bond[0][3], bond[0][4], bond[1][3], bond[1][4]) for bond in links] == [("ASN", "ND2", "NAG", "C1")]
    assert "O1" not in structure.atoms.name[structure.residue_atoms(105)]
    assert structure.atoms.resolved.all()


def test_echinomycin_is_closed_by_esters_not_peptides():
    structure = read_structure(DATA / "1pfe.cif.gz")
    bonds = {(bond[0][3:], bond[1][3:]) for bond in named_bonds(structure) if bond[0][1] != bond[1][1]}
    assert (("DSN", "OG"), ("MVA", "C")) in bonds
    assert (("DSN", "N"), ("MVA", "C")) not in bonds


def test_two_letter_chain_id():
    structure = read_structure(DATA / "6ydw_chain_Bj.cif.gz")
    assert _chains(structure) == [("Bj", "PROTEIN", 217)]


def test_fragments_without_sequence_are_not_joined_across_gaps():
    structure = read_structure(DATA / "rnase_frag.pdb.gz")
    atoms = structure.atoms
    between = atoms.residue[structure.bonds.atom_1] != atoms.residue[structure.bonds.atom_2]
    first, second = structure.bonds.atom_1[between], structure.bonds.atom_2[between]
    length = np.linalg.norm(atoms.positions[first] - atoms.positions[second], axis=1)
    disulfide = (atoms.name[first] == "SG") & (atoms.name[second] == "SG")
    assert length[~disulfide].max() < 2.2
    assert disulfide.sum() == 1  # of chain B; no record states it
    assert between.sum() > 30


def test_file_of_before_1996():
    structure = read_structure(DATA / "pdb1gdr.ent.gz")
    assert _chains(structure)[0][:2] == ("A", "PROTEIN")
    assert set(structure.atoms.name[structure.atoms.resolved]) == {"CA"}


def test_names_of_force_fields_and_old_files(tmp_path):
    lines = [
        "ATOM      1  N   HIE A   1       0.000   0.000   0.000  1.00 10.00           N",
        "ATOM      2  CA  HIE A   1       1.450   0.000   0.000  1.00 10.00           C",
        "ATOM      3  CD  ILE A   2       3.450   0.000   0.000  1.00 10.00           C",
        "TER",
        "ATOM      4  P     T B   1       0.000   9.000   0.000  1.00 10.00           P",
        "ATOM      5  O1P   T B   1       1.450   9.000   0.000  1.00 10.00           O",
        "ATOM      6  C2*   T B   1       5.450   9.000   0.000  1.00 10.00           C",
        "ATOM      7  C5M   T B   1       8.450   9.000   0.000  1.00 10.00           C",
    ]
    path = tmp_path / "old.pdb"
    path.write_text("\n".join(lines) + "\nEND\n")
    structure = read_structure(path)
    assert structure.residues.name.tolist() == ["HIS", "ILE", "DT"]
    assert structure.atoms.name[structure.atoms.resolved].tolist() == ["N", "CA", "CD1", "P", "OP1", "C2'", "C7"]


def test_speed():
    """A file of 335 residues and three DNA strands in under half a second, the best of three."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        read_structure(DATA / "5ugo.pdb.gz")
        times.append(time.perf_counter() - start)
    assert min(times) < 0.5


ATOM_TAGS = ("group_PDB id type_symbol label_atom_id label_comp_id label_asym_id label_entity_id label_seq_id "
             "Cartn_x Cartn_y Cartn_z")  # fmt: skip


def atom_site(*residues: tuple[str, str, str, str, str], auth: bool = True) -> str:
    """An mmCIF file of atoms alone: group, chain, number, code and names of the atoms of each residue."""
    tags, rows = [*ATOM_TAGS.split(), *(["auth_seq_id"] if auth else [])], []
    for group, chain, number, code, names in residues:
        for name in names.split():
            place = f"{2 * len(rows)} 0 0"
            quoted = f'"{name}"' if "'" in name else name
            row = f"{group} {len(rows) + 1} {name[0]} {quoted} {code} {chain} 1 {number} {place}"
            rows.append(f"{row} {number}" if auth else row)
    return "data_x\nloop_\n" + "\n".join(f"_atom_site.{tag}" for tag in tags) + "\n" + "\n".join(rows) + "\n#\n"


def read_text(tmp_path, text):
    path = tmp_path / "x.cif"
    path.write_text(text)
    return read_structure(path)


def test_chains_of_one_entity_are_what_their_residues_are(tmp_path):
    """Programs that keep no entities give all chains the first one."""
    strand = [("ATOM", "A", str(place), "DA", "P C1' C3' C4' O3'") for place in range(1, 4)]
    chain = [("ATOM", "B", str(place), "ALA", "N CA C O") for place in range(1, 4)]
    structure = read_text(tmp_path, atom_site(*strand, *chain))
    assert structure.chains.kind.tolist() == [ChainKind.DNA, ChainKind.PROTEIN]


def test_ligands_without_numbers_are_all_there(tmp_path):
    """Sugars of different names were at one place, of which one was taken."""
    sugars = [("HETATM", "B", ".", code, "C1 C2 O5") for code in ("NAG", "NAG", "BMA", "MAN", "MAN")]
    structure = read_text(tmp_path, atom_site(("ATOM", "A", "1", "ALA", "N CA C O"), *sugars, auth=False))
    assert structure.residues.name.tolist() == ["ALA", "NAG", "NAG", "BMA", "MAN", "MAN"]
    assert structure.residues.author_seq_id.tolist() == [1, 1, 2, 3, 4, 5]


def test_several_structures_in_one_file_are_told(tmp_path):
    text = atom_site(("ATOM", "A", "1", "ALA", "N CA C O"))
    with pytest.raises(InputError, match=r"x\.cif: this file holds several structures .found 'data_x, data_y'"):
        read_text(tmp_path, text + text.replace("data_x", "data_y"))


def test_a_ligand_under_the_label_of_its_chain_is_a_ligand(tmp_path):
    ligand = ("HETATM", "A", "9", "GOL", "C1 O1 C2 O2 C3 O3")
    chain = [("ATOM", "A", str(place), "ALA", "N CA C O") for place in range(1, 4)]
    structure = read_text(tmp_path, atom_site(*chain[:2], ligand, chain[2]))
    assert structure.chains.kind.tolist() == [ChainKind.PROTEIN, ChainKind.LIGAND]
    assert structure.residues.name.tolist() == ["ALA", "ALA", "ALA", "GOL"]
    assert len(set(structure.chains.label_id.tolist())) == 2


def test_chains_that_only_their_authors_name_tells_apart(tmp_path):
    """PyMOL's mmCIF files: no label chain ids, the author's chains, and their numbers as those of the sequence."""
    residues = [("ATOM", ".", str(place), "ALA", "N CA C O") for place in (3, 4)]
    text = atom_site(*residues, *residues, auth=False)
    head, *rows = text.replace("Cartn_z\n", "Cartn_z\n_atom_site.auth_asym_id\n").split("\nATOM ")
    rows = [f"{row.removesuffix(chr(10) + '#' + chr(10))} {'A' if at < 8 else 'B'}" for at, row in enumerate(rows)]
    structure = read_text(tmp_path, "\nATOM ".join([head, *rows]) + "\n#\n")
    assert structure.chains.name.tolist() == ["A", "B"]
    assert structure.residues.author_seq_id.tolist() == [3, 4, 3, 4]
    with pytest.raises(InputError, match="cannot be told apart"):
        read_text(tmp_path, text)


@pytest.mark.parametrize("records", ["CONECT    6    7\nCONECT    7    6", "CONECT    6    7", "CONECT    7    6"])
def test_conect_records_of_one_of_the_two_atoms_do(records, tmp_path):
    atoms = [(number, name) for number in (1, 2) for name in ("C1", "O1", "C2", "O2", "C3", "O3")]
    lines = [
        f"HETATM{row:5d}  {name:3} GOL A{number:4d}    {1.4 * row:8.3f}   0.000   0.000  1.00  0.00           {name[0]}"
        for row, (number, name) in enumerate(atoms, start=1)
    ]
    path = tmp_path / "pair.pdb"
    path.write_text("\n".join([*lines, records, "END", ""]))
    structure = read_structure(path)
    ends = np.stack([structure.bonds.atom_1, structure.bonds.atom_2], 1)
    (crossing,) = ends[np.diff(structure.atoms.residue[ends])[:, 0] != 0]
    assert structure.atoms.name[crossing].tolist() == ["O3", "C1"]
