"""Names of atoms of SMILES strings that Boltz gives to other atoms."""

import warnings

import pytest

from structdiff.chemistry.components import component_from_smiles, ranked_smiles_atoms
from structdiff.errors import InputError
from structdiff.spec.boltz_atoms import AtomNameWarning
from structdiff.spec.yaml import read_yaml

SMILES = "OC(=O)c1c(F)c(F)c(F)c(F)c1F"


def read(folder, atom, top="version: 1"):
    path = folder / "x.yaml"
    path.write_text(
        f"{top}\nsequences:\n- protein: {{id: A, sequence: MKTNYS}}\n- ligand: {{id: L, smiles: '{SMILES}'}}\n"
        f"constraints:\n- contact: {{token1: [A, 3], token2: [L, {atom}]}}\n"
    )
    return read_yaml(path)


def clash():
    """A name that both programs give, to different atoms, and the atom's here that Boltz means."""
    here = ranked_smiles_atoms(SMILES, "L")
    return next((name, own) for name, own in here.items() if name != own and name in here.values())


def test_boltz_numbers_elements_and_ranks_of_all_atoms():
    here = ranked_smiles_atoms("CC(=O)Oc1ccccc1C(=O)O", "L")
    assert list(here.values()) == component_from_smiles("CC(=O)Oc1ccccc1C(=O)O", "L").atom_names.tolist()
    assert sorted(int(name[1:]) for name in here) == list(range(9, 22))  # eight hydrogens come first


def test_a_name_that_only_boltz_has_is_refused(tmp_path):
    here = ranked_smiles_atoms(SMILES, "L")
    theirs = next(name for name in here if name not in here.values())
    with pytest.raises(InputError, match=rf"x\.yaml:6: .* calls {here[theirs]} so .*'{theirs}'; allowed: O1, C1"):
        read(tmp_path, theirs)


def test_a_name_of_two_atoms_is_warned_of_in_files_that_may_be_boltz(tmp_path):
    name, own = clash()
    with pytest.warns(AtomNameWarning, match=f"what Boltz calls {name} is {own} here"):
        read(tmp_path, name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read(tmp_path, name, top="version: 1\nname: mine")
        read(tmp_path, name, top="")
