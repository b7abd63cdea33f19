"""Chains of files by mmCIF's labels, and motifs put together from parts."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from structdiff.spec.imported import MotifPart
from structdiff.structure.files import read_structure, write_structure
from structdiff.structure.known_chains import known_chains, motif_of_parts

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"


def test_chains_of_mmcif_files_have_their_labels_and_all_residues_of_their_sequence():
    protein, sodium = known_chains(DATA / "1o1z.cif.gz")
    assert (protein.name, protein.kind, len(protein.residues)) == ("A", "protein", 234)
    first, ninth = protein.residues[0], protein.residues[8]
    assert (str(first.id), first.seen, first.letter, first.centre) == ("A-11", False, "M", None)
    assert (str(ninth.id), ninth.seen, ninth.letter) == ("A-3", True, "H")
    assert (sodium.name, sodium.kind, str(sodium.residues[0].id)) == ("B", "ligand", "A602")


def test_ligands_of_pdb_files_are_called_by_the_last_letters_that_are_free():
    names = [(chain.name, str(chain.residues[-1].id)) for chain in known_chains(DATA / "5ugo.pdb.gz")]
    assert names == [("T", "T16"), ("P", "P11"), ("D", "D5"), ("A", "A335"), ("Z", "A401"), ("Y", "A402"),
                     ("X", "A403")]  # fmt: skip


def test_the_centre_of_a_residue_is_its_ca():
    structure, chain = read_structure(ROOT / "examples/problems/zipper.pdb"), known_chains(
        ROOT / "examples/problems/zipper.pdb")[1]  # fmt: skip
    alpha = structure.atoms.positions[structure.atoms.name == "CA"]
    assert np.allclose(chain.residues[3].centre, alpha[31 + 3])


def test_files_are_put_together_where_their_own_have_them(tmp_path):
    zipper, site = ROOT / "examples/problems/zipper.pdb", ROOT / "examples/5tpn_site_v.pdb"
    whole = motif_of_parts([MotifPart(path=zipper), MotifPart(path=site, renamed={"A": "C"})], "two")
    again = read_structure(write_structure(whole, tmp_path / "two.cif"))
    assert again.chains.name.tolist() == ["A", "B", "C"]
    last = again.chains.name[again.residues.chain[again.atoms.residue]] == "C"
    assert np.allclose(again.atoms.positions[last], read_structure(site).atoms.positions)


def test_a_ligand_on_its_own_is_read_back_with_its_bonds(tmp_path):
    for part in (MotifPart(smiles="CC(=O)Oc1ccccc1C(=O)O", chain="L"), MotifPart(ccd="HC4", chain="L")):
        whole = motif_of_parts([part], "ligand")
        again = read_structure(write_structure(whole, tmp_path / "ligand.cif"))
        assert again.atoms.name.tolist() == whole.atoms.name.tolist()
        assert len(again.bonds) == len(whole.bonds) > 10
        bonds = whole.atoms.positions[whole.bonds.atom_1] - whole.atoms.positions[whole.bonds.atom_2]
        assert np.linalg.norm(bonds, axis=-1).max() < 1.7
        assert np.linalg.norm(bonds, axis=-1).min() > 1.1
