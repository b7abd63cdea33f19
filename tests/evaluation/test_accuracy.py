"""Models beside true structures: chains and atoms permuted, interfaces and ligands of known quality."""

import dataclasses
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from structdiff.errors import InputError
from structdiff.evaluation.accuracy import accuracy
from structdiff.evaluation.chain_matching import as_reference, match_chains
from structdiff.evaluation.comparison import pair_atoms
from structdiff.evaluation.dockq import dockq
from structdiff.evaluation.evaluation import evaluate
from structdiff.evaluation.measures import ligand_values
from structdiff.evaluation.posebusters import checks_passed
from structdiff.evaluation.subject import Given, Subject
from structdiff.structure.files import read_structure
from structdiff.structure.tables import ChainKind


@pytest.fixture(scope="module")
def with_ligands():
    return read_structure("tests/data/4i39.cif.gz")


@pytest.fixture(scope="module")
def complex_of_three():
    return read_structure("tests/data/4oz7.pdb.gz")


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


def test_posebusters_or_nothing(with_ligands):
    share = checks_passed(with_ligands)
    assert np.isnan(share) if importlib.util.find_spec("posebusters") is None else 0.5 < share <= 1
    given = Subject(name="4i39", path=Path("4i39.cif"), structure=with_ligands)
    assert ligand_values(given) == ({} if np.isnan(share) else {"posebusters": share})


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
