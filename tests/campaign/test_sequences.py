"""Which residue a token of a backbone's files is."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np

from structdiff.campaign.sequences import _residue_of_token
from structdiff.features.tokens import tokenise
from structdiff.output.files import _token_columns
from structdiff.structure.files import read_structure

DATA = Path(__file__).parents[1] / "data"


def test_residues_with_insertion_codes_are_told_apart():
    structure = read_structure(DATA / "1orc.pdb.gz")  # 56, 56A to 56E
    assert len(set(structure.residues.insertion_code.tolist())) == 6
    backbone = SimpleNamespace(structure=structure, confidence=_token_columns(structure))
    assert np.array_equal(_residue_of_token(backbone), tokenise(structure).residue)
    # Files of before say nothing of codes.
    plain = read_structure(DATA / "1o1z.cif.gz")
    columns = _token_columns(plain)
    del columns["token_insertion_code"]
    assert np.array_equal(
        _residue_of_token(SimpleNamespace(structure=plain, confidence=columns)), tokenise(plain).residue
    )
