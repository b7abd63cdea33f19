"""What of a complex is docked, by what is asked of it."""

from __future__ import annotations

from structdiff.complex_jobs import complex_job
from structdiff.spec.chain import ChainSpec
from structdiff.spec.complex import ComplexSpec
from structdiff.spec.template import TemplateSpec
from tests.features.test_templates import LETTERS, ZIPPER


def template(*chains: str, force: bool = True) -> TemplateSpec:
    return TemplateSpec(path=str(ZIPPER), chains=chains, template_chains=chains, force=force,
                        threshold=1.0 if force else None)  # fmt: skip


def docking(*templates: TemplateSpec, ligand: bool = False):
    chains = [ChainSpec(ids=("A", "B"), kind="protein", sequence=LETTERS)]
    chains += [ChainSpec(ids=("L",), kind="ligand", ccd=("GOL",))] if ligand else []
    return complex_job(ComplexSpec(chains=tuple(chains), templates=templates)).docking


def test_chains_that_templates_hold_apart_are_docked():
    found = docking(template("A"), template("B"))
    assert found is not None
    assert found.ligands is None
    assert [len(rows) for rows in found.chains.bodies] == [259, 259]


def test_chains_of_one_template_and_those_without_are_not():
    assert docking(template("A", "B")) is None
    assert docking(template("A")) is None
    assert docking() is None


def test_chains_come_before_ligands_in_the_work():
    found = docking(template("A"), template("B"), ligand=True)
    assert [type(part).__name__ for part in found.parts()] == ["ChainSearch"] + ["SiteSearch"] * 12
