"""What atoms are to the scoring function: each amino acid, nucleotides, and groups of ligands."""

from __future__ import annotations

import numpy as np
import pytest

from structdiff.chemistry.residues import PROTEIN_ONE_TO_THREE
from structdiff.evaluation.ligand_atom_types import AtomTypes
from structdiff.structure.build import ChainSequence, build_structure
from structdiff.structure.tables import ChainKind
from tests.docking.examples import from_smiles, ligand

#: Of the side chain: hydrophobic atoms, donors, acceptors.
SIDE_CHAINS = {
    "ALA": ("CB", "", ""),
    "ARG": ("CB CG", "NE NH1 NH2", ""),
    "ASN": ("CB", "ND2", "OD1"),
    "ASP": ("CB", "", "OD1 OD2"),
    "CYS": ("", "", ""),
    "GLN": ("CB CG", "NE2", "OE1"),
    "GLU": ("CB CG", "", "OE1 OE2"),
    "GLY": ("", "", ""),
    "HIS": ("CB", "ND1 NE2", "ND1 NE2"),
    "ILE": ("CB CD1 CG1 CG2", "", ""),
    "LEU": ("CB CD1 CD2 CG", "", ""),
    "LYS": ("CB CD CG", "NZ", ""),
    "MET": ("CB", "", ""),
    "PHE": ("CB CD1 CD2 CE1 CE2 CG CZ", "", ""),
    "PRO": ("CB CG", "", ""),
    "SER": ("", "OG", "OG"),
    "THR": ("CG2", "OG1", "OG1"),
    "TRP": ("CB CD2 CE3 CG CH2 CZ2 CZ3", "NE1", ""),
    "TYR": ("CB CD1 CD2 CE1 CE2 CG", "OH", "OH"),
    "VAL": ("CB CG1 CG2", "", ""),
}
BACKBONE = {"N", "CA", "C", "O", "OXT"}


def named(structure, residue=0):
    """Sorted names of hydrophobic atoms, donors and acceptors of a residue."""
    types, span = AtomTypes.of(structure), structure.residue_atoms(residue)
    names = structure.atoms.name[span]
    return [sorted(names[flags[span]].tolist()) for flags in (types.hydrophobic, types.donor, types.acceptor)]


def polymer(kind, *residues):
    return build_structure([ChainSequence(name="A", kind=kind, residues=residues)])


def test_every_amino_acid_is_here():
    assert set(SIDE_CHAINS) == set(PROTEIN_ONE_TO_THREE.values()) - {"UNK"}


@pytest.mark.parametrize("code", SIDE_CHAINS)
def test_amino_acid_within_a_chain(code):
    found = named(polymer(ChainKind.PROTEIN, "GLY", code, "GLY"), 1)
    expected = [names.split() for names in SIDE_CHAINS[code]]
    assert [[name for name in names if name not in BACKBONE] for names in found] == expected
    main = [[name for name in names if name in BACKBONE] for names in found]
    assert main == [[], [] if code == "PRO" else ["N"], ["O"]]


def test_ends_of_a_chain():
    chain = polymer(ChainKind.PROTEIN, "PRO", "GLY", "ALA")
    assert named(chain, 0)[1:] == [["N"], ["O"]]
    assert named(chain, 2)[1:] == [["N"], ["O"]]


@pytest.mark.parametrize(
    ("code", "donors", "acceptors"),
    [("A", "N6", "N1 N3 N7"), ("C", "N4", "N3 O2"), ("G", "N1 N2", "N3 N7 O6"), ("U", "N3", "O2 O4")],
)
def test_nucleotide(code, donors, acceptors):
    _, gives, takes = named(polymer(ChainKind.RNA, "A", code, "A"), 1)
    assert gives == sorted(["O2'", *donors.split()])
    assert takes == sorted(["O2'", "O3'", "O4'", "O5'", "OP1", "OP2", *acceptors.split()])


def test_3_prime_end_gives():
    assert "O3'" in named(polymer(ChainKind.DNA, "DA", "DC"), 1)[1]


@pytest.mark.parametrize(
    ("smiles", "donors", "acceptors"),
    [
        ("CC(=O)O", "", "O1 O2"),  # acids are charged
        ("CP(=O)(O)O", "", "O1 O2 O3"),
        ("CS(=O)(=O)O", "", "O1 O2 O3"),
        ("CCO", "O1", "O1"),
        ("c1ccccc1O", "O1", "O1"),
        ("CN", "N1", ""),  # amines have a proton more
        ("CN(C)C", "N1", ""),
        ("C[N+](C)(C)C", "", ""),  # but no room for a fifth neighbour
        ("c1ccccc1N", "N1", ""),
        ("CC(=O)NC", "N1", "O1"),
        ("CC(=O)N(C)C", "", "O1"),
        ("CS(=O)(=O)NC", "N1", "O1 O2"),
        ("c1ccncc1", "", "N1"),
        ("c1cnc[nH]1", "N2", "N1"),
        ("CC#N", "", "N1"),
        ("C[N+](=O)[O-]", "", "O1 O2"),
        ("CC(=O)OC", "", "O1 O2"),
        ("NC(=[NH2+])c1ccccc1", "N1 N2", ""),
        ("CSC", "", ""),
    ],
)
def test_groups_of_ligands(smiles, donors, acceptors):
    assert named(from_smiles(smiles))[1:] == [donors.split(), acceptors.split()]


def test_carbons_beside_other_elements_are_not_hydrophobic():
    assert named(from_smiles("CCCO"))[0] == ["C1", "C2"]
    assert named(from_smiles("CCl"))[0] == ["CL1"]


def test_radii_and_metals():
    haem = ligand("HEM")
    types = AtomTypes.of(haem)
    for element, radius in ((6, 2.0), (7, 1.7), (8, 1.6), (26, 1.2)):
        assert types.radius[haem.atoms.element == element] == pytest.approx(radius)
    iron = haem.atoms.element == 26
    assert types.donor[iron].all()
    assert not types.acceptor[iron].any()
    assert not types.hydrophobic[iron].any()


def test_a_bond_between_residues_takes_a_hydrogen():
    chains = [ChainSequence(name=name, kind=ChainKind.LIGAND, residues=("NAG",)) for name in "LM"]
    bonded = build_structure(chains, bonds=[(("L", 1, "O4"), ("M", 1, "C1"))])
    assert named(bonded, 0)[1] == ["N2", "O1", "O3", "O6"]
    assert named(bonded, 1)[1] == ["N2", "O3", "O4", "O6"]


def test_rows():
    types = AtomTypes.of(ligand("GOL"))
    own = types.rows(np.array([1, 0]))
    assert own.radius.tolist() == types.radius[[1, 0]].tolist()
    assert own.donor.tolist() == types.donor[[1, 0]].tolist()
