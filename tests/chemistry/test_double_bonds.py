"""Double bonds that are E or Z, of dictionary components and of SMILES."""

import pytest

from structdiff.chemistry.components import component, component_from_smiles
from structdiff.chemistry.double_bonds import component_double_bonds
from structdiff.chemistry.residues import RESIDUE_ATOMS


def bonds_of(whole) -> dict[str, bool]:
    """Each bond by the names of its four atoms, and whether it is cis."""
    found = component_double_bonds(whole)
    return {
        " ".join(whole.atom_names[row].tolist()): cis for row, cis in zip(found.atoms, found.cis.tolist(), strict=True)
    }


@pytest.mark.parametrize(
    ("code", "bonds"),
    [
        ("FUM", {"C C4 C5 C6": False}),
        ("MAE", {"C1 C2 C3 C4": True}),
        ("OLA", {"C8 C9 C10 C11": True}),
        ("DBU", {"N CA CB CG": True}),
    ],
)
def test_forms_are_those_of_the_dictionary(code, bonds):
    assert bonds_of(component(code)) == bonds


@pytest.mark.parametrize("code", [*RESIDUE_ATOMS, "HEM", "ATP", "NAD", "PLM", "BNZ"])
def test_rings_ends_and_equal_substituents_have_one_form(code):
    assert not bonds_of(component(code))


@pytest.mark.filterwarnings("ignore:LIG. this stereochemistry is not held")
@pytest.mark.parametrize(
    ("smiles", "bonds"),
    [
        (r"C/C=C\C", {"C1 C2 C3 C4": True}),
        ("C/C=C/C", {"C1 C2 C3 C4": False}),
        ("CC=C(C)C", {}),
        ("C/C(N)=N/O", {"C1 C2 N2 O1": False}),
        ("O=C1/C=C/CCCCCCCCCO1", {"C1 C2 C3 C4": False}),
        ("C1CCC=CC1", {}),
        ("CC=C=CC", {}),
        ("c1ccccc1/N=N/c1ccccc1", {"C6 N1 N2 C7": False}),
    ],
)
def test_forms_are_those_of_the_string(smiles, bonds):
    assert bonds_of(component_from_smiles(smiles, "LIG")) == bonds
