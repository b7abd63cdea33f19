"""``structdiff prepare``: a training set from files of structures."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from structdiff.cli.console import table_console
from structdiff.cli.examples import example_lines
from structdiff.cli.options import message_options, with_options
from structdiff.errors import InputError

#: A folder with this file is a collection with clusters and splits of its own.
_INDEX = "index.jsonl.gz"
_MEBIBYTES = 60.0


@with_options(message_options())
def prepare(
    source: Annotated[Path, typer.Argument(help="Folder of mmCIF and PDB files, or a collection with an index.")],
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    max_residues: Annotated[int, typer.Option(help="Larger entries are cut to this.", min=1)] = 512,
    max_mebibytes: Annotated[
        float | None, typer.Option(help="Largest size of the set (collections only).", show_default=f"{_MEBIBYTES:g}")
    ] = None,
    **given: bool,
) -> None:
    """Turn structures into a compact training set for `structdiff train`."""
    from structdiff.training.converter import convert_structures
    from structdiff.training.folder import convert_folder

    progress = not given["quiet"] and sys.stderr.isatty()
    if not source.is_dir():
        raise InputError("no such folder", path=source)
    if (source / _INDEX).is_file():
        room = _MEBIBYTES if max_mebibytes is None else max_mebibytes
        summary = convert_structures(source, out, max_residues=max_residues, max_mebibytes=room, progress=progress)
    elif max_mebibytes is not None:
        message = "only collections are thinned out to a size; leave the option out"
        raise InputError(message, key="max_mebibytes", found=max_mebibytes)
    else:
        summary = convert_folder(source, out, max_residues=max_residues, progress=progress)
    if given["quiet"]:
        return
    for reason in summary.skipped:
        print(f"skipped: {reason}", file=sys.stderr)
    table = Table("split", "entries", "residues", box=None, padding=(0, 2))
    for split, entries in summary.entries.items():
        table.add_row(split, str(entries), str(summary.residues.get(split, 0)))
    console = table_console()
    console.print(table)
    console.print(f"{summary.path}: {summary.mebibytes} MiB, {summary.atoms} atoms")


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        epilog=example_lines(
            "structdiff prepare structures/ data/",
            "structdiff prepare structures/ data/ --max-residues 256",
        )
    )(prepare)
