"""``structdiff explain``: what a column of the results means."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from structdiff.cli.console import table_console
from structdiff.cli.examples import example_lines


def explain(
    metrics: Annotated[
        list[str] | None, typer.Argument(metavar="METRIC...", help="Columns of a table; all of them if none is named.")
    ] = None,
) -> None:
    """Say how a column is computed: formula, unit, which way is better, source."""
    from structdiff.evaluation.catalogue import CATALOGUE, metric

    if metrics:
        print("\n\n".join(_text(metric(name)) for name in metrics))
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("column", "what", "unit", "better", "group"):
        table.add_column(heading, overflow="fold")
    for each in CATALOGUE.values():
        better = "-" if each.better == "none" else each.better
        table.add_row(each.name, each.label, each.stored_unit or "-", better, each.group)
    table_console().print(table)


def _text(metric) -> str:  # noqa: ANN001 - its class would be imported for the command line to start
    lines = [f"{metric.name}: {metric.label}", f"  formula  {metric.formula}"]
    lines += [f"  unit     {metric.stored_unit or 'none'}"]
    if metric.better != "none":
        lines.append(f"  better   {metric.better}")
    if metric.natural is not None:
        lines.append(f"  natural  {metric.natural[0]:g} to {metric.natural[1]:g} (90 % of natural chains)")
    if metric.source:
        lines.append(f"  source   {metric.source}")
    return "\n".join(lines)


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(epilog=example_lines("structdiff explain sc_rmsd", "structdiff explain"))(explain)
