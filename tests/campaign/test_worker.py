"""Workers: killed at any moment, with designs that fail, on a full disk; in the end everything is there once."""

from __future__ import annotations

import dataclasses
import errno
import multiprocessing
import os
import random
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from structdiff.campaign.manifest import Manifest
from structdiff.campaign.run import Run, Selection
from structdiff.campaign.stages import BACKBONES, REFOLDED, Outcome
from structdiff.campaign.work import Work
from structdiff.campaign.worker import Worker
from structdiff.drawing import Progress
from structdiff.errors import InputError, ResourceError
from structdiff.structure.files import write_atomically

FOLDERS = {"backbone": BACKBONES, "sequence": ".", "refold": REFOLDED}


class QuickBench:
    """Takes the place of the stages: random numbers of seed and number instead of structures."""

    def __init__(self, campaign, folder: Path, *, pause: float = 0.0, trouble=None) -> None:
        self.campaign, self.folder, self.pause, self.trouble = campaign, folder, pause, trouble

    def run(self, stage: str, work: Sequence[Work], _) -> Iterator[Outcome]:
        for each in work:
            if self.trouble is not None:
                self.trouble(each)
            places = self.campaign.places(each.name)
            names = self.campaign.design_names(each.number, places) if stage == "sequence" else [each.name]
            values = np.random.default_rng([each.seed, each.number, len(stage)]).random(len(names)).round(6).tolist()
            for name, value in zip(names, values, strict=True):
                time.sleep(self.pause)
                path = self.folder / FOLDERS[stage] / f"{name}.cif"
                path.parent.mkdir(exist_ok=True)
                write_atomically(path, f"data_{name}\n_{stage} {value}\nloop_\n_atom_site.id\n" + "1\n" * 50)
                for part in ("residue_map", "confidence") if stage != "refold" else ():
                    write_atomically(path.with_suffix(f".{part}.json"), "{}\n")
            designs = [
                {"name": n, "columns": {"sequence_nll": v}, "sequences": {}, "note": ""}
                for n, v in zip(names, values, strict=True)
            ]
            shared = {"columns": {"plddt": values[0]}, "verdicts": [], "sequences": {}, "note": ""}
            yield Outcome(work=each, result={"designs": designs} if stage == "sequence" else shared, seconds=0.01)


def work_through(campaign, folder: Path, *, pause: float = 0.0, trouble=None) -> list[tuple[Work, Exception]]:
    failures: list[tuple[Work, Exception]] = []
    run = Run(campaign, folder, Selection(), range(campaign.spec.num_designs))
    with Manifest(folder) as manifest:
        run.prepare(manifest)
        bench = QuickBench(campaign, folder, pause=pause, trouble=trouble)
        Worker(bench=bench, manifest=manifest, share=run.share, on_failure=lambda *both: failures.append(both)).run()  # type: ignore
    return failures


def contents(folder: Path) -> dict[str, bytes]:
    # What a killed process had half written bears a hidden name of its own and is never read.
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(("manifest", "."))]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def rows(folder: Path) -> list:
    with Manifest(folder, create=False) as manifest:
        return sorted((each.stage, each.name, each.state, str(each.result)) for each in manifest.rows())


def test_killed_at_twenty_moments_nothing_is_lost_and_nothing_is_there_twice(planned, tmp_path) -> None:
    campaign = planned(40, sequences=2)
    assert campaign.stages == ("backbone", "sequence", "refold")
    work_through(campaign, tmp_path / "whole")
    context, moments, killed = multiprocessing.get_context("fork"), random.Random(1), 0
    folder = tmp_path / "killed"
    for _ in range(20):
        child = context.Process(target=work_through, args=(campaign, folder), kwargs={"pause": 0.002})
        child.start()
        time.sleep(moments.uniform(0.02, 0.12))
        if child.is_alive() and child.pid is not None:
            os.kill(child.pid, signal.SIGKILL)
            killed += 1
        child.join()
    assert killed >= 5  # on a machine that is quick, the last ones find nothing to do
    assert work_through(campaign, folder) == []
    assert rows(folder) == rows(tmp_path / "whole")
    assert len(rows(folder)) == 40 + 40 + 80
    assert contents(folder) == contents(tmp_path / "whole")  # no half of a file is left, not even under another name


def test_sequences_that_are_added_survive_being_killed_and_asked_for_anew(planned, tmp_path) -> None:
    work_through(planned(6, sequences=2), tmp_path)
    begun: list[str] = []

    def trouble(work: Work) -> None:
        begun.append(f"{work.stage} {work.name}")
        if work.name == "design_4:3-5":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work_through(planned(6, sequences=5), tmp_path, trouble=trouble)
    assert "backbone design_1" not in begun
    assert "refold design_1_2" not in begun
    work_through(planned(6, sequences=3), tmp_path)  # in between, fewer: lots that were not begun are cut anew
    work_through(planned(6, sequences=5), tmp_path)
    there = [name for stage, name, state, _ in rows(tmp_path) if stage == "refold" and state == "done"]
    assert sorted(there) == sorted(f"design_{n}_{k}" for n in range(1, 7) for k in range(1, 6))


def test_one_failing_design_takes_no_other_with_it(planned, tmp_path) -> None:
    def trouble(work: Work) -> None:
        if work.number == 2 and work.stage == "backbone":
            raise InputError("this one cannot be made")

    campaign = planned(5)
    failures = work_through(campaign, tmp_path, trouble=trouble)
    assert [(work.name, str(error)) for work, error in failures] == [("design_3", "this one cannot be made")]
    states = {(stage, name): state for stage, name, state, _ in rows(tmp_path)}
    assert states.pop(("backbone", "design_3")) == "failed"
    assert set(states.values()) == {"done"}
    assert len(states) == 8
    # The same command again tries it anew.
    assert work_through(campaign, tmp_path) == []
    assert {state for _, _, state, _ in rows(tmp_path)} == {"done"}


def test_what_the_system_refuses_is_no_fault_of_the_program(planned, tmp_path) -> None:
    def locked(work: Work) -> None:
        if work.stage == "backbone":
            raise PermissionError(errno.EACCES, "Permission denied", "weights.safetensors")

    failures = work_through(planned(2), tmp_path, trouble=locked)
    assert {type(error) for _, error in failures} == {InputError}
    with Manifest(tmp_path, create=False) as manifest:
        assert {each.error for each in manifest.errors()} == {"weights.safetensors: cannot be used: Permission denied"}


def test_work_in_the_hands_of_another_machine_is_told(planned, tmp_path) -> None:
    run, notes = Run(planned(2), tmp_path, Selection(), range(2)), []
    with Manifest(tmp_path) as manifest:
        run.prepare(manifest, on_note=notes.append)
        assert notes == []
        manifest.worker = "node7|12|1.0"
        manifest.claim(1)
        run.prepare(manifest, on_note=notes.append)
    assert len(notes) == 1
    assert "node7" in notes[0]
    assert "5 minutes" in notes[0]


def test_a_full_disk_ends_the_run_and_keeps_what_is_finished(planned, tmp_path) -> None:
    def trouble(work: Work) -> None:
        if work.number == 3:
            try:
                raise OSError(errno.ENOSPC, "No space left on device")
            except OSError:
                raise InputError("cannot be written: No space left on device") from None

    campaign = planned(6, refold="none")
    with pytest.raises(ResourceError, match="disk is full"):
        work_through(campaign, tmp_path, trouble=trouble)
    states = [state for _, _, state, _ in rows(tmp_path)]
    assert states == ["done"] * 3 + ["waiting"] * 3
    work_through(campaign, tmp_path)
    assert {state for _, _, state, _ in rows(tmp_path)} == {"done"}


def test_ctrl_c_gives_back_what_was_begun(planned, tmp_path) -> None:
    def trouble(work: Work) -> None:
        if work.number == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work_through(planned(4, refold="none"), tmp_path, trouble=trouble)
    assert [state for _, _, state, _ in rows(tmp_path)] == ["done", "done", "waiting", "waiting"]


def test_structures_that_were_removed_are_made_again(planned, tmp_path) -> None:
    campaign = planned(3)
    work_through(campaign, tmp_path)
    before = contents(tmp_path)
    (tmp_path / BACKBONES / "design_2.cif").unlink(missing_ok=True)
    (tmp_path / REFOLDED / "design_3.cif").unlink()
    begun: list[str] = []
    work_through(campaign, tmp_path, trouble=lambda work: begun.append(f"{work.stage} {work.name}"))
    assert "refold design_3" in begun
    assert "refold design_1" not in begun
    assert {key: value for key, value in contents(tmp_path).items() if key in before} == before


def test_the_manifest_takes_no_time_to_speak_of(planned, tmp_path) -> None:
    """Under 2 % of a design that takes a second."""
    campaign = planned(100, refold="none")
    run = Run(campaign, tmp_path, Selection(), range(100))
    with Manifest(tmp_path) as manifest:
        began = time.process_time()
        run.prepare(manifest)
        result = {"columns": {f"c{k}": 1.0 for k in range(30)}, "verdicts": [], "sequences": {}, "note": ""}
        while work := manifest.claim(4):
            for each in work:
                manifest.finish(each, result, 1.0)
        assert (time.process_time() - began) / 100 < 0.02


def test_a_run_does_what_was_asked_of_it_and_leaves_the_rest_to_others(planned, tmp_path) -> None:
    """In one folder there may wait another run's work, and designs of this run that this command does not ask for."""
    campaign, begun = planned(6, refold="none"), []
    other = dataclasses.replace(campaign, spec=dataclasses.replace(campaign.spec, name="other"))
    with Manifest(tmp_path) as manifest:
        Run(campaign, tmp_path, Selection(), range(6)).prepare(manifest)
        Run(other, tmp_path, Selection(), range(2)).prepare(manifest)
        for run in (Run(other, tmp_path, Selection(), range(2)), Run(campaign, tmp_path, Selection(), range(1, 6, 3))):
            bench = QuickBench(run.campaign, tmp_path, trouble=lambda work: begun.append(work.name))
            Worker(bench=bench, manifest=manifest, share=run.share).run()  # type: ignore
            assert run.finished_work(manifest) == run.expected_work() == 2
        assert begun == ["other_1", "other_2", "design_2", "design_5"]
        assert manifest.counts("design") == {"backbone": {"done": 2, "waiting": 4}}


def test_nothing_that_is_being_written_is_taken_for_a_leftover(planned, tmp_path) -> None:
    run = Run(planned(2), tmp_path, Selection(), range(2))
    leftovers = [tmp_path / folder / ".design_1.cif.abcdefgh.part" for folder in (".", BACKBONES, REFOLDED)]
    for path in leftovers:
        path.parent.mkdir(exist_ok=True)
        path.touch()
    with Manifest(tmp_path) as manifest:
        run.prepare(manifest)
        assert not any(path.exists() for path in leftovers)
        manifest.claim(1)
        leftovers[0].touch()
        run.prepare(manifest)
        assert leftovers[0].exists()


def test_work_that_takes_long_says_that_it_is_alive(planned, tmp_path: Path, monkeypatch) -> None:
    campaign = planned(2)
    clock, beats, steps = [0.0], [], []

    class SlowBench(QuickBench):
        def run(self, stage: str, work: Sequence[Work], report) -> Iterator[Outcome]:
            for step in range(8):
                clock[0] += 10.0
                report(Progress(finished=0, total=1, step=step, steps=8))
            yield from super().run(stage, work, report)

    monkeypatch.setattr("structdiff.campaign.worker.time.monotonic", lambda: 1000.0 + clock[0])
    with Manifest(tmp_path) as manifest:
        run = Run(campaign, tmp_path, Selection(), range(1))
        run.prepare(manifest)
        monkeypatch.setattr(manifest, "beat", lambda: beats.append(clock[0]))
        worker = Worker(bench=SlowBench(campaign, tmp_path), manifest=manifest, share=run.share,
                        stages=("backbone",), on_progress=steps.append)  # fmt: skip
        worker.do(manifest.claim(1, ("backbone",), run.share, {}))
    assert len(steps) == 8
    assert beats == [10.0, 50.0]


def test_what_takes_long_one_by_one_is_claimed_one_by_one(planned) -> None:
    campaign = planned(5)
    assert planned(5, refold_command="fold {yaml} {out}").at_once == {"backbone": 2, "refold": 1}
    made_up = dataclasses.replace(campaign, spec=dataclasses.replace(campaign.spec, fold_plan="hallucinated"))
    assert campaign.at_once["backbone"] == 2
    assert made_up.at_once["backbone"] == 1
