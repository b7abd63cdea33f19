"""Designs that follow made-up folds: what is refused, what the network is told, and what the design says of it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

import structdiff
from structdiff.campaign.cautions import cautions
from structdiff.campaign.plan import plan_campaign
from structdiff.campaign.settings import CampaignSettings
from structdiff.design_jobs import job_of, resolve_design, sampled_layout
from structdiff.diffusion.sampler import SamplingConfig
from structdiff.errors import InputError, ResourceError
from structdiff.evaluation.backbone import Backbone
from structdiff.features import hallucinated_folds
from structdiff.features.hallucinated_folds import check_hallucination, hallucination_seconds, told_folds
from structdiff.model.library import load_named_weights
from structdiff.options import RunOptions
from structdiff.output.prediction import chain_sequences
from structdiff.published_weights import full_names
from structdiff.published_weights.cache import weights_file
from structdiff.spec.compose import asked_spec
from structdiff.trrosetta.alignment import ALPHABET
from structdiff.trrosetta.folding import Folded, build_backbone
from structdiff.trrosetta.hallucination import MAKERS
from structdiff.trrosetta.network import CLASSES, NETWORKS, Expectation
from tests.campaign.making import made

EXAMPLES = Path(__file__).parents[2] / "examples"
MOTIF = str(EXAMPLES / "5tpn_site_v.pdb")
AROUND = {"motif": MOTIF, "contigs": "20/A163-181/10", "fold_plan": "hallucinated"}
OPTIONS = RunOptions(sampling=SamplingConfig(steps=8))


@pytest.fixture
def fetched(monkeypatch, tmp_path) -> None:
    """Files in the place of trRosetta's weights, in a cache of their own."""
    monkeypatch.setenv("STRUCTDIFF_CACHE", str(tmp_path))
    for name in full_names("trrosetta"):
        weights_file(name).parent.mkdir(parents=True, exist_ok=True)
        weights_file(name).write_bytes(name.encode())


@pytest.fixture
def helix(monkeypatch, fetched) -> list[dict]:
    """Sequences of every letter by turns, and folds that are one helix; what was asked of them."""
    asked: list[dict] = []

    def hallucinate(residues, generator, site, on_step) -> str:
        asked.append({"residues": residues, "first": int(torch.randint(0, 2**31, (1,), generator=generator)),
                      "site": site})  # fmt: skip
        if on_step is not None:
            on_step(1, 2)
            on_step(2, 2)
        letters = list((ALPHABET * residues)[:residues])
        if site is not None:
            for place, letter in zip(site.places.nonzero()[:, 0].tolist(), site.letters, strict=True):
                letters[place] = letter if letter != "X" else letters[place]
        return "".join(letters)

    def fold(expected, *, held, **_) -> Folded:
        count = len(expected.distance)
        torsions = torch.tensor([-63.0, -43.0]).mul(math.pi / 180).expand(1, count, 2)
        return Folded(backbone=torch.stack(build_backbone(torsions), 2)[0], log_likelihood=0.0)

    def expect_each(sequence: str) -> tuple[Expectation, ...]:
        shape = (len(sequence), len(sequence))
        flat = {name: torch.zeros(*shape, count).log_softmax(-1) for name, count in CLASSES.items()}
        return tuple(Expectation(**flat) for _ in NETWORKS)

    monkeypatch.setattr(hallucinated_folds, "hallucinate", hallucinate)
    monkeypatch.setattr(hallucinated_folds, "fold", fold)
    monkeypatch.setattr(hallucinated_folds, "expect_each", expect_each)
    return asked


def _refused(**asked) -> str:
    spec, motif = resolve_design(asked_spec(None, {"fold_plan": "hallucinated"} | asked))
    with pytest.raises(InputError) as refusal:
        check_hallucination(spec, sampled_layout(spec, 0), motif)
    return str(refusal.value)


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({**AROUND, "symmetry": "C2:motif=placed"}, "symmetry whose motif has its place"),
        ({"length": "64", "cyclic": "A"}, "cyclic"),
        ({"length": "64", "burial": "B5 ?59"}, "burial"),
        ({"length": "64", "secondary_structure": "H64"}, "hallucinated without secondary_structure"),
        ({"length": "45", "fold_of": MOTIF}, "hallucinated without fold_of"),
        ({"length": "27"}, "28 to 200 residues"),
        ({"length": "27-64", "seed": 1}, "27-64 residues in chain A"),
        ({"contigs": "20-60/0 64", "length": "90-150"}, "26-60 residues in chain A"),
        ({"length": "201"}, "28 to 200 residues"),
        ({**AROUND, "hotspots": "A170"}, "neither hotspots nor keep_away"),
        ({**AROUND, "contigs": "10/A163-181/5"}, "15 new residues or more in chain A"),
        ({**AROUND, "contigs": "10-40/A163-181/5-40"}, "15 new residues or more in chain A"),
    ],
)
def test_what_no_fold_can_be_made_up_for_is_refused(fetched, asked, named):
    assert named in _refused(**asked)


def test_without_the_weights_it_says_how_to_get_them(monkeypatch, tmp_path):
    monkeypatch.setenv("STRUCTDIFF_CACHE", str(tmp_path))
    assert "structdiff weights fetch" in _refused(length="64")


def test_too_little_memory_is_told_before_anything_is_made_up(helix, monkeypatch):
    monkeypatch.setenv("STRUCTDIFF_MEMORY_GIB", "0.3")
    with pytest.raises(ResourceError, match="hallucinating a fold needs about"):
        job_of(asked_spec(None, {"fold_plan": "hallucinated", "length": "64"}), 0)
    assert not helix


def test_a_design_follows_the_fold_and_takes_its_letters(helix):
    reports = []
    (design,) = structdiff.design(
        length="30", fold_plan="hallucinated", seed=3, options=OPTIONS, on_progress=reports.append
    )
    assert chain_sequences(design.structure) == {"A": (ALPHABET * 2)[:30]}
    assert np.nanmax(design.sequence_probabilities, -1).min() > 0.999
    verdict = next(each for each in design.verdicts if "hallucinated" in each.name)
    assert not verdict.requested
    assert float(verdict.reached.split()[2]) < 3.0
    shares = [(each.finished + each.step / each.steps) / each.total for each in reports]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_designs_name_the_networks_that_made_their_fold_up(helix):
    (design,) = structdiff.design(length="30", fold_plan="hallucinated", options=OPTIONS)
    made_by = {name: hashlib.sha256(name.encode()).hexdigest() for name in MAKERS}
    assert design.provenance.as_data()["fold_weights_sha256"] == made_by
    assert json.loads(design.provenance.as_text()["fold_weights_sha256"]) == made_by
    (other,) = structdiff.design(length="30", options=OPTIONS)
    assert "fold_weights_sha256" not in other.provenance.as_data()


def test_where_its_letter_may_not_be_the_network_chooses_another(helix):
    (design,) = structdiff.design(length="30", fold_plan="hallucinated", options=OPTIONS)
    (bare,) = structdiff.design(length="30", fold_plan="none", options=OPTIONS)
    shares, usual = design.sequence_probabilities, bare.sequence_probabilities
    assert shares is not None
    assert usual is not None
    others = np.sort(shares, -1)[:, :-1]
    assert 1e-4 < others.sum(-1).min() <= others.sum(-1).max() < 1e-3
    assert (others.max(-1) > 1.5 * others.mean(-1)).all()


def test_other_sequences_say_too_how_the_fold_was_followed(helix, tmp_path):
    spec = asked_spec(None, {"fold_plan": "hallucinated", "length": "30"})
    settings = CampaignSettings(sequences=2, sequence_model="own", judge="none", refold="none")
    campaign = plan_campaign(spec, OPTIONS, settings, load_named_weights("mini"))
    made(campaign, tmp_path)
    assert any("differ hardly" in each for each in cautions(campaign))
    for name in ("backbones/design_1", "design_1_1", "design_1_2"):
        told = json.loads((tmp_path / f"{name}.confidence.json").read_text())
        assert sum(each["name"] == "fold plan: hallucinated A" for each in told["verdicts"]) == 1
        assert set(told["provenance"]["fold_weights_sha256"]) == set(MAKERS)


def test_the_same_seed_makes_the_same_fold_up_whatever_else_is_made(helix):
    asked = {"length": "30-40", "fold_plan": "hallucinated", "num_designs": 3, "options": OPTIONS}
    list(structdiff.design(**asked))
    (alone,) = structdiff.design(**asked, numbers=[1])
    assert helix[1]["first"] == helix[3]["first"] != helix[0]["first"]
    assert len(alone.structure.residues) == helix[1]["residues"]


def test_draws_of_one_design_share_what_is_made_up(helix):
    list(structdiff.design(length="30", fold_plan="hallucinated", draws=2, options=OPTIONS))
    assert len(helix) == 1


def test_the_motif_is_asked_for_and_held(helix):
    (design,) = structdiff.design(**AROUND, redesign="A165", options=OPTIONS)
    site = helix[0]["site"]
    assert site.places.nonzero()[:, 0].tolist() == list(range(20, 39))
    assert site.letters[2] == "X"
    assert set(site.letters) - set(ALPHABET) == {"X"}
    motif = next(each for each in design.verdicts if each.name == "motif")
    assert motif.met
    letters = chain_sequences(design.structure)["A"]
    assert letters[22] == (ALPHABET * 3)[22]
    assert "".join(site.letters[:2]) == letters[20:22]


def test_fold_and_motif_are_told_as_one_group_of_which_the_motif_alone_is_held(helix):
    spec, motif = resolve_design(asked_spec(None, AROUND))
    layout = sampled_layout(spec, 0)
    folds = hallucinated_folds.hallucinated_folds(spec, layout, motif, [0, 0])
    bare = job_of(spec, 0)
    positions = torch.from_numpy(folds[0].positions[20:39, :3].reshape(-1, 3))
    given = Backbone.from_structure(bare.structure.select(bare.structure.atoms.resolved)).positions[:, :3]
    centre = torch.from_numpy(given.reshape(-1, 3)).mean(0)
    assert torch.allclose(positions.double().mean(0), centre.double(), atol=1e-3)
    from structdiff.features.condition import Condition

    tokens = bare.tokens
    kept = np.zeros(len(tokens), np.int32)
    kept[20:39] = 1
    condition = Condition.unknown(len(tokens)).replace(motif_group=kept, structure_fixed=kept > 0)
    known, told = told_folds(folds, bare.structure, tokens, condition)
    assert (told.motif_group == 1).all()
    assert (told.structure_fixed == (kept > 0)).all()
    assert known.atoms.resolved[known.atoms.name == "CA"].all()


def test_copies_of_a_unit_follow_its_fold_and_are_judged_by_it(helix):
    (design,) = structdiff.design(length="30", symmetry="C3", fold_plan="hallucinated", options=OPTIONS)
    assert len(helix) == 1
    assert set(chain_sequences(design.structure).values()) == {(ALPHABET * 2)[:30]}
    verdict = next(each for each in design.verdicts if "hallucinated" in each.name)
    assert float(verdict.reached.split()[2]) < 3.0
    # What trRosetta expects of a chain alone, of flat answers here, is the same for each of its copies.
    plddt = np.reshape(design.confidence.plddt, (-1, 30))
    assert np.allclose(plddt, plddt[:1], atol=0.1)
    (usual,) = structdiff.design(length="30", symmetry="C3", options=OPTIONS)
    assert plddt.mean() < np.mean(usual.confidence.plddt) - 10


def test_a_fold_that_has_no_room_beside_what_is_kept_is_made_up_anew(helix, monkeypatch):
    spec, motif = resolve_design(asked_spec(None, AROUND))
    layout = sampled_layout(spec, 0)
    (free,) = hallucinated_folds.hallucinated_folds(spec, layout, motif, [0, 0])
    inside = free.positions[5, 1].astype(np.float64)  # a CA atom of every such helix
    beside = {"close": np.stack([inside, inside + 1.0]), "far": inside[None] + 100.0, "none": np.zeros((0, 3))}
    anchors, tries = hallucinated_folds.motif_anchors, {}
    for name, atoms in beside.items():

        def with_atoms(*asked, atoms=atoms, **how):
            return {key: dataclasses.replace(each, obstacles=atoms) for key, each in anchors(*asked, **how).items()}

        monkeypatch.setattr(hallucinated_folds, "motif_anchors", with_atoms)
        before, shares = len(helix), []
        (made,) = hallucinated_folds.hallucinated_folds(
            spec, layout, motif, [0, 0], lambda step, steps, shares=shares: shares.append(step / steps)
        )
        tries[name] = len(helix) - before
        assert shares == sorted(shares)  # a fold that is made up anew is no step back
        assert shares[-1] == {"far": 0.5}.get(name, 1.0)
        assert len({each["first"] for each in helix[before:]}) == tries[name]
        assert np.allclose(made.positions, free.positions, equal_nan=True)
    assert tries == {"close": 4, "far": 1, "none": 1}


def test_a_fold_that_stays_away_from_a_ligand_is_made_up_anew(helix):
    asked = {"motif": str(EXAMPLES / "problems" / "chromophore.pdb"), "ligands": "HC4", "fold_plan": "hallucinated"}
    spec, motif = resolve_design(asked_spec(None, {**asked, "contigs": "20/A46-54/20"}))
    layout = sampled_layout(spec, 0)
    (made,) = hallucinated_folds.hallucinated_folds(spec, layout, motif, [0, 0])
    ligand = motif.atoms.positions[motif.residues.name[motif.atoms.residue] == "HC4"]
    new = made.positions[made.told].reshape(-1, 3)
    nearest = np.nanmin(np.linalg.norm(new[:, None] - ligand, axis=-1))
    assert (len(helix) == 4) == (nearest > 6.0 or nearest < 4.0)
    assert len(helix) == 4  # the same helix each time


@pytest.mark.parametrize("beside", [{"symmetry": "C3"}, {"energies": [{"radius_of_gyration": {}}]}])
def test_a_motif_may_have_symmetry_and_energies_beside_its_fold(helix, beside):
    (design,) = structdiff.design(**AROUND, **beside, options=OPTIONS)
    assert next(each for each in design.verdicts if each.name == "motif").met
    assert any("hallucinated" in each.name for each in design.verdicts)


def test_energies_act_beside_a_fold(helix):
    asked = {"contigs": "30/0 30", "fold_plan": "hallucinated", "options": OPTIONS}
    (design,) = structdiff.design(**asked, energies=[{"contacts": {"chains": ["A", "B"], "least": 10}}])
    verdicts = {each.name: each for each in design.verdicts}
    assert verdicts["contacts of A and B within 8 Å"].met


def test_time_and_work_grow_with_chains_and_motifs(helix):
    def seconds(**asked) -> float:
        spec, _ = resolve_design(asked_spec(None, {"fold_plan": "hallucinated"} | asked))
        return hallucination_seconds(sampled_layout(spec, 0))

    small, double, triple = (seconds(length=str(residues)) for residues in (32, 64, 96))
    assert (triple - small) / (double - small) == pytest.approx((9 - 1) / (4 - 1))  # squares, and some for any
    assert seconds(contigs="32/0 32") == pytest.approx(2 * seconds(length="32"))
    assert seconds(**AROUND) > seconds(length="49")


@pytest.mark.parametrize(
    ("asked", "told"), [({"length": "40"}, False), ({"contigs": "10/A60-72/12"}, False),
                        ({"contigs": "10/A60-72/12", "ligands": "HC4"}, True), ({"contigs": "40 A60-72"}, False)],
)  # fmt: skip
def test_the_estimate_tells_where_folds_may_be_made_up_anew(fetched, asked, told):
    from structdiff.campaign.estimate import estimate_campaign
    from structdiff.campaign.plan import plan_campaign
    from structdiff.campaign.settings import CampaignSettings
    from structdiff.model.library import load_named_weights

    weights = load_named_weights("mini")
    motif = {} if "length" in asked else {"motif": str(Path(__file__).parents[1] / "data" / "4i39.cif.gz")}
    spec = asked_spec(None, {"fold_plan": "hallucinated", **motif, **asked})
    settings = CampaignSettings(judge="none", refold="none", sequence_model="own")
    found = estimate_campaign(plan_campaign(spec, OPTIONS, settings, weights), weights, range(2))
    assert ("up to" in found.text) == told
    assert found.longest_seconds is None or found.longest_seconds > 2 * found.seconds


def test_only_networks_that_had_no_part_in_a_design_judge_it(fetched):
    from structdiff.campaign.plan import plan_campaign
    from structdiff.campaign.settings import CampaignSettings
    from structdiff.model.library import load_named_weights
    from structdiff.trrosetta.hallucination import JUDGES

    weights, settings = load_named_weights("mini"), CampaignSettings(judge="trrosetta", sequence_model="own")
    made_up = plan_campaign(asked_spec(None, {"length": "40", "fold_plan": "hallucinated"}), OPTIONS, settings, weights)
    usual = plan_campaign(asked_spec(None, {"length": "40"}), OPTIONS, settings, weights)
    assert (made_up.judges, usual.judges) == (JUDGES, NETWORKS)
    assert made_up.asked["judge"]["judge"]["networks"] == "trrosetta_d,trrosetta_e"
    assert "networks" not in usual.asked["judge"]["judge"]
