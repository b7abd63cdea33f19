"""The manifest: what is done stays done, what was begun is begun again, and it stays quick."""

from __future__ import annotations

import json
import multiprocessing
import sqlite3
import time

import pytest

from structdiff.campaign import opening
from structdiff.campaign.manifest import MANIFEST, Manifest
from structdiff.campaign.opening import set_aside_unusable
from structdiff.campaign.outlook import outlook, seconds_left
from structdiff.campaign.work import NewWork, difference, workers_by_stage
from structdiff.errors import InputError, ResourceError

ASKED = {"spec": {"contigs": "10/A1-5/10", "motif": "a.pdb", "motif_sha256": "x"}, "seed": 0, "device": "cpu"}


def backbone(number: int, **changes) -> NewWork:
    details = {"run": "d", "stage": "backbone", "name": f"d_{number + 1}", "number": number, "seed": 0, "asked": ASKED}
    return NewWork(**{**details, **changes})


def states(manifest: Manifest) -> list[tuple[str, str]]:
    return [(each.name, each.state) for each in manifest.rows()]


def test_work_goes_from_waiting_to_done_with_what_follows(tmp_path) -> None:
    with Manifest(tmp_path) as manifest:
        assert manifest.add(backbone(n) for n in range(3)) == 3
        assert manifest.add(backbone(n) for n in range(4)) == 1
        first, second = manifest.claim(2)
        assert (first.name, second.number, first.attempts) == ("d_1", 1, 0)
        manifest.finish(first, {"columns": {"plddt": 70.5}}, 2.0, [backbone(0, stage="refold", parent="d_1")])
        manifest.fail(second, "no")
        (refold,) = manifest.claim(5)
        assert (refold.stage, refold.parent) == ("refold", "d_1")
        manifest.give_back([refold])
        assert manifest.counts() == {"backbone": {"done": 1, "failed": 1, "waiting": 2}, "refold": {"waiting": 1}}
        assert manifest.retry_failed() == 1
    with Manifest(tmp_path, create=False) as manifest:
        (done,) = manifest.rows(state="done")
        assert (done.result, done.seconds) == ({"columns": {"plddt": 70.5}}, 2.0)
        assert manifest.is_open()


def test_workers_share_what_is_not_enough_for_all(tmp_path) -> None:
    with Manifest(tmp_path) as manifest:
        manifest.add(backbone(n) for n in range(5))
        two = workers_by_stage([(), ("backbone",)])
        assert [len(manifest.claim(4, among=two)) for _ in range(4)] == [3, 1, 1, 0]
        manifest.add(backbone(n) for n in range(5, 25))
        assert [len(manifest.claim(4, among=two)) for _ in range(2)] == [4, 4]
        assert len(manifest.claim(4, among=workers_by_stage([("backbone",), ("refold",)]))) == 4


def test_content_decides_what_is_the_same(tmp_path) -> None:
    with Manifest(tmp_path) as manifest:
        manifest.add([backbone(0)])
        moved = {**ASKED, "spec": {**ASKED["spec"], "motif": "elsewhere/a.pdb"}, "device": "cuda"}
        assert manifest.add([backbone(0, asked=moved)]) == 0
        other = {**ASKED, "spec": {**ASKED["spec"], "motif_sha256": "y"}}
        with pytest.raises(InputError, match=r"spec\.motif_sha256 was x and is y now"):
            manifest.add([backbone(1), backbone(0, asked=other)])
        # All of it or nothing.
        assert states(manifest) == [("d_1", "waiting")]


def test_differences_are_named_by_their_place() -> None:
    assert difference({"a": {"b": [1]}}, {"a": {"b": [2]}}) == "a.b was [1] and is [2] now"
    assert difference({"a": 1}, {"a": 1, "c": "x"}) == "c (x) was not given and is now"
    assert difference({"a": 1, "torch": "2.6"}, {"a": 1, "torch": "2.7"}) is None
    assert difference({"a": 1}, {"a": 1, "kernels": "reference"}) is None


def _claim_and_vanish(folder) -> None:
    Manifest(folder).claim(2)


def test_work_of_a_process_that_is_gone_is_done_again(tmp_path) -> None:
    with Manifest(tmp_path) as manifest:
        manifest.add(backbone(n) for n in range(3))
        context = multiprocessing.get_context("fork")
        for attempt in range(3):
            child = context.Process(target=_claim_and_vanish, args=(tmp_path,))
            child.start()
            child.join()
            assert manifest.release_abandoned() == 2
            expected = "failed" if attempt == 2 else "waiting"
            assert states(manifest) == [("d_1", expected), ("d_2", expected), ("d_3", "waiting")]
        assert "3 times" in (manifest.errors()[0].error or "")
        # Its own work, and that of a living process, is left alone.
        manifest.claim(1)
        assert manifest.release_abandoned() == 0


def test_work_of_another_machine_is_left_to_it_until_it_falls_silent(tmp_path) -> None:
    with Manifest(tmp_path) as manifest:
        manifest.worker = "elsewhere|12|1.0"
        manifest.add([backbone(0)])
        manifest.claim(1)
        assert manifest.release_abandoned() == 0
        with sqlite3.connect(tmp_path / MANIFEST) as database:
            database.execute("UPDATE workers SET beat = beat - 1000")
        assert manifest.release_abandoned() == 1


def test_a_clock_that_was_set_back_keeps_no_work_for_years(tmp_path) -> None:
    with Manifest(tmp_path) as manifest:
        manifest.worker = "elsewhere|12|1.0"
        manifest.add([backbone(0)])
        manifest.claim(1)
        assert manifest.machines_elsewhere() == ["elsewhere"]
        with sqlite3.connect(tmp_path / MANIFEST) as database:
            database.execute("UPDATE workers SET beat = beat + 1e8")
        assert manifest.release_abandoned() == 1
        assert manifest.machines_elsewhere() == []


def test_what_is_no_manifest_is_refused(tmp_path) -> None:
    (tmp_path / MANIFEST).write_text("not a database, but text that is long enough to be looked at" * 20)
    for details in ({}, {"read_only": True}):
        with pytest.raises(InputError, match=r"manifest\.sqlite: the manifest is damaged .*--overwrite"):
            Manifest(tmp_path, **details)
    with pytest.raises(InputError, match="no campaign"):
        Manifest(tmp_path / "nowhere", create=False)
    assert not (tmp_path / "nowhere").exists()


def test_a_damaged_manifest_is_said_and_set_aside(tmp_path) -> None:
    path = tmp_path / MANIFEST
    assert set_aside_unusable(path) is None
    with Manifest(tmp_path) as manifest:
        manifest.add(backbone(n) for n in range(400))
    assert set_aside_unusable(path) is None
    path.write_bytes(path.read_bytes()[: 6 * 4096])
    with pytest.raises(InputError, match=r"the manifest is damaged .*malformed"), Manifest(tmp_path) as manifest:
        list(manifest.rows())
    aside = set_aside_unusable(path)
    assert aside is not None
    assert aside.is_file()
    assert not path.exists()
    with Manifest(tmp_path) as manifest:
        manifest._database.execute("PRAGMA user_version = 7")
    with pytest.raises(InputError, match=r"another version of structdiff.*found 7"):
        Manifest(tmp_path)
    assert set_aside_unusable(path) == aside


def test_looking_writes_nothing_and_sees_what_is_not_in_the_file_yet(tmp_path, monkeypatch) -> None:
    with Manifest(tmp_path) as manifest:
        manifest.add([backbone(0), backbone(1)])
        manifest.claim(1)
        for copied in (False, True):
            if copied:  # as where nothing can be written beside the file
                monkeypatch.setattr(opening, "_check_format", _first_fails(opening._check_format))
            with Manifest(tmp_path, read_only=True) as seen:
                assert states(seen) == [("d_1", "running"), ("d_2", "waiting")]
                assert seen.at_work()
                if not copied:
                    with pytest.raises(InputError, match="readonly"):
                        seen.add([backbone(2)])
        manifest._database.execute("UPDATE work SET worker = 'here|1|0' WHERE state = 'running'")
        assert not manifest.at_work()


def _first_fails(complete):
    calls = []

    def check(*details) -> None:
        calls.append(details)
        if len(calls) == 1:
            raise sqlite3.OperationalError("unable to open database file")
        complete(*details)

    return check


def test_what_is_left_counts_what_is_yet_to_follow(tmp_path) -> None:
    facts = {"stages": ("backbone", "sequence", "refold"), "sequences": 3}
    with Manifest(tmp_path) as manifest:
        manifest.note_run("d", facts)
        manifest.add(backbone(n) for n in range(4))
        first, second = manifest.claim(2)
        manifest.finish(first, {}, 2.0, [backbone(0, stage="sequence", parent="d_1")])
        manifest.fail(second, "no")
        assert outlook(manifest, "d", facts) == {
            "backbone": {"done": 1, "failed": 1, "waiting": 2},
            "sequence": {"waiting": 3},
            "refold": {"waiting": 9},
        }
        (sequence,) = manifest.claim(1)
        assert outlook(manifest, "d", facts)["sequence"] == {"running": 1, "waiting": 2}
        manifest.finish(sequence, {}, 1.0, [backbone(0, stage="refold", name=f"d_1_{k}") for k in (1, 2, 3)])
        assert outlook(manifest, "d", facts)["refold"] == {"waiting": 9}
        assert seconds_left(manifest) == 2 * 2.0 + 2 * 1.0


def test_what_a_part_did_since_it_was_taken_over_is_taken_over_too(tmp_path) -> None:
    with Manifest(tmp_path / "part") as part, Manifest(tmp_path / "whole") as whole:
        part.add(backbone(n) for n in range(3))
        assert whole.take_over(part) == 3
        first, second, _ = part.claim(3)
        part.finish(first, {"columns": {}}, 1.0, [backbone(0, stage="refold")])
        part.fail(second, "no")
        assert whole.take_over(part) == 3
        assert whole.take_over(part) == 0
        found = {(each.stage, each.name): (each.state, each.result, each.error) for each in whole.rows()}
        assert found == {
            ("backbone", "d_1"): ("done", {"columns": {}}, None), ("backbone", "d_2"): ("failed", None, "no"),
            ("backbone", "d_3"): ("waiting", None, None), ("refold", "d_1"): ("waiting", None, None),
        }  # fmt: skip
        assert whole.rows_of("backbone", ["d_1"])


def test_a_full_disk_is_said(tmp_path) -> None:
    with Manifest(tmp_path) as manifest:
        pages = manifest._database.execute("PRAGMA page_count").fetchone()[0]
        manifest._database.execute(f"PRAGMA max_page_count = {pages + 2}")
        with pytest.raises(ResourceError, match="disk is full"):
            manifest.add(backbone(n) for n in range(10_000))
        assert states(manifest) == []
        manifest._database.execute("PRAGMA max_page_count = 1000000")
        manifest.add([backbone(0)])
        assert states(manifest) == [("d_1", "waiting")]


def test_a_hundred_thousand_rows_stay_quick(tmp_path) -> None:
    with Manifest(tmp_path) as manifest:
        manifest.add([backbone(0)])
        result = json.dumps({"columns": {f"column_{k}": 1.5 for k in range(20)}})
        manifest._database.execute("UPDATE work SET state = 'done', result = ?", (result,))
        manifest._database.execute(
            "INSERT INTO work "
            "(run, stage, name, number, seed, input_hash, weights_hash, request, parent, state, result) "
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 99999) "
            "SELECT run, stage, 'd_' || (i + 1), i, seed, input_hash, weights_hash, request, parent, state, result "
            "FROM work, n"
        )
        began = time.process_time()
        assert sum(1 for _ in manifest.rows(results=False)) == 100_000
        counted = time.process_time()
        assert manifest.counts() == {"backbone": {"done": 100_000}}
        ended = time.process_time()
        assert counted - began < 1.0
        assert ended - counted < 0.5
        began = time.process_time()
        (row,) = manifest.claim(1) or [None]
        assert row is None
        assert time.process_time() - began < 0.05


def test_rows_are_plain_values(tmp_path) -> None:
    with Manifest(tmp_path) as manifest:
        manifest.add([backbone(0)])
        (row,) = manifest.claim(1)
        with pytest.raises(ValueError, match="JSON"):
            manifest.finish(row, {"columns": {"plddt": float("nan")}}, 1.0)
        assert json.loads(json.dumps(row)) == list(row)
        manifest.finish(row, {"columns": {"plddt": None}}, 1.0)
        assert states(manifest) == [("d_1", "done")]


def test_the_first_entry_that_differs_is_named_by_its_path():
    def asked(distance, sequence="M" * 90, **more):
        pocket = {"binder": "L", "contacts": [["A", 3]], "max_distance": distance}
        return {"spec": {"sequences": [sequence], "constraints": [{"pocket": pocket | more}]}}

    assert difference(asked(6), asked(6)) is None
    assert difference(asked(6), asked(7)) == "spec.constraints[0].pocket.max_distance was 6 and is 7 now"
    assert difference(asked(6), asked(6, force=True)) == (
        "spec.constraints[0].pocket.force (true) was not given and is now"
    )
    text = difference(asked(6), asked(6, "M" * 70 + "W" + "M" * 19))
    assert text is not None
    assert "W" in text
    assert len(text) < 140


def test_a_quota_is_told_as_a_disk_that_is_full(tmp_path) -> None:
    told = opening.trouble(sqlite3.OperationalError("disk I/O error"), tmp_path / MANIFEST)
    assert isinstance(told, ResourceError)
    assert "the disk is full, or a quota on it" in str(told)
