"""Each name of ``--guidance`` changes what is drawn, and the weight 1 of a condition is no guidance."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from structdiff.diffusion.sampler import SamplingConfig
from structdiff.errors import InputError
from structdiff.features.guidance import CONDITIONS
from structdiff.options import RunOptions
from structdiff.pipeline import design, load_engine, predict
from structdiff.spec.chain import ChainSpec
from structdiff.spec.complex import ComplexSpec, ContactSpec, Site
from structdiff.spec.design import design_from_dict

ZIPPER = Path(__file__).parents[2] / "examples" / "problems" / "zipper.pdb"
QUICK = RunOptions(sampling=SamplingConfig(steps=2, solver="euler", sigma_max=300.0), relax=False)
BINDER = {
    "motif": str(ZIPPER), "contigs": "20 A1-30", "hotspots": "A5", "secondary_structure": "H8 L3 H9",
    "burial": "B3 ?17", "adjacent": "1-2", "seed": 2,
}  # fmt: skip
COMPLEX = ComplexSpec(
    chains=(ChainSpec(ids=("A",), kind="protein", sequence="MKTAYIAKQRWLE"),),
    constraints=(ContactSpec(token1=Site(chain="A", residue=2), token2=Site(chain="A", residue=12)),),
)


ALONE = ComplexSpec(chains=COMPLEX.chains)


@pytest.fixture(scope="module")
def engine():
    return load_engine(QUICK)


def drawn(engine, guidance) -> np.ndarray:
    options = dataclasses.replace(QUICK, guidance=guidance)
    if set(guidance) == {"contacts"}:
        (one,) = predict(COMPLEX, options=options, engine=engine)
    else:
        (one,) = design(design_from_dict(BINDER), options=options, engine=engine)
    return one.structure.atoms.positions[one.structure.atoms.resolved]


@pytest.fixture(scope="module")
def plain(engine):
    told = [name for name in CONDITIONS if name != "contacts"]
    return {"contacts": drawn(engine, {"contacts": 1.0}), "rest": drawn(engine, dict.fromkeys(told, 1.0))}


@pytest.mark.parametrize("name", CONDITIONS)
def test_every_name_changes_what_is_drawn(name, engine, plain):
    told = ["contacts"] if name == "contacts" else [each for each in CONDITIONS if each != "contacts"]
    weights = dict.fromkeys(told, 1.0)
    without = plain["contacts" if name == "contacts" else "rest"]
    assert np.abs(drawn(engine, weights | {name: 3.0}) - without).max() > 1e-3
    assert np.abs(drawn(engine, weights) - without).max() == 0


def test_a_condition_that_nobody_asks_cannot_be_weighed(engine):
    options = dataclasses.replace(QUICK, guidance={"motif": 2.0})
    with pytest.raises(InputError, match=r"guidance.*motif|motif.*guidance"):
        list(predict(ALONE, options=options, engine=engine))
    with pytest.raises(InputError, match=r"motif.*contacts"):
        list(predict(COMPLEX, options=options, engine=engine))


def test_guidance_without_conditions_says_that_it_changes_nothing(engine):
    (plain,) = predict(ALONE, options=QUICK, engine=engine)
    with pytest.warns(UserWarning, match="guidance 2 changes nothing"):
        (same,) = predict(ALONE, options=dataclasses.replace(QUICK, guidance=2.0), engine=engine)
    assert np.array_equal(plain.structure.atoms.positions, same.structure.atoms.positions, equal_nan=True)
