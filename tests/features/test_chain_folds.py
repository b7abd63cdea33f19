"""Chains with an alignment: what is asked of it, what the network is told, and what is said of the prediction."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from structdiff import complex_jobs
from structdiff.chemistry.residues import PROTEIN_THREE_TO_ONE
from structdiff.complex_jobs import complex_job
from structdiff.confidence.of_alignment import spread_logits
from structdiff.confidence.scores import expected_error
from structdiff.diffusion.sampler import SamplingConfig
from structdiff.errors import InputError, ResourceError
from structdiff.evaluation.backbone import Backbone
from structdiff.evaluation.tm_score import tm_score
from structdiff.features import chain_folds
from structdiff.features.chain_folds import ChainFold, fold_chains, read_alignments, with_folds
from structdiff.features.templates import TemplateWarning, read_templates
from structdiff.options import RunOptions
from structdiff.pipeline import predict
from structdiff.published_weights import is_present
from structdiff.spec.alignment_source import PairedAlignmentWarning
from structdiff.spec.chain import ChainSpec, Modification
from structdiff.spec.complex import ComplexSpec
from structdiff.spec.template import TemplateSpec
from structdiff.structure.complex import build_complex
from structdiff.structure.files import read_structure
from structdiff.trrosetta.geometry import classes_of, pair_geometry
from structdiff.trrosetta.network import CLASSES, Expectation, expect, expect_aligned

DATA = Path(__file__).parents[1] / "evaluation" / "data"
QUICK = RunOptions(sampling=SamplingConfig(steps=8), relax=False)
needs_weights = pytest.mark.skipif(not is_present("trrosetta"), reason="structdiff weights fetch trrosetta")


@pytest.fixture(scope="module")
def ubiquitin() -> Backbone:
    return Backbone.from_structure(read_structure(DATA / "1ubi.pdb"))


@pytest.fixture(scope="module")
def letters(ubiquitin) -> str:
    return "".join(PROTEIN_THREE_TO_ONE[name] for name in ubiquitin.restype)


@pytest.fixture
def known(monkeypatch, ubiquitin):
    """A network that knows ubiquitin's distances, and a fold that is its own."""
    positions = torch.from_numpy(ubiquitin.positions).float()
    found = classes_of(pair_geometry(positions[:, 0], positions[:, 1], torch.from_numpy(ubiquitin.cb_or_ideal).float()))
    logs = {}
    for name, count in CLASSES.items():
        true = found[name][..., None]
        off = (torch.arange(count) - true).abs().float()
        other_side = (torch.arange(count) == 0) != (true == 0)
        logs[name] = (-(off / 2.0).square() - 30.0 * other_side).log_softmax(-1)
    chain_folds._folded.cache_clear()
    monkeypatch.setattr(chain_folds, "weights_path", lambda name: Path(name))
    monkeypatch.setattr(chain_folds, "expect_aligned", lambda alignment: Expectation(**logs))
    monkeypatch.setattr(chain_folds, "fold", lambda expected, **_: SimpleNamespace(backbone=positions[:, :3]))
    yield logs
    chain_folds._folded.cache_clear()


@pytest.fixture
def asked(tmp_path, letters):
    """A complex of that many copies of ubiquitin with an alignment of two rows."""

    def of(*names: str, **changed) -> ComplexSpec:
        path = tmp_path / "u.a3m"
        path.write_text(f">q\n{letters}\n>other\n{letters[:40]}{'-' * (len(letters) - 40)}\n")
        chain = {"ids": names, "kind": "protein", "sequence": letters, "msa": str(path)} | changed
        return ComplexSpec(name="u", chains=(ChainSpec(**chain),))

    return of


def test_a_chain_follows_its_alignment_in_the_right_hand(known, asked, ubiquitin):
    (found,) = predict(asked("A"), options=QUICK, seed=1)
    backbone = Backbone.from_structure(found.structure)
    assert tm_score(backbone.positions[:, 1], ubiquitin.positions[:, 1]).score > 0.8
    (verdict,) = [each for each in found.verdicts if each.name == "alignment of A"]
    assert verdict.met
    assert verdict.asked == "followed: 2 sequences that cover 53 %"
    assert list(found.provenance.spec["alignments_sha256"]) == [found.provenance.spec["sequences"][0]["protein"]["msa"]]


def folds_of(spec: ComplexSpec) -> tuple[ChainFold, ...]:
    structure = build_complex(spec)
    return fold_chains(spec, structure, read_templates(spec, structure))


def test_confidence_is_the_alignments_not_the_networks(known, asked, monkeypatch, ubiquitin):
    (sure,) = predict(asked("A"), options=QUICK, seed=1)
    blurred = {name: torch.full_like(value, -np.log(value.shape[-1])) for name, value in known.items()}
    monkeypatch.setattr(chain_folds, "expect_aligned", lambda alignment: Expectation(**blurred))
    monkeypatch.setattr(chain_folds, "_TOLD", 0.0)
    chain_folds._folded.cache_clear()
    (unsure,) = predict(asked("A"), options=QUICK, seed=1)
    assert np.array_equal(sure.structure.atoms.positions, unsure.structure.atoms.positions)
    assert sure.confidence.mean_plddt > 70 > 40 > unsure.confidence.mean_plddt
    assert sure.confidence.ptm > unsure.confidence.ptm + 0.2
    assert np.nanmean(sure.confidence.pde) < np.nanmean(unsure.confidence.pde)


def with_template(spec: ComplexSpec, *templates: TemplateSpec) -> ComplexSpec:
    return dataclasses.replace(spec, templates=templates)


def test_a_template_is_kept_and_the_alignment_folds_the_rest_in_its_frame(known, asked, ubiquitin, monkeypatch):
    held = []
    own = chain_folds.fold
    monkeypatch.setattr(chain_folds, "fold", lambda expected, **more: held.append(more["held"]) or own(expected))
    template = TemplateSpec(path=str(DATA / "1ubi.pdb"), chains=("A",), residue_map="1-40=1-40", threshold=1.0)
    spec = with_template(asked("A", "B"), template)
    structure = build_complex(spec)
    alone, kept = sorted(folds_of(spec), key=lambda each: each.kept.sum())
    assert (alone.chains, kept.chains) == (("B",), ("A",))
    assert [None if each is None else int(each.places.sum()) for each in held] in ([40, None], [None, 40])
    assert kept.kept.tolist() == [True] * 40 + [False] * 36
    assert not kept.told[:40].any()
    assert kept.told[40:].sum() > 30
    assert np.allclose(kept.positions[:, 1], ubiquitin.positions[:, 1], atol=0.01)  # the frame is the template's
    found = with_folds(read_templates(spec, structure), structure, (kept,))
    here = structure.atom_chain == 0
    assert set(found.group[here]) == {0, 1}
    assert not found.of_fold[here & (structure.atoms.residue < 40)].any()
    assert (
        found.of_fold[here & (structure.atoms.residue >= 40) & (structure.atoms.name == "CA")].sum() == kept.told.sum()
    )


def test_both_say_how_well_they_were_followed(known, asked, monkeypatch):
    path = str(DATA / "1ubi.pdb")
    part = TemplateSpec(path=path, chains=("A",), residue_map="1-40=1-40", threshold=3.0)
    (found,) = predict(with_template(asked("A"), part), options=QUICK, seed=1)
    verdicts = {each.name: each for each in found.verdicts}
    assert verdicts["template 1ubi.pdb"].met
    assert verdicts["alignment of A"].met
    assert "residues beside its template" in verdicts["alignment of A"].reached
    assert found.confidence.plddt[:40] == pytest.approx(95)
    assert found.confidence.plddt[40:].max() < 95
    monkeypatch.setattr(chain_folds, "fold", None)  # nothing is left to fold
    (found,) = predict(with_template(asked("A"), TemplateSpec(path=path, chains=("A",))), options=QUICK, seed=1)
    verdicts = {each.name: each for each in found.verdicts}
    assert verdicts["alignment of A"].reached == "nothing beside its template, which has all residues"
    assert verdicts["alignment of A"].met


def test_a_chain_with_an_alignment_follows_its_best_template_alone(known, asked):
    path = str(DATA / "1ubi.pdb")
    parts = [TemplateSpec(path=path, chains=("A",), residue_map=each) for each in ("50-70=50-70", "1-40=1-40")]
    with pytest.warns(TemplateWarning, match="template 1 .* beside an alignment one template of a chain counts"):
        (own,) = folds_of(with_template(asked("A"), *parts))
    assert own.kept.tolist() == [True] * 40 + [False] * 36


def test_beside_an_alignment_a_template_of_ca_atoms_is_not_made_use_of(known, asked, tmp_path):
    lines = [line for line in (DATA / "1ubi.pdb").read_text().splitlines() if line[12:16] == " CA "]
    (tmp_path / "ca.pdb").write_text("\n".join([*lines, "END"]))
    spec = with_template(asked("A"), TemplateSpec(path=str(tmp_path / "ca.pdb"), chains=("A",)))
    with pytest.warns(TemplateWarning, match="N, CA and C count, which none of its residues has"):
        assert not read_templates(spec, build_complex(spec)).group.any()


@needs_weights
def test_the_fold_of_an_alignment_keeps_the_shape_of_its_template(asked, ubiquitin):
    spec = with_template(asked("A"), TemplateSpec(path=str(DATA / "1ubi.pdb"), chains=("A",), residue_map="1-60=1-60"))
    (own,) = folds_of(spec)
    off = own.positions[:60, 1] - ubiquitin.positions[:60, 1]
    assert np.sqrt(np.square(off).sum(-1).mean()) < 0.6


def test_an_alignment_that_tells_nothing_is_said_to(known, asked, monkeypatch):
    blurred = {name: torch.full_like(value, -np.log(value.shape[-1])) for name, value in known.items()}
    monkeypatch.setattr(chain_folds, "expect_aligned", lambda alignment: Expectation(**blurred))
    (own,) = folds_of(asked("A"))
    assert not own.told.any()
    (found,) = predict(asked("A"), options=QUICK)
    (verdict,) = [each for each in found.verdicts if each.name == "alignment of A"]
    assert not verdict.met
    assert "tells of no residue" in verdict.reached


def test_each_copy_is_a_group_of_its_own_after_those_there_are(known, asked):
    spec = asked("A", "B")
    structure = build_complex(spec)
    folds = folds_of(spec)
    found = with_folds(read_templates(spec, structure), structure, folds)
    told = {name: set(found.group[structure.atom_chain == row]) for row, name in enumerate("AB")}
    assert told == {"A": {0, 1}, "B": {0, 2}}  # side chains beyond CB are told nothing
    assert set(structure.atoms.name[found.group > 0]) == {"N", "CA", "C", "O", "CB"}
    assert not found.fixed.any()
    job = complex_job(spec)
    assert len(job.folds) == 1
    assert not complex_job(spec, folded=False).folds


def test_that_pairs_are_not_followed_is_said_where_chains_are_folded(known, asked, tmp_path, recwarn):
    spec = asked("A", "B", paired_msa=str(tmp_path / "u.a3m"))
    complex_job(spec, folded=False)
    assert not recwarn.list
    complex_job(spec)
    assert [each.category for each in recwarn.list] == [PairedAlignmentWarning]


def test_caps_have_no_backbone_and_a_confidence(known, asked):
    caps = (Modification(position=1, ccd="ACE"), Modification(position=76, ccd="NH2"))
    with torch.no_grad():
        (found,) = predict(asked("A", modifications=caps), options=QUICK, seed=1)
    (verdict,) = [each for each in found.verdicts if each.name == "alignment of A"]
    assert verdict.met
    for scores in (found.confidence.plddt, found.confidence.pae, found.confidence.pde):
        assert np.isfinite(scores).all()


def test_errors_have_the_means_that_are_told():
    mean = torch.tensor([[0.6, 3.0], [12.0, 30.0]])
    assert expected_error(spread_logits(mean, 64)).ravel().tolist() == pytest.approx(mean.ravel().tolist(), rel=0.03)


def test_the_fold_is_kept_until_the_file_changes(known, asked, monkeypatch):
    calls = []
    own = chain_folds.expect_aligned
    monkeypatch.setattr(chain_folds, "expect_aligned", lambda alignment: calls.append(len(alignment)) or own(alignment))
    spec = asked("A")
    folds_of(spec)
    folds_of(spec)
    path = Path(spec.chains[0].msa[0])
    path.write_text(path.read_text() + ">third\n" + "-" * 76 + "\n")
    folds_of(spec)
    assert calls == [2, 3]


def test_what_cannot_be_followed_is_refused(known, asked, letters, monkeypatch):
    rna = ComplexSpec(name="r", chains=(ChainSpec(ids=("R",), kind="rna", sequence="GGCC", msa="r.a3m"),))
    short = asked("A", sequence=letters[:9])
    for spec, said in ((rna, "that of rna R"), (short, "10 to 600 residues"),
                       (asked("A", sequence=letters[:-1]), "has not the length")):  # fmt: skip
        with pytest.raises(InputError, match=said):
            read_alignments(spec)
    assert read_alignments(asked("A", msa="empty")) == {}
    assert len(read_alignments(asked("A", msa="self"))["A"]) == 1
    monkeypatch.setattr(complex_jobs, "free_memory", lambda device: 2**20)
    with pytest.raises(ResourceError, match="76 residues by their alignment needs about"):
        complex_job(asked("A"), folded=False)
    monkeypatch.undo()
    monkeypatch.setenv("STRUCTDIFF_CACHE", str(Path(asked("A").chains[0].msa[0]).parent))
    with pytest.raises(InputError, match="structdiff weights fetch"):
        read_alignments(asked("A"))


@needs_weights
def test_an_alignment_of_one_row_is_the_sequence_alone(asked, letters):
    spec = asked("A")
    path = Path(spec.chains[0].msa[0])
    path.write_text(f">q\n{letters}\n")
    (alignment,), (alone,) = read_alignments(spec).values(), read_alignments(asked("A", msa="self")).values()
    assert np.array_equal(alignment.letters, alone.letters)
    for name in CLASSES:
        assert torch.equal(getattr(expect_aligned(alignment), name), getattr(expect(letters), name))


@needs_weights
def test_the_published_networks_read_couplings(asked, letters):
    """Probabilities of tr-rosetta-pytorch 0.0.3 for the same two rows."""
    (alignment,) = read_alignments(asked("A")).values()
    found, alone = expect_aligned(alignment).distance.exp(), expect(letters).distance.exp()
    near = [0.18480, 0.00004, 0.00006, 0.00007, 0.00014, 0.00023, 0.00030, 0.00046]
    assert found[3, 40, :8].tolist() == pytest.approx(near, abs=1e-4)
    assert found[10, 70, [0, 5, 12, 30]].tolist() == pytest.approx([0.08416, 0.00230, 0.01129, 0.00907], abs=1e-4)
    assert abs(alone[3, 40, 0].item() - near[0]) > 1e-3
