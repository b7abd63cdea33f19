"""A campaign from beginning to end: what is there is kept, what is missing is made, tables and report are written."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from structdiff.campaign.filters import Filter, parse_filter
from structdiff.campaign.finished_files import damage_note, files_of, is_whole
from structdiff.campaign.manifest import MANIFEST, Manifest
from structdiff.campaign.plan import Campaign, plan_as_begun
from structdiff.campaign.results import DesignResult, check_names, read_results
from structdiff.campaign.selection import Funnel, select
from structdiff.campaign.signs_of_life import SILENCE
from structdiff.campaign.stages import BACKBONES, REFOLDED, Bench, Outcome, designs_of
from structdiff.campaign.work import DESIGN_STAGES, Share, Work
from structdiff.campaign.worker import Worker
from structdiff.errors import InputError
from structdiff.output.files import check_spellings, finished_names, remove_structures, write_design_tables
from structdiff.output.tables import as_text, tables_alone, verdict_cells
from structdiff.structure.files import remove_unfinished

if TYPE_CHECKING:
    from structdiff.drawing import OnProgress
    from structdiff.engine import Engine


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What becomes of finished designs. filter: conditions that reject the others. rank_by: column to rank by."""

    filter: str | None = None
    rank_by: str | None = None

    @property
    def parsed(self) -> Filter | None:
        """The filter, read. Raises InputError."""
        return None if self.filter is None else parse_filter(self.filter)


@dataclass(frozen=True, kw_only=True)
class Listener:
    """Who is told what, while a campaign runs: sampling steps, failures, notes, and advice of the filter."""

    on_progress: OnProgress | None = None
    on_failure: Callable[[Work, Exception], None] | None = None
    on_note: Callable[[str], None] | None = None

    def note(self, text: str) -> None:
        """Says something to whoever listens."""
        if self.on_note is not None and text:
            self.on_note(text)


class Run:
    """A campaign in its folder. numbers: which of its backbones are to be made here, from 0."""

    def __init__(self, campaign: Campaign, folder: Path, selection: Selection, numbers: range) -> None:
        self.campaign, self.folder, self.selection, self.numbers = campaign, folder, selection, numbers
        self.name = campaign.spec.name

    def check_folder(self) -> None:
        """Raises InputError when the folder holds designs of this name from another request; changes nothing."""
        path = self.folder / MANIFEST
        if not path.is_file():
            self._check_spellings()
            numbered = re.compile(rf"{re.escape(self.name)}_[1-9]\d*")
            found = [each for each in sorted(finished_names(self.folder)) if numbered.fullmatch(each)]
            if found:
                raise InputError(f"{found[0]} is here from another run; choose another --out or --name, or --overwrite",
                                 path=self.folder)  # fmt: skip
            return
        with Manifest(self.folder, create=False) as manifest:
            manifest.check_spelling(self.name)
            self._check_names(manifest, plan_as_begun(self.campaign, manifest.runs().get(self.name, {})))
            for stage in self.campaign.stages:
                there = next(iter(manifest.rows(run=self.name, stage=stage, results=False)), None)
                found = there and manifest.conflict([self.campaign.work(stage, there.name, there.number)])
                if found:
                    raise InputError(
                        f"{found[0]} is here from another run ({found[1]}); choose another --out or --name, or "
                        "--overwrite", path=self.folder,
                    )  # fmt: skip

    def prepare(
        self, manifest: Manifest, *, overwrite: bool = False, on_note: Callable[[str], None] | None = None
    ) -> int:
        """Brings the manifest up to what is asked; how many designs are finished already.

        overwrite: what is there under this name is removed. on_note: is told of damaged files, which count as missing.
        Raises InputError where somebody is working on it.
        """
        manifest.check_spelling(self.name)
        self._check_spellings()
        if overwrite:
            manifest.release_abandoned()
            busy = next(iter(manifest.rows(run=self.name, state="running", results=False)), None)
            if busy is not None:
                raise InputError(f"{busy.name} is being made at this moment by another process; stop that first",
                                 path=self.folder)  # fmt: skip
            self._check_names(manifest, self.campaign)
            self._remove(manifest)
        self.campaign = plan_as_begun(self.campaign, manifest.runs().get(self.name, {}))
        self._check_names(manifest, self.campaign)
        manifest.release_abandoned()
        self._clear(manifest)
        manifest.retry_failed(self.share)
        manifest.drop_open(self.name, self.campaign.stages)
        manifest.note_run(self.name, self._facts())
        manifest.add(self.campaign.work("backbone", self.campaign.backbone_name(n), n) for n in self.numbers)
        damaged = self._redo_what_is_gone(manifest)
        if on_note is not None:
            self._tell_of(damaged, manifest.machines_elsewhere(), on_note)
        self._add_sequences(manifest)
        for stage in self.campaign.stages:
            for each in self._done(manifest, stage):
                manifest.add(self.campaign.following(stage, each.number, designs_of(each.result or {})))
        return sum(each.complete for each in self.asked_results(manifest))

    def _check_spellings(self) -> None:
        """Raises InputError where designs of a name that differs in case only are here, which are not replaced."""
        check_spellings(self.folder, (name for n in self.numbers for name in self.campaign.design_names(n)))

    def _check_names(self, manifest: Manifest, campaign: Campaign) -> None:
        """Raises InputError where designs would take the place of those of another run."""
        names = (name for number in self.numbers for name in campaign.design_names(number))
        check_names(manifest, self.name, names, self.folder)

    def _tell_of(self, damaged: list[Path], machines: list[str], on_note: Callable[[str], None]) -> None:
        if damaged:
            on_note(damage_note(damaged))
        for machine in machines:
            on_note(f"a process on {machine} has work of this folder in hand; when nothing was heard of it for "
                    f"{SILENCE / 60:.0f} minutes, that is done again here")  # fmt: skip

    def _clear(self, manifest: Manifest) -> None:
        """Removes what writes that were cut short have left, unless somebody may be writing at this moment."""
        if next(iter(manifest.rows(state="running", results=False)), None) is not None:
            return
        for folder in (self.folder, self.folder / BACKBONES, self.folder / REFOLDED):
            remove_unfinished(folder)

    def _done(self, manifest: Manifest, stage: str) -> list[Work]:
        """Finished work of a stage; with results only where these say what was made."""
        return list(manifest.rows(run=self.name, stage=stage, state="done", results=stage == "sequence"))

    def _add_sequences(self, manifest: Manifest) -> None:
        """More sequences for backbones that have some, where more are asked for than there were."""
        if "sequence" not in self.campaign.stages:
            return
        rows = list(manifest.rows(run=self.name, stage="sequence"))
        first = {each.number: each.state for each in rows if each.name == each.parent}
        # What was to be added and was not, or belongs to what is done anew as a whole, is reckoned afresh; what another
        # process is adding at this moment is left to it.
        busy = {each.number for each in rows if each.state == "running"}
        stale = [each for each in rows if each.name != each.parent and each.number not in busy and
                 (each.state != "done" or first.get(each.number) != "done")]  # fmt: skip
        manifest.drop(stale)
        there: Counter[int] = Counter()
        for each in rows:
            if each.state == "done" and each not in stale:
                there[each.number] += len(designs_of(each.result or {}) or ())
        wanted = set(self.numbers) - busy
        manifest.add(work for number, count in there.items() if number in wanted
                     for work in self.campaign.more_sequences(number, count))  # fmt: skip

    @property
    def share(self) -> Share:
        """What of the work in the folder is that of this run."""
        return Share(self.name, self.numbers)

    def work(self, manifest: Manifest, listener: Listener, engine: Engine | None = None) -> None:
        """Does all that is left, in this process. Raises ResourceError for a full disk."""
        from structdiff.campaign.watch import Watch

        watch = Watch(self, manifest, listener)

        def on_outcome(outcome: Outcome) -> None:
            listener.note(outcome.result.get("note") or "")
            watch.look()

        worker = Worker(
            bench=Bench(self.campaign, self.folder, engine=engine), manifest=manifest, share=self.share,
            on_outcome=on_outcome, on_failure=listener.on_failure, on_progress=listener.on_progress,
        )  # fmt: skip
        worker.run()
        watch.look(at_once=True)

    def expected_work(self) -> int:
        """How many pieces of work all designs of this run take."""
        sequences = self.campaign.settings.sequences
        return len(self.numbers) * sum(sequences if stage in DESIGN_STAGES else 1 for stage in self.campaign.stages)

    def finished_work(self, manifest: Manifest) -> int:
        """How many of them are done or have failed."""
        counts = manifest.counts(share=self.share)
        return sum(states.get("done", 0) + states.get("failed", 0) for states in counts.values())

    def results(self, manifest: Manifest) -> list[DesignResult]:
        """The designs of this run, ranked."""
        chosen, refolder = self.selection, self.campaign.settings.refold
        return select(self.asked_results(manifest), chosen.parsed, chosen.rank_by, refolder=refolder)

    def histogram(self, manifest: Manifest) -> list[str]:
        """What the filter rejects, in lines; empty without a filter."""
        funnel = self.funnel(manifest)
        return [] if funnel is None else funnel.lines()

    def funnel(self, manifest: Manifest) -> Funnel | None:
        """Counts of what is there already; None without a filter."""
        wanted = self.selection.parsed
        if wanted is None:
            return None
        funnel = Funnel(wanted=wanted)
        for each in self.asked_results(manifest):
            if each.complete:
                funnel.add(each)
        funnel.row = 0
        return funnel

    def asked_results(self, manifest: Manifest) -> list[DesignResult]:
        """The designs of this run as far as they are, without their ranks."""
        numbers = set(self.numbers)
        return [each for each in read_results(manifest, self.name) if each.number in numbers]

    def _facts(self) -> dict[str, Any]:
        campaign, spec = self.campaign, self.campaign.spec
        return {
            "stages": campaign.stages, "bare": campaign.bare, "beside": campaign.beside,
            "num_designs": spec.num_designs, "sequences": campaign.settings.sequences,
            "sequence_model": campaign.sequence_model, "filter": self.selection.filter,
            "rank_by": self.selection.rank_by, "motif": spec.motif, "hotspots": [str(spot) for spot in spec.hotspots],
            "refold": campaign.settings.refold_command or campaign.settings.refold,
            "judge": "trrosetta" if "judge" in campaign.stages else "none",
        }  # fmt: skip

    def _redo_what_is_gone(self, manifest: Manifest) -> list[Path]:
        """Work whose files are missing or damaged waits again; the damaged ones.

        What goes on from work that waits is forgotten, and follows from it anew once that is done.
        """
        backbones: set[str] = set()
        designs: set[str] = set()
        damaged: dict[Path, None] = {}
        for stage in self.campaign.stages:
            again, later = [], []
            for each in self._done(manifest, stage):
                # The judge is named in the files of its design: where these are made again, it judges again.
                judges_again = stage == "judge" and each.name in designs
                broken = [path for path in self._files(each) if not path.is_file() or not is_whole(path)]
                if broken or judges_again:
                    follows = each.parent in backbones if stage == "sequence" else each.name in designs
                    (later if follows else again).append(each)
                    damaged |= dict.fromkeys(path for path in broken if path.is_file())
            manifest.redo(again)
            manifest.drop(later)
            backbones |= {each.name for each in again if stage == "backbone"}
            designs |= {name for each in (*again, *later) for name in self._makes(each)}
        return list(damaged)

    def _makes(self, work: Work) -> list[str]:
        """The designs whose files a piece of work writes."""
        if work.stage == "backbone":
            return [work.name] if self.campaign.beside and "sequence" not in self.campaign.stages else []
        return designs_of(work.result or {}) or [] if work.stage == "sequence" else []

    def _files(self, work: Work) -> list[Path]:
        """The files that finished work must have left."""
        if work.stage == "judge":
            return []
        if work.stage == "refold":
            return [self.folder / REFOLDED / f"{work.name}.cif"]
        if work.stage == "backbone":
            return files_of(self.folder if self.campaign.beside else self.folder / BACKBONES, [work.name])
        return files_of(self.folder, designs_of(work.result or {}) or ())

    def _remove(self, manifest: Manifest) -> None:
        """Removes all that was made under this name, also by versions that kept no manifest."""
        numbered = re.compile(rf"{re.escape(self.name)}_[1-9]\d*(_[1-9]\d*)?")
        names = {each for each in finished_names(self.folder) if numbered.fullmatch(each)}
        names |= {each.name for each in manifest.rows(run=self.name, results=False)}
        for folder in (self.folder, self.folder / BACKBONES, self.folder / REFOLDED):
            remove_structures(folder, names)
        manifest.remove(self.name)


def folder_results(manifest: Manifest) -> list[DesignResult]:
    """All designs of a folder that are whole or cannot be made so, run after run, in order of merit within each."""
    found: list[DesignResult] = []
    for name, facts in manifest.runs().items():
        selection = Selection(filter=facts.get("filter"), rank_by=facts.get("rank_by"))
        ended = [each for each in read_results(manifest, name) if each.ended]
        found += select(ended, selection.parsed, selection.rank_by, refolder=facts.get("refold"))
    return found


def refresh_tables(manifest: Manifest, folder: Path) -> list[DesignResult]:
    """Writes the tables of a folder as its manifest is at this moment; all that they list. None where nothing is."""
    with tables_alone(folder):  # what another process finishes meanwhile it will add itself
        results = folder_results(manifest)
        if results:
            write_tables(results, folder)
    return results


def write_tables(results: Sequence[DesignResult], folder: Path) -> None:
    """Writes ``designs.csv`` and ``sequences.fasta`` of a folder, in order of numbers; the rank is a column."""
    runs = list(dict.fromkeys(each.run for each in results))
    results = sorted(results, key=lambda each: (runs.index(each.run), each.number, len(each.name), each.name))
    rows = []
    for each in results:
        verdicts = verdict_cells(each.verdicts)
        state = {"rank": each.rank, "accepted": each.accepted, "rejected_by": "; ".join(each.reasons)}
        rows.append(as_text({"name": each.name, **state, **each.columns, **verdicts}))
    sequences = {each.name: {chain: (kind, text) for chain, (kind, text) in each.sequences.items()} for each in results}
    write_design_tables(folder, rows, sequences)
