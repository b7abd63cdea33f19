"""``structdiff sequence``: sequences for given backbones, with their side chains."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from structdiff.cli.console import table_console
from structdiff.cli.examples import example_lines
from structdiff.cli.failures import Interrupted
from structdiff.cli.options import Option, message_options, setting_option, with_options
from structdiff.cli.progress import counted_progress
from structdiff.cli.results import check_folder, clear_folder
from structdiff.cli.settings import settings_of
from structdiff.errors import InputError, StructdiffError

if TYPE_CHECKING:
    from structdiff.inverse_folding.design import SequenceConfig
    from structdiff.inverse_folding.restrictions import Restrictions
    from structdiff.structure.tables import Structure

_DRAWING, _ASKED = "How sequences are drawn", "What is asked of them"
_SHOWN_AT_MOST = 40
_DEFAULT_MODEL = "ligandmpnn"
_MODELS = "proteinmpnn, solublempnn, ligandmpnn, proteinmpnn_ca, membrane_mpnn, ..."
#: Exit code when a file could not be used.
REFUSED = 2


_DRAWN = ("num_sequences", "temperature", "seed", "side_chain_context")
#: What can be asked: how it is written, what it means, and whether it can be given several times.
_WISHES = {
    "fix": ("RESIDUES", "Keep these, such as A10-20,B.", True),
    "design": ("RESIDUES", "Keep all but these.", True),
    "ban": ("LETTERS", "Not used anywhere.", False),
    "ban_at": ("RESIDUES=LETTERS", "Not used there, such as A10-12=PG.", True),
    "allow_at": ("RESIDUES=LETTERS", "Nothing else is used there.", True),
    "tie": ("STRETCHES", "The same letters in each, such as A,B,C.", True),
    "bias": ("LETTER=NUMBER,...", "Added to the logits.", False),
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
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda|mps", help="Where to compute.")] = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there from other runs.")] = False,
    **given: Any,
) -> int:
    """Design sequences for backbones with ProteinMPNN or LigandMPNN, and build their side chains.

    The weights are fetched once with `structdiff weights fetch ligandmpnn`. A file that fails is reported and the
    others go on. What the folder holds already is kept.
    """
    from structdiff.engine import choose_device
    from structdiff.inverse_folding.design import SequenceConfig
    from structdiff.inverse_folding.library import load_network
    from structdiff.inverse_folding.packing import load_packer

    check_folder(out)
    clear_folder(out)
    config = SequenceConfig(model=model, **{name: given[name] for name in _DRAWN})
    wishes: dict[str, Any] = {name: given[name] if given[name] is not None else [] for name in _WISHES}
    chosen = str(choose_device(device))
    load_network(config.model, device=chosen)
    if pack:
        load_packer(device=chosen)
    run = _Run(config=config, asked=_Asked(**wishes), out=out, pack=pack, device=chosen, overwrite=overwrite)
    if not given["quiet"]:
        _tell_of_kept_residues(files, run.asked)
    rows, failed = run.all(files, quiet=given["quiet"])
    if rows and not given["quiet"]:
        _show(rows, out)
    return REFUSED if failed else 0


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """What the options ask, as written."""

    fix: Sequence[str]
    design: Sequence[str]
    ban: str
    ban_at: Sequence[str]
    allow_at: Sequence[str]
    tie: Sequence[str]
    bias: str
    buried: Sequence[str]
    interface: Sequence[str]

    def of(self, structure: Structure) -> Restrictions:
        """The same for the residues of a structure. Raises InputError."""
        import numpy as np

        from structdiff.inverse_folding.restrictions import Restrictions, rows_in, tied_rows

        fixed = np.zeros(len(structure.residues), bool)
        for selection in self.fix:
            fixed |= rows_in(structure, selection)
        if self.design:
            fixed |= ~np.logical_or.reduce([rows_in(structure, selection) for selection in self.design])
        membrane = np.zeros(len(structure.residues), np.int64)
        for label, selections in ((1, self.interface), (2, self.buried)):
            for selection in selections:
                membrane[rows_in(structure, selection)] = label
        ties = [group for text in self.tie for group in tied_rows(structure, *text.split(","))]
        return Restrictions(
            fixed=fixed,
            banned=self.ban,
            banned_at=_letters_at(structure, self.ban_at, "ban_at"),
            allowed=_letters_at(structure, self.allow_at, "allow_at"),
            tied=ties,
            bias=_biases(self.bias),
            membrane=membrane if self.buried or self.interface else None,
        )


@dataclass(frozen=True, kw_only=True)
class _Run:
    """What all backbones of one call share."""

    config: SequenceConfig
    asked: _Asked
    out: Path
    pack: bool
    device: str
    overwrite: bool

    def all(self, files: Sequence[Path], *, quiet: bool) -> tuple[list[dict[str, str]], int]:
        """Designs file after file; the rows of the table, and how many files failed."""
        from structdiff.inverse_folding.files import write_tables

        rows: list[dict[str, str]] = []
        failed = 0
        with counted_progress("designing sequences", len(files), quiet=quiet) as report:
            for number, (name, file) in enumerate(_names(files).items(), start=1):
                try:
                    rows += self._one(name, file)
                    write_tables(self.out)
                except KeyboardInterrupt:
                    raise Interrupted(f"interrupted: {len(rows)} finished sequences in {self.out}") from None
                except StructdiffError as error:
                    failed += 1
                    print(f"error: {error}", file=sys.stderr, flush=True)
                report(number)
        return rows, failed

    def _one(self, name: str, file: Path) -> list[dict[str, str]]:
        from structdiff.inverse_folding.design import design_for_backbones
        from structdiff.inverse_folding.files import read_record, remove_designed, write_designed
        from structdiff.structure.files import read_structure

        structure = read_structure(file)
        provenance = self._provenance(file)
        record = None if self.overwrite else read_record(self.out, name)
        if record is not None and record["provenance"] == provenance:
            return record["rows"]
        if record is not None:
            message = f"{name} is here from another run ({_difference(record['provenance'], provenance)})"
            raise InputError(f"{message}; choose another --out, or --overwrite", path=self.out)
        try:
            asked = self.asked.of(structure)
            designed = design_for_backbones([(structure, asked)], self.config, pack=self.pack, device=self.device)[0]
        except InputError as error:
            raise InputError(str(error), path=None if error.path else file) from None
        self.out.mkdir(parents=True, exist_ok=True)
        remove_designed(self.out, name)
        return write_designed(self.out, name, designed, provenance)

    def _provenance(self, file: Path) -> dict[str, Any]:
        import hashlib
        import json
        from dataclasses import asdict

        from structdiff.inverse_folding.library import model_name
        from structdiff.published_weights.catalogue import CATALOGUE
        from structdiff.version import __version__

        weights = CATALOGUE.weights[model_name(self.config.model)]
        facts = {
            "structdiff": __version__,
            **asdict(self.config),
            "model": weights.name,
            "model_sha256": weights.sha256,
            "packed": self.pack,
            "asked": asdict(self.asked),
            "source_sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        }
        return json.loads(json.dumps(facts))


def _tell_of_kept_residues(files: Sequence[Path], asked: _Asked) -> None:
    """Tells of designs with a motif or target that nothing was said of: it gets new letters as all else does."""
    from structdiff.evaluation.structure_files import stem
    from structdiff.evaluation.subject import read_residue_map

    if asked.fix or asked.design:
        return
    maps = [file.with_name(f"{stem(file)}.residue_map.json") for file in files]
    with suppress(InputError):  # what is no residue map says nothing of residues to keep
        count = sum(bool(read_residue_map(each).get("residues")) for each in maps if each.is_file())
        if count:
            print(f"note: the motif or target of {count} of {len(files)} files gets new letters too: --fix keeps "
                  "residues, and structdiff design --sequences keeps these by itself", file=sys.stderr)  # fmt: skip


def _difference(there: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """The first entry that differs, in words."""
    key = next(key for key in {**wanted, **there} if there.get(key) != wanted.get(key))
    return f"{key} was {there.get(key)} and is {wanted.get(key)} now"


def _names(files: Sequence[Path]) -> dict[str, Path]:
    """What the sequences of each file are called. Raises InputError for two files of one name."""
    found: dict[str, Path] = {}
    for file in files:
        name = file.name.removesuffix(".gz").rsplit(".", 1)[0]
        if name in found:
            raise InputError(f"two files have this name, the other is {found[name]}", path=file, found=name)
        found[name] = file
    return found


def _letters_at(structure: Structure, texts: Sequence[str], key: str) -> dict[int, str]:
    """Letters by row, from texts such as A10-12=PG."""
    from structdiff.structure.selection import select_residues

    found: dict[int, str] = {}
    for text in texts:
        selection, sign, letters = (part.strip() for part in text.partition("="))
        if not sign or not letters:
            raise InputError("expected residues=letters", key=key, found=text, allowed="A10-12=PG, say")
        found.update({int(row): letters for row in select_residues(structure, selection)})
    return found


def _biases(text: str) -> dict[str, float]:
    """Numbers by letter, from a text such as A=-1,K=0.5."""
    found: dict[str, float] = {}
    for part in text.split(",") if text else ():
        letter, _, value = (piece.strip() for piece in part.partition("="))
        try:
            found[letter] = float(value)
        except ValueError:
            raise InputError(
                "expected letter=number", key="bias", found=part.strip(), allowed="A=-1,K=0.5, say"
            ) from None
    return found


def _show(rows: Sequence[dict[str, str]], out: Path) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("name", "NLL", "recovery", "sequence"):
        table.add_column(heading, justify="right" if heading in ("NLL", "recovery") else "left", overflow="fold")
    for row in rows[:_SHOWN_AT_MOST]:
        table.add_row(row["name"], row["negative_log_likelihood"], row["recovery"] or "-", row["sequence"])
    table_console().print(table)
    if len(rows) > _SHOWN_AT_MOST:
        print(f"... and {len(rows) - _SHOWN_AT_MOST} more; the table lists all", file=sys.stderr)
    print(f"{len(rows)} sequences in {out}")


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        epilog=example_lines(
            "structdiff sequence designs/*.cif --num 8 --out sequences",
            "structdiff sequence complex.pdb --fix A10-20 --fix B --ban C --side-chain-context",
            "structdiff sequence dimer.cif --model proteinmpnn --tie A,B --temperature 0.2",
        )
    )(sequence)
