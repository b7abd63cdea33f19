"""Several workers: processes of one machine and a real Ray cluster, one of them killed midway; parts put together."""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import signal
import socket
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
import pytest

from structdiff.campaign import processes, ray_cluster
from structdiff.campaign.manifest import Manifest
from structdiff.campaign.merging import merge_parts, missing_files
from structdiff.campaign.plan import Campaign
from structdiff.campaign.processes import Pool, check_pools, parse_workers, run_processes
from structdiff.campaign.ray_cluster import check_address
from structdiff.campaign.run import Listener, Run, Selection, folder_results
from structdiff.errors import InputError, StructdiffError
from structdiff.structure.files import read_structure


def made(campaign, folder: Path, numbers: range | None = None) -> Path:
    run = Run(campaign, folder, Selection(), numbers or range(campaign.spec.num_designs))
    with Manifest(folder) as manifest:
        run.prepare(manifest)
        run.work(manifest, Listener())
    return folder


def check_the_same(folder: Path, alone: Path, count: int) -> None:
    with Manifest(folder, create=False) as manifest, Manifest(alone, create=False) as other:
        assert {state for work in manifest.rows() for state in [work.state]} == {"done"}
        ours, theirs = folder_results(manifest), folder_results(other)
    assert sorted(each.name for each in ours) == sorted(each.name for each in theirs)
    assert len(ours) == count
    for each in ours:
        for place in (".", "refolded"):
            first, second = (read_structure(f / place / f"{each.name}.cif").atoms.positions for f in (folder, alone))
            np.testing.assert_allclose(first, second, atol=5e-3)


def test_workers_are_a_number_or_one_by_stage() -> None:
    assert parse_workers("3") == (Pool(count=3),)
    check_pools(parse_workers("backbone=1,refold=2"), ("backbone", "refold"))
    for wrong in ("0", "-1", "many", "backbone=", "backbone=1,backbone=2", "backbone=1,2", "fold=1", ""):
        with pytest.raises(InputError, match="workers"):
            parse_workers(wrong)
    with pytest.raises(InputError, match="no worker is there for this stage"):
        check_pools(parse_workers("backbone=2"), ("backbone", "refold"))


def assert_alike(found: object, expected: object) -> None:
    """Equal in everything but the last digits of numbers."""
    if isinstance(expected, dict):
        assert isinstance(found, dict)
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            assert_alike(found[key], value)
    elif isinstance(expected, list):
        assert isinstance(found, list)
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_alike(one, other)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, abs=2e-3)
    else:
        assert found == expected


def test_parts_are_put_together(planned, tmp_path) -> None:
    campaign = planned(3, sequences=2, refold="none")
    alone = made(campaign, tmp_path / "alone")
    parts = [made(campaign, tmp_path / f"part_{k}", range(k, 3, 2)) for k in (0, 1)]
    assert merge_parts(parts, tmp_path / "whole") == (6, [])
    assert merge_parts(parts, tmp_path / "whole") == (0, [])
    with Manifest(tmp_path / "whole") as manifest, Manifest(alone) as other:
        ours, theirs = (sorted(each.rows(), key=lambda work: (work.stage, work.name)) for each in (manifest, other))
        assert [(w.stage, w.name) for w in ours] == [(w.stage, w.name) for w in theirs]
        for mine, its in zip(ours, theirs, strict=True):
            # Batches of other sizes round otherwise, and numbers are written to four digits after the point.
            assert_alike(mine.result, its.result)
    names = {str(path.relative_to(alone)) for path in alone.rglob("*.cif")}
    assert {str(path.relative_to(tmp_path / "whole")) for path in (tmp_path / "whole").rglob("*.cif")} == names
    before = (tmp_path / "whole" / "design_1_1.cif").read_bytes()
    with pytest.raises(InputError, match="from another run"):
        merge_parts([made(planned(1, seed=5, refold="none", sequences=2), tmp_path / "other")], tmp_path / "whole")
    assert (tmp_path / "whole" / "design_1_1.cif").read_bytes() == before  # refused before anything is copied
    with pytest.raises(InputError, match="other names there"):
        merge_parts([made(planned(1, refold="none"), tmp_path / "one")], tmp_path / "whole")
    with pytest.raises(InputError, match="no campaign"):
        merge_parts([tmp_path], tmp_path / "whole")
    other_case = made(planned(1, refold="none", asked={"name": "Design"}), tmp_path / "other_case")
    with pytest.raises(InputError, match="design differs in upper and lower case only"):
        merge_parts([other_case], tmp_path / "whole")
    # A damaged file of a part does not take the place of a whole one, nor does it come alone.
    hurt = parts[0] / "design_1_1.cif"
    hurt.write_bytes(before[:500])
    assert merge_parts(parts, tmp_path / "whole") == (0, [hurt])
    assert (tmp_path / "whole" / "design_1_1.cif").read_bytes() == before
    assert merge_parts(parts, tmp_path / "again") == (6, [hurt])
    with Manifest(tmp_path / "again") as manifest:
        assert missing_files(manifest, tmp_path / "again") == [tmp_path / "again" / "design_1_1.cif"]


@pytest.mark.slow
def test_two_processes_of_which_one_is_killed(planned, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(processes, "_PATIENCE", 0.02)  # else all may be done between two looks
    campaign = planned(6)
    alone = made(campaign, tmp_path / "alone")
    folder = tmp_path / "shared"
    run = Run(campaign, folder, Selection(), range(6))
    victims: list[int] = []

    def kill_once(_: object) -> None:
        children = multiprocessing.active_children()
        if not victims and (folder / "design_1.cif").is_file() and children:
            victims.append(children[0].pid or 0)
            os.kill(victims[0], signal.SIGKILL)

    with Manifest(folder) as manifest:
        run.prepare(manifest)
        run_processes(run, manifest, parse_workers("2"), Listener(on_progress=kill_once))
    assert victims
    check_the_same(folder, alone, 6)


@pytest.mark.slow
def test_files_that_a_stage_made_or_changed_come_back_from_a_cluster(tmp_path) -> None:
    class Changing:
        folder = tmp_path

        def run(self, stage, work, _):
            for name in ("changed", "new"):
                (tmp_path / name).write_text("after")
            return [SimpleNamespace(work=each, result={}, seconds=0.0) for each in work]

    for name in ("changed", "kept"):
        (tmp_path / name).write_text("before")
    work = [SimpleNamespace(id=1)]
    ((_, _, _, files),) = ray_cluster._together_then_alone(Changing(), "judge", work)  # type: ignore
    assert files == {"changed": b"after", "new": b"after"}


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")
@pytest.mark.filterwarnings("ignore")
def test_a_cluster_of_two_workers_of_which_one_is_killed(planned, tmp_path) -> None:
    from structdiff.campaign.ray_cluster import run_on_ray

    campaign = planned(6, sequences=2)
    alone = made(campaign, tmp_path / "alone")
    folder = tmp_path / "shared"
    run, notes, killed = Run(campaign, folder, Selection(), range(6)), [], []

    def kill_one() -> None:
        """As soon as the first structures are there."""
        while not killed:
            if (folder / "backbones" / "design_1.cif").is_file():
                workers = [each for each in psutil.Process().children(recursive=True) if "RemoteBench" in each.name()
                           or "RemoteBench" in " ".join(each.cmdline())]  # fmt: skip
                if workers:
                    workers[0].kill()
                    killed.append(workers[0].pid)
            time.sleep(0.02)

    with Manifest(folder) as manifest:
        run.prepare(manifest)
        threading.Thread(target=kill_one, daemon=True).start()
        run_on_ray(run, manifest, parse_workers("2"), Listener(on_note=notes.append), address="local")
    assert killed
    assert notes == ["a worker died; what it had is done again"]
    check_the_same(folder, alone, 12)


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="Ray is installed")
def test_without_ray_it_is_said_how_to_get_it(planned, tmp_path) -> None:
    from structdiff.campaign.ray_cluster import run_on_ray

    run = Run(planned(1), tmp_path, Selection(), range(1))
    with Manifest(tmp_path) as manifest, pytest.raises(InputError, match=r"structdiff\[ray\]"):
        run_on_ray(run, manifest, parse_workers("1"), Listener(), address="local")


def test_the_address_of_a_cluster_is_looked_at_before_ray_is() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens
        for address in (f"127.0.0.1:{taken.getsockname()[1]}", f"ray://127.0.0.1:{taken.getsockname()[1]}"):
            with pytest.raises(InputError, match="nobody listens there"):
                check_address(address)
        taken.listen()
        check_address(f"127.0.0.1:{taken.getsockname()[1]}")
    with pytest.raises(InputError, match="did you mean 'local'"):
        check_address("lokal")


def go_on_for_ever(*_: object) -> None:
    time.sleep(600)


def end_at_once(*_: object) -> None:
    os._exit(1)


@pytest.mark.slow
def test_workers_that_cannot_work_are_not_started_for_ever(planned, tmp_path, monkeypatch) -> None:
    run, notes = Run(planned(1), tmp_path, Selection(), range(1)), []
    monkeypatch.setattr(processes, "work_in_process", end_at_once)
    monkeypatch.setattr(processes, "_MOST_DEATHS", 2)
    with Manifest(tmp_path) as manifest:
        run.prepare(manifest)
        with pytest.raises(StructdiffError, match="workers died 3 times and nothing was finished"):
            run_processes(run, manifest, parse_workers("2"), Listener(on_note=notes.append))
    assert len(notes) == 2


def test_ctrl_c_ends_the_workers(planned, tmp_path, monkeypatch) -> None:
    run, seen = Run(planned(1), tmp_path, Selection(), range(1)), []

    def interrupt(_: object) -> None:
        seen.extend(multiprocessing.active_children())
        raise KeyboardInterrupt

    monkeypatch.setattr(processes, "work_in_process", go_on_for_ever)
    with Manifest(tmp_path) as manifest:
        run.prepare(manifest)
        with pytest.raises(KeyboardInterrupt):
            run_processes(run, manifest, parse_workers("2"), Listener(on_progress=interrupt))
    assert len(seen) == 2
    assert not any(each.is_alive() for each in seen)


@pytest.mark.slow
def test_workers_end_when_their_driver_is_killed(planned, tmp_path) -> None:
    receiver, sender = multiprocessing.Pipe(duplex=False)
    driver = multiprocessing.get_context("fork").Process(target=drive, args=(planned(1), tmp_path, sender))
    driver.start()
    (worker,) = (psutil.Process(number) for number in receiver.recv())
    driver.kill()
    driver.join()
    ends = time.monotonic() + 120  # a machine may be busy
    while worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE and time.monotonic() < ends:
        time.sleep(0.1)
    assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE


def drive(campaign: Campaign, folder: Path, sender: Connection) -> None:
    """Holds its worker in place: the only backbone is said to be made by this process."""
    run = Run(campaign, folder, Selection(), range(1))

    def tell(_: object) -> None:
        if not sender.closed:
            sender.send([each.pid for each in multiprocessing.active_children()])
            sender.close()

    with Manifest(folder) as manifest:
        run.prepare(manifest)
        manifest.claim(1)
        run_processes(run, manifest, parse_workers("1"), Listener(on_progress=tell))


class Cluster:
    """As much of Ray as says what a cluster has."""

    def __init__(self, **resources: float) -> None:
        self.resources = resources

    def cluster_resources(self) -> dict[str, float]:
        return self.resources


@pytest.mark.parametrize(("resources", "wanted", "given"), [
    ({"CPU": 2.0}, 3, 2), ({"CPU": 8.0}, 3, 3), ({"CPU": 8.0, "GPU": 1.0}, 3, 1),
])  # fmt: skip
def test_a_cluster_gets_as_many_workers_as_it_has_room_for(resources, wanted, given) -> None:
    notes: list[str] = []
    driver: Any = SimpleNamespace(ray=Cluster(**resources), listener=Listener(on_note=notes.append))
    stages = [("backbone", "refold")] * wanted
    assert ray_cluster._Driver._with_room(driver, stages) == stages[:given]
    assert len(notes) == (given < wanted)


@pytest.mark.parametrize(("cores", "stages"), [(0.0, [("backbone",)]), (1.0, [("backbone",), ("refold",)])])
def test_a_stage_without_room_is_said_at_once(cores, stages) -> None:
    driver: Any = SimpleNamespace(ray=Cluster(CPU=cores), listener=Listener())
    with pytest.raises(InputError, match="too little room"):
        ray_cluster._Driver._with_room(driver, stages)
