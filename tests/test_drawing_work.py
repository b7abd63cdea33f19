"""What moving chains and docking take is part of estimates and of progress."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from structdiff.campaign.estimate import estimate_prediction
from structdiff.cli.progress import Clock
from structdiff.complex_jobs import complex_job
from structdiff.drawing_work import BatchWork, docking_parts_seconds, moving_seconds
from structdiff.options import RunOptions, sampling_of
from structdiff.pipeline import load_engine, predict
from structdiff.spec.chain import ChainSpec
from structdiff.spec.complex import ComplexSpec, ContactSpec, PocketSpec, Site

LETTERS = "MKTAYIAKQRQISFVKSHFSRQ"
LIGAND = ChainSpec(ids=("L",), kind="ligand", smiles="c1ccccc1O")
OPTIONS = RunOptions(sampling={"steps": 8}, pose_scoring="vinardo")


def protein(*names: str) -> ChainSpec:
    return ChainSpec(ids=names, kind="protein", sequence=LETTERS)


def contact(first: int, second: int) -> ContactSpec:
    return ContactSpec(token1=Site(chain="A", residue=first), token2=Site(chain="B", residue=second))


@pytest.fixture(scope="module")
def engine():
    return load_engine(OPTIONS)


def test_what_is_asked_of_pieces_takes_time_and_more_pieces_and_atoms_take_more(engine) -> None:
    sampling = sampling_of(OPTIONS, engine.weights)

    def seconds(*chains: ChainSpec, asked=()) -> np.ndarray:
        return moving_seconds(complex_job(ComplexSpec(chains=chains, constraints=asked)), sampling)

    assert not seconds(protein("A")).any()
    unasked, asked = seconds(protein("A", "B")), seconds(protein("A", "B"), asked=(contact(2, 3),))
    more = seconds(protein("A", "B", "C"), asked=(contact(2, 3), contact(9, 9)))
    assert 0 < unasked.sum() < asked.sum() < more.sum()
    assert asked[0] == 0  # nothing has a place while noise is large
    assert asked[1:].max() > asked[-1] > 0  # chains turn right round at first only


def test_ligands_are_docked_at_fewer_sites_where_they_are_asked_to_lie(engine) -> None:
    free = complex_job(ComplexSpec(chains=(protein("A"), LIGAND)))
    pocket = PocketSpec(binder="L", contacts=(Site(chain="A", residue=5),))
    told = complex_job(ComplexSpec(chains=(protein("A"), LIGAND), constraints=(pocket,)))
    assert (len(docking_parts_seconds(free, OPTIONS)), len(docking_parts_seconds(told, OPTIONS))) == (12, 8)
    assert docking_parts_seconds(free, replace(OPTIONS, dock=False)) == []
    both = (OPTIONS, replace(OPTIONS, dock=False))
    docked, undocked = (estimate_prediction(free, engine, options, 3) for options in both)
    assert docked.each_seconds - undocked.each_seconds == pytest.approx(sum(docking_parts_seconds(free, OPTIONS)))
    assert docked.seconds == pytest.approx(3 * docked.each_seconds)


def test_networks_that_choose_among_poses_take_time(monkeypatch) -> None:
    free = complex_job(ComplexSpec(chains=(protein("A"), LIGAND, replace(LIGAND, ids=("M",)))))
    plain = docking_parts_seconds(free, OPTIONS)
    for here in (False, True):
        monkeypatch.setattr("structdiff.options.gnina_is_here", lambda here=here: here)
        judged = docking_parts_seconds(free, replace(OPTIONS, pose_scoring="auto"))
        assert judged[: len(plain)] == plain
        assert len(judged) == len(plain) + 2 * here
        assert all(seconds > 0.5 for seconds in judged[len(plain) :])


def test_a_batch_of_one_chain_each_is_counted_by_its_steps(engine) -> None:
    sampling = sampling_of(OPTIONS, engine.weights)
    assert BatchWork.of([complex_job(ComplexSpec(chains=(protein("A"),)))], engine, sampling, OPTIONS) is None


def test_progress_goes_on_while_ligands_are_docked(engine) -> None:
    clock, shares = Clock(), []

    def report(progress) -> None:
        clock.update(progress)
        shares.append((progress.step, clock.share))

    spec = ComplexSpec(chains=(protein("A"), LIGAND))
    list(predict(spec, samples=2, options=OPTIONS, engine=engine, on_progress=report))
    drawn = [share for step, share in shares if step < 8]
    after = [share for step, share in shares if step == 8]
    assert len(drawn) == 7
    assert 1 < len(after) <= 1 + 2 * 12
    assert all(a < b for a, b in zip([*drawn, *after], [*drawn, *after][1:], strict=False))
    assert after[0] < 0.8 < after[-1] < 1
