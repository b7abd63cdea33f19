"""Several workers on one machine: a process each, on a device of its own, all working from one manifest."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

from structdiff.campaign.manifest import Manifest
from structdiff.campaign.plan import Campaign
from structdiff.campaign.work import STAGES
from structdiff.errors import InputError, StructdiffError

#: Seconds between two looks at how far the workers are.
_PATIENCE = 0.5
_MOST = 1024
#: A worker that ended because the disk is full: to start another is of no use.
_DISK_FULL = 3


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
                             allowed="4, or backbone=2,refold=6")  # fmt: skip
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


def run_processes(
    campaign: Campaign, folder: Path, pools: Sequence[Pool], on_look: Callable[[], None] | None = None
) -> None:
    """Runs worker processes until nothing is left; one that dies is started anew, and its work done again.

    on_look: called now and then. Raises StructdiffError when the disk is full or no worker can start.
    """
    total = sum(pool.count for pool in pools)
    threads = max(1, (os.cpu_count() or 1) // total)
    wanted = [pool.stages for pool in pools for _ in range(pool.count)]
    context = multiprocessing.get_context("spawn")

    def started(place: int) -> BaseProcess:
        details = (campaign, folder, wanted[place], place, threads)
        process = context.Process(target=_work, args=details, name=f"structdiff worker {place + 1}")
        process.start()
        return process

    processes = [started(place) for place in range(total)]
    try:
        with Manifest(folder, create=False) as manifest:
            _watch(processes, started, manifest, on_look)
    except BaseException:
        for process in processes:
            process.terminate()
        raise
    finally:
        for process in processes:
            process.join()


def _watch(
    processes: list[BaseProcess],
    started: Callable[[int], BaseProcess],
    manifest: Manifest,
    on_look: Callable[[], None] | None,
) -> None:
    began = time.monotonic()
    while manifest.is_open():
        for place, process in enumerate(processes):
            if process.is_alive() or process.exitcode == 0:
                continue
            if process.exitcode == _DISK_FULL:
                raise StructdiffError(f"{manifest.folder}: the disk is full; what is finished is safe")
            if process.exitcode == 1 and time.monotonic() - began < 1:
                raise StructdiffError("the workers cannot be started")
            manifest.release_abandoned()
            if manifest.is_open():
                processes[place] = started(place)
        if on_look is not None:
            on_look()
        time.sleep(_PATIENCE)
    if on_look is not None:
        on_look()


def _work(campaign: Campaign, folder: Path, stages: Sequence[str], place: int, threads: int) -> None:
    """The body of a worker process; it ends without words when the run is interrupted."""
    import signal
    import sys

    # Before torch is loaded: each worker sees one device, and as many cores as are its share.
    devices = os.environ.get("CUDA_VISIBLE_DEVICES")
    count = len(devices.split(",")) if devices else _device_count()
    if count:
        visible = devices.split(",") if devices else [str(each) for each in range(count)]
        os.environ["CUDA_VISIBLE_DEVICES"] = visible[place % count]
    os.environ["OMP_NUM_THREADS"] = str(threads)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))

    from structdiff.campaign.stages import Bench
    from structdiff.campaign.worker import Worker
    from structdiff.errors import ResourceError

    try:
        with Manifest(folder, create=False) as manifest:
            Worker(bench=Bench(campaign, folder), manifest=manifest, stages=stages).run()
    except KeyboardInterrupt:
        sys.exit(130)
    except ResourceError:
        sys.exit(_DISK_FULL)


def _device_count() -> int:
    """The number of NVIDIA devices, without loading torch."""
    return len(list(Path("/proc/driver/nvidia/gpus").glob("*")))
