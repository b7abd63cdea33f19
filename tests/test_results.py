"""What a notebook does with a run and its results: stop and go on, show, compare, pickle, change."""

import copy
import pickle

import numpy as np
import pytest
import torch

import structdiff
from structdiff.drawing import Results
from structdiff.errors import InputError
from structdiff.evaluation import compare, lddt, tm_score, validity
from structdiff.inverse_folding.columns import flags
from structdiff.pipeline import load_engine

FEW = {"sampling": {"steps": 4}, "relax": False}
ZIPPER = "examples/problems/zipper.pdb"


class Stops:
    """Is told of progress, and stops the run at these calls, as Ctrl-C does."""

    def __init__(self, *calls: int) -> None:
        self.calls, self.count, self.finished = calls, 0, []

    def __call__(self, progress: structdiff.Progress) -> None:
        self.count += 1
        self.finished.append(progress.finished)
        if self.count in self.calls:
            raise KeyboardInterrupt


def drawn_with_stops(results: Results) -> tuple[list, list[int]]:
    """All results, and how many there were at each stop."""
    found, stops = [], []
    while len(results):
        try:
            found.extend(results)
        except KeyboardInterrupt:
            stops.append(len(found))
    return found, stops


@pytest.mark.parametrize("more", [{}, {"draws": 2}], ids=["one draw", "two draws"])
def test_a_run_goes_on_after_an_interrupt(more):
    asked = {"length": "20-22", "num_designs": 3, "seed": 1, **more}
    options = structdiff.RunOptions(batch_size=1, **FEW)
    whole = [each.structure for each in structdiff.design(options=options, **asked)]
    stops = Stops(2, 9)
    results = structdiff.design(options=options, on_progress=stops, **asked)
    assert len(results) == 3
    found, stopped = drawn_with_stops(results)
    assert stopped[0] == 0
    assert len(stopped) == 2
    assert [each.structure.name for each in found] == [each.name for each in whole]
    assert all(
        np.array_equal(a.structure.atoms.positions, b.atoms.positions) for a, b in zip(found, whole, strict=True)
    )
    assert stops.finished[0] == 0
    assert stops.finished[-1] == 3 * asked.get("draws", 1) - 1
    assert next(results, None) is None


def test_a_prediction_goes_on_after_an_interrupt():
    spec = structdiff.ComplexSpec(chains=structdiff.spec.ChainSpec(ids="A", kind="protein", sequence="MKTAYIAKQR"))
    options = structdiff.RunOptions(batch_size=1, **FEW)
    whole = [each.structure.atoms.positions for each in structdiff.predict(spec, samples=3, options=options)]
    found, stopped = drawn_with_stops(structdiff.predict(spec, samples=3, options=options, on_progress=Stops(6)))
    assert stopped == [1]
    assert np.array_equal([each.structure.atoms.positions for each in found], whole)


def test_an_error_is_told_again_and_not_taken_for_the_end():
    def run(done):
        yield done
        raise InputError("no more")

    results = Results(2, run)
    assert next(results) == 0
    with pytest.raises(InputError):
        next(results)
    assert next(results) == 1  # drawn from the second on
    assert list(results) == []


@pytest.fixture(scope="module")
def design():
    return next(structdiff.design(length=20, seed=1, options=structdiff.RunOptions(**FEW)))


def test_what_a_notebook_shows_is_one_line(design):
    parts = (design, design.structure, design.structure.atoms, design.confidence, structdiff.DesignSpec(contigs="20"))
    for part in (*parts, structdiff.layouts(structdiff.Motif(ZIPPER, "40 A1-30"))[0]):
        assert 10 < len(repr(part)) < 300
        assert "\n" not in repr(part)
    assert repr(design).startswith("<Design design_0000: A protein 20; ")
    assert repr(structdiff.layouts(structdiff.Motif(ZIPPER, "40 A1-30"))) == "[<Layout: B 1-40 new, A 1-30 = A1-30>]"
    many = structdiff.layouts(length=10, symmetry="C3")
    assert len(repr(many)) < 100
    assert repr(structdiff.DesignSpec(contigs="5/A1-9", motif="x.pdb", hotspots="A7")) == (
        "DesignSpec(name='design', motif='x.pdb', contigs='5/A1-9', fixed_sequence=True, hotspots=['A7'], "
        "num_designs=1, seed=0)"
    )


def test_results_can_be_compared_kept_and_copied(design):
    assert design == design
    assert design in [design]
    assert {design.structure: 1}[design.structure] == 1
    for again in (pickle.loads(pickle.dumps(design)), copy.deepcopy(design)):
        assert again != design
        assert np.array_equal(again.structure.atoms.positions, design.structure.atoms.positions)
        assert again.sequences == design.sequences


def test_what_is_done_to_a_result_does_not_touch_the_next():
    options = structdiff.RunOptions(**FEW)
    engine = load_engine(options)
    spec = structdiff.DesignSpec(motif=ZIPPER, contigs="6/A5-9/6", seed=2)
    first = next(structdiff.design(spec, engine=engine, options=options))
    positions = first.structure.atoms.positions.copy()
    first.structure.atoms.positions[:] = 0
    first.structure.residues.name[:] = "GLY"
    second = next(structdiff.design(spec, engine=engine, options=options))
    assert np.array_equal(second.structure.atoms.positions, positions)


def test_the_callers_random_numbers_are_left_alone():
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    next(structdiff.design(length=12, options=structdiff.RunOptions(**FEW)))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_design_may_be_named_by_its_file():
    assert structdiff.layouts("examples/problems/binder.yaml") == structdiff.layouts(
        structdiff.read_design("examples/problems/binder.yaml")
    )


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"relax": False}, r"^relax: is an option of the run .allowed: options=RunOptions\(relax=...\)"),
        ({"steps": 5}, r"^steps: is a setting of the sampling .*sampling=\{\"steps\": ...\}"),
        ({"partial": ZIPPER}, r"^partial: unknown key .*motif with noise"),
    ],
)
def test_what_is_asked_in_the_wrong_place(asked, message):
    with pytest.raises(InputError, match=message):
        structdiff.design(length=20, **asked)


def test_settings_of_the_sampling_alone():
    with pytest.raises(InputError, match=r"found 'step'.*did you mean 'steps'"):
        structdiff.RunOptions(sampling={"step": 5})
    options = structdiff.RunOptions(sampling={"steps": 3}, relax=False)
    made = next(structdiff.design(length=12, options=options)).provenance.sampling
    usual = next(structdiff.design(length=12, options=structdiff.RunOptions(relax=False))).provenance.sampling
    assert made == {**usual, "steps": 3}


def test_tab_completion_offers_what_is_public():
    assert [name for name in dir(structdiff) if not name.startswith("__")] == sorted(
        name for name in structdiff.__all__ if not name.startswith("__")
    )
    for name in structdiff.__all__:
        assert getattr(structdiff, name) is not None


def test_a_table_of_structures(tmp_path):
    path = structdiff.write_structure(structdiff.read_structure(ZIPPER), tmp_path / "a.cif")
    found = structdiff.evaluate(str(tmp_path))
    assert [row["name"] for row in found.table()] == ["a"]
    assert found.table()[0]["file"] == str(path)
    assert list(found.table()[0])[2:] == found.metrics
    assert found.table() == structdiff.evaluate([str(path)]).table()
    assert repr(found).startswith("<Evaluation of 1 structures, 0 failures")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda one: structdiff.evaluate([one]),
            r"^files: .*found 'Structure'.*paths of files or folders .write_design",
        ),
        (lambda one: structdiff.write_design(one, ".", "x"), "^design: .*found 'Structure'; allowed: a Design"),
        (lambda one: structdiff.write_prediction(one, ".", "x"), "^prediction: .*found 'Structure'; allowed: a Pred"),
        (lambda one: structdiff.accuracy(ZIPPER, one), rf"^model: .*found '{ZIPPER}'; allowed: a Structure"),
        (lambda one: compare(one, 3), "^reference: .*found 3"),
        (lambda one: tm_score(one, one), r"^mobile: positions \(atom, 3\) are needed .found 'Structure'"),
        (lambda one: lddt(one, one), "^positions: positions .*found 'Structure'"),
        (lambda one: validity(ZIPPER), "^structure: .*a Structure"),
        (lambda one: flags("A10-20", 3, "fixed"), r"^fixed: .*rows_in\(structure, 'A10-20'\)"),
        (lambda one: structdiff.layouts({"length": 4}), "^problem: this is no design problem .found 'dict'"),
    ],
)
def test_measures_of_what_they_cannot_measure(call, message):
    with pytest.raises(InputError, match=message):
        call(structdiff.read_structure(ZIPPER))
