"""Drawing many jobs: batch by batch, smaller where memory does not suffice, each from its own random numbers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, takewhile
from typing import Generic, TypeVar

import torch

from structdiff.diffusion.partial import partial_sampling
from structdiff.diffusion.sampler import sample_generator
from structdiff.diffusion.trajectory import Trajectory
from structdiff.docking.complex_docking import UNDOCKED, Docked
from structdiff.docking.work import Part
from structdiff.drawing_work import BatchWork
from structdiff.engine import Draw, Engine
from structdiff.errors import ResourceError
from structdiff.finishing import finish_of
from structdiff.jobs import Job
from structdiff.options import RunOptions, recycles_of, sampling_of


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a run is: structures finished of all, and the sampling step of the batch at hand.

    together: structures in that batch, whose steps count as one. share: of the batch's work that is done, where steps
    take different times or docking comes after the last of them.
    """

    finished: int
    total: int
    step: int
    steps: int
    together: int = 1
    share: float | None = None

    @property
    def done(self) -> float:
        """The share of all work that is done."""
        own = self.step / self.steps if self.share is None else self.share
        return (self.finished + self.together * own) / self.total


OnProgress = Callable[[Progress], None]
_Result = TypeVar("_Result")


class Results(Iterator[_Result], Generic[_Result]):
    """The structures of a run in order, each drawn when it is asked for; ``len`` is how many are still to come.

    What an interrupt (the stop button of a notebook) or an error broke off is drawn anew when the next one is asked
    for, and comes out the same.
    """

    def __init__(self, total: int, run: Callable[[int], Iterator[_Result]]) -> None:
        """total: how many there are. run: draws those from a place on, counted from 0."""
        self._total, self._run, self._done = total, run, 0
        self._running: Iterator[_Result] | None = None

    def __next__(self) -> _Result:
        if self._done == self._total:
            raise StopIteration
        if self._running is None:
            self._running = self._run(self._done)
        try:
            result = next(self._running)
        except BaseException:
            self._running = None  # a generator that raised is at its end, and would seem to have no more
            raise
        self._done += 1
        return result

    def __len__(self) -> int:
        return self._total - self._done

    def __repr__(self) -> str:
        return f"<Results: {self._done} of {self._total} drawn; next(...), list(...) and for draw the others>"


#: Random numbers of docking are those of samples no run reaches, so that they have nothing to do with the drawing.
_DOCKING_STREAM = 2_000_000_000
#: How much longer it takes to make a fold up than to draw a structure of it.
_MADE_UP = 9


def while_made_up(on_progress: OnProgress | None, finished: int, total: int) -> Callable[[int, int], None] | None:
    """What is called with the steps of making a fold up, and all, before the next structure is drawn."""
    if on_progress is None:
        return None
    return lambda step, steps: on_progress(
        Progress(finished=finished, total=total, step=_MADE_UP * step, steps=(_MADE_UP + 1) * steps)
    )


def once_made_up(on_progress: OnProgress | None) -> OnProgress | None:
    """What is called with the progress of drawing, where a fold had to be made up for it."""
    if on_progress is None:
        return None
    return lambda own: on_progress(replace(own, step=_MADE_UP * own.steps + own.step, steps=(_MADE_UP + 1) * own.steps))


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """One structure to draw: its job, and the seed, number and draw that decide its random numbers."""

    job: Job
    seed: int
    index: int
    draw: int = 0


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """One structure that was drawn, with what was wanted, the way there where it was kept, and what was docked."""

    wanted: Wanted
    draw: Draw
    trajectory: Trajectory | None
    docked: Docked = UNDOCKED


def draw_all(
    engine: Engine, wanted: Iterable[Wanted], total: int, options: RunOptions, on_progress: OnProgress | None = None,
    finished: int = 0,
) -> Iterator[Drawn]:  # fmt: skip
    """Draws structures in the order given; what is wanted is asked for a batch at a time.

    total, finished: for reports of progress, how many structures the run has, and how many of them before these.

    On the CPU only structures of one shape are drawn together: padding changes roundings there, and saves little time.
    A batch that does not fit into memory is halved, and those after it too, until one alone does not fit: then
    ResourceError.
    """
    size = 1 if options.trajectory else options.batch_size
    queue = iter(wanted)
    waiting: list[Wanted] = []
    while waiting := waiting + list(islice(queue, max(0, size - len(waiting)))):
        batch = waiting[:size]
        if engine.device.type == "cpu":
            batch = _of_one_shape(batch)
        try:
            drawn = _draw_batch(engine, batch, finished, total, options, on_progress)
        except (MemoryError, ResourceError, RuntimeError) as error:
            if not is_out_of_memory(error) or len(batch) == 1:
                raise
            size = (len(batch) + 1) // 2
            if engine.device.type == "cuda":
                torch.cuda.empty_cache()
            print(f"note: {len(batch)} structures at a time do not fit into memory; going on with {size}",
                  file=sys.stderr)  # fmt: skip
            continue
        waiting = waiting[len(batch) :]
        finished += len(batch)
        yield from drawn


def _of_one_shape(batch: Sequence[Wanted]) -> list[Wanted]:
    """The first of a batch with those after it that have its shape."""
    return list(takewhile(lambda each: _shape(each) == _shape(batch[0]), batch))


def _shape(wanted: Wanted) -> tuple[int, int]:
    return wanted.job.features.num_tokens, wanted.job.features.num_slots


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory did not suffice, whoever raised it."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError | ResourceError):
        return True
    return isinstance(error, RuntimeError) and any(
        words in str(error) for words in ("DefaultCPUAllocator", "Cannot allocate memory")
    )


def _draw_batch(
    engine: Engine, batch: list[Wanted], finished: int, total: int, options: RunOptions, on_progress: OnProgress | None
) -> list[Drawn]:
    trajectory = Trajectory(every=options.trajectory) if options.trajectory else None

    sampling, noise = sampling_of(options, engine.weights), batch[0].job.noise
    if noise is not None:
        sampling = partial_sampling(sampling, sigma=noise.sigma, share=noise.share)
    work = None if on_progress is None else BatchWork.of([each.job for each in batch], engine, sampling, options)

    def report(step: int, steps: int) -> None:
        if on_progress is not None:
            share = None if work is None else work.share(step)
            on_progress(
                Progress(finished=finished, total=total, step=step, steps=steps, together=len(batch), share=share)
            )

    def on_part(part: Part) -> None:
        if work is not None:
            work.part_done(part)
            report(sampling.steps, sampling.steps)

    docked: list[list[Docked]] = [[] for _ in batch]
    starts = [each.job.start for each in batch if each.job.start is not None]
    draws = engine.draw(
        [each.job.features for each in batch],
        [sample_generator(each.seed, each.index, each.draw) for each in batch],
        sampling,
        contacts=[each.job.contacts for each in batch] if any(each.job.contacts for each in batch) else None,
        constraints=[each.job.constraints for each in batch],
        recycles=recycles_of(options, engine.weights),
        guidance=options.guidance,
        precision=options.precision,
        symmetry=batch[0].job.symmetry,
        start=starts or None,
        finish=[
            finish_of(each.job, options, each.index, _docking_generator(each), own, on_part)
            for each, own in zip(batch, docked, strict=True)
        ],
        on_step=report,
        trajectory=trajectory,
    )
    return [
        Drawn(wanted=each, draw=draw, trajectory=trajectory, docked=own[0] if own else UNDOCKED)
        for each, draw, own in zip(batch, draws, docked, strict=True)
    ]


def _docking_generator(wanted: Wanted) -> torch.Generator:
    return sample_generator(wanted.seed, wanted.index + _DOCKING_STREAM, wanted.draw)
