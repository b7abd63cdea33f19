"""Sequences of a run: which letters residues may have, chains that are alike, more of them later."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from structdiff import pipeline
from structdiff.campaign.favoured_letters import beside_others, favoured_letters
from structdiff.campaign.plan import plan_campaign
from structdiff.campaign.run import Run, Selection
from structdiff.design_jobs import layout_of
from structdiff.errors import InputError
from structdiff.evaluation.backbone import Backbone
from structdiff.model.checkpoint import load_weights
from structdiff.output.prediction import chain_sequences
from structdiff.spec.contig_grammar import parse_contigs
from structdiff.spec.contigs import every_chain
from structdiff.spec.rebuilding import parse_noise, parse_part
from structdiff.spec.symmetry import Symmetry
from structdiff.structure.files import read_structure
from structdiff.structure.tables import ChainKind
from tests.campaign.making import MOTIF, made, recorded_of


def files(folder: Path, *names: str) -> dict[str, bytes]:
    """The structures and scores of these designs, and what was refolded of them."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for name in names
        for path in (folder / f"{name}.cif", folder / f"{name}.confidence.json", folder / f"refolded/{name}.cif")
    }


@pytest.mark.parametrize("settings", [{}, {"avoid": "C", "temperature": 1.0}])
@pytest.mark.parametrize("begun", [1, 2])
def test_more_sequences_and_more_backbones_are_added_to_what_is_there(planned, tmp_path, settings, begun) -> None:
    made(planned(2, sequences=begun, **settings), tmp_path / "grown")
    last = ["design_1", "design_2"] if begun == 1 else ["design_1_2", "design_2_1"]
    before = {name: (tmp_path / "grown" / name).stat().st_mtime_ns for name in files(tmp_path / "grown", *last)}
    results = made(planned(3, sequences=4, **settings), tmp_path / "grown")
    first = "" if begun == 1 else "_1"
    names = {f"design_{n}{tail}" for n in (1, 2, 3) for tail in (first, "_2", "_3", "_4")}
    assert {each.name for each in results if each.complete} == names
    assert len(results) == 12
    assert before == {name: (tmp_path / "grown" / name).stat().st_mtime_ns for name in before}
    # What was added later is what it would have been at once.
    made(planned(3, sequences=4, **settings), tmp_path / "whole")
    added = [f"design_{n}_{k}" for n in (1, 2, 3) for k in (2, 3, 4)]
    assert files(tmp_path / "grown", *added) == files(tmp_path / "whole", *added)
    # Fewer change nothing, and the same again finds nothing to do.
    assert len(made(planned(3, sequences=2, **settings), tmp_path / "grown")) == 12
    assert {name: (tmp_path / "grown" / name).stat().st_mtime_ns for name in before} == before


def test_single_residues_are_what_they_may_be(planned, tmp_path) -> None:
    results = made(planned(1, sequences=3, allow_at="A1-2=PG,A10=W", refold="none", judge="none"), tmp_path)
    letters = [each.sequences["A"][1] for each in results]
    assert len(letters) == 3
    assert all(set(each[:2]) <= set("PG") and each[9] == "W" for each in letters)


@pytest.mark.parametrize(
    ("allow_at", "contigs", "says"),
    [
        ("A5=W", "3/A168-172/3-4", "keeps its type"),
        ("A1-5=W", "3/A168-172/3", "keeps its type"),
        ("A30=W", "3/A168-172/3-4", "no such residue"),
        ("A3-1=W", "3/A168-172/3-4", "runs backwards"),
    ],
)
def test_letters_that_no_design_can_have_are_refused_before_any_is_drawn(planned, allow_at, contigs, says) -> None:
    with pytest.raises(InputError, match=says):
        planned(9, allow_at=allow_at, contigs=contigs)


def test_letters_that_one_of_the_designs_cannot_have_are_refused_before_it_is_drawn(
    planned, tmp_path, monkeypatch
) -> None:
    campaign = planned(6, contigs="3/A168-172/1-3", allow_at="A10=W", refold="none", judge="none")
    lengths = [len(layout) for layout in pipeline.layouts(campaign.spec)]
    drawn, failures = [], []
    plain = pipeline.design

    def noted(*given, numbers, **more):
        drawn.extend(numbers)
        return plain(*given, numbers=numbers, **more)

    monkeypatch.setattr(pipeline, "design", noted)
    results = made(campaign, tmp_path, failures=failures)
    able = [number for number, length in enumerate(lengths) if length >= 10]
    assert 0 < len(able) < 6
    assert sorted(drawn) == sorted(each.number for each in results) == able
    assert len(failures) == 6 - len(able)
    assert all("no such residue" in each for each in failures)
    assert all(each.sequences["A"][1][9] == "W" for each in results)


def test_a_sequence_that_is_kept_altogether_needs_no_network(planned, published_weights, tmp_path) -> None:
    asked = {"contigs": every_chain(), "noise": parse_noise("1"), "keep_sequence": "all"}
    failures: list = []
    (first, second) = made(planned(1, asked=asked, sequences=2, refold="none"), tmp_path, failures=failures)
    assert not failures
    given = chain_sequences(read_structure(MOTIF))["A"]
    for each in (first, second):
        assert each.sequences["A"][1] == given
        assert each.complete
        structure = read_structure(tmp_path / f"{each.name}.cif")
        assert "NZ" in structure.atoms.name[structure.atoms.resolved]  # side chains are there


@pytest.mark.parametrize("model", ["own", "proteinmpnn"])
@pytest.mark.parametrize("settings", [{}, {"temperature": 2.0, "sequences": 2}])
def test_chains_that_are_alike_in_the_file_get_one_sequence(
    planned, published_weights, dimer, tmp_path, model, settings
) -> None:
    asked = {"motif": str(dimer), "contigs": every_chain(), "noise": parse_noise("1")}
    campaign = planned(2, asked=asked, refold="none", judge="none", sequence_model=model, **settings)
    results = made(campaign, tmp_path)
    assert len(results) == 2 * campaign.settings.sequences
    for each in results:
        one, other = (letters for _, letters in each.sequences.values())
        assert one == other


def test_chains_of_which_other_residues_are_open_are_not_alike(planned, dimer, tmp_path) -> None:
    keep = {"keep_sequence": parse_part("A168-170", "keep_sequence")}
    asked = {"motif": str(dimer), "contigs": every_chain(), "noise": parse_noise("1"), **keep}
    (result,) = made(planned(1, asked=asked, refold="none", judge="none"), tmp_path)
    one, other = (letters for _, letters in result.sequences.values())
    assert one[:3] == "KSA"
    assert one != other


@pytest.mark.parametrize("model", ["own", "proteinmpnn"])
def test_copies_of_a_symmetric_design_get_one_sequence(planned, published_weights, tmp_path, model) -> None:
    asked = {"motif": None, "contigs": parse_contigs("8 6"), "symmetry": Symmetry(group="C3"), "fold_plan": "none"}
    settings = {"sequences": 2, "temperature": 2.0, "allow_at": "A2=W"}
    campaign, failures = planned(1, asked=asked, refold="none", judge="none", sequence_model=model, **settings), []
    results = made(campaign, tmp_path, failures=failures)
    assert not failures
    assert len(results) == 2
    for each in results:
        letters = [text for _, text in each.sequences.values()]
        assert len(letters) == 6
        assert letters == letters[:2] * 3
        assert letters[0][1] == "W"
        if model == "proteinmpnn":  # which has its side chains, of all copies, and judges again
            told = {verdict["name"]: verdict for verdict in each.verdicts}
            assert told["symmetry"]["met"], told["symmetry"]["reached"]


def test_sequences_of_another_kind_are_refused_where_the_networks_own_are_part_of_the_designs(
    planned, tmp_path
) -> None:
    made(planned(1, refold="none"), tmp_path)
    with pytest.raises(InputError, match="begun with the network's own sequences"):
        Run(planned(1, refold="none", avoid="C"), tmp_path, Selection(), range(1)).check_folder()


def test_amino_acids_that_a_backbone_came_with_are_favoured(planned, published_weights, tmp_path) -> None:
    found = {}
    for favour in (-20.0, 0.0, 20.0):
        folder = tmp_path / str(favour)
        results = made(planned(1, sequences=2, favour_present=favour, refold="none", judge="none"), folder)
        found[favour] = min(each.columns["recovery"] for each in results)
        assert recorded_of(folder, results[0].name)["sequence"].get("favour_present", 0.0) == favour
    assert found[-20.0] == 0 < 0.5 < found[20.0]
    assert found[0.0] < found[20.0]


def test_amino_acids_of_the_file_are_favoured_after_partial_diffusion(
    planned, published_weights, dimer, tmp_path
) -> None:
    asked = {"motif": str(dimer), "contigs": every_chain(), "noise": parse_noise("1")}
    given = chain_sequences(read_structure(dimer))["A"]
    for favour, least, most in ((20.0, 0.8, 1.0), (-20.0, 0.0, 0.0)):
        campaign = planned(1, asked=asked, favour_present=favour, refold="none", judge="none")
        (result,) = made(campaign, tmp_path / str(favour))
        one, other = (letters for _, letters in result.sequences.values())
        assert one == other
        assert least <= np.mean([ours == theirs for ours, theirs in zip(one, given, strict=True)]) <= most


def test_what_is_favoured_is_the_parents_letter_or_the_one_that_is_there(planned) -> None:
    _, layout, motif = layout_of(planned(1, contigs="3/A168-172/2").spec, 0)
    whole = read_structure(MOTIF)
    names = np.array(["TRP", "UNK", "MSE", *["GLY"] * 5, "ALA", "VAL"])
    structure = whole.select(np.isin(whole.atoms.residue, np.arange(10)))
    structure = dataclasses.replace(structure, residues=dataclasses.replace(structure.residues, name=names))
    found = favoured_letters(structure, layout, motif, [[0, 9]], 2.0)
    order = "ACDEFGHIKLMNPQRSTVWY"
    letters = ["".join(order[place] for place in np.flatnonzero(row)) for row in found]
    first = whole.residues.author_seq_id.tolist().index(168)
    assert letters == ["W", "", "M", *chain_sequences(whole)["A"][first : first + 5], "A", "W"]
    assert set(np.unique(found)) == {0.0, 2.0}


def test_residues_beside_other_chains_and_ligands_are_told() -> None:
    dimer = read_structure(Path(MOTIF).parent / "problems" / "zipper.pdb")
    found = beside_others(dimer)
    cb = Backbone.from_structure(dimer).cb_or_ideal
    chain = dimer.residues.chain
    apart = np.linalg.norm(cb[:, None] - cb, axis=-1)
    nearest = np.where(chain[:, None] != chain, apart, np.inf).min(1)
    assert found.tolist() == (nearest < 8.0).tolist()
    assert 0 < found.mean() < 1
    alone = dimer.select(dimer.atom_chain == 0)
    assert not beside_others(alone).any()
    bound = read_structure(Path(MOTIF).parent / "problems" / "chromophore.pdb")
    protein = bound.chains.kind[bound.residues.chain] == ChainKind.PROTEIN
    assert beside_others(bound)[protein].any()
    assert not beside_others(bound)[~protein].any()
    assert not beside_others(bound.select(protein[bound.atoms.residue])).any()


def test_of_a_new_residue_beside_another_chain_nothing_is_favoured(planned) -> None:
    zipper = Path(MOTIF).parent / "problems" / "zipper.pdb"
    _, layout, motif = layout_of(planned(1, asked={"motif": str(zipper), "contigs": "31 A"}).spec, 0)
    structure = read_structure(zipper)
    assert [len(chain) for chain in layout.chains.values()] == [31, 31]
    named = dataclasses.replace(
        structure, chains=dataclasses.replace(structure.chains, name=np.array(list(layout.chains)))
    )
    found = favoured_letters(named, layout, motif, [], 1.0).any(-1)
    beside = beside_others(named)
    assert (found[:31] == ~beside[:31]).all()
    assert found[31:].all()


def test_letters_that_folds_were_made_up_with_are_favoured_unless_it_is_said(planned, published_weights) -> None:
    def favour(campaign) -> float:
        return plan_campaign(
            dataclasses.replace(campaign.spec, fold_plan="hallucinated"), campaign.options, campaign.settings,
            load_weights(campaign.options.weights),
        ).favour_present  # fmt: skip

    assert planned(1).favour_present == 0.0
    assert "favour_present" not in planned(1).asked["sequence"]["sequence_settings"]
    assert favour(planned(1)) == 1.0
    assert favour(planned(1, favour_present=0.0)) == 0.0
    assert favour(planned(1, favour_present=2.5)) == 2.5


def test_the_own_sequence_head_has_nothing_to_favour(planned) -> None:
    with pytest.raises(InputError, match="another sequence_model"):
        planned(1, sequence_model="own", favour_present=1.0)
    assert planned(1, sequence_model="own", favour_present=0.0).favour_present == 0.0
