from pathlib import Path

import numpy as np
import pytest

from structdiff.evaluation.backbone import Backbone
from structdiff.spec.fold import blocks_of
from structdiff.structure.files import read_structure
from structdiff.training.fold_plans import main, plan_of

DATA = Path(__file__).parents[1] / "evaluation" / "data"


@pytest.fixture(scope="module")
def protein_g() -> Backbone:
    return Backbone.from_structure(read_structure(DATA / "2igd.pdb"))


def test_protein_g_has_two_hairpins_whose_first_and_last_strands_run_the_same_way(protein_g):
    plan = plan_of(protein_g, origin="2igd_A")
    assert plan is not None
    assert "".join(block.letter for block in blocks_of(plan.letters)) == "EEHEE"
    assert {(1, 2), (4, 5), (1, 5)} <= set(plan.adjacent)
    assert plan.parallel == ((1, 5),)


def test_a_chain_with_a_gap_or_drawn_out_has_no_plan(protein_g):
    positions = protein_g.positions.copy()
    assert plan_of(Backbone.from_arrays(np.delete(positions, 20, axis=0))) is None
    assert plan_of(Backbone.from_arrays(positions * [1.0, 1.0, 3.0])) is None


def test_a_folder_that_is_no_set_is_one_line(tmp_path, capsys):
    assert main([str(tmp_path / "nothing"), str(tmp_path / "plans.json.gz")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not (tmp_path / "plans.json.gz").exists()
