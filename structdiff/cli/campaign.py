"""``structdiff campaign``: how far a campaign is, its report, arrays of jobs, and parts put together."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from structdiff.cli import slurm
from structdiff.cli.console import table_console
from structdiff.cli.examples import example_lines
from structdiff.cli.progress import duration
from structdiff.cli.results import check_folder
from structdiff.errors import InputError

commands = typer.Typer(help="Look after many designs: status, report, arrays of jobs.", no_args_is_help=True)
_Folder = Annotated[Path, typer.Argument(help="Folder of the designs.")]
_FAILED_AT_MOST = 10
#: Exit code when files of finished designs could not be merged.
_INCOMPLETE = 2


@commands.command(epilog=example_lines("structdiff campaign status designs"))
def status(folder: _Folder) -> None:
    """Show how far a campaign is, stage by stage, and what failed. It may be running meanwhile."""
    from structdiff.campaign.manifest import Manifest
    from structdiff.campaign.outlook import outlook, seconds_left
    from structdiff.campaign.results import last_line
    from structdiff.campaign.work import STATES

    with Manifest(folder, read_only=True) as manifest:
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
        for heading in ("run", "stage", *STATES, "mean time"):
            table.add_column(heading, justify="left" if heading in ("run", "stage") else "right")
        for run, facts in manifest.runs().items():
            seconds = manifest.seconds(run)
            for stage, counts in outlook(manifest, run, facts).items():
                time = f"{seconds[stage]:.1f} s" if stage in seconds else "-"
                table.add_row(run, stage, *(str(counts.get(state, 0)) for state in STATES), time)
        table_console().print(table)
        left = seconds_left(manifest)
        if left:
            print(f"about {duration(left)} of work left, for one worker")
        if manifest.is_open() and not manifest.at_work():
            print("nobody is at work here now; the same command again goes on")
        failed = manifest.errors()
        for work in failed[:_FAILED_AT_MOST]:
            print(f"{work.name} ({work.stage}) failed: {last_line(work.error)}")
        if len(failed) > _FAILED_AT_MOST:
            print(f"... and {len(failed) - _FAILED_AT_MOST} more")


@commands.command(epilog=example_lines("structdiff campaign report designs --filter 'sc_rmsd < 2' --rank-by plddt"))
def report(
    folder: _Folder,
    filter: Annotated[str | None, typer.Option(help="Another filter than that of the run.")] = None,
    rank_by: Annotated[str | None, typer.Option(help="Another column to rank by.")] = None,
    references: Annotated[
        Path | None,
        typer.Option(help="Known chains to warn of copies of: a folder of structures, or a set made by prepare."),
    ] = None,
) -> None:
    """Rank and filter what is finished anew, and write tables and report; nothing is computed again."""
    from structdiff.campaign.columns import EVERY
    from structdiff.campaign.filters import check_columns, parse_filter
    from structdiff.campaign.manifest import Manifest
    from structdiff.campaign.report import write_campaign_report
    from structdiff.campaign.run import folder_results, refresh_tables
    from structdiff.cli.natural_set import check_natural, natural_chains_in

    if filter is not None:
        check_columns(parse_filter(filter).columns, EVERY)
    if rank_by is not None:
        check_columns([rank_by], EVERY, key="rank_by")
    check_folder(folder)
    known = ()
    if references is not None:
        check_natural(references)
        known = tuple(natural_chains_in(references))
    with Manifest(folder, create=False) as manifest:
        results = folder_results(manifest)
        if not results:
            raise InputError("no design is finished yet", path=folder)
        measured = {name for each in results for name, value in each.columns.items() if value is not None}
        columns = parse_filter(filter).columns if filter else ()
        for key, wanted in (("filter", columns), ("rank_by", [rank_by] if rank_by else [])):
            for name in sorted(set(wanted) - measured):
                raise InputError("this was not measured of any of these designs", key=key, found=name,
                                 allowed=sorted(measured))  # fmt: skip
        for run, facts in manifest.runs().items():
            changed = {"filter": filter or facts.get("filter"), "rank_by": rank_by or facts.get("rank_by")}
            manifest.note_run(run, {**facts, **changed})
        results = refresh_tables(manifest, folder)
        print(write_campaign_report(manifest, results, folder, known))


@commands.command(epilog=example_lines("structdiff campaign merge designs/part_* --out designs"))
def merge(
    parts: Annotated[list[Path], typer.Argument(help="Folders that were made with --part.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder that they are put into.")],
) -> int:
    """Put the parts of an array of jobs into one folder, with one table and one report.

    Files that are damaged or missing are left out and named, and the exit code is 2.
    """
    from structdiff.campaign.finished_files import named
    from structdiff.campaign.manifest import Manifest
    from structdiff.campaign.merging import merge_parts, missing_files
    from structdiff.campaign.report import write_campaign_report
    from structdiff.campaign.run import refresh_tables

    check_folder(out)
    count, damaged = merge_parts(parts, out)
    with Manifest(out, create=False) as manifest:
        results = refresh_tables(manifest, out)
        if results:
            write_campaign_report(manifest, results, out)
        whole = sum(each.complete for each in results)
        print(f"{count} pieces of work from {len(parts)} parts are in {out}, which has {whole} finished designs now")
        states = [states for facts in manifest.counts().values() for states in facts.items()]
        left, failed = (sum(count for state, count in states if state in those)
                        for those in (("waiting", "running"), ("failed",)))  # fmt: skip
        if left or failed:
            print(f"note: not all parts are finished: {left} pieces of work are left to do, {failed} failed; submit "
                  "their jobs again, then merge again", file=sys.stderr)  # fmt: skip
        gone = missing_files(manifest, out)
        for what, files in (("damaged, and were not taken", damaged), ("missing", gone)):
            if files:
                again = "submit the jobs of their parts again, then merge again"
                print(f"error: files are {what}: {named(files)}; {again}", file=sys.stderr)
        return _INCOMPLETE if damaged or gone else 0


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    slurm.register(commands)
    app.add_typer(commands, name="campaign")
