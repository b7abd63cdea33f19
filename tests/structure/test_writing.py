"""Written files: round trips, provenance, confidence, and what a format cannot hold."""

import dataclasses
import gzip
import json
import os
import subprocess
import sys

import gemmi
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from structdiff.chemistry.components import component_from_smiles
from structdiff.errors import InputError
from structdiff.features.tokens import tokenise
from structdiff.structure.build import ChainSequence, build_structure
from structdiff.structure.files import read_structure, remove_unfinished, write_atomically, write_structure
from structdiff.structure.tables import ChainKind
from tests.structure.comparison import CIF_FILES, DATA, PDB_FILES, assert_same, named_bonds

ONE_LETTER_FILES = [
    name for name in (*CIF_FILES, *PDB_FILES) if name not in ("1gya_1_model.cif.gz", "6ydw_chain_Bj.cif.gz")
]


@pytest.mark.parametrize("name", [*CIF_FILES, *PDB_FILES])
def test_mmcif_round_trip(name, tmp_path):
    structure = read_structure(DATA / name)
    again = read_structure(write_structure(structure, tmp_path / "again.cif.gz"))
    assert_same(structure, again, labels=True)
    assert again.name == structure.name
    kept = {**structure.metadata, "models": 1}  # one model is written
    assert {k: v for k, v in again.metadata.items() if k != "provenance"} == kept


@pytest.mark.parametrize("name", ONE_LETTER_FILES)
def test_pdb_round_trip(name, tmp_path):
    structure = read_structure(DATA / name)
    assert_same(structure, read_structure(write_structure(structure, tmp_path / "again.pdb")), labels=False)


def test_glycan_in_pdb_keeps_atoms_and_bonds(tmp_path):
    """PDB has no branched chains: the sugars come back as chains of one residue."""
    structure = read_structure(DATA / "1gya_1_model.cif.gz")
    again = read_structure(write_structure(structure, tmp_path / "again.pdb"))
    assert named_bonds(again) == named_bonds(structure)
    np.testing.assert_array_equal(again.residues.author_seq_id, structure.residues.author_seq_id)


def _peptide(numbers, codes, name):
    chain = ChainSequence(name=name, kind=ChainKind.PROTEIN, residues=("GLY",) * len(numbers),
                          author_seq_ids=tuple(numbers), insertion_codes=tuple(codes))  # fmt: skip
    structure = build_structure([chain], name="test")
    positions = np.arange(len(structure.atoms) * 3).reshape(-1, 3) % 97 * 1.375
    return structure.with_positions(positions)


@settings(max_examples=25, deadline=None)
@given(
    numbers=st.lists(
        st.tuples(st.integers(-99, 9999), st.sampled_from(["", "A", "B", "Z"])), min_size=2, max_size=8, unique=True
    ),
    chain=st.sampled_from(["A", "z", "7", "AB", "B1"]),
)
def test_numbers_survive(tmp_path_factory, numbers, chain):
    folder = tmp_path_factory.mktemp("numbers")
    structure = _peptide([n for n, _ in numbers], [c for _, c in numbers], chain)
    for suffix in (".cif", *([".pdb"] if len(chain) == 1 else [])):
        again = read_structure(write_structure(structure, folder / f"x{suffix}"))
        assert again.chains.name.tolist() == [chain]
        found = zip(again.residues.author_seq_id.tolist(), again.residues.insertion_code.tolist(), strict=True)
        assert list(found) == numbers


def _complex():
    ligand = component_from_smiles("C[C@H](F)c1ccncc1C(=O)[O-]", "LIG")
    chains = [
        ChainSequence(
            name="A", kind=ChainKind.PROTEIN, residues=("MSE", "CYS", "CYS", "SEP", "TRP", "ASN"), cyclic=True
        ),
        ChainSequence(name="B", kind=ChainKind.DNA, residues=("DA", "DC", "DG")),
        ChainSequence(name="L", kind=ChainKind.LIGAND, residues=("LIG",)),
        ChainSequence(name="G", kind=ChainKind.LIGAND, residues=("NAG",)),
        ChainSequence(name="Z", kind=ChainKind.LIGAND, residues=("ZN",)),
    ]
    bonds = [(("A", 2, "SG"), ("A", 3, "SG")), (("A", 6, "ND2"), ("G", 1, "C1"))]
    structure = build_structure(chains, bonds=bonds, components={"LIG": ligand}, name="complex")
    rng = np.random.default_rng(0)
    positions = rng.normal(size=(len(structure.atoms), 3)) * 9
    index = {(r, n): i for i, (r, n) in enumerate(zip(structure.atoms.residue, structure.atoms.name, strict=True))}
    positions[index[0, "N"]] = positions[index[5, "C"]] + [1.33, 0, 0]
    return structure.with_positions(positions, b_factor=rng.uniform(0, 100, len(structure.atoms)))


def test_a_predicted_complex_comes_back_whole(tmp_path):
    structure = _complex()
    path = write_structure(
        structure, tmp_path / "x.cif", provenance={"seed": "7", "note": "it's # a\ntest"}, confidence=True
    )
    again = read_structure(path)
    assert_same(structure, again, labels=True)
    ours, theirs = structure.components["LIG"], again.components["LIG"]
    for field in ("smiles", "kind"):
        assert getattr(ours, field) == getattr(theirs, field)
    for field in ("atom_names", "elements", "charges", "bonds", "bond_orders", "kekule_orders", "hydrogens", "stereo"):
        np.testing.assert_array_equal(getattr(ours, field), getattr(theirs, field), err_msg=field)
    np.testing.assert_allclose(ours.ideal_positions, theirs.ideal_positions, atol=1e-3)
    assert again.metadata["provenance"] == {"seed": "7", "note": "it's # a\ntest"}


@pytest.mark.parametrize("suffix", [".cif", ".pdb"])
def test_waters_that_were_asked_for_as_ligands_come_back_from_both_formats(tmp_path, suffix):
    chains = [
        ChainSequence(name="A", kind=ChainKind.PROTEIN, residues=("ALA", "GLY")),
        ChainSequence(name="W", kind=ChainKind.LIGAND, residues=("HOH", "DOD")),
    ]
    structure = build_structure(chains)
    structure = structure.with_positions(np.random.default_rng(0).normal(0, 9, (len(structure.atoms), 3)))
    again = read_structure(write_structure(structure, tmp_path / f"x{suffix}", provenance={"spec": "{}"}))
    assert again.residues.name.tolist() == ["ALA", "GLY", "HOH", "DOD"]
    assert again.chains.kind.tolist() == [ChainKind.PROTEIN, ChainKind.LIGAND]


def test_mmcif_categories(tmp_path):
    structure = _complex()
    block = gemmi.cif.read(str(write_structure(structure, tmp_path / "x.cif", confidence=True)))[0]
    assert [row.str(0) for row in block.find("_entity_poly.", ["type"])] == [
        "polypeptide(L)",
        "polydeoxyribonucleotide",
    ]
    connections = sorted(row.str(0) for row in block.find("_struct_conn.", ["conn_type_id"]))
    assert connections == ["covale", "covale", "disulf"]
    groups = {row.str(1): row.str(0) for row in block.find("_atom_site.", ["group_PDB", "label_comp_id"])}
    assert (groups["CYS"], groups["MSE"], groups["LIG"], groups["DA"]) == ("ATOM", "HETATM", "HETATM", "ATOM")
    local = block.find("_ma_qa_metric_local.", ["label_asym_id", "label_comp_id", "metric_value"])
    assert len(local) == len(structure.residues)
    first = structure.atoms.b_factor[structure.residue_atoms(0)].mean()
    assert float(local[0][2]) == pytest.approx(first, abs=0.01)


def test_components_have_the_types_of_the_dictionary_and_metals_are_coordinated(tmp_path):
    chains = [
        ChainSequence(name="A", kind=ChainKind.PROTEIN, residues=("GLY", "HIS", "DAL", "ASN")),
        ChainSequence(name="G", kind=ChainKind.LIGAND, residues=("NAG",)),
        ChainSequence(name="H", kind=ChainKind.LIGAND, residues=("HEM",)),
        ChainSequence(name="Z", kind=ChainKind.LIGAND, residues=("ZN",)),
    ]
    bonds = [(("A", 2, "NE2"), ("H", 1, "FE")), (("A", 2, "ND1"), ("Z", 1, "ZN")), (("A", 4, "ND2"), ("G", 1, "C1"))]
    structure = build_structure(chains, bonds=bonds)
    structure = structure.with_positions(np.random.default_rng(0).normal(size=(len(structure.atoms), 3)) * 9)
    block = gemmi.cif.read(str(write_structure(structure, tmp_path / "x.cif")))[0]
    types = {row.str(0): row.str(1).lower() for row in block.find("_chem_comp.", ["id", "type"])}
    assert types == {
        "GLY": "peptide linking", "HIS": "l-peptide linking", "DAL": "d-peptide linking", "ASN": "l-peptide linking",
        "NAG": "d-saccharide, beta linking", "HEM": "non-polymer", "ZN": "non-polymer",
    }  # fmt: skip
    assert sorted(block.find_values("_struct_conn.conn_type_id")) == ["covale", "metalc", "metalc"]
    again = read_structure(write_structure(structure, tmp_path / "ours.cif", provenance={"seed": "1"}))
    linked = {frozenset(bond) for bond in named_bonds(again)}
    assert len(linked) == len(named_bonds(structure)) - 1  # that of the ion is coordination


def test_the_mean_plddt_is_over_tokens_as_in_the_other_files(tmp_path):
    structure = _complex()
    tokens = tokenise(structure)
    plddt = np.random.default_rng(1).uniform(0, 100, len(tokens))
    b_factor = np.zeros(len(structure.atoms))
    for token, rows in enumerate(tokens.atoms):
        b_factor[rows[rows >= 0]] = plddt[token]
    structure = structure.with_positions(structure.atoms.positions, b_factor=b_factor)
    block = gemmi.cif.read(str(write_structure(structure, tmp_path / "x.cif", confidence=True)))[0]
    (overall,) = block.find_values("_ma_qa_metric_global.metric_value")
    assert float(overall) == pytest.approx(plddt.mean(), abs=0.0051)


def test_other_programs_find_the_bonds_of_every_component(tmp_path):
    """biotite takes the file's table of bonds as complete."""
    from biotite.structure.io import pdbx

    structure = _complex()
    file = pdbx.CIFFile.read(write_structure(structure, tmp_path / "x.cif"))
    theirs = pdbx.get_structure(file, model=1, include_bonds=True)
    inside = theirs.res_id[theirs.bonds.as_array()[:, 0]] == theirs.res_id[theirs.bonds.as_array()[:, 1]]
    bonded = set(theirs.res_name[theirs.bonds.as_array()[inside, 0]].tolist())
    assert bonded == {"MSE", "CYS", "SEP", "TRP", "ASN", "DA", "DC", "DG", "LIG", "NAG"}
    assert theirs.bonds.get_bond_count() == len(structure.bonds)


def test_pdb_text(tmp_path):
    structure = dataclasses.replace(_complex(), name="1abc")
    path = write_structure(structure, tmp_path / "x.pdb", provenance={"seed": "7", "spec": "y" * 150})
    lines = path.read_text().splitlines()
    assert {len(line) for line in lines} == {80}
    assert sum(line.startswith("TER") for line in lines) == 2
    assert sum(line.startswith("SSBOND") for line in lines) == 1
    assert sum(line.startswith("LINK") for line in lines) == 2
    assert any(line.startswith("SEQRES   1 A    6  MSE CYS") for line in lines)
    charged = [line for line in lines if line.startswith("HETATM") and line[17:20] == " ZN"]
    assert charged[0][76:80] == "ZN2+"
    again = read_structure(path)
    assert again.metadata["provenance"] == {"seed": "7", "spec": "y" * 150}
    assert again.chains.name.tolist() == structure.chains.name.tolist()
    assert again.chains.cyclic.tolist() == [True, False, False, False, False]
    np.testing.assert_allclose(again.atoms.positions, structure.atoms.positions, atol=1e-3)


@pytest.mark.parametrize("name", ["Enzym é", "蛋白質", 'it\'s  "two" blanks; # x'])
def test_files_are_read_whatever_the_structure_is_called(tmp_path, name):
    structure = dataclasses.replace(_complex(), name=name)
    spec = json.dumps({"name": name, "path": " ".join("y" * 66 for _ in range(5))}, ensure_ascii=False)
    cif = write_structure(structure, tmp_path / "x.cif", provenance={"spec": spec})
    assert cif.read_text().splitlines()[0].isascii()
    pdb = write_structure(structure, tmp_path / "x.pdb", provenance={"spec": spec})
    assert pdb.read_text().isascii()
    for path in (cif, pdb):
        assert json.loads(read_structure(path).metadata["provenance"]["spec"]) == json.loads(spec)


def test_gemmi_reads_what_was_written(tmp_path):
    structure = _complex()
    for suffix in (".cif", ".pdb"):
        model = gemmi.read_structure(str(write_structure(structure, tmp_path / f"x{suffix}")))[0]
        assert sum(len(residue) for chain in model for residue in chain) == len(structure.atoms)
        assert [chain.name for chain in model] == ["A", "B", "L", "G", "Z"]


def test_unresolved_atoms_are_left_out(tmp_path):
    structure = _complex()
    resolved = structure.atoms.residue != 3
    part = structure.with_positions(structure.atoms.positions, resolved=resolved)
    again = read_structure(write_structure(part, tmp_path / "x.cif"))
    np.testing.assert_array_equal(again.atoms.resolved, resolved)
    assert again.residues.name.tolist() == structure.residues.name.tolist()


def _renamed(structure, **columns):
    return dataclasses.replace(structure, chains=dataclasses.replace(structure.chains, **columns))


def _numbered(structure, numbers):
    return dataclasses.replace(structure, residues=dataclasses.replace(structure.residues, author_seq_id=numbers))


def _big():
    chain = ChainSequence(name="A", kind=ChainKind.PROTEIN, residues=("TRP",) * 7200)
    structure = build_structure([chain])
    return structure.with_positions(np.zeros((len(structure.atoms), 3)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: _renamed(_complex(), name=np.array(["AA", "B", "L", "G", "Z"])),
            "chain ids are one character, found 'AA'",
        ),
        (lambda: _numbered(_complex(), np.arange(12) + 9995), "residue numbers are -999 to 9999"),
        (lambda: _renamed(_complex(), name=np.array(["A", "B", "A", "G", "Z"])), "two residues would both be chain A"),
        (lambda: _complex().with_positions(_complex().atoms.positions - 5000), "positions are"),
        (_big, "at most 99999 atoms, found 100800"),
    ],
)
def test_what_pdb_cannot_hold(make, message, tmp_path):
    structure = make()
    with pytest.raises(InputError, match=message) as caught:
        write_structure(structure, tmp_path / "x.pdb")
    assert "mmCIF" in str(caught.value)
    assert not (tmp_path / "x.pdb").exists()
    assert write_structure(structure, tmp_path / "x.cif").exists()


def test_five_letter_code_needs_mmcif(tmp_path):
    ligand = component_from_smiles("CCO", "ETXYZ")
    chain = ChainSequence(name="L", kind=ChainKind.LIGAND, residues=("ETXYZ",))
    structure = build_structure([chain], components={"ETXYZ": ligand}).with_positions(np.eye(3))
    with pytest.raises(InputError, match=r"component codes are at most three.*mmCIF"):
        write_structure(structure, tmp_path / "x.pdb")
    again = read_structure(write_structure(structure, tmp_path / "x.cif"))
    assert again.residues.name.tolist() == ["ETXYZ"]


def test_nothing_to_write(tmp_path):
    chain = ChainSequence(name="A", kind=ChainKind.PROTEIN, residues=("GLY",))
    for suffix in (".cif", ".pdb"):
        with pytest.raises(InputError, match="no atom with a position"):
            write_structure(build_structure([chain]), tmp_path / f"x{suffix}")


def test_atomic_writing(tmp_path):
    path = write_atomically(tmp_path / "a.txt", "one")
    write_atomically(path, b"two")
    assert path.read_text() == "two"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]
    assert path.stat().st_mode & 0o077 == (0o666 & ~_umask()) & 0o077


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_failed_writing_leaves_the_old_file(tmp_path, monkeypatch):
    path = write_atomically(tmp_path / "a.txt", "old")

    def refuse(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", refuse)
    with pytest.raises(InputError, match="No space left"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path):
    script = f"""
import os, pathlib
from structdiff.structure.files import write_atomically
pathlib.Path.replace = lambda *_: os._exit(9)
write_atomically({str(tmp_path / "a.cif")!r}, "new")
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 9
    [left] = tmp_path.iterdir()
    others = ["b.cif", ".a.cif.swp", ".notes.json.bak", "x.part"]
    for name in others:
        (tmp_path / name).touch()
    remove_unfinished(tmp_path, age=60)
    assert left.exists()
    os.utime(left, (0, 0))
    remove_unfinished(tmp_path, age=60)
    assert {path.name for path in tmp_path.iterdir()} == set(others)


@pytest.mark.parametrize(("name", "message"), [("none/x.cif", "cannot be written"), (".", "folder")])
def test_unwritable(tmp_path, name, message):
    with pytest.raises(InputError, match=message):
        write_atomically(tmp_path / name, "x")


def test_gzip_output_is_reproducible(tmp_path):
    structure = read_structure(DATA / "1orc.pdb.gz")
    one, two = (write_structure(structure, tmp_path / f"{n}.cif.gz").read_bytes() for n in "ab")
    assert one == two
    assert gzip.decompress(one).startswith(b"data_1ORC")


def test_positions_that_are_no_numbers_are_not_written(tmp_path):
    structure = read_structure(DATA / "1orc.pdb.gz")
    positions = structure.atoms.positions.copy()
    positions[np.flatnonzero(structure.atoms.resolved)[3]] = np.nan
    for name in ("x.cif", "x.pdb"):
        with pytest.raises(InputError, match=f"{name}: .*no numbers .*found '1 of {len(positions)} atoms'"):
            write_structure(structure.with_positions(positions), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_what_was_not_seen_stays_so_when_it_is_moved(tmp_path):
    structure = read_structure(DATA / "1orc.pdb.gz")
    resolved = structure.atoms.resolved.copy()
    resolved[5] = False
    part = structure.with_positions(structure.atoms.positions, resolved=resolved)
    moved = part.with_positions(part.atoms.positions + 7)
    assert np.array_equal(moved.atoms.resolved, resolved)
    again = read_structure(write_structure(moved, tmp_path / "x.cif"))
    assert np.array_equal(again.atoms.resolved, resolved)
    built = build_structure([ChainSequence(name="A", kind=ChainKind.PROTEIN, residues=("ALA",))])
    assert built.with_positions(np.ones((len(built.atoms), 3))).atoms.resolved.all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda one: one.with_positions(np.zeros((5, 3))), r"positions: three numbers for each atom .*found \(5, 3\)"),
        (lambda one: one.select("A"), r"atoms: true or false for each atom"),
        (lambda one: one.select(np.arange(5)), r"atoms: .*found 'int64 \(5,\)'; allowed: bool \("),
    ],
)
def test_arguments_of_a_structures_methods(call, message):
    with pytest.raises(InputError, match=message):
        call(read_structure(DATA / "1orc.pdb.gz"))
