"""Structures from sequences."""

import re
import time
import warnings

import numpy as np
import pytest

from structdiff.chemistry.components import component_from_smiles
from structdiff.chemistry.residues import PROTEIN_THREE_TO_ONE, RESIDUE_ATOMS
from structdiff.errors import InputError
from structdiff.spec.chain import ChainSpec, Modification
from structdiff.spec.complex import BondSpec, ComplexSpec, Site
from structdiff.structure.build import ChainSequence, build_structure, chain_letters
from structdiff.structure.complex import DoubtfulComponentWarning, build_complex
from structdiff.structure.tables import ChainKind


def _protein(name, residues, **options):
    return ChainSequence(name=name, kind=ChainKind.PROTEIN, residues=tuple(residues), **options)


def _bonds(structure):
    """Bonds as pairs of (residue row, atom name)."""
    names, rows = structure.atoms.name.tolist(), structure.atoms.residue.tolist()
    pairs = zip(structure.bonds.atom_1.tolist(), structure.bonds.atom_2.tolist(), strict=True)
    return {frozenset(((rows[i], names[i]), (rows[j], names[j]))) for i, j in pairs}


def test_atoms_of_a_peptide():
    structure = build_structure([_protein("A", ["ALA", "TRP", "GLY"])])
    for row, code in enumerate(["ALA", "TRP", "GLY"]):
        assert tuple(structure.atoms.name[structure.residue_atoms(row)]) == RESIDUE_ATOMS[code]
    assert frozenset({(0, "C"), (1, "N")}) in _bonds(structure)
    assert frozenset({(1, "C"), (2, "N")}) in _bonds(structure)
    assert frozenset({(2, "C"), (0, "N")}) not in _bonds(structure)
    assert len(structure.bonds) == 4 + 15 + 3 + 2
    assert not structure.atoms.resolved.any()


def test_cyclic_peptide_closes():
    structure = build_structure([_protein("A", ["GLY"] * 5, cyclic=True)])
    assert frozenset({(4, "C"), (0, "N")}) in _bonds(structure)


def test_duplex_and_copies():
    dna = ("DA", "DC", "DG")
    chains = [
        ChainSequence(name="A", kind=ChainKind.DNA, residues=dna),
        ChainSequence(name="B", kind=ChainKind.RNA, residues=("A", "C")),
        ChainSequence(name="C", kind=ChainKind.DNA, residues=dna),
        ChainSequence(name="D", kind=ChainKind.DNA, residues=dna, cyclic=True),
    ]
    structure = build_structure(chains)
    assert structure.chains.entity_id.tolist() == [0, 1, 0, 2]
    assert structure.chains.sym_id.tolist() == [0, 0, 1, 0]
    assert structure.chains.label_id.tolist() == ["A", "B", "C", "D"]
    assert frozenset({(0, "O3'"), (1, "P")}) in _bonds(structure)
    assert "OP3" not in structure.atoms.name


def test_glycan_loses_its_leaving_oxygen():
    chains = [
        _protein("A", ["ALA", "ASN", "GLY"]),
        ChainSequence(name="G", kind=ChainKind.LIGAND, residues=("NAG", "NAG")),
        ChainSequence(name="F", kind=ChainKind.LIGAND, residues=("NAG",)),
    ]
    bonds = [(("A", 2, "ND2"), ("G", 1, "C1")), (("G", 1, "O4"), ("G", 2, "C1"))]
    structure = build_structure(chains, bonds=bonds)
    oxygens = ["O1" in structure.atoms.name[structure.residue_atoms(row)] for row in (3, 4, 5)]
    assert oxygens == [False, False, True]
    assert frozenset({(1, "ND2"), (3, "C1")}) in _bonds(structure)
    assert frozenset({(3, "O4"), (4, "C1")}) in _bonds(structure)


def test_numbering_and_own_components():
    ligand = component_from_smiles("CCO", "ETX")
    chains = [
        _protein("A", ["ALA", "MSE"], author_seq_ids=(52, 52), insertion_codes=("", "A")),
        ChainSequence(name="L", kind=ChainKind.LIGAND, residues=("ETX",)),
    ]
    structure = build_structure(chains, components={"ETX": ligand, "UNUSED": ligand})
    assert structure.residues.author_seq_id.tolist() == [52, 52, 1]
    assert structure.residues.insertion_code.tolist() == ["", "A", ""]
    assert structure.residues.label_seq_id.tolist() == [1, 2, 1]
    assert structure.atoms.name[structure.residue_atoms(2)].tolist() == ["C1", "C2", "O1"]
    assert list(structure.components) == ["ETX"]


def test_select_reindexes_bonds():
    structure = build_structure([_protein("A", ["ALA", "CYS"]), _protein("B", ["GLY", "GLY", "CYS"])],
                                bonds=[(("A", 2, "SG"), ("B", 3, "SG"))])  # fmt: skip
    part = structure.select(structure.atom_chain == 1)
    assert part.chains.name.tolist() == ["B"]
    assert frozenset({(0, "C"), (1, "N")}) in _bonds(part)
    assert len(part.bonds) == 3 + 3 + 5 + 2
    backbone = structure.select(np.isin(structure.atoms.name, ["N", "CA", "C", "SG"]))
    assert frozenset({(1, "SG"), (4, "SG")}) in _bonds(backbone)


def test_speed():
    """1000 residues in 7 ms on one core, the best of five; the type checks of test runs make it 20 ms."""
    codes = np.random.default_rng(0).choice(list(PROTEIN_THREE_TO_ONE), 1000)
    chain = _protein("A", [str(code) for code in codes])
    times = []
    for _ in range(5):
        start = time.perf_counter()
        build_structure([chain])
        times.append(time.perf_counter() - start)
    assert min(times) < 0.06


@pytest.mark.parametrize(
    ("chains", "bonds", "message"),
    [
        ([], [], "at least one chain"),
        ([_protein("A", ["ALA"]), _protein("A", ["GLY"])], [], "same name"),
        ([_protein("A", [])], [], "no residues"),
        ([_protein("A", ["ALA"], author_seq_ids=(1, 2))], [], "2 author_seq_ids"),
        ([_protein("A", ["ALAX"])], [], "unknown CCD code"),
        ([_protein("A", ["ALA"])], [(("B", 1, "N"), ("A", 1, "CA"))], "chain that is not there"),
        ([_protein("A", ["ALA"])], [(("A", 2, "N"), ("A", 1, "CA"))], "residues 1 to 1"),
        ([_protein("A", ["ALA"])], [(("A", 1, "NX"), ("A", 1, "CA"))], "found 'NX'"),
    ],
)
def test_refusals(chains, bonds, message):
    with pytest.raises(InputError, match=message):
        build_structure(chains, bonds=bonds)


def test_chain_letters_are_unique():
    letters = [chain_letters(number) for number in range(2000)]
    assert len(set(letters)) == 2000
    assert letters[:3] == ["A", "B", "C"]


def bonded(sequence, bond, *more, **ligand):
    """A protein A and a ligand L with bonds that are asked for, each as two (chain, residue, atom)."""
    chains = [ChainSpec(ids=("A",), kind="protein", sequence=sequence)]
    chains += [ChainSpec(ids=("L",), kind="ligand", **ligand)] if ligand else []
    sites = [[Site(chain=chain, residue=row, atom=atom) for chain, row, atom in ends] for ends in (bond, *more)]
    bonds = tuple(BondSpec(atom1=one, atom2=other) for one, other in sites)
    return build_complex(ComplexSpec(chains=tuple(chains), bonds=bonds))


@pytest.mark.parametrize(
    ("sequence", "bond", "ligand", "residue", "gone", "stays"),
    [
        ("AAY", (("A", 3, "OH"), ("L", 1, "PG")), {"ccd": ("ATP",)}, 3, {"O3G"}, {"O1G", "O2G", "O3B"}),
        ("ADAK", (("A", 4, "NZ"), ("A", 2, "CG")), {}, 1, {"OD2"}, {"OD1", "CB"}),
        ("AS", (("A", 2, "OG"), ("L", 1, "P1")), {"smiles": "CP(F)(=O)C"}, 2, {"F1"}, {"O1", "C1", "C2"}),
        ("AT", (("A", 2, "OG1"), ("L", 1, "B1")), {"smiles": "CB(O)O"}, 2, set(), {"O1", "O2", "C1"}),
        ("AH", (("A", 2, "NE2"), ("L", 1, "ZN")), {"ccd": ("ZN",)}, 1, set(), {"CE1", "CD2", "ND1"}),
    ],
)
def test_what_plainly_leaves_makes_room_for_a_bond(sequence, bond, ligand, residue, gone, stays):
    structure = bonded(sequence, bond, **ligand)
    names = set(structure.atoms.name[structure.residue_atoms(residue)].tolist())
    assert not gone & names
    assert stays <= names


@pytest.mark.parametrize(
    ("sequence", "bonds", "message"),
    [
        (
            "AAY",
            [(("A", 3, "CB"), ("L", 1, "C4"))],
            r"C4 of residue 1 \(ATP\) .* -N9, =C5, -N3: it can take 0 more",
        ),
        ("AP", [(("A", 2, "N"), ("L", 1, "O2'"))], "-CD, -residue beside it"),
        ("AD", [(("A", 2, "OD1"), ("L", 1, "O2'"))], "allowed: .*OD2"),
        ("CCC", [(("A", 1, "SG"), ("A", 2, "SG")), (("A", 2, "SG"), ("A", 3, "SG"))], "1 more, and 2 are asked for"),
    ],
)
def test_a_bond_without_room_is_refused(sequence, bonds, message):
    with pytest.raises(InputError, match=message):
        bonded(sequence, *bonds, ccd=("ATP",))


def test_bonds_that_are_there_need_no_room():
    peptide = (("A", 1, "C"), ("A", 2, "N"))
    disulfide = (("A", 1, "SG"), ("A", 2, "SG"))
    assert len(bonded("CC", peptide, disulfide, disulfide[::-1]).bonds) == len(bonded("CC", disulfide).bonds)


@pytest.mark.parametrize(
    ("kind", "code", "kept", "gone"),
    [
        (ChainKind.PROTEIN, "OCS", {"OD1", "OD2", "OD3", "O"}, {"OXT"}),
        (ChainKind.PROTEIN, "FGA", {"OE1", "OE2", "O"}, {"OXT"}),
        (ChainKind.DNA, "8OG", {"OP1", "OP2"}, {"OP3"}),
        (ChainKind.RNA, "5OC", {"OP1", "OP2"}, {"OP3"}),
        (ChainKind.PROTEIN, "SEP", {"O1P", "O2P", "O3P"}, {"OXT"}),
    ],
)
def test_a_link_takes_away_what_is_at_the_link(kind, code, kept, gone):
    """The dictionary also names what leaves for other links, and any oxygen of a phosphate."""
    beside = {ChainKind.PROTEIN: "ALA", ChainKind.DNA: "DA", ChainKind.RNA: "A"}[kind]
    made = build_structure([ChainSequence(name="A", kind=kind, residues=(beside, code, beside))])
    names = set(made.atoms.name[made.residue_atoms(1)].tolist())
    assert kept <= names
    assert not gone & names


def test_a_link_of_a_side_chain_takes_away_what_leaves_there():
    chain = ChainSequence(name="A", kind=ChainKind.PROTEIN, residues=("ALA", "FGA", "ALA", "LYS"))
    made = build_structure([chain], bonds=[(("A", 2, "CD"), ("A", 4, "NZ"))])
    assert "OE2" not in made.atoms.name[made.residue_atoms(1)].tolist()


def test_doubtful_components_are_told():
    late = Modification(position=2, ccd="SEP")
    chain = ChainSpec(ids=("A",), kind="protein", sequence="SMKS", modifications=(late,))
    with pytest.warns(DoubtfulComponentWarning, match="chain A: SEP at position 2 is a modified S, .* M there"):
        build_complex(ComplexSpec(chains=(chain,)))
    with pytest.warns(DoubtfulComponentWarning, match="chain L: the CCD code 0A3 is obsolete: CEF has replaced it"):
        build_complex(ComplexSpec(chains=(ChainSpec(ids=("L",), kind="ligand", ccd=("0A3",)),)))


@pytest.mark.parametrize(
    ("smiles", "atom", "told"),
    [("C=CC(=O)N", "C1", "C1 .* keeps its double bond to C2"), ("CCC(=O)N", "C1", None), ("c1ccccc1", "C1", None)],
)
def test_a_ligand_that_is_given_as_it_is_before_it_is_bound_is_told(smiles, atom, told):
    """An acrylamide became a vinyl sulphide without a word."""
    chains = (
        ChainSpec(ids=("A",), kind="protein", sequence="ACA"), ChainSpec(ids=("L",), kind="ligand", smiles=smiles)
    )  # fmt: skip
    bond = BondSpec(atom1=Site(chain="A", residue=2, atom="SG"), atom2=Site(chain="L", residue=1, atom=atom))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        build_complex(ComplexSpec(chains=chains, bonds=(bond,)))
    words = [str(each.message) for each in said]
    assert len(words) == (told is not None)
    assert told is None or re.search(told, words[0])


def test_components_of_a_ligand_that_no_bond_joins_are_told():
    protein = ChainSpec(ids=("A",), kind="protein", sequence="MKTN")
    glycan = ChainSpec(ids=("G", "H"), kind="ligand", ccd=("NAG", "NAG", "BMA"))
    bonds = [BondSpec(atom1=(name, 1, "O4"), atom2=(name, 2, "C1")) for name in "GH"]
    with pytest.warns(DoubtfulComponentWarning) as told:
        build_complex(ComplexSpec(chains=(protein, glycan), bonds=tuple(bonds)))
    assert [str(each.message).split(";")[0] for each in told] == [
        f"ligand {name}: no bond joins BMA (component 3) to NAG (component 1)" for name in "GH"
    ]
    # Bonds by way of the protein will do.
    bonds += [BondSpec(atom1=("G", 2, "O4"), atom2=("G", 3, "C1"))]
    bonds += [
        BondSpec(atom1=("A", 4, "ND2"), atom2=("H", 1, "C1")),
        BondSpec(atom1=("A", 1, "N"), atom2=("H", 3, "C1")),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        build_complex(ComplexSpec(chains=(protein, glycan), bonds=tuple(bonds)))
