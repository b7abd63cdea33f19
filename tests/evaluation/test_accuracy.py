"""Models beside true structures: chains and atoms permuted, interfaces and ligands of known quality."""

import dataclasses
import importlib.util
from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem

from structdiff.errors import InputError
from structdiff.evaluation.accuracy import accuracy, accuracy_values, averaged_poses
from structdiff.evaluation.chain_matching import as_reference, match_chains
from structdiff.evaluation.comparison import pair_atoms
from structdiff.evaluation.dockq import dockq
from structdiff.evaluation.evaluation import evaluate
from structdiff.evaluation.ligand_pose import ADDITIVES, LigandPose
from structdiff.evaluation.measures import ligand_values
from structdiff.evaluation.posebusters import checks_passed
from structdiff.evaluation.subject import Given, Subject
from structdiff.structure.build import ChainSequence, build_structure
from structdiff.structure.files import read_structure, write_structure
from structdiff.structure.ligand_molecules import ligand_molecule
from structdiff.structure.tables import ChainKind


@pytest.fixture(scope="module")
def with_ligands():
    return read_structure("tests/data/4i39.cif.gz")


@pytest.fixture(scope="module")
def complex_of_three():
    return read_structure("tests/data/4oz7.pdb.gz")


def ligand_names(structure):
    """Codes of the ligands of four atoms and more."""
    ligand = structure.chains.kind[structure.residues.chain] == ChainKind.LIGAND
    size = np.bincount(structure.atoms.residue[structure.atoms.resolved], minlength=len(structure.residues))
    return sorted(set(structure.residues.name[ligand & (size >= 4)].tolist()))


def moved(structure, rows, offset):
    positions = structure.atoms.positions.copy()
    positions[rows] += np.asarray(offset, np.float32)
    return structure.with_positions(positions, resolved=structure.atoms.resolved)


def test_equal_chains_may_have_any_names(coiled_coil, generator):
    rotation, _ = np.linalg.qr(generator.normal(size=(3, 3)))
    rotation *= np.sign(np.linalg.det(rotation))
    names = coiled_coil.chains.name[::-1].copy()
    swapped = dataclasses.replace(coiled_coil, chains=dataclasses.replace(coiled_coil.chains, name=names))
    swapped = swapped.with_positions(coiled_coil.atoms.positions @ rotation, resolved=coiled_coil.atoms.resolved)
    found = accuracy(swapped, coiled_coil)
    assert found["lddt"] == found["coverage"] == 1
    assert found["dockq"] == pytest.approx(1, abs=1e-5)
    assert found["rmsd_ca"] < 1e-3


def test_residues_are_paired_by_alignment_where_numbers_differ(ubiquitin):
    residues = ubiquitin.residues
    cut = ubiquitin.select(ubiquitin.atoms.residue >= 10)
    cut = dataclasses.replace(cut, residues=dataclasses.replace(
        cut.residues, label_seq_id=np.arange(1, len(cut.residues) + 1, dtype=np.int32),
        author_seq_id=np.arange(501, len(cut.residues) + 501, dtype=np.int32)))  # fmt: skip
    (pair,) = match_chains(cut, ubiquitin)
    np.testing.assert_array_equal(pair.residues[:, 1], np.arange(10, len(residues)))
    found = accuracy(cut, ubiquitin)
    assert found["coverage"] == pytest.approx((len(residues) - 10) / len(residues), abs=1e-6)
    assert found["rmsd_ca"] < 1e-5


def test_residues_of_insertion_codes_are_paired(ubiquitin):
    """Residues 20 to 24 are 20, 20A ... 20D in both files, and one of them lacks the first three residues."""
    number, code = ubiquitin.residues.author_seq_id.copy(), ubiquitin.residues.insertion_code.copy()
    number[19:24], code[19:24] = 20, ["", "A", "B", "C", "D"]
    whole = dataclasses.replace(ubiquitin, residues=dataclasses.replace(
        ubiquitin.residues, author_seq_id=number, insertion_code=code))  # fmt: skip
    cut = whole.select(whole.atoms.residue >= 3)
    cut = dataclasses.replace(cut, residues=dataclasses.replace(
        cut.residues, label_seq_id=np.arange(1, len(cut.residues) + 1, dtype=np.int32)))  # fmt: skip
    (pair,) = match_chains(cut, whole)
    np.testing.assert_array_equal(pair.residues[:, 1], np.arange(3, len(whole.residues)))
    assert accuracy(whole, cut)["coverage"] == 1


def test_another_protein_is_refused(ubiquitin, crambin):
    with pytest.raises(InputError, match="no chain of the model is like"):
        as_reference(ubiquitin, crambin)


def test_dockq_of_a_chain_that_is_elsewhere(coiled_coil):
    far = moved(coiled_coil, coiled_coil.atom_chain == 1, [200, 0, 0])
    (interface,) = dockq(pair_atoms(far, coiled_coil))
    assert interface.fnat == 0
    assert interface.partner_rmsd == pytest.approx(200, rel=1e-3)
    assert interface.score < 0.01


@pytest.mark.parametrize(
    ("shift", "score", "fnat", "interface_rmsd", "partner_rmsd"),
    [
        ([2, 0, 0], 0.87112075, 0.9361702127659575, 0.9130517, 2.0000074),
        ([1, -3, 2], 0.5079884, 0.2765957446808511, 1.8005489, 3.7416604),
        ([0, 0, 5], 0.43723324, 0.2553191489361702, 2.2199497, 5.0),
    ],
)
def test_dockq_is_that_of_the_program_dockq(coiled_coil, shift, score, fnat, interface_rmsd, partner_rmsd):
    """The numbers are those of DockQ 2.1.3 for the second chain moved by the shift (Å)."""
    near = moved(coiled_coil, coiled_coil.atom_chain == 1, shift)
    (found,) = dockq(pair_atoms(near, coiled_coil))
    assert found.fnat == pytest.approx(fnat, abs=1e-9)
    assert found.interface_rmsd == pytest.approx(interface_rmsd, abs=1e-3)
    assert found.partner_rmsd == pytest.approx(partner_rmsd, abs=1e-3)
    assert found.score == pytest.approx(score, abs=1e-4)


def test_ligand_rmsd_is_that_of_the_ligand_alone(with_ligands):
    kinds = with_ligands.chains.kind[with_ligands.atom_chain]
    shifted = moved(with_ligands, kinds == ChainKind.LIGAND, [0, 3.0, 0])
    found = accuracy(shifted, with_ligands)
    assert found["rmsd_ca"] < 1e-5
    assert found["ligand_rmsd"] == pytest.approx(3.0, abs=1e-3)
    assert found["lddt_pli"] < 0.6
    assert accuracy(with_ligands, with_ligands)["lddt_pli"] == 1


def test_the_order_of_a_ligands_atoms_does_not_matter(with_ligands):
    """Positions of the ligands' atoms are listed backwards, with names, elements and bonds that go along."""
    order = np.arange(len(with_ligands.atoms))
    for chain in np.flatnonzero(with_ligands.chains.kind == ChainKind.LIGAND):
        rows = np.flatnonzero(with_ligands.atom_chain == chain)
        order[rows] = rows[::-1]
    atoms = with_ligands.atoms
    columns = ("name", "element", "charge", "positions", "resolved")
    place = np.argsort(order)
    turned = dataclasses.replace(
        with_ligands,
        atoms=dataclasses.replace(atoms, **{key: getattr(atoms, key)[order] for key in columns}),
        bonds=dataclasses.replace(with_ligands.bonds, atom_1=place[with_ligands.bonds.atom_1].astype(np.int32),
                                  atom_2=place[with_ligands.bonds.atom_2].astype(np.int32)),
    )  # fmt: skip
    found = accuracy(turned, with_ligands)
    assert found["ligand_rmsd"] == pytest.approx(0, abs=1e-6)
    assert found["lddt_pli"] == 1


def without(structure, rows):
    atoms = dataclasses.replace(structure.atoms, resolved=structure.atoms.resolved & ~rows)
    return dataclasses.replace(structure, atoms=atoms)


def ligand_atoms(structure, name):
    ligand = structure.chains.kind[structure.atom_chain] == ChainKind.LIGAND
    return ligand & (structure.residues.name[structure.atoms.residue] == name)


def poses_of(model, reference):
    subject = Subject(
        name="x", path=Path("x.cif"), structure=model, given=Given(references={"": Path("tests/data/4i39.cif.gz")})
    )
    return accuracy_values(subject), subject


def test_a_missing_ligand_has_no_rmsd(with_ligands):
    name = next(each for each in ligand_names(with_ligands) if each not in ADDITIVES)
    every = np.isin(with_ligands.residues.name[with_ligands.atoms.residue], ligand_names(with_ligands))
    values, subject = poses_of(without(with_ligands, every), with_ligands)
    assert values["ligands_found"] == values["lddt_pli"] == 0
    assert np.isnan(values["ligand_rmsd"])
    assert any("no ligand RMSD" in note and name in note and "x.cif" in note for note in subject.notes)
    assert all(np.isnan(pose.rmsd) and not pose.atoms_found for pose, _ in subject.ligands)


def test_a_ligand_that_lacks_an_atom_is_judged_by_the_rest(with_ligands):
    name = next(each for each in ligand_names(with_ligands) if each not in ADDITIVES)
    rows = ligand_atoms(with_ligands, name)
    one = np.zeros_like(rows)
    one[np.flatnonzero(rows)[-1]] = True
    shifted = without(moved(with_ligands, rows, [0, 3.0, 0]), one)
    values, subject = poses_of(shifted, with_ligands)
    assert values["ligands_found"] == 1
    assert any(f"{name}" in note and "lacks 1 of" in note for note in subject.notes)
    partial = next(pose for pose, _ in subject.ligands if pose.atoms_found < pose.atoms)
    assert partial.rmsd == pytest.approx(3.0, abs=1e-3)
    whole = accuracy(moved(with_ligands, rows, [0, 3.0, 0]), with_ligands)
    assert values["lddt_pli"] < whole["lddt_pli"] + 1e-9


def test_atoms_that_the_reference_lacks_are_not_asked_for(with_ligands):
    name = next(each for each in ligand_names(with_ligands) if each not in ADDITIVES)
    one = np.zeros(len(with_ligands.atoms), bool)
    one[np.flatnonzero(ligand_atoms(with_ligands, name))[-1]] = True
    found = accuracy(with_ligands, without(with_ligands, one))
    assert found["ligands_found"] == found["lddt_pli"] == 1
    assert found["ligand_rmsd"] == pytest.approx(0, abs=1e-6)


def test_of_two_equal_ligands_the_nearest_stands_for_the_true_one_though_it_lacks_an_atom(generator):
    chains = [ChainSequence(name="A", kind=ChainKind.PROTEIN, residues=("GLY",) * 6)]
    chains += [ChainSequence(name=name, kind=ChainKind.LIGAND, residues=("BNZ",)) for name in "LM"]
    structure = build_structure(chains)
    whole = structure.with_positions(generator.normal(size=(len(structure.atoms), 3)) * 4)
    one = np.zeros(len(whole.atoms), bool)
    one[np.flatnonzero(whole.atom_chain == 1)[0]] = True
    found = accuracy(without(whole, one), without(whole, whole.atom_chain == 2))
    assert found["ligands_found"] == 1
    assert found["ligand_rmsd"] == pytest.approx(0, abs=1e-4)


def pose(name, rmsd):
    return LigandPose(name=name, chain="A", number=1, atoms=5, atoms_found=5 * np.isfinite(rmsd), rmsd=rmsd,
                      lddt_pli=1.0, is_additive=name in ADDITIVES)  # fmt: skip


def in_place_of(structure, taken):
    """The structure with each atom where another of its atoms is."""
    return structure.with_positions(structure.atoms.positions[taken], resolved=structure.atoms.resolved)


def test_phosphates_may_have_their_oxygens_in_any_order(generator):
    """Of inositol hexaphosphate there are 559872 namings: 12 of the ring, 6 orders of each phosphate's oxygens."""
    chains = [ChainSequence(name="A", kind=ChainKind.PROTEIN, residues=("GLY",) * 6),
              ChainSequence(name="L", kind=ChainKind.LIGAND, residues=("IHP",))]  # fmt: skip
    structure = build_structure(chains)
    true = structure.with_positions(generator.normal(size=(len(structure.atoms), 3)) * 4)
    ligand = true.atom_chain == 1
    taken = np.arange(len(ligand))
    for number in "123456":
        ends = np.flatnonzero(ligand & np.isin(true.atoms.name, [f"O{place}{number}" for place in "234"]))
        taken[ends] = np.roll(ends, 1 + int(number) % 2)
    found = accuracy(in_place_of(true, taken), true)
    assert found["ligand_rmsd"] == pytest.approx(0, abs=1e-4)
    assert found["lddt_pli"] == 1
    lost = np.isin(np.arange(len(ligand)), np.flatnonzero(ligand & (true.atoms.name == "O21")))
    lacking = accuracy(without(in_place_of(true, taken), lost), true)
    assert lacking["ligand_rmsd"] == pytest.approx(0, abs=1e-4)
    assert lacking["lddt_pli"] < 1


def test_a_glycan_is_one_ligand_whether_its_sugars_are_chains_or_not(tmp_path):
    glycan = read_structure("tests/data/1gya_1_model.cif.gz")
    as_pdb = read_structure(write_structure(glycan, tmp_path / "glycan.pdb"))
    assert (as_pdb.chains.kind == ChainKind.LIGAND).sum() == 9
    for model, reference in ((as_pdb, glycan), (glycan, as_pdb)):
        found = accuracy(model, reference)
        assert found["ligands_found"] == found["lddt_pli"] == 1
        assert found["ligand_rmsd"] == pytest.approx(0, abs=1e-3)


def test_what_a_crystal_was_grown_in_is_not_averaged():
    inhibitor, there, lost = pose("JQ1", 5.0), pose("EDO", 0.0), pose("GOL", np.nan)
    assert averaged_poses([there, inhibitor, lost]) == [inhibitor]
    assert averaged_poses([there, lost]) == [there]
    assert averaged_poses([lost]) == []


def test_posebusters_or_nothing(with_ligands):
    share = checks_passed(with_ligands)
    assert np.isnan(share) if importlib.util.find_spec("posebusters") is None else 0.5 < share <= 1
    given = Subject(name="4i39", path=Path("4i39.cif"), structure=with_ligands)
    assert ligand_values(given) == ({} if np.isnan(share) else {"posebusters": share})


def test_posebusters_sees_the_elements_of_a_ligand(with_ligands):
    rows = ligand_atoms(with_ligands, "HC4")
    seen = [atom.GetAtomicNum() for atom in ligand_molecule(with_ligands, np.flatnonzero(rows)).GetAtoms()]
    assert seen == with_ligands.atoms.element[rows].tolist()
    assert sorted(set(seen)) == [6, 8]


@pytest.mark.parametrize("code", ["TRP", "ADE", "HIS", "XAN", "IPH"])
def test_aromatic_ligands_are_sound_molecules(code):
    chain = ChainSequence(name="L", kind=ChainKind.LIGAND, residues=(code,))
    built = build_structure([chain])
    molecule = ligand_molecule(built, np.arange(len(built.atoms)))
    Chem.SanitizeMol(molecule)
    assert any(atom.GetIsAromatic() for atom in molecule.GetAtoms())


def test_ligands_whose_bonds_nothing_tells_are_not_checked(with_ligands):
    none = np.zeros(0, np.int32)
    bonds = dataclasses.replace(
        with_ligands.bonds, **{name: none.astype(getattr(with_ligands.bonds, name).dtype) for name in
                               (field.name for field in dataclasses.fields(with_ligands.bonds))}
    )  # fmt: skip
    assert np.isnan(checks_passed(dataclasses.replace(with_ligands, bonds=bonds)))


def test_nucleic_acids_alone_are_judged_too():
    file = Path("tests/data/1bna.pdb.gz")
    found = evaluate([file, Path("tests/evaluation/data/1crn.pdb")], given=Given(references={"1bna": file}))
    assert not found.failures
    assert found.rows[0].values["lddt"] == 1
    assert found.rows[0].values["stereocentres_right"] == 1
    assert "rama_favoured" not in found.rows[0].values
    assert found.summary["clusters"].mean == 1


def test_of_several_models_of_a_reference_the_first_is_taken_and_a_note_says_so():
    file = Path("tests/data/1l2y_3_models.cif.gz")
    found = evaluate([file, file.with_name("1gya_1_model.cif.gz")], given=Given(references={"1l2y_3_models": file}))
    (note,) = [each for each in found.notes if "models" in each and "reference has" not in each]
    assert note == f"{file} holds 3 models; the first is the reference"
    assert found.rows[0].values["lddt"] == 1
