"""The judge in a campaign: which chains it sees, what its columns are, and that it can come and go."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import pytest

from structdiff.cache import cache_folder
from structdiff.campaign import judging
from structdiff.campaign.columns import JUDGE, campaign_columns
from structdiff.campaign.judging import judge_columns
from structdiff.campaign.manifest import Manifest
from structdiff.campaign.measures import verdict_columns
from structdiff.campaign.report import write_campaign_report
from structdiff.campaign.results import DesignResult
from structdiff.campaign.run import Listener, Run, Selection, folder_results, write_tables
from structdiff.campaign.selection import select
from structdiff.errors import InputError
from structdiff.evaluation.trrosetta import Judgement
from structdiff.published_weights import full_names, is_present
from structdiff.published_weights.cache import weights_file
from structdiff.structure.files import read_structure

UBIQUITIN = Path(__file__).parents[1] / "evaluation" / "data" / "1ubi.pdb"
#: Before the tests hide them.
WEIGHTS_ARE_HERE, CACHE = is_present("trrosetta"), str(cache_folder())


@pytest.fixture
def stand_in(monkeypatch) -> list[str]:
    """Files in the place of the published weights, and a judge that counts alanines; the sequences it was given."""
    for name in full_names("trrosetta"):
        weights_file(name).parent.mkdir(parents=True, exist_ok=True)
        weights_file(name).write_bytes(name.encode())
    seen: list[str] = []

    def judge(backbone, sequence: str, *, refold: bool, networks: object) -> Judgement:
        assert len(backbone) == len(sequence)
        assert not refold
        seen.append(sequence)
        return Judgement(log_likelihood=-sequence.count("A") - 0.5, contact_precision=len(sequence) / 400)

    monkeypatch.setattr(judging, "judge_design", judge)
    return seen


def made(campaign, folder: Path, notes: list[str] | None = None) -> list[DesignResult]:
    run = Run(campaign, folder, Selection(), range(campaign.spec.num_designs))
    failures: list[str] = []
    with Manifest(folder) as manifest:
        run.check_folder()
        run.prepare(manifest)
        run.work(manifest, Listener(on_failure=lambda work, error: failures.append(str(error))))
        assert not failures
        assert run.finished_work(manifest) == run.expected_work()
        write_tables(folder_results(manifest), folder)
        write_campaign_report(manifest, folder_results(manifest), folder)
        return run.results(manifest)


def test_each_sequence_is_judged_and_the_judge_ranks(planned, tmp_path, stand_in) -> None:
    campaign = planned(2, sequences=2, contigs="10/A168-172/10", temperature=2.0)
    assert campaign.stages == ("backbone", "sequence", "judge", "refold")
    results = made(campaign, tmp_path)
    assert sorted(stand_in) == sorted(each.sequences["A"][1] for each in results)
    for each in results:
        letters = each.sequences["A"][1]
        assert each.columns["judge_log_likelihood"] == -letters.count("A") - 0.5
        assert each.columns["judge_contact_precision"] == pytest.approx(len(letters) / 400, abs=1e-4)
        assert each.columns["sc_rmsd"] is not None
    alanines = [each.sequences["A"][1].count("A") for each in results]
    assert len(set(alanines)) > 1
    with (tmp_path / "designs.csv").open() as table:
        assert set(JUDGE) <= set(next(csv.reader(table)))
    page = (tmp_path / "report.html").read_text()
    assert "contact precision, trRosetta (share, 0 to 1)" in page
    assert "trRosetta judged each sequence" in page


def test_a_judge_can_be_added_and_left_out_again(planned, tmp_path, stand_in) -> None:
    assert not set(made(planned(2, judge="none", refold="none", contigs="10/A168-172/10"), tmp_path)[0].columns) & set(
        JUDGE
    )
    judged = planned(2, refold="none", contigs="10/A168-172/10")
    assert set(JUDGE) <= set(campaign_columns(judged))
    before = (tmp_path / "design_1.cif").stat().st_mtime_ns
    assert all(each.columns["judge_log_likelihood"] < 0 for each in made(judged, tmp_path))  # type: ignore
    assert (tmp_path / "design_1.cif").stat().st_mtime_ns == before
    assert len(stand_in) == 2
    # Work of a stage that is wanted no more must not be waited for.
    with Manifest(tmp_path) as manifest:
        manifest.redo(list(manifest.rows(stage="judge")))
    assert len(made(planned(2, judge="none", refold="none", contigs="10/A168-172/10"), tmp_path)) == 2
    assert len(stand_in) == 2


def test_other_weights_of_the_judge_are_another_run(planned, tmp_path, stand_in) -> None:
    made(planned(1, refold="none", contigs="10/A168-172/10"), tmp_path)
    weights_file("trrosetta_c").write_bytes(b"others")
    with pytest.raises(InputError, match=r"design_1 is here from another run .judge.weights_sha256"):
        made(planned(1, refold="none", contigs="10/A168-172/10"), tmp_path)


def test_without_weights_auto_means_none_and_asking_says_how_to_get_them(planned) -> None:
    assert "judge" not in planned(1).stages
    with pytest.raises(InputError, match="structdiff weights fetch tr-rosetta-pytorch"):
        planned(1, judge="trrosetta")
    with pytest.raises(InputError, match="did you mean 'trrosetta'"):
        planned(1, judge="trroseta")


def test_only_designed_chains_within_reach_are_judged(stand_in) -> None:
    ubiquitin = read_structure(UBIQUITIN)
    chain = ubiquitin.chains.name[0]
    assert judge_columns(ubiquitin, {})["judge_contact_precision"] == pytest.approx(76 / 400)
    kept = judge_columns(ubiquitin, {"chains": [{"chain": chain, "kept": True}]})
    short = judge_columns(ubiquitin.select(ubiquitin.atoms.residue < 19), {})
    atoms = ubiquitin.atoms
    gap = (atoms.residue == 30) & (atoms.name == "CA")
    broken = dataclasses.replace(ubiquitin, atoms=dataclasses.replace(atoms, resolved=atoms.resolved & ~gap))
    for columns in (kept, short, judge_columns(broken, {})):
        assert columns == dict.fromkeys(JUDGE)
    assert len(stand_in) == 1


def test_another_programs_refolding_ranks_before_the_judge() -> None:
    def result(number: int, **columns: float) -> DesignResult:
        return DesignResult(run="d", name=f"d_{number}", backbone=f"d_{number}", number=number, columns=columns)

    first, second = {"sc_rmsd": 1.0, "judge_log_likelihood": -3.0}, {"sc_rmsd": 5.0, "judge_log_likelihood": -2.0}
    assert [each.number for each in select([result(1, **first), result(2, **second)], None)] == [1, 2]
    own = [result(1, refold_ptm=0.5, **first), result(2, refold_ptm=0.5, **second)]
    assert [each.number for each in select(own, None, refolder="own")] == [2, 1]
    assert [each.number for each in select(own, None, refolder="boltz2")] == [1, 2]


@pytest.mark.skipif(not WEIGHTS_ARE_HERE, reason="structdiff weights fetch trrosetta")
def test_the_published_networks_judge_ubiquitin(monkeypatch) -> None:
    monkeypatch.setenv("STRUCTDIFF_CACHE", CACHE)
    columns = judge_columns(read_structure(UBIQUITIN), {})
    assert (columns["judge_log_likelihood"] or -9) > -2.9
    assert (columns["judge_contact_precision"] or 0) > 0.8


def test_a_motif_and_its_place_are_told_apart() -> None:
    verdicts = [
        {"name": "motif", "reached": "0.62 Å RMSD", "met": False, "requested": True},
        {"name": "motif's place", "reached": "1.40 Å RMSD", "met": False, "requested": True},
        {"name": "hotspot A5", "reached": "4.1 Å", "met": True, "requested": True},
    ]
    assert verdict_columns(verdicts) == {
        "verdicts_met": 1, "motif_rmsd": 0.62, "motif_place_rmsd": 1.4, "hotspots_met": 1.0,
    }  # fmt: skip
    assert "motif_place_rmsd" not in verdict_columns(verdicts[:1])
