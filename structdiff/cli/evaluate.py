"""``structdiff evaluate``: how good structures are, whatever made them."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from structdiff.cli.console import table_console
from structdiff.cli.evaluate_asked import given_asked, measures_asked, natural_asked
from structdiff.cli.examples import example_lines
from structdiff.cli.options import message_options, with_options
from structdiff.cli.results import check_folder, clear_folder
from structdiff.cli.stages import shown_stages
from structdiff.errors import InputError
from structdiff.version import __version__

if TYPE_CHECKING:
    from structdiff.evaluation.evaluation import Evaluation

_FAILED = 2
_KEPT_FILE = "unfinished.jsonl"  # values that take long, until the evaluation is whole
_NAMED_AT_MOST = 5  # folders in a note


@with_options(message_options())
def evaluate(
    paths: Annotated[list[Path], typer.Argument(help="mmCIF or PDB files, or folders of them.", show_default=False)],
    reference: Annotated[
        Path | None,
        typer.Option(help="The true structure, or a folder with one of the same name for each.", show_default="none"),
    ] = None,
    natural: Annotated[
        Path | None,
        typer.Option(
            help="Natural chains for novelty and likeness: a set made by prepare, or a folder of structures.",
            show_default="those of the package, for likeness alone",
        ),
    ] = None,
    motif: Annotated[
        Path | None, typer.Option(help="The motif of designs.", show_default="the file that each design names")
    ] = None,
    residue_map: Annotated[
        Path | None,
        typer.Option(help="Which residues come from the motif (JSON).", show_default="the one beside each file"),
    ] = None,
    designed: Annotated[
        str | None,
        typer.Option(
            help="Chains that were designed, A or A,B; the others are a target.",
            show_default="those with new residues by the residue map, else the longest",
        ),
    ] = None,
    hotspots: Annotated[
        str | None,
        typer.Option(
            help="Residues to be touched, in the designs' numbers: A45,A67-68.",
            show_default="those that each design was asked for",
        ),
    ] = None,
    motifbench: Annotated[
        Path | None,
        typer.Option(
            help="Copy of the repository blt2114/MotifBench: score folders of scaffolds.", show_default="none"
        ),
    ] = None,
    refolded: Annotated[
        Path | None,
        typer.Option(
            help="With --motifbench: structures predicted from the scaffolds' sequences, in folders of the same names.",
            show_default="none: geometry alone",
        ),
    ] = None,
    clusters: Annotated[bool, typer.Option(help="Align all pairs and count clusters.")] = True,
    sequence_model: Annotated[
        str,
        typer.Option(help="Network that says how likely each own sequence is: proteinmpnn, ligandmpnn, ... or none."),
    ] = "none",
    judge: Annotated[
        str, typer.Option(help="Network that judges sequences by themselves: trrosetta, or none.")
    ] = "none",
    judge_ligands: Annotated[
        str, typer.Option(help="Networks that judge how ligands lie, and how tightly: gnina, or none.")
    ] = "none",
    refold: Annotated[
        str, typer.Option(help="Predict each structure from its sequence: own (weights mini), trrosetta, or none.")
    ] = "none",
    refold_command: Annotated[
        str | None,
        typer.Option(
            help="Another program that predicts each, for instance 'boltz predict {yaml} --out_dir {out}'.",
            show_default="none",
        ),
    ] = None,
    refold_timeout: Annotated[
        float | None,
        typer.Option(
            metavar="MINUTES",
            help="After which a command that still predicts one structure is ended; 0: never.",
            show_default="360",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the random draws behind the intervals.", min=0)] = 0,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the results.")] = Path("evaluation"),
    **given: Any,
) -> int:
    """Judge structures of any program: validity, motifs, interfaces, diversity, novelty, likeness to nature, accuracy.

    In the folder are then evaluation.json, structures.csv, pictures and report.html, one page that holds everything.
    A file that cannot be judged is reported, and the others go on.
    """
    from structdiff.campaign.kept_measures import KeptMeasures
    from structdiff.evaluation.evaluation import evaluate as judge_files
    from structdiff.evaluation.structure_files import structure_files

    if refolded is not None and motifbench is None:
        raise InputError("refolded structures are judged with --motifbench", key="refolded", found=str(refolded))
    files = structure_files(paths)
    check_folder(out)
    _refuse_other_reports(out)
    clear_folder(out)
    provenance = {
        "program": f"structdiff {__version__}",
        "files": [str(path) for path in paths],
        "reference": None if reference is None else str(reference),
        "natural": None if natural is None else str(natural),
        "motif": None if motif is None else str(motif),
        "residue_map": None if residue_map is None else str(residue_map),
        "designed": designed,
        "hotspots": hotspots,
        "seed": seed,
    }
    if motifbench is not None:
        provenance |= {"motifbench": str(motifbench), "refolded": None if refolded is None else str(refolded)}
        return _motifbench(paths, motifbench, refolded, natural, out, provenance, quiet=given["quiet"])
    asked = given_asked(files, reference, motif, residue_map, designed, hotspots)
    keep = KeptMeasures(out / _KEPT_FILE)
    more = measures_asked(sequence_model, judge, refold, refold_command, refold_timeout, judge_ligands, keep)
    provenance |= {"sequence_model": sequence_model, "judge": judge, "refold": refold_command or refold,
                   "judge_ligands": judge_ligands}  # fmt: skip
    with shown_stages(quiet=given["quiet"]) as progress:
        chains, known = natural_asked(natural, progress)
        found = judge_files(
            files,
            given=asked,
            natural=chains,
            known=known,
            clusters=clusters,
            more=more,
            seed=seed,
            on_progress=progress,
        )
    notes = [*found.notes, *_unsearched(paths), keep.note(), _no_ligands(found, judge_ligands)]
    found = dataclasses.replace(found, notes=[note for note in notes if note])
    if found.rows:
        _write(found, out, provenance)
        if not given["quiet"]:
            _show(found, out)
    for _, reason in found.failures:
        print(f"error: {reason}", file=sys.stderr)
    if found.failures:
        return _FAILED
    keep.finish()
    return 0


def _refuse_other_reports(out: Path) -> None:
    """Raises InputError for a folder with a report that is none of an evaluation, a campaign's say."""
    from structdiff.cli.motifbench import RESULT_FILE as OF_MOTIFBENCH
    from structdiff.evaluation.result_files import RESULT_FILE

    own = (RESULT_FILE, OF_MOTIFBENCH)
    if (out / "report.html").exists() and not any((out / name).exists() for name in own):
        raise InputError("a report of something else would be replaced: name another folder",
                         path=out / "report.html", key="out")  # fmt: skip


def _no_ligands(found: Evaluation, judge_ligands: str) -> str:
    """A note where ligands are to be judged, and none is there."""
    from structdiff.docking.pose_measure import GNINA_NAMES
    from structdiff.evaluation.vinardo import SMALLEST

    if judge_ligands == "none" or any(GNINA_NAMES[0] in row.values for row in found.rows):
        return ""
    return f"no ligands for {judge_ligands} to judge: free ones of {SMALLEST} heavy atoms and more beside other atoms"


def _unsearched(paths: list[Path]) -> list[str]:
    """A note on the folders whose structures were passed over."""
    from structdiff.evaluation.structure_files import unsearched_folders

    left = [str(folder) for folder in unsearched_folders(paths)]
    if not left:
        return []
    named = ", ".join(left[:_NAMED_AT_MOST]) + (", ..." if len(left) > _NAMED_AT_MOST else "")
    return ["structures in folders beside those that were judged are not among them, name a folder to judge it too: "
            f"{named}"]  # fmt: skip


def _motifbench(
    paths: list[Path], problems: Path, refolded: Path | None, natural: Path | None, out: Path,
    provenance: dict[str, Any], *, quiet: bool,
) -> int:  # fmt: skip
    from structdiff.cli.motifbench import score_motifbench, show_motifbench, write_motifbench

    with shown_stages(quiet=quiet) as progress:
        _, known = natural_asked(natural, progress)
        scores, score = score_motifbench(paths, problems, refolded, known, progress)
    write_motifbench(scores, score, out, provenance, refolded=refolded is not None)
    return _FAILED if show_motifbench(scores, score, refolded=refolded is not None, quiet=quiet) else 0


def _write(found: Evaluation, out: Path, provenance: dict[str, Any]) -> None:
    from structdiff.evaluation.plots import plots_of
    from structdiff.evaluation.report import report_page
    from structdiff.evaluation.result_files import (
        LIGANDS_FILE,
        RESULT_FILE,
        TABLE_FILE,
        write_ligands,
        write_result,
        write_table,
    )
    from structdiff.structure.files import write_atomically

    out.mkdir(parents=True, exist_ok=True)
    write_table(found, out / TABLE_FILE)
    write_ligands(found, out / LIGANDS_FILE)
    plots = plots_of(found)
    for name, data in plots.items():
        write_atomically(out / f"{name}.png", data)
    write_result(found, out / RESULT_FILE, provenance)
    write_atomically(out / "report.html", report_page(found, plots, provenance))


def _show(found: Evaluation, out: Path) -> None:
    """Prints the means of all structures, the targets, and where the rest is."""
    from structdiff.evaluation.catalogue import metric, shown

    console = table_console()
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column(f"{len(found.rows)} structure{'s' if len(found.rows) != 1 else ''}")
    for heading in ("mean", "95 % interval", "natural, 90 %"):
        table.add_column(heading, justify="right")
    group = ""
    for name, value in found.summary.items():
        entry = metric(name)
        if entry.group != group:
            group = entry.group
            table.add_row(Text(group, style="bold"), "", "", "")
        interval = "" if value.low != value.low else f"{shown(name, value.low)} to {shown(name, value.high)}"
        ends = "" if entry.natural is None else " to ".join(shown(name, end) for end in entry.natural)
        table.add_row(f"  {entry.heading}", shown(name, value.mean), interval, ends)
    console.print(table)
    if found.targets:
        console.print(_targets_table(found))
    for note in found.notes:
        console.print(f"note: {note}")
    console.print(f"{out / 'report.html'} has pictures and every structure")


def _targets_table(found: Evaluation) -> Table:
    table = Table(title="targets for designs", title_justify="left", title_style="bold", box=None,
                  padding=(0, 2, 0, 0), header_style="bold")  # fmt: skip
    for heading in ("structures", "what", "reached", "wanted", ""):
        table.add_column(heading, justify="right" if heading in ("reached", "wanted") else "left")
    for target in found.targets:
        word, colour = {True: ("met", "green"), False: ("missed", "yellow"), None: ("-", "")}[target.met]
        table.add_row(target.group, target.text, target.reached, target.wanted, Text(word, style=colour))
    return table


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        epilog=example_lines(
            "structdiff evaluate designs/",
            "structdiff evaluate designs/ --natural data/ --out judged",
            "structdiff evaluate predictions/ --reference experimental/",
            "structdiff evaluate other_tool/*.pdb --motif motif.pdb --residue-map map.json",
        )
    )(evaluate)
