"""The command ``structdiff``: finds the command asked for, and turns whatever goes wrong into one clear line."""

from __future__ import annotations

import io
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Any

import typer

from structdiff.cli import (
    campaign,
    design,
    evaluate,
    explain,
    import_command,
    info,
    msa,
    predict,
    prepare,
    sequence,
    train,
    view,
    weights,
)
from structdiff.cli.examples import example_lines
from structdiff.cli.failures import Interrupted, described
from structdiff.cli.interrupts import heeded_signals, interrupted_code
from structdiff.errors import InputError, StructdiffError, refusal_of_system
from structdiff.version import __version__

#: Exit codes: what was asked cannot be done; a fault of the program; stopped with Ctrl-C.
REFUSED, FAILED, INTERRUPTED = 2, 1, 130
_OUT = ("--out", "-o")

# Typer carries its own copy of click in some versions, so its exceptions are found through one it exports.
_CommandError: type[Exception] = typer.BadParameter.__mro__[2]

app = typer.Typer(
    name="structdiff",
    help="Predict and design structures of proteins, DNA, RNA and ligands.",
    epilog=example_lines(
        "structdiff design --motif motif.pdb --contigs 10-40/A163-181/10-40 -n 4 --out designs",
        "structdiff predict complex.fasta --out predictions",
        "structdiff view designs/design_1.cif",
        "structdiff COMMAND --help    says more on each command",
    ),
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for each in (
    design, campaign, predict, msa, sequence, evaluate, explain, import_command, view, train, prepare, weights, info,
):  # fmt: skip
    each.register(app)


def _version(asked: bool) -> None:
    if asked:
        print(f"structdiff {__version__}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")]
    = False,
) -> None:  # fmt: skip
    """Predict and design structures of proteins, DNA, RNA and ligands."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit code: 0, 2 refused, 1 unexpected, 130 interrupted, 143 ended."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    _open_closed_streams()
    _print_whatever_the_encoding()
    with warnings.catch_warnings():
        if "--debug" not in arguments:
            _silence_libraries()
        try:
            with heeded_signals():
                _require_folder()
                _require_names(arguments)
                code = typer.main.get_command(app).main(args=arguments, prog_name="structdiff", standalone_mode=False)
                _flush_output()
        except StructdiffError as error:
            return _say(f"error: {error}", REFUSED)
        except _CommandError as error:
            return _refuse_usage(error)
        except (Interrupted, KeyboardInterrupt, typer.Abort) as error:
            return _say(str(error) or "interrupted", interrupted_code())
        except BrokenPipeError:  # whoever read the output has enough, as in ``| head``
            return FAILED
        except Exception as error:
            if "--debug" in arguments:
                traceback.print_exc()
            return _say(f"error: {described(error, hint='--debug' not in arguments)}",
                        REFUSED if refusal_of_system(error) else FAILED)  # fmt: skip
    if code == INTERRUPTED:
        return _say("interrupted", interrupted_code())
    return code if isinstance(code, int) else 0


def _refuse_usage(error: Any) -> int:
    """A command line that cannot be parsed, in one line; no arguments at all print the help."""
    message = " ".join(error.format_message().split())
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        print(error.ctx.get_help() if context else message)
        return 0
    command = context.command_path if context is not None else "structdiff"
    return _say(f"error: {message.rstrip('.')} (see: {command} --help)", REFUSED)


def _say(line: str, code: int) -> int:
    print(line, file=sys.stderr, flush=True)
    return code


def _require_folder() -> None:
    """Raises InputError where the current folder was removed meanwhile: libraries end the program without a word."""
    try:
        os.getcwd()
    except FileNotFoundError:
        raise InputError("the current folder was removed: change to another one") from None


def _require_names(arguments: Sequence[str]) -> None:
    """Raises InputError where --out is empty, as a variable that was never set makes it: it would be this folder."""
    for option, value in pairwise([*arguments, "."]):
        if (option in _OUT and not value) or option in (f"{name}=" for name in _OUT):
            raise InputError("is empty", key="out", allowed="a name, or . for the current folder")


def _flush_output() -> None:
    """Writes what was printed and lies in a buffer; raises OSError, once, where that cannot be done."""
    try:
        sys.stdout.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        raise


def _open_closed_streams() -> None:
    """Streams that whoever started the program has closed lead nowhere: no file of ours takes their numbers."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - open until the end


def _print_whatever_the_encoding() -> None:
    """A letter that the output's encoding lacks (Å in ASCII, a file name that is no UTF-8) becomes ``?``."""
    # The error stream does so by itself.
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="replace")


def _silence_libraries() -> None:
    """Other libraries' warnings say nothing to a user; structdiff's own are shown, one line each, once in a run."""
    warnings.simplefilter("ignore")
    warnings.filterwarnings("always", module=r"structdiff\.")  # which were shown before _Warnings knows
    warnings.showwarning = _Warnings().show
    logging.getLogger("torch").setLevel(logging.ERROR)


class _Warnings:
    """Prints each warning once: a job is made, and warned of, before it is estimated and again before it runs."""

    def __init__(self) -> None:
        self.said: set[str] = set()

    def show(self, message: Warning | str, *_: object, **__: object) -> None:
        """Prints one line, unless it was printed before."""
        line = f"warning: {' '.join(str(message).split())}"
        if line not in self.said:
            self.said.add(line)
            print(line, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
