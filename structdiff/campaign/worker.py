"""A worker: takes work from the manifest and does it until there is none left, whatever happens to single designs."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from structdiff.campaign.manifest import Manifest
from structdiff.campaign.stages import Bench, Outcome, designs_of
from structdiff.campaign.work import Share, Work
from structdiff.drawing import OnProgress, Progress, is_out_of_memory
from structdiff.errors import FaultElsewhere, ResourceError, StructdiffError, disk_is_full, refusal_of_system

#: Seconds between two looks at a manifest that holds only work of others.
_PATIENCE = 0.5
#: Seconds between two looks for workers that died.
_ROUNDS = 5.0
#: Seconds between two signs of life while work goes on.
_BEAT = 30.0


@dataclass(frozen=True, kw_only=True)
class Worker:
    """One process of a campaign.

    share: what was asked of it. stages: those it takes part in. among: how many workers each stage has. on_outcome:
    called when work is recorded. on_failure: called with work that failed and why. on_progress: called after every
    sampling step.
    """

    bench: Bench
    manifest: Manifest
    share: Share
    stages: Sequence[str] = ()
    among: Mapping[str, int] = field(default_factory=dict)
    on_outcome: Callable[[Outcome], None] | None = None
    on_failure: Callable[[Work, Exception], None] | None = None
    on_progress: OnProgress | None = None
    _released: list[float] = field(default_factory=lambda: [0.0])
    _beaten: list[float] = field(default_factory=lambda: [0.0])

    def run(self) -> None:
        """Works until everything is done or has failed, also what others do. Raises ResourceError for a full disk."""
        stages = self.stages or self.bench.campaign.stages
        while True:
            work = self.manifest.claim(self.bench.campaign.at_once, stages, self.share, self.among)
            if work:
                self.do(work)
            elif not self.manifest.is_open(self.share):
                return
            else:
                self._wait()

    def do(self, work: Sequence[Work]) -> None:
        """Does work that was claimed and records it; what is not done when it ends early waits again."""
        left = {each.id: each for each in work}
        try:
            self._together(list(work), left)
        finally:
            if left:
                self.manifest.give_back(left.values())

    def _together(self, work: list[Work], left: dict[int, Work]) -> None:
        """All at once; where that fails, each that is left alone, so that one failing design takes none with it."""
        try:
            for outcome in self.bench.run(work[0].stage, work, self._report):
                self._record(outcome)
                del left[outcome.work.id]
        except Exception as error:
            if disk_is_full(error):
                raise ResourceError(f"{self.bench.folder}: the disk is full; what is finished is safe") from None
            again = [each for each in work if each.id in left]
            if len(again) == 1:
                self._fail(again[0], error, left)
                return
            for each in again:
                self._together([each], left)

    def _report(self, progress: Progress) -> None:
        """Passes a sampling step on, and now and then says that this process is alive: one design may take long."""
        if time.monotonic() - self._beaten[0] > _BEAT:
            self.manifest.beat()
            self._beaten[0] = time.monotonic()
        if self.on_progress is not None:
            self.on_progress(progress)

    def _record(self, outcome: Outcome) -> None:
        work = outcome.work
        following = self.bench.campaign.following(work.stage, work.number, designs_of(outcome.result))
        self.manifest.finish(work, outcome.result, outcome.seconds, following)
        if self.on_outcome is not None:
            self.on_outcome(outcome)

    def _fail(self, work: Work, error: Exception, left: dict[int, Work]) -> None:
        if is_out_of_memory(error) and not isinstance(error, StructdiffError):
            error = ResourceError("memory does not suffice even for this one alone: ask for something smaller")
        error = refusal_of_system(error) or error
        self.manifest.fail(work, recorded(error))
        del left[work.id]
        if self.on_failure is not None:
            self.on_failure(work, error)

    def _wait(self) -> None:
        """For others, of whom some may have died."""
        if time.monotonic() - self._released[0] > _ROUNDS:
            self.manifest.release_abandoned()
            self._released[0] = time.monotonic()
        time.sleep(_PATIENCE)


def recorded(error: Exception) -> str:
    """What the manifest keeps of a failure: a line where the user can mend it, else the traceback."""
    return str(error) if isinstance(error, StructdiffError) else "".join(traceback.format_exception(error))


def failure_of(text: str | None) -> Exception:
    """A failure as it was recorded."""
    if text is not None and text.startswith("Traceback "):
        return FaultElsewhere(text)
    return StructdiffError(text or "unknown")
