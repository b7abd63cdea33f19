"""Where partial diffusion begins."""

from __future__ import annotations

import numpy as np
import pytest

from structdiff.errors import InputError
from structdiff.features.start import start_positions
from structdiff.features.tokens import tokenise
from structdiff.spec.design import design_from_dict
from structdiff.structure.motif_residues import motif_residues
from structdiff.structure.scaffold import build_scaffold
from tests.features.examples import placed, protein


def begun(**asked):
    source = placed([protein("GLY", "ALA", "SER", "TRP", "VAL", "LEU")], seed=3)
    spec = design_from_dict({"motif": "x.pdb", "noise": "5", **asked}).resolve(motif_residues(source))
    layout = spec.sample_layout(np.random.default_rng(0))
    structure = build_scaffold(layout, source).structure
    tokens = tokenise(structure)
    return source, structure, tokens, start_positions(layout, structure, tokens, source).numpy()


def test_each_atom_begins_where_the_source_has_it():
    source, structure, tokens, start = begun(keep_sequence="A2-4")
    assert structure.residues.name.tolist() == ["UNK", "ALA", "SER", "TRP", "UNK", "UNK"]
    for row in range(len(tokens)):
        names = structure.atoms.name[structure.residue_atoms(row)].tolist()
        given = dict(zip(source.atoms.name[source.residue_atoms(row)].tolist(),
                         source.atoms.positions[source.residue_atoms(row)], strict=True))  # fmt: skip
        for slot, name in enumerate(names):
            assert np.array_equal(start[row, slot], given.get(name, given["CA"]))
    assert not start[tokens.atoms < 0].any()


def test_residues_that_the_source_lacks_begin_between_their_neighbours():
    source, _, _, start = begun(contigs="A1-3/2/A4-6")
    alpha = source.atoms.positions[source.atoms.name == "CA"]
    assert np.allclose(start[3, 1], alpha[2] + (alpha[3] - alpha[2]) / 3, atol=1e-4)
    assert np.allclose(start[4, 1], alpha[2] + (alpha[3] - alpha[2]) * 2 / 3, atol=1e-4)


def test_a_chain_of_nothing_known_has_nowhere_to_begin():
    with pytest.raises(InputError, match="chain B"):
        begun(contigs="A1-6 5")
