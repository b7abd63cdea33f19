"""An alignment as an input of its own: its first sequence is the chain to predict, or the chains of a complex."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from structdiff.errors import InputError
from structdiff.packed_files import PACKED_SUFFIXES
from structdiff.spec.alignment_source import without_insertions
from structdiff.spec.chain import ChainSpec, chain_letters
from structdiff.spec.chain_lengths import ChainLengths, chain_lengths
from structdiff.spec.complex import ComplexSpec

ALIGNMENT_SUFFIXES = (".a3m", *(f".a3m{packed}" for packed in PACKED_SUFFIXES))


def parse_alignment(text: str, *, name: str, path: Path) -> ComplexSpec:
    """A complex of the first sequence of an A3M file, as one chain, or as ColabFold's first line says.

    That line gives lengths of chains, each of which follows its own columns, and copies of each: chains are called A,
    B, C in that order. Raises InputError for what does not begin with a sequence, or with one of another length.
    """
    try:
        said = chain_lengths(text)
    except InputError as error:
        raise InputError(str(error), path=path, line=1) from None
    line, first = next(_rows(text), (None, ""))
    if line is None:
        raise InputError("an alignment begins with a line '>NAME'", path=path)
    several = said is not None and len(said.lengths) > 1
    letters = len(first) if several else len(first.replace("-", ""))
    if said is not None and sum(said.lengths) != letters:
        raise InputError("the first sequence has not the length that the first line says", path=path, line=line,
                         found=letters, allowed=str(sum(said.lengths)))  # fmt: skip
    if said is None or not several:
        copies = 1 if said is None else said.copies[0]
        return _complex(name, path, [(copies, line, first.replace("-", ""), str(path))])
    return _complex(name, path, [
        (copies, *_query(text, said, number, path), f"{path}#{number}")
        for number, copies in enumerate(said.copies, start=1)
    ])  # fmt: skip


def _rows(text: str) -> Iterator[tuple[int, str]]:
    """Line of the name, and letters and gaps of each sequence, insertions left out."""
    start, letters = 0, []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith(">"):
            if start:
                yield start, without_insertions("".join(letters))
            start, letters = number, []
        else:
            letters.append(line.strip())
    if start:
        yield start, without_insertions("".join(letters))


def _query(text: str, said: ChainLengths, number: int, path: Path) -> tuple[int, str]:
    """Line and letters of the first row that holds anything of a chain: the first of all, or where its own begin."""
    columns = said.columns(number)
    for line, letters in _rows(text):
        own = letters[columns]
        if own.strip("-"):
            if len(own) != said.lengths[number - 1] or "-" in own:
                raise InputError(f"the first row of chain {number} is not all of its sequence", path=path, line=line,
                                 found=own[:60], allowed=f"{said.lengths[number - 1]} letters")  # fmt: skip
            return line, own
    raise InputError(f"no row holds anything of chain {number}", path=path, line=1)


def _complex(name: str, path: Path, chains: list[tuple[int, int, str, str]]) -> ComplexSpec:
    """Of each chain: its copies, the line and the letters of its sequence, and where its alignment is."""
    names, found = chain_letters(), []
    for copies, line, sequence, source in chains:
        try:
            ids = tuple(islice(names, copies))
            found.append(ChainSpec(ids=ids, kind="protein", sequence=sequence, msa=(source,)))
        except InputError as error:
            raise InputError(str(error), path=path, line=line) from None
    try:
        return ComplexSpec(name=name, chains=tuple(found))
    except InputError as error:
        raise InputError(str(error), path=path) from None
