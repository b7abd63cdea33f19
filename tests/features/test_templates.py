"""Templates: which atoms of a complex they say something of, and what a prediction makes of them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from structdiff.campaign.refolding import with_target
from structdiff.chemistry.residues import PROTEIN_THREE_TO_ONE
from structdiff.cli.understood import understood
from structdiff.complex_jobs import complex_request
from structdiff.diffusion.sampler import SamplingConfig
from structdiff.errors import InputError
from structdiff.evaluation.tm_score import tm_score
from structdiff.features.condition import Condition
from structdiff.features.templates import TemplateWarning, read_templates
from structdiff.features.tokens import tokenise
from structdiff.options import RunOptions
from structdiff.pipeline import predict
from structdiff.spec.chain import ChainSpec, Modification
from structdiff.spec.complex import ComplexSpec
from structdiff.spec.input_files import file_sha256
from structdiff.spec.read import read_complex
from structdiff.spec.template import TemplateSpec, format_residue_map, parse_residue_map
from structdiff.spec.yaml import from_dict, read_yaml
from structdiff.spec.yaml_writing import write_yaml
from structdiff.structure.complex import build_complex
from structdiff.structure.files import read_structure, write_structure

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


def test_of_several_templates_of_a_chain_each_has_what_better_ones_leave_open():
    part = {"path": ZIPPER, "chains": ("A",), "template_chains": ("A",)}
    first, second = TemplateSpec(**part, residue_map="1-8=1-8"), TemplateSpec(**part, residue_map="1-20=1-20")
    third = TemplateSpec(**part, residue_map="19-31=19-31")
    with pytest.warns(
        TemplateWarning, match=r"template 1 \(.*zipper.pdb\) of chain A is not made use of: better ones know all of"
    ):
        structure, found = laid(complex_with(first, second, third))
    group = {int(row): int(found.group[structure.atoms.residue == row].max()) for row in range(62)}
    assert set(map(group.get, range(20))) == {2}
    assert set(map(group.get, range(20, 31))) == {3}
    assert set(map(group.get, range(31, 62))) == {0}


def test_what_is_held_comes_before_what_is_told_of_more_residues():
    part = {"path": ZIPPER, "chains": ("A",), "template_chains": ("A",)}
    held = TemplateSpec(**part, residue_map="1-12=1-12", force=True, threshold=1.0)
    structure, found = laid(complex_with(TemplateSpec(**part), held))
    assert np.array_equal(found.fixed, (found.group == 2))
    assert set(structure.atoms.residue[found.fixed]) == set(range(12))


def test_a_residue_map_says_which_residues_belong_together_whatever_their_letters():
    template = TemplateSpec(path=ZIPPER, chains=("A",), template_chains=("B",), residue_map="3-12=1-10, 20=31")
    structure, found = laid(complex_with(template, A="G" * 31))
    given = read_structure(ZIPPER)
    alpha = np.flatnonzero((structure.atoms.name == "CA") & (found.group == 1))
    assert structure.atoms.residue[alpha].tolist() == [*range(2, 12), 19]
    assert np.flatnonzero(found.alike).tolist() == [19]
    theirs = given.atoms.positions[(given.atoms.name == "CA") & (given.chains.name[given.atom_chain] == "B")]
    assert np.array_equal(found.positions[alpha], theirs[[*range(10), 30]])


@pytest.mark.parametrize(
    ("residue_map", "says"),
    [
        ("1-4=1-5", "equally many residues"),
        ("0-4=1-5", "equally many residues"),
        ("1-4", "no part of a residue map"),
        ("1-4=2-5, 4=9", "a residue of the chain is there twice"),
        ("1-4=2-5, 6=5", "a residue of the template is there twice"),
        ("1-999999999=1-999999999", "no chain has so many"),
        ("1-6=27-32", r"zipper.pdb.*no such residue.*found 32.*1 to 31"),
        ("30-33=1-4", r"chain A has no such residue.*found 32"),
    ],
)
def test_a_wrong_residue_map_is_one_clear_error(residue_map, says):
    with pytest.raises(InputError, match=says):
        laid(complex_with(TemplateSpec(path=ZIPPER, chains=("A",), template_chains=("A",), residue_map=residue_map)))


def test_a_map_to_hardly_any_residue_that_is_resolved_is_left_out_and_told_unless_it_is_to_be_held(tmp_path):
    given = read_structure(ZIPPER)
    first = given.chain_residues(1).start  # of chain B, of which four residues are resolved
    seen = (given.atoms.residue >= first) & (given.atoms.residue < first + 4)
    chain = given.chains.name[given.atom_chain] == "B"
    part = given.with_positions(given.atoms.positions, resolved=seen).select(chain)
    path = str(write_structure(part, tmp_path / "few.cif"))
    few = TemplateSpec(path=path, chains=("A",), residue_map="1-12=1-12")
    whole = TemplateSpec(path=ZIPPER, chains=("A",), template_chains=("A",))
    with pytest.warns(TemplateWarning, match=r"template 1 \(.*few.cif\) of chain A .* 4 of the 12 residues of its map"):
        _, found = laid(complex_with(few, whole, A=LETTERS))
    _, alone_found = laid(complex_with(whole, A=LETTERS))
    assert np.array_equal(found.positions, alone_found.positions)
    assert (np.unique(found.group).tolist(), len(found.asked)) == ([1], 1)
    with pytest.raises(InputError, match="hardly any residue"):
        laid(complex_with(dataclasses.replace(few, force=True, threshold=1.0), A=LETTERS))


def test_a_template_inside_alphafolds_json_is_that_in_a_file(tmp_path):
    given = read_structure(ZIPPER)
    one = given.select(given.chains.name[given.atom_chain] == "B")
    write_structure(one, tmp_path / "one.cif")
    template = {"mmcif": (tmp_path / "one.cif").read_text(), "queryIndices": [*range(2, 30)],
                "templateIndices": [*range(1, 29)]}  # fmt: skip
    protein = {"id": "A", "sequence": LETTERS, "unpairedMsa": "", "pairedMsa": "", "templates": [template]}
    data = {"name": "j", "modelSeeds": [1], "sequences": [{"protein": protein}], "dialect": "alphafold3", "version": 1}
    (tmp_path / "job.json").write_text(json.dumps(data))
    spec = read_complex(tmp_path / "job.json")
    structure, found = laid(spec)
    as_file = TemplateSpec(path=str(tmp_path / "one.cif"), chains=("A",), residue_map="3-30=2-29")
    assert np.array_equal(found.positions, laid(dataclasses.replace(spec, templates=(as_file,)))[1].positions)
    assert set(structure.atoms.residue[found.group > 0]) == set(range(2, 30))
    request = complex_request(spec)
    assert request["templates_sha256"] == {spec.templates[0].path: file_sha256(str(tmp_path / "one.cif"))}
    write_yaml(spec, tmp_path / "again.yaml")
    assert np.array_equal(laid(read_yaml(tmp_path / "again.yaml"))[1].positions, found.positions)
    assert from_dict(request) == spec
    (tmp_path / "job.json").write_text(json.dumps(data).replace("_atom_site.", "_atom_sight."))
    with pytest.raises(InputError, match=r"job.json:1: sequences\[1\].*mmcif: this template"):
        laid(spec)


def test_a_json_file_without_a_key_is_asked_which_text(tmp_path):
    (tmp_path / "job.json").write_text('{"templates": [{"mmcif": "data_x"}]}')
    with pytest.raises(InputError, match=r"Add '#' and its key.*job.json#templates\[1\].mmcif"):
        laid(complex_with(TemplateSpec(path=str(tmp_path / "job.json"))))


def test_a_dry_run_says_which_chain_of_a_template_serves_which():
    part = TemplateSpec(path=ZIPPER, chains=("A",), template_chains=("B",), residue_map="1-9=2-10, 20=20")
    spec = complex_with(part, TemplateSpec(path=ZIPPER, chains=("B", "A"), force=True, threshold=1.0))
    lines = understood(spec, build_complex(spec), None).splitlines()
    assert f"  template {ZIPPER} for A (its chain B), 10 residues as mapped" in lines
    assert f"  template {ZIPPER} for B, A, held within 1 Å" in lines


def test_a_residue_map_is_of_one_chain():
    with pytest.raises(InputError, match="of one chain"):
        TemplateSpec(path=ZIPPER, residue_map="1-9=1-9")


def test_a_structure_of_one_chain_serves_each_copy_by_itself_and_a_dimer_each_pair():
    one, two = TemplateSpec(path=ZIPPER, chains=("A", "B"), template_chains=("A", "A")), ("A", "B") * 2
    structure, found = laid(complex_with(one))
    chain = structure.chains.name[structure.atom_chain]
    assert {(str(name), int(group)) for name, group in zip(chain, found.group, strict=True)} >= {("A", 1), ("B", 2)}
    assert [each.chains for each in found.asked] == [("A",), ("B",)]
    pairs = TemplateSpec(path=ZIPPER, chains=tuple("ABCD"), template_chains=two)
    with pytest.warns(TemplateWarning, match=r"templates 2, 3 \(.*zipper.pdb\) of chains A, B, C are not made use of"):
        *_, found = laid(
            complex_with(pairs, one, dataclasses.replace(one, chains=("C", "B")), **dict.fromkeys("ABCD", LETTERS))
        )
    assert [each.chains for each in found.asked] == [("A", "B"), ("C", "D"), ("A",), ("B",), ("C",), ("B",)]
    (drawn,) = predict(complex_with(one), options=QUICK)
    assert [each.name for each in drawn.verdicts[:2]] == ["template zipper.pdb of A", "template zipper.pdb of B"]
    assert all(each.met for each in drawn.verdicts)


@pytest.mark.parametrize(("chains", "says"), [(("A", "A"), "named twice"), (("R",), "templates are of proteins")])
def test_a_template_serves_proteins_each_once(chains, says):
    rna = ChainSpec(ids=("R",), kind="rna", sequence="GGCC")
    with pytest.raises(InputError, match=says):
        dataclasses.replace(
            complex_with(), chains=(*complex_with().chains, rna), templates=(TemplateSpec(path=ZIPPER, chains=chains),)
        )


def test_a_modified_residue_has_the_letter_of_the_one_it_comes_from():
    given = read_structure(ZIPPER)
    chain = ChainSpec(
        ids=("A",), kind="protein", sequence=LETTERS, modifications=(Modification(position=2, ccd="MSE"),)
    )
    template = TemplateSpec(path=ZIPPER, chains=("A",))
    structure, found = laid(ComplexSpec(name="z", chains=(chain,), templates=(template,)))
    assert structure.residues.name[1] == "MSE"
    assert given.residues.name[1] == "MET"
    assert found.alike.all()
    known = structure.atoms.name[(structure.atoms.residue == 1) & (found.group == 1)]
    assert set(known) == {"N", "CA", "C", "O", "CB", "CG", "CE"}


def test_residues_that_the_file_does_not_resolve_are_no_template(tmp_path):
    lines = [line for line in Path(ZIPPER).read_text().splitlines() if line.startswith("ATOM") and line[21] == "A"]
    codes = {one: three for three, one in PROTEIN_THREE_TO_ONE.items()}
    rows = [" ".join(codes[letter] for letter in LETTERS[start : start + 13]) for start in (0, 13, 26)]
    names = [f"SEQRES {number:3d} A {len(LETTERS):4d}  {row}" for number, row in enumerate(rows, start=1)]
    seen = [line for line in lines if int(line[22:26]) > 27]
    (tmp_path / "few.pdb").write_text("\n".join([*names, *seen, "END"]))
    template = TemplateSpec(path=str(tmp_path / "few.pdb"))
    for letters, says in ((LETTERS, "100 % of 4 residues"), (LETTERS[:27], "nothing aligned that the file resolves")):
        with pytest.raises(InputError, match=f"few.pdb.*{says}"):
            laid(complex_with(template, A=letters))


def test_a_mirrored_file_is_told(tmp_path):
    given = read_structure(ZIPPER)
    write_structure(given.with_positions(given.atoms.positions * [-1, 1, 1]), tmp_path / "m.cif")
    with pytest.warns(TemplateWarning, match=r"template 1 \(.*m.cif\): 30 of 30 residues of its chain A are D"):
        laid(complex_with(TemplateSpec(path=str(tmp_path / "m.cif"), chains=("A",))))


def test_each_template_has_a_verdict_of_its_own_name():
    parts = [TemplateSpec(path=ZIPPER, chains=("A",), template_chains=("A",), residue_map=each)
             for each in ("1-15=1-15", "16-31=16-31")]  # fmt: skip
    other = TemplateSpec(path=ZIPPER, chains=("B",), template_chains=("B",))
    (found,) = predict(complex_with(*parts, other), options=QUICK)
    names = ["template zipper.pdb of A (1)", "template zipper.pdb of A (2)", "template zipper.pdb of B"]
    assert [each.name for each in found.verdicts[:3]] == names


def test_residue_maps_are_written_as_they_are_read(tmp_path):
    pairs = ((1, 3), (2, 4), (3, 5), (5, 6), (6, 9), (7, 10))
    assert format_residue_map(pairs) == "1-3=3-5, 5=6, 6-7=9-10"
    assert parse_residue_map(format_residue_map(pairs)) == pairs
    assert parse_residue_map("1-3 = 3-5, 5= 6") == (*pairs[:3], (5, 6))
    spec = complex_with(TemplateSpec(path=ZIPPER, chains=("A",), residue_map="1-9=1-9"))
    write_yaml(spec, tmp_path / "z.yaml")
    assert read_yaml(tmp_path / "z.yaml").templates[0].residue_map == "1-9=1-9"


def test_a_forced_template_is_held_and_said_to_be():
    spec = complex_with(TemplateSpec(path=ZIPPER, force=True, threshold=0.5))
    (held,) = predict(spec, samples=1, options=QUICK)
    verdict, backbone, _ = held.verdicts
    assert backbone.name == "backbone"
    assert verdict.met
    assert verdict.reached == "0.00 Å RMSD"
    free = dataclasses.replace(spec, templates=(TemplateSpec(path=ZIPPER, threshold=0.1),))
    ((off, *_),) = (one.verdicts for one in predict(free, samples=1, options=QUICK))
    assert not off.met
    told = dataclasses.replace(spec, templates=(TemplateSpec(path=ZIPPER),))
    ((followed, *_),) = (one.verdicts for one in predict(told, samples=1, options=QUICK))
    assert followed.asked == "followed: 62 residues, 100 % with its letters"
    assert followed.met
    twice = dataclasses.replace(spec, templates=(TemplateSpec(path=ZIPPER), TemplateSpec(path=ZIPPER, threshold=1.0)))
    with pytest.warns(TemplateWarning):
        ((first, second, *_),) = (one.verdicts for one in predict(twice, samples=1, options=QUICK))
    assert first.met
    assert (second.reached, second.met) == ("not made use of", False)
    assert "templates_sha256" in held.provenance.spec


def test_a_template_that_is_told_is_not_drawn_as_its_mirror_image():
    path = str(Path(__file__).parents[1] / "evaluation" / "data" / "1ubi.pdb")
    given = read_structure(path)
    letters = "".join(PROTEIN_THREE_TO_ONE[name] for name in given.residues.name.tolist())
    spec = complex_with(TemplateSpec(path=path, chains=("A",)), A=letters)
    for seed in range(3):
        (found,) = predict(spec, seed=seed, options=QUICK)
        ours, theirs = (each.atoms.positions[each.atoms.name == "CA"] for each in (found.structure, given))
        assert tm_score(ours, theirs).score > 0.9


def test_residues_are_no_surer_than_a_template_with_so_many_of_their_letters_is_right():
    letters = LETTERS[:15] + "G" * 16
    part = {"path": ZIPPER, "chains": ("A",), "template_chains": ("A",), "residue_map": "1-25=1-25"}
    found = {}
    for name, template in {
        "told": TemplateSpec(**part),
        "held": TemplateSpec(**part, force=True, threshold=1.0),
    }.items():
        (prediction,) = predict(complex_with(template, A=letters), options=QUICK)
        found[name] = prediction.confidence.plddt
    likeness = sum(one == other for one, other in zip(letters[:25], LETTERS, strict=False)) / 25
    assert np.all(found["told"][:25] <= 95 - 31 * (1 - likeness) + 0.1)
    assert found["held"][:25].max() > found["told"][:25].max() + 5
    assert found["told"][25:].max() < 95


def test_a_template_hardly_like_its_chain_counts_without_an_alignment_or_where_it_is_held():
    part = {"path": ZIPPER, "chains": ("A",), "template_chains": ("A",), "residue_map": "1-20=1-20"}
    alone = ComplexSpec(name="g", chains=(ChainSpec(ids=("A",), kind="protein", sequence="G" * 31),))
    aligned = dataclasses.replace(alone, chains=(dataclasses.replace(alone.chains[0], msa="self"),))
    told, held = TemplateSpec(**part), TemplateSpec(**part, force=True, threshold=1.0)
    assert laid(dataclasses.replace(alone, templates=(told,)))[1].group.any()
    assert laid(dataclasses.replace(aligned, templates=(held,)))[1].group.any()
    with pytest.warns(TemplateWarning, match=r"of which [0-9] % of the residues are alike \(25 % wanted, or 'force'\)"):
        assert not laid(dataclasses.replace(aligned, templates=(told,)))[1].group.any()


def test_a_target_is_the_template_of_its_refolding(tmp_path):
    spec = complex_with()
    rows = {"chains": [{"chain": "A", "new": 31}, {"chain": "B", "kept": True}]}
    (template,) = with_target(spec, Path(ZIPPER), rows).templates
    assert (template.chains, template.template_chains, template.force) == (("B",), ("B",), True)
    write_yaml(with_target(spec, Path(ZIPPER), rows), tmp_path / "z.yaml")
    assert read_yaml(tmp_path / "z.yaml").templates == (template,)
    assert not with_target(spec, Path(ZIPPER), {"chains": [{"chain": "A", "new": 31}]}).templates
