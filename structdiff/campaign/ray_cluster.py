"""Workers on a Ray cluster: the manifest stays with the driver, workers get work and send files and results back.

Workers need no shared folder and may die at any moment: what they had is done again by another.
"""

from __future__ import annotations

import logging
import os
import socket
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from structdiff.campaign.manifest import Manifest
from structdiff.campaign.plan import Campaign
from structdiff.campaign.processes import Pool
from structdiff.campaign.stages import BACKBONES, Bench, designs_of
from structdiff.campaign.watch import Watch
from structdiff.campaign.work import Work, workers_by_stage
from structdiff.campaign.worker import failure_of, recorded
from structdiff.errors import InputError, StructdiffError
from structdiff.structure.files import write_atomically

if TYPE_CHECKING:
    from structdiff.campaign.run import Listener, Run

#: How often work is begun before it counts as what kills its workers.
_ATTEMPTS = 3
#: Seconds that are waited for one of the workers before looking around.
_PATIENCE = 1.0
#: Seconds in which the machine of a cluster must answer.
_LISTENS = 5.0
#: The files that a design's later stages read.
_READ = ("{name}.cif", "{name}.residue_map.json", "{name}.confidence.json")

Files = dict[str, bytes]


def run_on_ray(run: Run, manifest: Manifest, pools: Sequence[Pool], listener: Listener, *, address: str) -> None:
    """Does all that is left on a Ray cluster. Raises InputError where Ray or the cluster is not there."""
    ray = _connected(address, pools)
    try:
        _Driver(ray=ray, run=run, manifest=manifest, pools=pools, listener=listener).work()
    finally:
        ray.shutdown()


class RemoteBench:
    """What runs in a worker of the cluster: the stages, in a folder of its own."""

    def __init__(self, campaign: Campaign) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="structdiff-worker-")
        self.bench = Bench(campaign, Path(self.folder.name))

    def process(self) -> int:
        """The number of this worker's process."""
        return os.getpid()

    def run(self, stage: str, work: Sequence[Work], files: Files) -> list[tuple[int, dict, float, Files] | str]:
        """Outcome and files of each piece of work in order; where it failed, why."""
        for name, content in files.items():
            path = self.bench.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        found = _together_then_alone(self.bench, stage, work)
        for path in sorted(self.bench.folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        return found


def _together_then_alone(bench: Bench, stage: str, work: Sequence[Work]) -> list[tuple[int, dict, float, Files] | str]:
    before = _known(bench.folder)
    try:
        outcomes = list(bench.run(stage, work, None))
    except Exception as error:
        for name in _known(bench.folder).keys() - before.keys():
            (bench.folder / name).unlink()
        if len(work) == 1:
            return [recorded(error)]
        return [found for each in work for found in _together_then_alone(bench, stage, [each])]
    new = {name: content for name, content in _known(bench.folder).items() if before.get(name) != content}
    # All files travel with the first: the driver writes them before it records anything.
    return [
        (each.work.id, dict(each.result), each.seconds, new if place == 0 else {})
        for place, each in enumerate(outcomes)
    ]


def _known(folder: Path) -> Files:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@dataclass(kw_only=True)
class _Driver:
    """Hands out work, one batch a worker, and takes in what comes back. busy: task to (actor's place, work)."""

    ray: ModuleType
    run: Run
    manifest: Manifest
    pools: Sequence[Pool]
    listener: Listener
    busy: dict[Any, tuple[int, list[Work]]] = field(default_factory=dict)

    def work(self) -> None:
        """Until nothing is left."""
        campaign = self.run.campaign
        self.shared = self.ray.put(campaign)
        self.stages = self._with_room(
            [pool.stages or campaign.stages for pool in self.pools for _ in range(pool.count)]
        )
        self.actors = [self._actor() for _ in self.stages]
        watch = Watch(self.run, self.manifest, self.listener)
        try:
            while self._hand_out() or self.busy:
                ready, _ = self.ray.wait(list(self.busy), timeout=_PATIENCE)
                for task in ready:
                    self._take_in(task)
                    del self.busy[task]
                self.manifest.beat()
                watch.look_at_others()
        finally:
            for _, work in self.busy.values():
                self.manifest.give_back(work)
        watch.look(at_once=True)

    def _with_room(self, wanted: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
        """The workers, of those wanted, that the cluster has room for: another would be given work and never start.

        Raises InputError where those left out would have a stage of their own, and where there is no room at all.
        """
        resources = self.ray.cluster_resources()
        room = int(resources.get("GPU") or resources.get("CPU", 0))
        if room >= len(wanted):
            return wanted
        if not room or len(set(wanted)) > 1:
            raise InputError("the cluster has too little room for these workers", key="workers", found=len(wanted),
                             allowed=f"up to {room} (a core or GPU each)")  # fmt: skip
        self.listener.note(f"the cluster has room for {room} of {len(wanted)} workers")
        return wanted[:room]

    def _actor(self) -> Any:
        options = {"num_cpus": 1, "num_gpus": 1 if self.ray.cluster_resources().get("GPU") else 0}
        return self.ray.remote(**options)(RemoteBench).remote(self.shared)

    def _hand_out(self) -> bool:
        """Gives every idle worker a batch; whether any got one."""
        idle = set(range(len(self.actors))) - {place for place, _ in self.busy.values()}
        at_once, given = self.run.campaign.at_once, False
        for place in sorted(idle):
            work = self.manifest.claim(at_once, self.stages[place], self.run.share, workers_by_stage(self.stages))
            if work:
                files = self._files(work)
                self.busy[self.actors[place].run.remote(work[0].stage, work, files)] = (place, work)
                given = True
        return given

    def _files(self, work: Sequence[Work]) -> Files:
        """What a stage reads, by its path in the folder."""
        stage = work[0].stage
        if stage == "backbone":
            return {}
        backbones = "." if self.run.campaign.beside else BACKBONES
        sources = [(backbones, each.parent) if stage == "sequence" else (".", each.name) for each in work]
        names = [str(Path(folder) / part.format(name=name)) for folder, name in sources for part in _READ]
        return {name: (self.run.folder / name).read_bytes() for name in names if (self.run.folder / name).is_file()}

    def _take_in(self, task: Any) -> None:
        place, work = self.busy[task]
        try:
            found = self.ray.get(task)
        except self.ray.exceptions.RayError as error:
            self.actors[place] = self._actor()
            self._lost(work, error)
            return
        for each, outcome in zip(work, found, strict=True):
            if isinstance(outcome, str):
                self.manifest.fail(each, outcome)
                if self.listener.on_failure is not None:
                    self.listener.on_failure(each, failure_of(outcome))
                continue
            _, result, seconds, files = outcome
            self._write(files)
            following = self.run.campaign.following(each.stage, each.number, designs_of(result))
            self.manifest.finish(each, result, seconds, following)
            self.listener.note(result.get("note") or "")

    def _lost(self, work: Sequence[Work], error: Exception) -> None:
        """Work whose worker died waits again; what has taken several with it has failed."""
        for each in work:
            if each.attempts + 1 >= _ATTEMPTS:
                failure = StructdiffError(f"its worker died {each.attempts + 1} times, at last: {_reason(error)}")
                self.manifest.fail(each, str(failure))
                if self.listener.on_failure is not None:
                    self.listener.on_failure(each, failure)
            else:
                self.manifest.put_off(each)
        self.listener.note("a worker died; what it had is done again")

    def _write(self, files: Mapping[str, bytes]) -> None:
        for name, content in files.items():
            path = self.run.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, content)


def _reason(error: Exception) -> str:
    """What Ray says of a death, in a line: the cause, where its text ends with one."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in reversed(lines) if ": " in line), lines[0] if lines else type(error).__name__)[:200]


def check_address(address: str) -> None:
    """Raises InputError where nobody listens at HOST:PORT: Ray itself would try for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdecimal():
        if address not in ("local", "auto"):
            raise InputError(
                "this is no address of a cluster", key="ray", found=address,
                allowed="local, auto, HOST:PORT, ray://HOST:PORT", suggest_from=("local", "auto"),
            )  # fmt: skip
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_LISTENS).close()
    except (OSError, OverflowError) as error:
        raise InputError(f"nobody listens there: {error}", key="ray", found=address) from None


def _connected(address: str, pools: Sequence[Pool]) -> ModuleType:
    check_address(os.environ.get("RAY_ADDRESS", address) if address == "auto" else address)
    local = address == "local"
    if not local:  # where something listens that is no cluster, or one that has ended: not for minutes either
        os.environ.setdefault("RAY_NUM_REDIS_GET_RETRIES", "1")
    try:
        import ray  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise InputError("Ray is not installed: pip install 'structdiff[ray]'", key="ray", found=address) from None
    count = sum(pool.count for pool in pools)
    try:
        # A cluster of its own has as many slots as workers are wanted: they are processes, not cores.
        details: dict[str, Any] = {"num_cpus": count, "include_dashboard": False} if local else {}
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **details)
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"the cluster cannot be reached: {reason}", key="ray", found=address) from None
    return ray
