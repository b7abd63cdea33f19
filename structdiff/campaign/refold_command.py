"""Refolding with any other program, called as a command."""

from __future__ import annotations

import shlex
import shutil
import string
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from structdiff.campaign.refolding import Refolded
from structdiff.commands import run_command
from structdiff.errors import InputError, StructdiffError
from structdiff.packed_files import plain_name
from structdiff.spec.complex import ComplexSpec
from structdiff.spec.yaml_writing import write_yaml
from structdiff.structure.files import CIF_SUFFIXES, PDB_SUFFIXES, read_structure

if TYPE_CHECKING:
    from structdiff.drawing import OnProgress
    from structdiff.structure.tables import Structure

_INPUTS, _ALLOWED = ("yaml", "fasta"), ("yaml", "fasta", "out", "name")
_SHOWN = 300


class CommandRefolder:
    """Calls a command for each complex, and takes the outermost structure file that it leaves in ``{out}``.

    The words of the command may hold {yaml} or {fasta} (a file that describes the complex: {yaml} is Boltz's language
    too, with the target as a template where there is one; in {fasta} a header is ``CHAIN|protein``), {out} (an empty
    folder) and {name}. B-factors are taken for pLDDT.
    """

    whole_target = True

    def __init__(self, command: str, minutes: float) -> None:
        """minutes: after which a command that is still running is ended; 0 for never."""
        self.command, self.minutes = command, minutes

    def refold(self, complexes: Sequence[ComplexSpec], on_progress: OnProgress | None) -> Iterator[Refolded]:
        """The prediction of each complex. Raises StructdiffError with the command's last words where it fails."""
        from structdiff.drawing import Progress

        for place, each in enumerate(complexes):
            if on_progress is not None:
                on_progress(Progress(finished=place, total=len(complexes), step=0, steps=1))
            yield self._one(each)

    def _one(self, complex_: ComplexSpec) -> Refolded:
        with tempfile.TemporaryDirectory(prefix="structdiff-refold-") as folder:
            place = Path(folder)
            out = place / "out"
            out.mkdir()
            write_yaml(complex_, place / f"{complex_.name}.yaml")
            if "{fasta}" in self.command:
                (place / f"{complex_.name}.fasta").write_text(_fasta(complex_), encoding="utf-8")
            values = {"yaml": str(place / f"{complex_.name}.yaml"), "fasta": str(place / f"{complex_.name}.fasta"),
                      "out": str(out), "name": complex_.name}  # fmt: skip
            self._call(command_words(self.command, values))
            structure = _predicted(out, self.command)
        b_factors = structure.atoms.b_factor[structure.atoms.resolved & (structure.atoms.name == "CA")]
        mean = float(np.mean(b_factors)) if len(b_factors) else float("nan")
        plddt = mean * 100 if 0 < mean <= 1 else mean
        scores = {"refold_plddt": round(plddt, 2) if plddt == plddt else None}
        return Refolded(structure=structure, scores=scores, record={"refolder": self.command})

    def _call(self, words: Sequence[str]) -> None:
        try:
            # In the folder that structdiff was called in, so that paths in the command mean what they say.
            done = run_command(words, self.minutes * 60 or None)
        except OSError as error:
            raise InputError(f"the command cannot be run: {error.strerror or error}", key="refold_command",
                             found=words[0]) from None  # fmt: skip
        said = done.said[-_SHOWN:] or "it printed nothing"
        if done.code is None:
            raise StructdiffError(f"refold_command: {words[0]} was ended after {self.minutes:g} minutes "
                                  f"(refold_timeout): {said}")  # fmt: skip
        if done.code:
            raise StructdiffError(f"refold_command: {words[0]} ended with {done.code}: {said}")


def command_words(command: str, values: Mapping[str, str]) -> list[str]:
    """The words of a command with its marks filled in; no shell is asked. Raises InputError for what cannot be filled.

    >>> command_words("fold {yaml} --to {out}", {"yaml": "a b.yaml", "out": "o", "fasta": "", "name": ""})
    ['fold', 'a b.yaml', '--to', 'o']
    """
    key = "refold_command"
    try:
        words = shlex.split(command)
        marks = {mark for word in words for _, mark, _, _ in string.Formatter().parse(word) if mark is not None}
    except ValueError as error:
        raise InputError(f"the command cannot be read: {error}", key=key, found=command) from None
    for mark in sorted(marks - set(_ALLOWED)):
        raise InputError("unknown mark", key=key, found=f"{{{mark}}}", allowed=[f"{{{each}}}" for each in _ALLOWED],
                         suggest_from=_ALLOWED)  # fmt: skip
    if not words or not marks & set(_INPUTS):
        raise InputError("the command must be told its input", key=key, found=command, allowed="{yaml} or {fasta}")
    if "out" not in marks:
        raise InputError("the command must be told where to write", key=key, found=command, allowed="{out}")
    return [word.format_map(values) for word in words]


def check_runs_here(command: str) -> None:
    """Raises InputError where the program of a command is not on this machine, before anything is computed for it."""
    program = command_words(command, dict.fromkeys(_ALLOWED, ""))[0]
    if shutil.which(program) is None:
        raise InputError("no program of that name can be run here", key="refold_command", found=program,
                         allowed="a program on the PATH, or the path of one")  # fmt: skip


def _predicted(out: Path, command: str) -> Structure:
    """What a command has written, read; raises StructdiffError where that is nothing, or is damaged."""
    file = _structure_file(out, command)
    try:
        return read_structure(file)
    except InputError as error:
        said = str(error).replace(f"{out}/", "")
        raise StructdiffError(
            f"refold_command: {shlex.split(command)[0]} wrote a file that is not read: {said}"
        ) from None


def _structure_file(out: Path, command: str) -> Path:
    """The outermost structure file: in folders within there are templates and single samples beside the best."""
    suffixes = (*CIF_SUFFIXES, *PDB_SUFFIXES)
    found = [path for path in out.rglob("*") if path.is_file() and plain_name(path).endswith(suffixes)]
    if not found:
        raise StructdiffError(f"refold_command: {shlex.split(command)[0]} wrote no structure file into {{out}}")
    return min(found, key=_rank)


def _rank(path: Path) -> tuple[int, bool, str]:
    return len(path.parts), not plain_name(path).endswith(CIF_SUFFIXES), str(path)


def _fasta(complex_: ComplexSpec) -> str:
    lines = []
    for chain in complex_.chains:
        if len(chain.ccd) > 1 or chain.modifications:
            raise InputError(f"FASTA cannot hold chain {chain.ids[0]}: use {{yaml}}", key="refold_command")
        kind, letters = ("ccd", "".join(chain.ccd)) if chain.kind == "ligand" else (chain.kind, chain.sequence)
        lines += [f">{name}|{kind}\n{letters}\n" for name in chain.ids]
    return "".join(lines)
