import numpy as np

from structdiff.chemistry.residues import RESIDUE_ATOMS, RESTYPES
from structdiff.features.tokens import count_tokens, stand_for_residues, tokenise
from tests.features.examples import mixed, placed, protein


def test_a_token_is_a_standard_residue_or_one_atom_of_anything_else():
    structure = mixed()
    tokens = tokenise(structure)
    names = structure.residues.name[tokens.residue]
    # MSE has 8 heavy atoms inside a chain, glycerol 6, zinc 1.
    assert [list(names).count(name) for name in ("GLY", "MSE", "TRP", "DC", "GOL", "ZN")] == [1, 8, 1, 1, 6, 1]
    assert len(tokens) == 4 + 8 + 3 + 6 + 1 == count_tokens(structure)
    assert tokens.standard.sum() == 7


def test_one_token_stands_for_each_residue_of_a_polymer():
    structure = mixed()
    tokens = tokenise(structure)
    chosen = tokens.residue[stand_for_residues(tokens, structure)]
    assert len(set(chosen.tolist())) == len(chosen) == 4 + 1 + 3
    assert not {"GOL", "ZN"} & set(structure.residues.name[chosen].tolist())


def test_every_atom_belongs_to_exactly_one_token():
    structure = mixed()
    rows = tokenise(structure).atoms
    assert sorted(rows[rows >= 0]) == list(range(len(structure.atoms)))


def test_centres_representatives_and_frames_are_the_named_atoms():
    structure = mixed()
    tokens = tokenise(structure)
    row = np.arange(len(tokens))
    centre = structure.atoms.name[tokens.atoms[row, tokens.centre]]
    representative = structure.atoms.name[tokens.atoms[row, tokens.representative]]
    names = structure.residues.name[tokens.residue]
    by_name = {name: (centre[i], representative[i]) for i, name in enumerate(names)}
    assert by_name["GLY"] == ("CA", "CA")
    assert by_name["TRP"] == ("CA", "CB")
    assert by_name["DA"] == ("C1'", "C4")
    assert by_name["DC"] == ("C1'", "C2")
    assert by_name["ZN"] == ("ZN", "ZN")
    trp = int(np.flatnonzero(names == "TRP")[0])
    assert list(structure.atoms.name[tokens.atoms[trp, tokens.frame[trp]]]) == ["N", "CA", "C"]
    assert (tokens.frame[~tokens.standard] == -1).all()


def test_restypes_are_those_of_the_residues():
    tokens = tokenise(placed([protein(*(name for name in RESIDUE_ATOMS if name in RESTYPES[2:22]))]))
    assert [RESTYPES[i] for i in tokens.restype] == [name for name in RESIDUE_ATOMS if name in RESTYPES[2:22]]
