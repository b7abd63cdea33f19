"""Several workers on one machine: a process each, on a device of its own, all working from one manifest."""

from __future__ import annotations

import multiprocessing
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess

from structdiff.campaign.manifest import Manifest
from structdiff.campaign.run import Listener, Run
from structdiff.campaign.watch import Watch
from structdiff.campaign.work import STAGES
from structdiff.campaign.worker import failure_of
from structdiff.campaign.worker_process import CANNOT_GO_ON, DISK_FULL, work_in_process
from structdiff.errors import InputError, ResourceError, StructdiffError
from structdiff.machine import available_cores

#: Seconds between two looks at how far the workers are.
_PATIENCE = 0.5
_MOST = 1024
#: How many workers may die one after another while nothing is finished: work that kills three has failed.
_MOST_DEATHS = 6
#: Seconds that workers have for their end.
_GRACE = 10.0


@dataclass(frozen=True, kw_only=True)
class Pool:
    """count workers that take part in these stages; in all if there are none."""

    count: int
    stages: tuple[str, ...] = ()


def parse_workers(text: str) -> tuple[Pool, ...]:
    """Workers as they are written: a number, or one by stage. Raises InputError.

    >>> parse_workers("backbone=1,refold=2")
    (Pool(count=1, stages=('backbone',)), Pool(count=2, stages=('refold',)))
    """
    pools = []
    for part in text.split(","):
        stage, sign, number = (piece.strip() for piece in part.rpartition("="))
        if sign and stage not in STAGES:
            raise InputError("unknown stage", key="workers", found=stage, allowed=STAGES, suggest_from=STAGES)
        if not number.isdecimal() or not 1 <= int(number) <= _MOST or (not sign and "," in text):
            raise InputError("must be a number, or stage=number,...", key="workers", found=part.strip(),
                             allowed="4, or backbone=2,sequence=1,judge=1,refold=4")  # fmt: skip
        if any(pool.stages == (stage,) for pool in pools):
            raise InputError("the stage is named twice", key="workers", found=stage)
        pools.append(Pool(count=int(number), stages=(stage,) if sign else ()))
    return tuple(pools)


def check_pools(pools: Sequence[Pool], stages: Sequence[str]) -> None:
    """Raises InputError where a stage that a campaign has would find no worker."""
    for stage in stages:
        if not any(not pool.stages or stage in pool.stages for pool in pools):
            raise InputError("no worker is there for this stage", key="workers", found=stage,
                             allowed=",".join(f"{each}=1" for each in stages))  # fmt: skip


def run_processes(run: Run, manifest: Manifest, pools: Sequence[Pool], listener: Listener) -> None:
    """Runs worker processes until nothing is left; one that dies is started anew, and its work done again.

    Raises StructdiffError when the disk is full or workers cannot work.
    """
    crew = _Crew(run=run, pools=pools)
    try:
        crew.start()
        _watch(crew, manifest, listener)
    except BaseException:
        crew.end()
        manifest.release_abandoned()
        raise
    crew.join()


class _Crew:
    """The processes, each in its place; a place may see several, one after another."""

    def __init__(self, run: Run, pools: Sequence[Pool]) -> None:
        self.run = run
        self.stages = [pool.stages for pool in pools for _ in range(pool.count)]
        self.threads = max(1, available_cores() // len(self.stages))
        self.context = multiprocessing.get_context("spawn")
        self.processes: list[BaseProcess] = []

    def start(self) -> None:
        """Starts all."""
        for place in range(len(self.stages)):
            self.processes.append(self._started(place))

    def replace(self, place: int) -> None:
        """Starts another where one has died."""
        self.processes[place] = self._started(place)

    def _started(self, place: int) -> BaseProcess:
        details = (self.run.campaign, self.run.folder, self.run.share, self.stages, place, self.threads)
        process = self.context.Process(target=work_in_process, args=details, name=f"structdiff worker {place + 1}")
        with _deaf_to_ctrl_c():
            process.start()
        return process

    def join(self) -> None:
        """Waits until each has ended by itself."""
        for process in self.processes:
            process.join()

    def end(self) -> None:
        """Asks all to end and waits a little; who does not, or when Ctrl-C comes meanwhile, is killed."""
        for process in self.processes:
            process.terminate()
        try:
            ends = time.monotonic() + _GRACE
            for process in self.processes:
                process.join(max(0.0, ends - time.monotonic()))
        finally:
            for process in self.processes:
                if process.is_alive():
                    process.kill()
                process.join()


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Processes that are started meanwhile do not hear Ctrl-C: their driver does, and ends them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _watch(crew: _Crew, manifest: Manifest, listener: Listener) -> None:
    """Looks after the processes until nothing is left. Raises StructdiffError."""
    run, deaths, finished = crew.run, 0, 0
    watch = Watch(run, manifest, listener)
    told = {each.id for each in manifest.errors(run.name)}
    while manifest.is_open(run.share):
        for place, process in enumerate(crew.processes):
            if process.is_alive() or process.exitcode == 0:
                continue
            if process.exitcode == DISK_FULL:
                raise ResourceError(f"{manifest.folder}: the disk is full; what is finished is safe")
            if process.exitcode == CANNOT_GO_ON:
                raise StructdiffError("a worker cannot go on (why stands above); what is finished is safe")
            manifest.release_abandoned()
            deaths += 1
            if deaths > _MOST_DEATHS:
                raise StructdiffError(f"workers died {deaths} times and nothing was finished meanwhile; what was "
                                      "finished before is safe")  # fmt: skip
            if manifest.is_open(run.share):
                listener.note("a worker died; what it had is done again")
                crew.replace(place)
        before, finished = finished, run.finished_work(manifest)
        deaths = 0 if finished > before else deaths
        _tell_failures(run, manifest, listener, told)
        watch.look_at_others()
        time.sleep(_PATIENCE)
    _tell_failures(run, manifest, listener, told)
    watch.look(at_once=True)


def _tell_failures(run: Run, manifest: Manifest, listener: Listener, told: set[int]) -> None:
    for each in manifest.errors(run.name):
        if each.id not in told and each.number in run.numbers:
            told.add(each.id)
            if listener.on_failure is not None:
                listener.on_failure(each, failure_of(each.error))
