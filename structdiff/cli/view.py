"""``structdiff view``: a structure as a web page."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from structdiff.cli.examples import example_lines
from structdiff.cli.options import message_options, with_options


@with_options(message_options())
def view(
    file: Annotated[Path, typer.Argument(help="mmCIF or PDB file, plain, .gz, .xz or .zip.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The page to write.", show_default="FILE with the suffix .html")
    ] = None,
    color: Annotated[str, typer.Option(help="auto, confidence, chain or motif.")] = "auto",
    style: Annotated[str, typer.Option(help="cartoon, trace, sticks or spheres.")] = "cartoon",
    residue_map: Annotated[
        Path | None, typer.Option(help="The residue map of a design (JSON).", show_default="the one beside the file")
    ] = None,
    trajectory: Annotated[Path | None, typer.Option(help="File of several models to play as an animation.")] = None,
    open_page: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in the browser.")] = True,
    **given: bool,
) -> None:
    """Show a structure in the browser: one page that holds everything and works offline."""
    from structdiff.output.view import open_in_browser, write_view_html
    from structdiff.packed_files import plain_name

    name = plain_name(file)
    page = write_view_html(
        file,
        out or file.with_name(name).with_suffix(".html"),
        color=color,
        style=style,
        residue_map=residue_map,
        trajectory=trajectory,
    )
    if not given["quiet"]:
        print(page)
    if open_page and not open_in_browser(page) and not given["quiet"]:
        print("no browser was found here: open the page yourself", file=sys.stderr)


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        epilog=example_lines(
            "structdiff view designs/design_1.cif",
            "structdiff view 1abc.pdb.gz --color chain --style sticks --out page.html --no-open",
        )
    )(view)
