"""Templates: which atoms of a complex they say something of, and what a prediction makes of them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from structdiff.campaign.refolding import with_target
from structdiff.diffusion.sampler import SamplingConfig
from structdiff.errors import InputError
from structdiff.features.condition import Condition
from structdiff.features.templates import read_templates
from structdiff.features.tokens import tokenise
from structdiff.options import RunOptions
from structdiff.pipeline import predict
from structdiff.spec.chain import ChainSpec
from structdiff.spec.complex import ComplexSpec, TemplateSpec
from structdiff.spec.yaml import read_yaml, write_yaml
from structdiff.structure.complex import build_complex
from structdiff.structure.files import read_structure

ZIPPER = str(Path(__file__).parents[2] / "examples" / "problems" / "zipper.pdb")
LETTERS = "RMKQLEDKVEELLSKNYHLENEVARLKKLVG"
QUICK = RunOptions(sampling=SamplingConfig(steps=8), relax=False)


def complex_with(*templates: TemplateSpec, **chains: str) -> ComplexSpec:
    chains = chains or {"A": LETTERS, "B": LETTERS}
    made = tuple(ChainSpec(ids=(name,), kind="protein", sequence=letters) for name, letters in chains.items())
    return ComplexSpec(name="z", chains=made, templates=templates)


def laid(spec: ComplexSpec):
    structure = build_complex(spec)
    return structure, read_templates(spec, structure)


def test_a_chain_of_the_same_sequence_takes_all_atoms():
    structure, found = laid(complex_with(TemplateSpec(path=ZIPPER)))
    given = read_structure(ZIPPER)
    named = {
        (str(given.chains.name[given.atom_chain[row]]), int(given.atoms.residue[row]), str(given.atoms.name[row])): row
        for row in np.flatnonzero(given.atoms.resolved)
    }
    assert (found.group > 0).sum() == len(named)
    for row in np.flatnonzero(found.group):
        key = (str(structure.chains.name[structure.atom_chain[row]]), int(structure.atoms.residue[row]),
               str(structure.atoms.name[row]))  # fmt: skip
        assert np.array_equal(found.positions[row], given.atoms.positions[named[key]])
    assert not found.fixed.any()


def test_another_sequence_takes_the_main_chain_where_it_differs_and_a_gap_takes_nothing():
    letters = LETTERS[:10] + "WWW" + LETTERS[12:20] + "A" + LETTERS[21:]
    spec = complex_with(
        TemplateSpec(path=ZIPPER, chains=("X",), template_chains=("B",), force=True, threshold=1.0), X=letters
    )
    structure, found = laid(spec)
    given = read_structure(ZIPPER)
    names = structure.atoms.name
    changed = structure.atoms.residue == 21
    assert set(names[changed & (found.group == 1)]) == {"N", "CA", "C", "O", "CB"}
    alpha = np.flatnonzero((names == "CA") & (found.group == 1))
    assert len(alpha) == len(LETTERS)
    theirs = given.atoms.positions[(given.atoms.name == "CA") & (given.chains.name[given.atom_chain] == "B")]
    assert {tuple(row) for row in found.positions[alpha]} == {tuple(row) for row in theirs}
    assert np.array_equal(found.fixed, found.group == 1)


def test_the_network_is_told_a_group_for_each_template():
    spec = complex_with(
        TemplateSpec(path=ZIPPER, chains=("A",), template_chains=("A",)),
        TemplateSpec(path=ZIPPER, chains=("B",), template_chains=("A",), force=True, threshold=1.0),
    )
    structure, found = laid(spec)
    tokens = tokenise(structure)
    told = found.told(Condition.unknown(len(tokens)), tokens)
    half = len(tokens) // 2
    assert told.motif_group.tolist() == [1] * half + [2] * half
    assert told.structure_fixed.tolist() == [False] * half + [True] * half


@pytest.mark.parametrize(
    ("template", "chains", "says"),
    [
        (TemplateSpec(path=ZIPPER, chains=("A",), template_chains=("Z",)), {}, "no protein chain of that name"),
        (TemplateSpec(path=ZIPPER), {"C": LETTERS}, "say which of the template's chains"),
        (TemplateSpec(path=ZIPPER, chains=("A",)), {"A": "GGGGPGGGGPGGGGPGGGGP"}, "too unlike"),
    ],
)
def test_what_cannot_be_a_template_is_refused(template, chains, says):
    with pytest.raises(InputError, match=says):
        laid(complex_with(template, **chains))


def test_two_templates_of_one_chain_are_refused():
    once = TemplateSpec(path=ZIPPER, chains=("A",), template_chains=("A",))
    with pytest.raises(InputError, match=r"template already.*templates\[2\]|templates\[2\].*template already"):
        laid(complex_with(once, once))


def test_a_forced_template_is_held_and_said_to_be():
    spec = complex_with(TemplateSpec(path=ZIPPER, force=True, threshold=0.5))
    (held,) = predict(spec, samples=1, options=QUICK)
    verdict, backbone, _ = held.verdicts
    assert backbone.name == "backbone"
    assert verdict.met
    assert verdict.reached == "0.00 Å RMSD"
    free = dataclasses.replace(spec, templates=(TemplateSpec(path=ZIPPER, threshold=0.5),))
    ((off, *_),) = (one.verdicts for one in predict(free, samples=1, options=QUICK))
    assert not off.met
    assert "templates_sha256" in held.provenance.spec


def test_a_target_is_the_template_of_its_refolding(tmp_path):
    spec = complex_with()
    rows = {"chains": [{"chain": "A", "new": 31}, {"chain": "B", "kept": True}]}
    (template,) = with_target(spec, Path(ZIPPER), rows).templates
    assert (template.chains, template.template_chains, template.force) == (("B",), ("B",), True)
    write_yaml(with_target(spec, Path(ZIPPER), rows), tmp_path / "z.yaml")
    assert read_yaml(tmp_path / "z.yaml").templates == (template,)
    assert not with_target(spec, Path(ZIPPER), {"chains": [{"chain": "A", "new": 31}]}).templates
