import pytest

from structdiff.chemistry.residues import RESIDUE_ATOMS
from structdiff.errors import InputError
from structdiff.spec.chain import LETTERS, ChainSpec, Modification, chain_letters
from structdiff.spec.complex import BondSpec, ComplexSpec, ContactSpec, PocketSpec, Site
from structdiff.spec.template import TemplateSpec

PROTEIN = ChainSpec(ids=("A", "B"), kind="protein", sequence="MKVC")
LIGAND = ChainSpec(ids=("L",), kind="ligand", ccd=("NAG", "FUC"))


def test_component_names():
    spec = ComplexSpec(
        chains=(
            ChainSpec(
                ids=("A",), kind="protein", sequence="GXUOM", modifications=(Modification(position=5, ccd="mse"),)
            ),
            ChainSpec(ids=("D",), kind="dna", sequence="ACGTN"),
            ChainSpec(ids=("R",), kind="rna", sequence="ACGUN"),
            LIGAND,
        )
    )
    assert spec.component_names("A") == ("GLY", "UNK", "SEC", "PYL", "MSE")
    assert spec.component_names("D") == ("DA", "DC", "DG", "DT", "DN")
    assert spec.component_names("R") == ("A", "C", "G", "U", "N")
    assert spec.component_names("L") == ("NAG", "FUC")


def test_every_letter_is_a_residue_the_chemistry_knows():
    names = {name for letters in LETTERS.values() for name in letters.values()}
    assert names - set(RESIDUE_ATOMS) == {"SEC", "PYL"}


def test_own_ligands_get_reserved_codes_and_equal_ones_share_them():
    spec = ComplexSpec(
        chains=(
            ChainSpec(ids=("L", "M"), kind="ligand", smiles="CCO"),
            ChainSpec(ids=("N",), kind="ligand", smiles="CCN"),
            ChainSpec(ids=("O",), kind="ligand", smiles="CCO"),
            ChainSpec(ids=("P",), kind="ligand", ccd=("DRG",)),
        )
    )
    assert [spec.component_names(name) for name in "LMNOP"] == [("LIG",), ("LIG",), ("INH",), ("LIG",), ("DRG",)]


def test_equal_sequences_with_different_modifications_differ():
    modified = ChainSpec(
        ids=("A", "B"), kind="protein", sequence="MKVC", modifications=(Modification(position=1, ccd="MSE"),)
    )
    assert modified != PROTEIN


def test_order_of_modifications_does_not_matter():
    first, second = Modification(position=1, ccd="MSE"), Modification(position=4, ccd="CSO")
    one = ChainSpec(ids=("A",), kind="protein", sequence="MKVC", modifications=(first, second))
    assert one == ChainSpec(ids=("A",), kind="protein", sequence="MKVC", modifications=(second, first))


def test_chain_letters_go_on_after_z():
    letters = chain_letters()
    names = [next(letters) for _ in range(703)]
    assert (names[0], names[25], names[26], names[701], names[702]) == ("A", "Z", "AA", "ZZ", "AAA")
    assert len(set(names)) == 703


def site(chain, residue, atom=None):
    return Site(chain=chain, residue=residue, atom=atom)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: ChainSpec(ids=("A",), kind="protien", sequence="M"), ["'protien'", "did you mean 'protein'"]),
        (lambda: ChainSpec(ids=(), kind="protein", sequence="M"), ["needs a name"]),
        (lambda: ChainSpec(ids=("A B",), kind="protein", sequence="M"), ["'A B'", "letters and digits"]),
        (lambda: ChainSpec(ids=("A", "A"), kind="protein", sequence="M"), ["same name", "'A'"]),
        (lambda: ChainSpec(ids=("A",), kind="protein"), ["empty sequence"]),
        (lambda: ChainSpec(ids=("A",), kind="protein", sequence="M", smiles="C"), ["smiles", "for ligands"]),
        (lambda: ChainSpec(ids=("A",), kind="dna", sequence="A", msa="x.a3m"), ["msa", "DNA"]),
        (lambda: ChainSpec(ids=("L",), kind="ligand"), ["exactly one way", "none", "ccd, smiles or sdf"]),
        (lambda: ChainSpec(ids=("L",), kind="ligand", smiles="C", ccd=("ATP",)), ["ccd and smiles"]),
        (lambda: ChainSpec(ids=("L",), kind="ligand", smiles="C", sequence="M"), ["'sequence'"]),
        (lambda: ChainSpec(ids=("L",), kind="ligand", smiles="C", cyclic=True), ["'cyclic'"]),
        (lambda: ChainSpec(ids=("L",), kind="ligand", ccd=("AT-P",)), ["'AT-P'", "such as ATP"]),
        (lambda: Modification(position=0, ccd="MSE"), ["counted from 1", "found 0"]),
        (
            lambda: ChainSpec(
                ids=("A",), kind="protein", sequence="MK", modifications=(Modification(position=3, ccd="MSE"),)
            ),
            ["modifications", "found 3", "1 to 2"],
        ),
        (
            lambda: ChainSpec(
                ids=("A",),
                kind="protein",
                sequence="MK",
                modifications=(Modification(position=1, ccd="MSE"), Modification(position=1, ccd="SEP")),
            ),
            ["two modifications", "found 1"],
        ),
        (lambda: ComplexSpec(chains=()), ["no chains"]),
        (lambda: ComplexSpec(name="a/b", chains=(PROTEIN,)), ["name", "'a/b'"]),
        (lambda: ComplexSpec(name="n" * 300, chains=(PROTEIN,)), ["name", "too long", "300 bytes", "at most 200"]),
        (lambda: ComplexSpec(chains=(PROTEIN, PROTEIN)), ["same name", "'A'"]),
        (lambda: ComplexSpec(chains=(PROTEIN,), seeds=(-1,)), ["seeds", "found -1"]),
        (lambda: ComplexSpec(chains=(PROTEIN,), seeds=(1, 2, 1)), ["seeds", "more than once", "found 1"]),
        (lambda: BondSpec(atom1=site("A", 1), atom2=site("L", 1, "C1")), ["name both", "A/1"]),
        (lambda: BondSpec(atom1=site("A", 1, "SG"), atom2=site("A", 1, "SG")), ["itself", "A/1/SG"]),
        (lambda: ContactSpec(token1=site("A", 1), token2=site("A", 1)), ["two different", "A/1"]),
        (lambda: ContactSpec(token1=site("A", 1), token2=site("A", 2), max_distance=0), ["max_distance", "above 0"]),
        (lambda: ContactSpec(token1=site("A", 1), token2=site("A", 2), max_distance=float("nan")), ["above 0"]),
        (lambda: ContactSpec(token1=site("A", 1), token2=site("A", 2), max_distance=900), ["found 900", "1 to 30 Å"]),
        (
            lambda: ComplexSpec(
                chains=(PROTEIN,), constraints=(PocketSpec(binder="B", contacts=(site("A", 1), site("A", 1))),)
            ),
            ["constraints[1]", "twice", "pocket B - A/1"],
        ),
        (
            lambda: ComplexSpec(
                chains=(PROTEIN,),
                constraints=(
                    ContactSpec(token1=site("A", 1), token2=site("B", 2)),
                    ContactSpec(token1=site("B", 2), token2=site("A", 1), max_distance=9),
                ),
            ),
            ["constraints[2]", "twice", "contact - A/1 - B/2"],
        ),
        (lambda: PocketSpec(binder="L", contacts=()), ["at least one"]),
        (lambda: PocketSpec(binder="L", contacts=(site("L", 1),)), ["own pocket", "L/1"]),
        (lambda: TemplateSpec(path="x.cif", force=True), ["force", "threshold"]),
        (lambda: TemplateSpec(path="x.cif", threshold=-1.0), ["threshold", "above 0"]),
        (lambda: TemplateSpec(path="x.cif", chains=("A",), template_chains=("A", "B")), ["equally many", "1 and 2"]),
        (
            lambda: ComplexSpec(chains=(PROTEIN,), templates=(TemplateSpec(path="x.cif", chains=("C",)),)),
            ["templates[1]", "'C'", "allowed: A, B"],
        ),
        (
            lambda: ComplexSpec(
                chains=(PROTEIN,), constraints=(ContactSpec(token1=site("A", 1), token2=site("B", 5)),)
            ),
            ["constraints[1]", "found 5", "1 to 4"],
        ),
        (
            lambda: ComplexSpec(chains=(PROTEIN,), constraints=(PocketSpec(binder="Z", contacts=(site("A", 1),)),)),
            ["constraints[1]", "'Z'", "allowed: A, B"],
        ),
        (
            lambda: ComplexSpec(
                chains=(PROTEIN, LIGAND), bonds=(BondSpec(atom1=site("A", 4, "SX"), atom2=site("L", 1, "C1")),)
            ),
            ["bonds[1]", "CYS", "'SX'", "allowed: N, CA, C, O, CB, SG, OXT"],
        ),
        (lambda: ComplexSpec(chains=(PROTEIN,)).chain("C"), ["'C'", "allowed: A, B"]),
    ],
)
def test_what_cannot_be_is_refused(make, says):
    with pytest.raises(InputError) as caught:
        make()
    for part in says:
        assert part in str(caught.value)


def test_terminal_atoms_and_atoms_of_modified_residues_may_be_bound():
    spec = ComplexSpec(
        chains=(PROTEIN, LIGAND),
        bonds=(
            BondSpec(atom1=site("A", 4, "OXT"), atom2=site("L", 1, "C1")),
            BondSpec(atom1=site("L", 1, "O4"), atom2=site("L", 2, "C1")),
        ),
    )
    assert len(spec.bonds) == 2


def test_rings_of_two_residues_and_atoms_without_element_are_refused():
    with pytest.raises(InputError, match=r"cyclic: protein A has too few residues .*found 2; allowed: at least 3"):
        ChainSpec(ids=("A",), kind="protein", sequence="GG", cyclic=True)
    with pytest.raises(InputError, match=r"ccd: this component has atoms of no known element \(found 'UNX'\)"):
        ChainSpec(ids=("L",), kind="ligand", ccd=("UNX",))


def test_a_contact_leaves_its_residue_but_may_stay_in_a_ligand():
    with pytest.raises(InputError, match="two different places"):
        ContactSpec(token1=Site(chain="A", residue=1), token2=Site(chain="A", residue=1, atom="CA"))
    ContactSpec(token1=Site(chain="L", residue=1, atom="C1"), token2=Site(chain="L", residue=1, atom="C5"))


def test_places_may_be_written_as_in_a_file():
    site, atom = Site(chain="A", residue=3), Site(chain="B", residue=1, atom="C1")
    assert ContactSpec(token1=("A", 3), token2=["B", 1, "C1"]) == ContactSpec(token1=site, token2=atom)
    assert BondSpec(atom1=("A", 3, "SG"), atom2=atom).atom1 == Site(chain="A", residue=3, atom="SG")
    for contacts in (("A", 3), [("A", 3)], site, [site]):
        assert PocketSpec(binder="B", contacts=contacts).contacts == (site,)
    assert PocketSpec(binder="B", contacts=[("A", 3), ("A", 4)]).contacts[1] == Site(chain="A", residue=4)
    for wrong, says in (
        (("A",), "token1: a place is"), (("A", "3"), "token1.residue: this cannot"), ("A3", "token1: this cannot"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=says):
            ContactSpec(token1=wrong, token2=atom)
