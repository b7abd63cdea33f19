"""``structdiff msa``: alignments of a server for the proteins of complexes."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from structdiff.cli.examples import example_lines
from structdiff.cli.failures import described
from structdiff.cli.options import message_options, with_options
from structdiff.cli.server_alignments import aligned
from structdiff.errors import InputError, StructdiffError

if TYPE_CHECKING:
    from structdiff.alignment_server import AlignmentServer
    from structdiff.spec.complex import ComplexSpec

_FAILED = 2


@with_options(message_options())
def msa(
    inputs: Annotated[list[Path], typer.Argument(help="Whatever predict reads: FASTA, YAML, JSON.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the alignments and of the YAML that names them.")],
    server: Annotated[
        str, typer.Option("--server", metavar="URL|colabfold", help="The server, to which the sequences are sent.")
    ] = "colabfold",
    mode: Annotated[
        str,
        typer.Option(help="env: UniRef and metagenomes; all: UniRef; env-nofilter, nofilter: with all that is found."),
    ] = "env",
    pairing: Annotated[
        str,
        typer.Option(help="Rows of several proteins that belong together: pairgreedy, where some have one; "
                     "paircomplete, where all have; each also with -env; none."),
    ] = "pairgreedy",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files of these names in the folder.")] = False,
    **given: bool,
) -> int:  # fmt: skip
    """Fetch alignments for the proteins of complexes from a server of the MMseqs2 API, as ColabFold's.

    Their sequences are sent there. NAME.yaml in the folder is the complex with its alignments, for structdiff predict.
    Alignments are kept in the user's cache and not asked for again. Chains with msa keep what they have.
    """
    from structdiff.alignment_server import AlignmentServer
    from structdiff.spec.read import read_each_complex

    asked = AlignmentServer(server, mode=mode, pairing=pairing)
    failed = False
    found = [(path, spec) for path in inputs for spec in read_each_complex(path)]
    _check_names([spec.name for _, spec in found if not isinstance(spec, InputError)], inputs[0])
    for path, spec in found:
        try:
            if isinstance(spec, InputError):
                raise spec
            written = _one(spec, path, asked, out, overwrite=overwrite, quiet=given["quiet"])
        except StructdiffError as error:
            line = described(error)
            print(f"error: {line if str(path) in line else f'{path}: {line}'}", file=sys.stderr, flush=True)
            failed = True
        else:
            if not given["quiet"]:
                print(f"{written}: structdiff predict {written}")
    return _FAILED if failed else 0


def _check_names(names: list[str], path: Path) -> None:
    """Raises InputError where files of two complexes would have one name."""
    from structdiff.spec.file_name import check_spelling

    for place, name in enumerate(names):
        check_spelling(name, names[:place], path)
        if name in names[:place]:
            raise InputError("two complexes have this name", path=path, key="name", found=name)


def _one(spec: ComplexSpec, path: Path, server: AlignmentServer, out: Path, *, overwrite: bool, quiet: bool) -> Path:
    """Writes the alignments of a complex, and the complex with them; gives the file of the latter."""
    from structdiff.alignment_server.complexes import SHORTEST, is_asked
    from structdiff.spec.yaml_writing import write_yaml

    asked = {chain.ids[0]: place for place, chain in enumerate(spec.chains) if is_asked(chain)}
    stems = _stems(spec.name, list(asked))
    table = out / f"{spec.name}.yaml"
    _check_free([table, *(out / f"{stem}{ending}" for stem in stems for ending in (".a3m", ".csv"))], path, overwrite)
    short = [each.ids[0] for each in spec.chains if each.kind == "protein" and not each.msa and len(each) < SHORTEST]
    if short and not quiet:
        print(f"note: {spec.name}: {', '.join(short)} of fewer than {SHORTEST} residues: nothing is to be found",
              file=sys.stderr)  # fmt: skip
    kept = aligned(spec, server, quiet=quiet)
    chains = list(kept.chains)
    out.mkdir(parents=True, exist_ok=True)
    for stem, place in zip(stems, asked.values(), strict=True):
        chains[place] = dataclasses.replace(chains[place], msa=(str(_copy(Path(chains[place].msa[0]), out, stem)),))
    write_yaml(dataclasses.replace(kept, chains=tuple(chains)), table)
    return table


def _stems(name: str, chains: list[str]) -> list[str]:
    """The names of the alignments of chains: two that differ in upper and lower case only are no one file."""
    from structdiff.spec.file_name import folded

    known = [folded(chain) for chain in chains]
    again = [known[:place].count(each) for place, each in enumerate(known)]
    return [f"{name}_{chain}{f'~{count + 1}' if count else ''}" for chain, count in zip(chains, again, strict=True)]


def _check_free(paths: list[Path], source: Path, overwrite: bool) -> None:
    for path in paths:
        if path.exists() and path.resolve() == source.resolve():
            raise InputError("this would take the place of the input: name another --out", path=path)
        if path.exists() and not overwrite:
            raise InputError("this file is here already: choose another --out, or --overwrite", path=path)


def _copy(kept: Path, out: Path, stem: str) -> Path:
    from structdiff.structure.files import write_atomically

    return write_atomically(out / f"{stem}{kept.suffix}", kept.read_bytes())


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        epilog=example_lines(
            "structdiff msa complex.fasta --out alignments",
            "structdiff predict alignments/complex.yaml --out predictions",
            "structdiff msa complex.fasta --out alignments --server https://msa.example.org/api",
        )
    )(msa)
