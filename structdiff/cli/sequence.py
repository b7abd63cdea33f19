"""``structdiff sequence``: sequences for given backbones, with their side chains."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from structdiff.cli.console import table_console
from structdiff.cli.examples import example_lines
from structdiff.cli.options import Option, message_options, setting_option, with_options
from structdiff.cli.results import check_folder, clear_folder
from structdiff.cli.sequence_asked import Asked
from structdiff.cli.sequence_run import SequenceRun
from structdiff.cli.settings import settings_of
from structdiff.errors import InputError

if TYPE_CHECKING:
    from structdiff.inverse_folding.design import SequenceConfig

_DRAWING, _ASKED, _SCORING = "How sequences are drawn", "What is asked of them", "Scoring instead"
_SHOWN_AT_MOST = 40
_DEFAULT_MODEL = "ligandmpnn"
_MODELS = "proteinmpnn, solublempnn, ligandmpnn, proteinmpnn_ca, membrane_mpnn, ..."
#: Exit code when a file could not be used.
REFUSED = 2


_DRAWN = ("num_sequences", "temperature", "seed", "favour_present", "side_chain_context")
#: What can be asked: how it is written, what it means, and whether it can be given several times.
_WISHES = {
    "fix": ("RESIDUES", "Keep these, such as A10-20,B.", True),
    "design": ("RESIDUES", "Keep all but these.", True),
    "ban": ("LETTERS", "Not used anywhere.", False),
    "ban_at": ("RESIDUES=LETTERS", "Not used there, such as A10-12=PG.", True),
    "allow_at": ("RESIDUES=LETTERS", "Nothing else is used there.", True),
    "tie": ("STRETCHES", "The same letters in each, such as A,B,C.", True),
    "bias": ("LETTER=NUMBER,...", "Added to the logits.", False),
    "bias_at": ("RESIDUES=LETTER=NUMBER,...", "Added to the logits there, such as A10-12=K=0.5,A=-1.", True),
    "buried": ("RESIDUES", "Inside a membrane.", True),
    "interface": ("RESIDUES", "At its surface.", True),
}


def _drawing_options() -> list[Any]:
    settings = settings_of("inverse_folding.design", "SequenceConfig")
    names = {"num_sequences": ("--num", "-n"), "temperature": ("--temperature", "-t")}
    return [setting_option(settings[name], *names.get(name, ()), panel=_DRAWING) for name in _DRAWN]


def _asked_options() -> list[Any]:
    """The options of ``_WISHES``; those that can be given several times arrive as lists."""
    found = []
    for name, (metavar, text, several) in _WISHES.items():
        option = typer.Option(f"--{name.replace('_', '-')}", metavar=metavar, help=text, rich_help_panel=_ASKED)
        kind, default = (list[str] | None, None) if several else (str, "")
        found.append(Option(name, Option.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option]))
    return found


@with_options(_drawing_options(), _asked_options(), message_options())
def sequence(
    files: Annotated[list[Path], typer.Argument(help="Backbones: mmCIF or PDB files.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the sequences.")] = Path("sequences"),
    model: Annotated[str, typer.Option(help=_MODELS, rich_help_panel=_DRAWING)] = _DEFAULT_MODEL,
    pack: Annotated[bool, typer.Option("--pack/--no-pack", help="Build side chains.", rich_help_panel=_DRAWING)] = True,
    score_only: Annotated[
        bool,
        typer.Option("--score-only", help="Say how likely the structures' own sequences are; design none.",
                     rich_help_panel=_SCORING),
    ] = False,
    fasta: Annotated[
        Path | None,
        typer.Option(help="Score these sequences in place of their own.", rich_help_panel=_SCORING, show_default=False),
    ] = None,
    orders: Annotated[
        int | None,
        typer.Option(help="Random orders in which each is read.", rich_help_panel=_SCORING, show_default="4"),
    ] = None,
    probabilities: Annotated[
        bool,
        typer.Option("--probabilities", help="Write those of all amino acids at each residue too.",
                     rich_help_panel=_SCORING),
    ] = False,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda|mps", help="Where to compute.")] = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there from other runs.")] = False,
    **given: Any,
) -> int:  # fmt: skip
    """Design sequences for backbones with ProteinMPNN or LigandMPNN, and build their side chains.

    With --score-only they say instead how likely sequences are, those that are there or those of a FASTA file. The
    weights are fetched once with `structdiff weights fetch ligandmpnn`. A file that fails is reported and the others
    go on. What the folder holds already is kept.
    """
    from structdiff.device import choose_device
    from structdiff.inverse_folding.design import SequenceConfig
    from structdiff.inverse_folding.library import load_network
    from structdiff.inverse_folding.packing import load_packer

    check_folder(out)
    clear_folder(out)
    config = SequenceConfig(model=model, **{name: given[name] for name in _DRAWN})
    wishes: dict[str, Any] = {name: given[name] if given[name] is not None else [] for name in _WISHES}
    chosen = str(choose_device(device))
    load_network(config.model, device=chosen)
    scoring = {"fasta": fasta, "orders": orders, "probabilities": probabilities}
    if score_only:
        _refuse_of_designs(config)
        return _score(files, config, Asked(**wishes), out, chosen, {**given, **scoring, "overwrite": overwrite})
    for key, value in scoring.items():
        if value:
            raise InputError("only scoring takes this", key=key, found=str(value), allowed="with --score-only")
    if pack:
        load_packer(device=chosen)
    run = SequenceRun(
        config=config,
        asked=Asked(**wishes),
        out=out,
        pack=pack,
        device=chosen,
        overwrite=overwrite,
        quiet=given["quiet"],
    )
    if not given["quiet"]:
        _tell_of_kept_residues(files, run.asked)
    run.all(files)
    if run.rows and not given["quiet"]:
        _show(run.rows, out)
    return REFUSED if run.said else 0


def _refuse_of_designs(config: SequenceConfig) -> None:
    """Raises InputError for what is asked of draws where nothing is drawn."""
    plain = type(config)(model=config.model, seed=config.seed)
    for key in _DRAWN:
        if getattr(config, key) != getattr(plain, key):
            raise InputError("nothing is designed with --score-only", key=key, found=getattr(config, key),
                             allowed="model, seed, orders")  # fmt: skip


def _score(
    files: Sequence[Path], config: SequenceConfig, asked: Asked, out: Path, device: str, given: Mapping[str, Any]
) -> int:
    """Scores sequences; the exit code."""
    from structdiff.cli.sequence_scores import ORDERS, ScoreRun

    orders = ORDERS if given["orders"] is None else given["orders"]
    if orders < 1:
        raise InputError("must be a whole number", key="orders", found=orders, allowed="1 or more")
    run = ScoreRun(
        model=config.model, seed=config.seed, orders=orders, asked=asked, fasta=given["fasta"],
        probabilities=given["probabilities"], out=out, device=device, overwrite=given["overwrite"],
        quiet=given["quiet"],
    )  # fmt: skip
    run.all(files)
    if run.rows and not given["quiet"]:
        run.show()
    return REFUSED if run.said else 0


def _tell_of_kept_residues(files: Sequence[Path], asked: Asked) -> None:
    """Tells of designs with a motif or target that nothing was said of: it gets new letters as all else does."""
    from structdiff.evaluation.foreign_maps import foreign_map
    from structdiff.evaluation.residue_maps import read_residue_map
    from structdiff.evaluation.structure_files import stem

    if asked.fix or asked.design:
        return
    with suppress(InputError):  # what is no residue map says nothing of residues to keep
        own = {file: file.with_name(f"{stem(file)}.residue_map.json") for file in files}
        maps = [read_residue_map(path) if path.is_file() else foreign_map(file) or {} for file, path in own.items()]
        count = sum(bool(each.get("residues")) for each in maps)
        if count:
            print(f"note: the motif or target of {count} of {len(files)} files gets new letters too: --fix keeps "
                  "residues, and structdiff design --sequences keeps these by itself", file=sys.stderr)  # fmt: skip


def _show(rows: Sequence[dict[str, str]], out: Path) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("name", "NLL", "recovery", "sequence"):
        table.add_column(heading, justify="right" if heading in ("NLL", "recovery") else "left", overflow="fold")
    for row in rows[:_SHOWN_AT_MOST]:
        table.add_row(row["name"], row["negative_log_likelihood"], row["recovery"] or "-", row["sequence"])
    table_console().print(table)
    if len(rows) > _SHOWN_AT_MOST:
        print(f"... and {len(rows) - _SHOWN_AT_MOST} more; the table lists all", file=sys.stderr)
    print(f"{len(rows)} sequence{'s' if len(rows) != 1 else ''} in {out}")


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        epilog=example_lines(
            "structdiff sequence designs/*.cif --num 8 --out sequences",
            "structdiff sequence complex.pdb --fix A10-20 --fix B --ban C --side-chain-context",
            "structdiff sequence design.cif --score-only --fasta candidates.fasta --model proteinmpnn",
            "structdiff sequence dimer.cif --model proteinmpnn --tie A,B --temperature 0.2",
        )
    )(sequence)
