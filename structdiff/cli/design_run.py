"""What ``structdiff design`` does with a design that was understood: a campaign, its progress, and what came of it."""

from __future__ import annotations

import math
import re
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from structdiff.cli.failures import Interrupted, described
from structdiff.cli.options import Option, build_run_options, setting_option
from structdiff.cli.progress import OnProgress, shown_progress
from structdiff.cli.results import check_folder, show_designs
from structdiff.cli.settings import settings_of
from structdiff.errors import InputError, StructdiffError

if TYPE_CHECKING:
    from structdiff.campaign.estimate import Estimate
    from structdiff.campaign.manifest import Manifest
    from structdiff.campaign.plan import Campaign
    from structdiff.campaign.processes import Pool
    from structdiff.campaign.run import Run, Selection
    from structdiff.campaign.work import Work
    from structdiff.drawing import Progress
    from structdiff.engine import Engine
    from structdiff.model.checkpoint import Weights
    from structdiff.spec.design import DesignSpec

_SETTINGS = (
    "sequences", "sequence_model", "temperature", "favour_present", "avoid", "allow_at", "judge", "refold",
    "refold_command", "refold_timeout",
)  # fmt: skip
_PANEL, _SCALE = "Sequences, refolding, choosing", "Many at once"
#: Seconds between two looks at how much is done.
_COUNTED_EVERY = 0.5
_PART = re.compile(r"([1-9]\d{0,5})/([1-9]\d{0,5})")


def campaign_options() -> list[Option]:
    """What is done with each backbone, how designs are chosen, and how many are made at once."""
    settings = settings_of("campaign.settings", "CampaignSettings")
    unset = {
        "temperature": "1 for own, else 0.1",
        "favour_present": "1 for hallucinated folds, else 0",
        "refold_command": "none",
        "refold_timeout": "360",
        "avoid": "none",
        "allow_at": "all",
    }
    found = [setting_option(settings[name], panel=_PANEL, unset=unset.get(name)) for name in _SETTINGS]
    more = {
        "filter": (str | None, None, "Conditions on the columns of the results: 'sc_rmsd < 2 and plddt > 70'; what "
                   "does not meet them is kept, ranked last, with the reason.", _PANEL),
        "rank_by": (str | None, None, "Column to rank by, after what was met.", _PANEL),
        "workers": (str, "1", "Processes, one a GPU, or by stage: backbone=2,sequence=1,judge=1,refold=4.", _SCALE),
        "ray": (str | None, None, "Address of a Ray cluster, or local: its workers do the work.", _SCALE),
        "part": (str | None, None, "Only every N-th design, from the K-th: 3/16, for arrays of jobs.", _SCALE),
    }  # fmt: skip
    for name, (kind, default, text, panel) in more.items():
        metavar = {"part": "K/N", "ray": "ADDRESS|local", "workers": "N|STAGE=N,..."}.get(name)
        info = typer.Option(f"--{name.replace('_', '-')}", help=text, rich_help_panel=panel, metavar=metavar,
                            show_default=default is not None)  # fmt: skip
        found.append(Option(name, Option.KEYWORD_ONLY, default=default, annotation=Annotated[kind, info]))
    return found


@dataclass(frozen=True, kw_only=True)
class Planned:
    """All that a command line decides before anything is computed. numbers: which backbones it asks for."""

    campaign: Campaign
    weights: Weights
    selection: Selection
    pools: Sequence[Pool]
    numbers: range


def plan_run(spec: DesignSpec, given: Mapping[str, Any]) -> Planned:
    """Reads the options that are no part of the design itself. Raises InputError."""
    from structdiff.campaign.plan import plan_campaign
    from structdiff.campaign.processes import check_pools, parse_workers
    from structdiff.campaign.run import Selection
    from structdiff.campaign.settings import CampaignSettings

    settings = CampaignSettings(
        **{name: given[name] if given[name] is not None else _default(name) for name in _SETTINGS}
    )
    selection = Selection(filter=given["filter"], rank_by=given["rank_by"])
    numbers = _part(given["part"], spec.num_designs)
    pools = parse_workers(given["workers"])
    options, weights = build_run_options(given)
    campaign = plan_campaign(spec, options, settings, weights)
    check_pools(pools, campaign.stages)
    _check_selection(selection, campaign)
    return Planned(campaign=campaign, weights=weights, selection=selection, pools=pools, numbers=numbers)


def run_design(spec: DesignSpec, out: Path, given: Mapping[str, Any], *, overwrite: bool) -> int:
    """Makes what is not there yet, writes tables and report, and shows the designs; the exit code."""
    from structdiff.campaign.manifest import MANIFEST, Manifest
    from structdiff.campaign.opening import set_aside_unusable
    from structdiff.campaign.run import Run
    from structdiff.device import choose_device
    from structdiff.engine import Engine

    check_folder(out)
    planned = plan_run(spec, given)
    campaign, weights = planned.campaign, planned.weights
    run = Run(campaign, out, planned.selection, planned.numbers)
    if overwrite:
        aside = set_aside_unusable(out / MANIFEST)
        if aside is not None:
            print(f"note: the manifest could not be used and is {aside} now", file=sys.stderr)
    else:
        run.check_folder()
    estimate = estimated(campaign, weights, planned.numbers)
    engine = Engine(weights, device=choose_device(campaign.options.device))
    quiet = given["quiet"]
    with Manifest(out) as manifest:
        finished = run.prepare(manifest, overwrite=overwrite, on_note=_noted(quiet))
        if finished < _total(run):
            caution(campaign, quiet=quiet)
        _announce(run, finished, estimate, out, quiet)
        _tell_of_trajectories(run, manifest, quiet)
        failures: list[tuple[Work, Exception]] = []
        try:
            _do(run, manifest, planned.pools, given, engine, failures)
        except KeyboardInterrupt:
            _save(run, manifest)
            done = sum(each.complete for each in run.results(manifest))
            raise Interrupted(
                f"interrupted: {done} of {_total(run)} designs are finished in {out}; the same command again goes on"
            ) from None
        except BaseException:
            _save(run, manifest)
            raise
        _write_all(run, manifest)
        return _summary(run, manifest, failures, quiet=quiet)


def _do(
    run: Run, manifest: Manifest, pools: Sequence[Pool], given: Mapping[str, Any], engine: Engine, failures: list
) -> None:
    from structdiff.campaign.processes import run_processes
    from structdiff.campaign.run import Listener

    quiet = given["quiet"]
    with ExitStack() as stack:
        done = run.finished_work(manifest) / run.expected_work()
        report = stack.enter_context(shown_progress(f"designing {run.name}", quiet=quiet, done=done))
        listener = Listener(
            on_progress=_overall(run, manifest, report),
            on_failure=lambda work, error: _tell_failure(work, error, failures, debug=given["debug"]),
            on_note=_noted(quiet),
        )
        if given["ray"] is not None:
            from structdiff.campaign.ray_cluster import run_on_ray

            run_on_ray(run, manifest, pools, listener, address=given["ray"])
        elif len(pools) > 1 or pools[0].count > 1:
            run_processes(run, manifest, pools, listener)
        else:
            run.work(manifest, listener, engine)


def caution(campaign: Campaign, *, quiet: bool) -> None:
    """Tells what of a request will hardly be what was meant."""
    from structdiff.campaign.cautions import cautions

    note = _noted(quiet)
    if note is not None:
        for text in cautions(campaign):
            note(text)


def _noted(quiet: bool) -> Callable[[str], None] | None:
    """What tells of notes; None where nothing is to be told."""
    return None if quiet else lambda text: print(f"note: {text}", file=sys.stderr)


def _overall(run: Run, manifest: Manifest, report: OnProgress) -> OnProgress:
    """Progress of a batch as progress of the whole campaign."""
    total = run.expected_work()
    known = [run.finished_work(manifest), time.monotonic()]

    def on_progress(progress: Progress) -> None:
        if time.monotonic() - known[1] > _COUNTED_EVERY:
            known[:] = run.finished_work(manifest), time.monotonic()
        finished = min(int(known[0]), total - 1)
        together = min(progress.together, total - finished)
        report(replace(progress, finished=finished, total=total, together=together))

    return on_progress


def _tell_failure(work: Work, error: Exception, failures: list, *, debug: bool) -> None:
    failures.append((work, error))
    if debug:
        traceback.print_exception(error)
    print(f"error: {work.name}: {described(error)}", file=sys.stderr, flush=True)


def _write_all(run: Run, manifest: Manifest, *, report: bool = True) -> None:
    from structdiff.campaign.report import write_campaign_report
    from structdiff.campaign.run import refresh_tables

    results = refresh_tables(manifest, run.folder)
    if results and report:
        write_campaign_report(manifest, results, run.folder)


def _save(run: Run, manifest: Manifest) -> None:
    """Writes the tables of a run that ends early; what ends it is worth more words than what else goes wrong then."""
    with suppress(StructdiffError, OSError):
        _write_all(run, manifest, report=False)


def _total(run: Run) -> int:
    return len(run.numbers) * run.campaign.settings.sequences


def _summary(run: Run, manifest: Manifest, failures: list, *, quiet: bool) -> int:
    results = run.results(manifest)
    if not quiet:
        if results:
            show_designs(results, run.folder)
        for line in run.histogram(manifest):
            print(line)
        if failures:
            many = "1 piece of work" if len(failures) == 1 else f"{len(failures)} pieces of work"
            print(f"{many} failed; the same command again tries what failed anew")
    if not failures:
        return 0
    return 1 if any(not isinstance(error, StructdiffError) for _, error in failures) else 2


def _announce(run: Run, finished: int, estimate: Estimate, out: Path, quiet: bool) -> None:
    total = _total(run)
    if quiet:
        return
    if finished:
        there = f"{finished} of {total} designs" if finished <= total else f"{finished} designs ({total} are asked for)"
        print(f"{there} are in {out} already and are kept", file=sys.stderr)
    if finished < total:
        print(estimate.of(math.ceil((total - finished) / run.campaign.settings.sequences)).text)
    if run.campaign.settings.sequence_model == "auto" and run.campaign.sequence_model == "own":
        print("sequences are drawn by the network's own sequence head; structdiff weights fetch proteinmpnn gets a "
              "network made for them")  # fmt: skip
    if run.campaign.settings.judge == "auto" and "judge" not in run.campaign.stages:
        print("sequences are not judged by another network; structdiff weights fetch trrosetta gets one")


def _tell_of_trajectories(run: Run, manifest: Manifest, quiet: bool) -> None:
    """Tells of backbones that are there without the trajectory that is asked for now."""
    from structdiff.campaign.stages import Bench
    from structdiff.output.trajectory import without_trajectory

    if quiet or not run.campaign.options.trajectory:
        return
    rows = manifest.rows(run=run.name, stage="backbone", state="done", results=False)
    folder = Bench(run.campaign, run.folder).backbone_folder
    if note := without_trajectory(folder, [each.name for each in rows if each.number in run.numbers]):
        print(f"note: {note}", file=sys.stderr)


def estimated(campaign: Campaign, weights: Weights, numbers: range) -> Estimate:
    """What the run will need. Raises ResourceError with numbers when not even one design fits."""
    from structdiff.campaign.estimate import estimate_campaign

    return estimate_campaign(campaign, weights, numbers)


def _check_selection(selection: Any, campaign: Campaign) -> None:
    """Raises InputError for columns that no design of this campaign will have."""
    from structdiff.campaign.columns import campaign_columns
    from structdiff.campaign.filters import check_columns

    known = campaign_columns(campaign)
    if selection.parsed is not None:
        check_columns(selection.parsed.columns, known)
    if selection.rank_by is not None:
        check_columns([selection.rank_by], known, key="rank_by")


def _part(text: str | None, count: int) -> range:
    if text is None:
        return range(count)
    found = _PART.fullmatch(text.strip())
    if found is None or int(found[1]) > int(found[2]):
        raise InputError("must be K/N with K from 1 to N", key="part", found=text, allowed="3/16, say")
    if int(found[1]) > count:
        raise InputError("this part has none of the designs", key="part", found=text,
                         allowed=f"up to {count} parts of {count} designs")  # fmt: skip
    return range(int(found[1]) - 1, count, int(found[2]))


def _default(name: str) -> Any:
    return settings_of("campaign.settings", "CampaignSettings")[name].default
