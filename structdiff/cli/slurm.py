"""``structdiff campaign slurm``: the script of an array of jobs, written when every option in it is understood."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from structdiff.cli import design
from structdiff.cli.examples import example_lines
from structdiff.cli.results import check_folder
from structdiff.errors import InputError

#: What the script sets itself, and what has no place in one: a job that is started again would begin anew.
_SET, _NO_PLACE = ("out", "part"), ("overwrite", "dry_run")
_TIME = re.compile(r"(\d+-)?\d+(:\d{1,2}){0,2}")


def slurm(
    context: typer.Context,
    parts: Annotated[int, typer.Option(help="Jobs of the array.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the designs; each job has a part of it.")],
    script: Annotated[Path, typer.Option(help="The script to write.")] = Path("campaign.sbatch"),
    time: Annotated[str, typer.Option(help="Longest time of a job, as Slurm writes it.")] = "24:00:00",
    gpus: Annotated[int, typer.Option(help="GPUs of a job.")] = 1,
) -> None:
    """Write a script for Slurm: an array of jobs that each make a part of the designs, to be submitted with sbatch.

    After --, the rest of the line is that of structdiff design. A job that was stopped goes on when it is submitted
    again. What the jobs say is in OUT/slurm-JOB_PART.log.
    """
    from structdiff.structure.files import write_atomically

    if not 1 <= parts <= 10000:
        raise InputError("must be a number of jobs", key="parts", found=parts, allowed="1 to 10000")
    if gpus < 0:
        raise InputError("must be 0 or more", key="gpus", found=gpus)
    if not _TIME.fullmatch(time):
        raise InputError("must be a time as Slurm writes it", key="time", found=time, allowed="90, 12:00:00, 2-00, say")
    if not context.args:
        raise InputError("say after -- what to design", key="slurm", allowed="-- binder.yaml -n 1000, say")
    if not str(out).isprintable():
        raise InputError("Slurm reads it from one line of the script", key="out", found=str(out))
    check_folder(out)
    _check_design(context.args, parts)
    written = write_atomically(script, slurm_script(context.args, parts=parts, out=out, time=time, gpus=gpus))
    out.mkdir(parents=True, exist_ok=True)  # Slurm ends jobs without a word whose log it cannot write
    print(written)
    folder = shlex.quote(str(out))
    print(f"sbatch {shlex.quote(str(script))}; when all jobs are done:", file=sys.stderr)
    print(f"structdiff campaign merge {folder}/part_* --out {folder}", file=sys.stderr)


def _check_design(words: Sequence[str], parts: int) -> None:
    """Reads a command line as structdiff design does, up to where it would begin to compute. Raises InputError."""
    from structdiff.cli.design_run import plan_run
    from structdiff.design_jobs import job_of

    app = typer.Typer()
    design.register(app)
    context = typer.main.get_command(app).make_context("structdiff design", list(words))
    given: Mapping[str, Any] = context.params
    set_here = [name for name in (*_SET, *_NO_PLACE) if context.get_parameter_source(name).name == "COMMANDLINE"]  # pyright: ignore[reportOptionalMemberAccess]
    for name in set_here:
        why = "this is set by the script" if name in _SET else "this has no place in a script that may be started again"
        raise InputError(why, key="slurm", found=f"--{name.replace('_', '-')}")
    spec = design.asked_by(given)
    job_of(spec, 0)
    # The machine that writes the script need not have the GPU of those that run it.
    elsewhere = given["device"] in ("cuda", "mps")
    plan_run(spec, {**given, "device": "cpu"} if elsewhere else given)
    if spec.num_designs < parts:
        raise InputError("some jobs would have no design to make", key="parts", found=parts,
                         allowed=f"1 to {spec.num_designs}, the number of designs")  # fmt: skip


def slurm_script(words: Sequence[str], *, parts: int, out: Path, time: str, gpus: int) -> str:
    """The script of an array of jobs."""
    log = str(out).replace("%", "%%") + "/slurm-%A_%a.log"
    lines = ["#!/bin/bash", "#SBATCH --job-name=structdiff", f"#SBATCH --array=1-{parts}", f"#SBATCH --time={time}",
             f"#SBATCH --output={shlex.quote(log)}"]  # fmt: skip
    lines += [f"#SBATCH --gpus={gpus}"] if gpus else []
    lines += ["#SBATCH --open-mode=append", "#SBATCH --requeue", "set -euo pipefail",
              "# Each job keeps a manifest of its own, so that no file is shared through the network.",
              f"exec structdiff design {shlex.join(words)} --part \"${{SLURM_ARRAY_TASK_ID}}/{parts}\" \\",
              f"  --out {shlex.quote(str(out))}/part_\"${{SLURM_ARRAY_TASK_ID}}\" --quiet", ""]  # fmt: skip
    return "\n".join(lines)


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
        epilog=example_lines(
            "structdiff campaign slurm --parts 16 --out designs -- binder.yaml -n 10000 --sequences 8"
        ),
    )(slurm)
