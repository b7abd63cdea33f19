"""What is done to predictions before they are judged, so that what is written is what was judged."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

import structdiff
from structdiff.complex_jobs import complex_job
from structdiff.finishing import finish_of
from structdiff.model.abilities import Abilities
from structdiff.options import RunOptions
from structdiff.pipeline import load_engine, predict, score
from structdiff.spec.chain import ChainSpec
from structdiff.spec.complex import BondSpec, ComplexSpec

OPTIONS = RunOptions(sampling={"steps": 4})


def protein(name, sequence):
    return ChainSpec(ids=(name,), kind="protein", sequence=sequence)


def glycan():
    return ComplexSpec(
        chains=(protein("A", "MKTANISKQR"), ChainSpec(ids=("G",), kind="ligand", ccd=("NAG", "NAG"))),
        bonds=(
            BondSpec(atom1=("A", 5, "ND2"), atom2=("G", 1, "C1")),  # type: ignore[arg-type]
            BondSpec(atom1=("G", 1, "O4"), atom2=("G", 2, "C1")),  # type: ignore[arg-type]
        ),
    )


@pytest.mark.parametrize(
    "spec",
    [
        ComplexSpec(chains=(protein("A", "MKTAYIAKQRQISFVKSH"),)),
        ComplexSpec(chains=(protein("A", "MKTAYIAKQRQI"), protein("B", "GSHMRYEILKAG"))),
        glycan(),
    ],
    ids=["chain", "chains", "glycan"],
)
def test_the_written_confidence_is_that_of_the_written_structure(spec, tmp_path):
    (prediction,) = predict(spec, seed=1, options=OPTIONS)
    structdiff.write_prediction(prediction, tmp_path, "written")
    found, written = score(tmp_path / "written.cif"), prediction.confidence
    np.testing.assert_allclose(written.plddt, found.plddt, atol=0.5)
    np.testing.assert_allclose(written.pae, found.pae, atol=0.5)
    assert written.ranking_score == pytest.approx(found.ranking_score, abs=0.01)


def test_unrelaxed_structures_are_judged_as_they_were_drawn():
    engine, options = load_engine(OPTIONS), RunOptions(sampling={"steps": 4}, relax=False)
    (prediction,) = predict(glycan(), seed=1, options=options, engine=engine)
    np.testing.assert_allclose(prediction.confidence.plddt, score(prediction.structure).plddt, atol=0.5)


def finished(job, options, positions):
    finish = finish_of(job, options, 0, torch.Generator(), [], print)
    return None if finish is None else finish[0](positions)


def test_nothing_is_done_where_nothing_is_wanted():
    job = complex_job(
        ComplexSpec(chains=(protein("A", "MKTAYIAKQR"), ChainSpec(ids=("L",), kind="ligand", ccd=("ATP",))))
    )
    positions = torch.zeros(len(job.structure.atoms), 3)
    assert job.docking is not None
    assert finished(job, RunOptions(relax=False, dock=False), positions) is None


def test_what_a_network_knows_the_place_of_is_docked_only_where_that_is_asked():
    chains = (protein("A", "MKTAYIAKQR"), ChainSpec(ids=("L",), kind="ligand", ccd=("ATP",)))
    known = complex_job(ComplexSpec(chains=chains), abilities=Abilities(poses=True))
    positions = torch.zeros(len(known.structure.atoms), 3)
    assert finished(known, RunOptions(relax=False), positions) is None
    assert finish_of(known, RunOptions(relax=False, dock=True), 0, torch.Generator(), [], print) is not None
    assert finish_of(complex_job(ComplexSpec(chains=chains)), RunOptions(relax=False), 0, torch.Generator(), [], print)


def test_ligands_are_docked_before_all_is_relaxed(monkeypatch):
    job, order = complex_job(ComplexSpec(chains=(protein("A", "MKTAY"),))), []
    docking = SimpleNamespace(placed=lambda positions, *_, **__: (order.append("docked") or positions + 1, ()))
    monkeypatch.setattr("structdiff.finishing._relaxed", lambda _, positions: order.append("relaxed") or positions * 2)
    object.__setattr__(job, "docking", docking)
    found = finished(job, RunOptions(), torch.zeros(len(job.structure.atoms), 3))
    assert order == ["docked", "relaxed"]
    assert (found == 2).all()


def test_designs_are_not_finished_before_they_are_judged():
    job = SimpleNamespace(layout=object(), docking=None)
    assert finish_of(job, RunOptions(), 0, torch.Generator(), [], print) is None  # type: ignore[arg-type]
