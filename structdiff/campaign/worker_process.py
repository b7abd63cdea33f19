"""What a worker process does, and how it ends; torch is loaded when its device and its share of the cores are set."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from structdiff.commands import kill_commands
from structdiff.errors import ResourceError, StructdiffError

if TYPE_CHECKING:
    from structdiff.campaign.plan import Campaign
    from structdiff.campaign.work import Share

#: Exit codes of a worker after which it is of no use to start another.
DISK_FULL, CANNOT_GO_ON = 3, 4


def work_in_process(
    campaign: Campaign, folder: Path, share: Share, crew: Sequence[Sequence[str]], place: int, threads: int
) -> None:
    """The body of a worker process; it ends without words when the run is interrupted, or its driver is gone.

    crew: the stages of all workers, of which this has its place.
    """
    # Before torch is loaded: each worker sees one device, and as many cores as are its share.
    devices = os.environ.get("CUDA_VISIBLE_DEVICES")
    count = len(devices.split(",")) if devices else _device_count()
    if count:
        visible = devices.split(",") if devices else [str(each) for each in range(count)]
        os.environ["CUDA_VISIBLE_DEVICES"] = visible[place % count]
    os.environ["OMP_NUM_THREADS"] = str(threads)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # a closed terminal
        signal.signal(signal.SIGHUP, lambda *_: sys.exit(1))
    threading.Thread(target=_end_with_driver, daemon=True).start()

    from structdiff.campaign.manifest import Manifest
    from structdiff.campaign.stages import Bench
    from structdiff.campaign.work import workers_by_stage
    from structdiff.campaign.worker import Worker

    try:
        with Manifest(folder, create=False) as manifest:
            Worker(
                bench=Bench(campaign, folder), manifest=manifest, share=share, stages=crew[place],
                among=workers_by_stage(crew),
            ).run()  # fmt: skip
    except ResourceError:
        sys.exit(DISK_FULL)
    except StructdiffError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        sys.exit(CANNOT_GO_ON)


def _end_with_driver() -> None:
    """Ends this process when the one that started it is gone, however that ended."""
    driver = multiprocessing.parent_process()
    if driver is not None:
        driver.join()
        kill_commands()
        os._exit(1)


def _device_count() -> int:
    """The number of NVIDIA devices, without loading torch."""
    return len(list(Path("/proc/driver/nvidia/gpus").glob("*")))
