"""What the driver of a campaign sees while it runs: tables are kept up to date, and the filter's advice is given."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from structdiff.campaign.manifest import Manifest
from structdiff.campaign.run import Listener, Run, refresh_tables
from structdiff.drawing import Progress

if TYPE_CHECKING:
    from structdiff.campaign.results import DesignResult

#: Of the whole time, the share that looking may take is one in this many.
_SPARING = 50


class Watch:
    """Looks at a campaign from time to time, whoever does the work: this process, others, or a cluster."""

    def __init__(self, run: Run, manifest: Manifest, listener: Listener) -> None:
        self.run, self.manifest, self.listener = run, manifest, listener
        self.funnel = run.funnel(manifest)
        self.known = {each.name for each in run.asked_results(manifest) if each.complete}
        self.next = 0.0

    def look(self, *, at_once: bool = False) -> None:
        """Writes the tables and tells what is to be told, if it is time to, or at once."""
        began = time.monotonic()
        if began < self.next and not at_once:
            return
        results = refresh_tables(self.manifest, self.run.folder)
        self._advise(results)
        self.next = time.monotonic() + _SPARING * (time.monotonic() - began)

    def look_at_others(self) -> None:
        """The same where others do the work: progress is told too."""
        if self.listener.on_progress is not None:
            self.listener.on_progress(Progress(finished=0, total=1, step=0, steps=1))
        self.look()

    def _advise(self, results: list[DesignResult]) -> None:
        """Counts the designs that became whole since the last look."""
        if self.funnel is None:
            return
        wanted = set(self.run.numbers)
        fresh = [each for each in results if each.complete and each.run == self.run.name and each.number in wanted
                 and each.name not in self.known]  # fmt: skip
        for each in sorted(fresh, key=lambda design: (design.number, len(design.name), design.name)):
            self.known.add(each.name)
            self.listener.note(self.funnel.add(each) or "")
