"""Chains that can reach from one part of a motif to the next."""

from pathlib import Path

import numpy as np
import pytest

from structdiff.errors import InputError
from structdiff.features.problem import completed
from structdiff.spec.design import design_from_dict
from structdiff.structure.files import read_structure

ZIPPER = read_structure(Path(__file__).parents[1] / "evaluation/data/2zta.pdb")


def asked(**keys):
    return completed(design_from_dict({"motif": "m.pdb", **keys}), ZIPPER)


@pytest.mark.parametrize(
    "keys",
    [
        {"contigs": "A1-30/1/B1-30"},
        {"contigs": "10/A1-3/A25-30"},
        {"contigs": "A1-30/3", "cyclic": "A"},
        {"inpaint": "A5-25:2"},
    ],
)
def test_a_linker_too_short_to_reach_is_refused(keys):
    with pytest.raises(InputError, match=r"cannot reach from A\d+ to [AB]\d+, \d+ Å away.*at least \d+"):
        asked(**keys)


def test_neighbours_stay_neighbours_and_groups_are_free():
    assert str(asked(contigs="10/A1-10/A11-20/10").contigs) == "10/A1-10/A11-20/10"
    assert len(asked(contigs="A1-30/1/B1-30@2").sample_layout(np.random.default_rng(0))) == 61


def test_a_range_is_drawn_long_enough():
    spec = asked(contigs="A1-30/0-16/B1-30")
    assert str(spec.contigs) == "A1-30/0-16/B1-30"
    lengths = {len(spec.sample_layout(np.random.default_rng(seed))) for seed in range(40)}
    away = np.linalg.norm(alpha("A", 30) - alpha("B", 1))
    assert min(lengths) - 60 == int(np.ceil(away / 3.3)) - 1
    assert max(lengths) == 76


def test_a_length_that_leaves_less_room_is_met_by_a_straighter_chain():
    spec = asked(contigs="A1-30/0-16/B1-30", length="71-71")
    assert len(spec.sample_layout(np.random.default_rng(0))) == 71


def test_unindexed_stretches_reach_to_what_the_contigs_hold():
    for seed in range(30):
        spec = asked(contigs="15/A1-5/15", unindexed="A24-25")
        layout = spec.sample_layout(np.random.default_rng(seed))
        names = [str(residue.origin) for residue in layout.residues]
        first, last = names.index("A24"), names.index("A25")
        between = first - names.index("A5") - 1 if first > names.index("A5") else names.index("A1") - last - 1
        assert between >= 6


def alpha(chain, number):
    rows = (ZIPPER.chains.name[ZIPPER.atom_chain] == chain) & (ZIPPER.atoms.name == "CA")
    rows &= ZIPPER.residues.author_seq_id[ZIPPER.atoms.residue] == number
    return ZIPPER.atoms.positions[rows][0].astype(float)
