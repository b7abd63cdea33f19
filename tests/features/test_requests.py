"""What becomes of a request: what the network is told, and what is checked."""

from pathlib import Path

import numpy as np
import pytest

from structdiff.errors import InputError
from structdiff.features.problem import completed
from structdiff.features.requests import Proximity, design_condition, design_proximities
from structdiff.features.tokens import tokenise
from structdiff.geometry.point_groups import point_group
from structdiff.spec.design import design_from_dict
from structdiff.structure.files import read_structure
from structdiff.structure.scaffold import build_scaffold
from structdiff.verdicts import proximity_verdict

ZIPPER = read_structure(Path(__file__).parents[1] / "evaluation/data/2zta.pdb")
DNA = read_structure(Path(__file__).parents[1] / "data/1bna.pdb.gz")


def made(structure=ZIPPER, /, **keys):
    spec = completed(design_from_dict({"motif": "m.pdb", **keys}), structure)
    layout = spec.sample_layout(np.random.default_rng(0))
    scaffold = build_scaffold(layout, structure)
    return spec, layout, scaffold, tokenise(scaffold.structure)


def open_residues(structure=ZIPPER, **keys):
    spec, layout, scaffold, tokens = made(structure, **keys)
    known = design_condition(spec, layout, scaffold, tokens).sequence_known
    return [str(layout.residues[place].origin) for place in np.unique(tokens.residue[~known]).tolist()]


def test_residues_of_chains_that_are_kept_whole_are_redesigned_by_name():
    assert open_residues(contigs="A1-30 B1-30", redesign="A5,B7") == ["A5", "B7"]
    assert open_residues(contigs="2 A1-30", redesign="A5") == ["None", "None", "A5"]


def test_a_target_keeps_its_types_and_alone_it_is_what_is_designed():
    assert open_residues(contigs="2/A1-3 B1-30", fixed_sequence=False) == ["None", "None", "A1", "A2", "A3"]
    assert len(open_residues(contigs="A1-30 B1-30", fixed_sequence=False)) == 60
    assert open_residues(DNA, contigs="2 A B", fixed_sequence=False) == ["None", "None"]


def test_only_proteins_get_new_types():
    with pytest.raises(InputError, match=r"redesign: only proteins are designed.*'A3'"):
        open_residues(DNA, contigs="2 A B", redesign="A3")


@pytest.mark.parametrize("key", ["hotspots", "keep_away"])
def test_a_residue_of_a_designed_chain_is_judged_by_other_chains(key):
    spec, layout, scaffold, tokens = made(contigs="20/A5-12/10 30", **{key: "A7"})
    (asked,) = (each for each in design_proximities(spec, layout, scaffold.structure, tokens) if "A7" in each.name)
    assert {layout.residues[place].chain for place in scaffold.structure.atoms.residue[asked.second]} == {"B"}
    spec, layout, scaffold, tokens = made(contigs="20/A5-12/10 B1-30", **{key: "A7"})
    with pytest.raises(InputError, match=rf"{key}: .*designed chain itself.*'A7'"):
        design_proximities(spec, layout, scaffold.structure, tokens)


def test_new_residues_of_any_copy_may_touch_a_target():
    structure = ZIPPER.select(np.arange(len(ZIPPER.atoms)) < 20)
    positions = structure.atoms.positions * 0 + np.array([20.0, 0, 0], np.float32)
    positions[0] = [-15, 0, 0]
    structure = structure.with_positions(positions)
    asked = Proximity(name="keep away A1", first=np.array([0]), second=np.arange(1, 20), bound=8.0, avoid=True)
    assert proximity_verdict(asked, structure).met
    found = proximity_verdict(asked, structure, point_group("C2"))
    assert not found.met
    assert found.reached == "5.0 Å"
