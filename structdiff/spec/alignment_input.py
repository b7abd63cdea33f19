"""An alignment as an input of its own: its first sequence is the chain to predict, or the chains of a complex."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from structdiff.errors import InputError
from structdiff.spec.alignment_source import PACKED_SUFFIXES, warn_of_pairing
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
    start, sequence = _first_sequence(text, path)
    if said is not None and sum(said.lengths) != len(sequence):
        raise InputError("the first sequence has not the length that the first line says", path=path, line=start,
                         found=len(sequence), allowed=str(sum(said.lengths)))  # fmt: skip
    try:
        chains = _chains(sequence, said or ChainLengths(lengths=(len(sequence),), copies=(1,)), path)
        found = ComplexSpec(name=name, chains=chains)
    except InputError as error:
        raise InputError(str(error), path=path, line=start) from None
    if len(chains) > 1:
        warn_of_pairing(name)
    return found


def _first_sequence(text: str, path: Path) -> tuple[int, str]:
    """Line of the name and letters of the first sequence, insertions and gaps left out."""
    lines = text.splitlines()
    start = next((row for row, line in enumerate(lines, start=1) if line.startswith(">")), None)
    if start is None:
        raise InputError("an alignment begins with a line '>NAME'", path=path)
    first: list[str] = []
    for line in lines[start:]:
        if line.startswith(">"):
            break
        first.append(line.strip())
    letters = "".join(first).rstrip("*")
    return start, "".join(letter for letter in letters if not letter.islower() and letter not in "-.")


def _chains(sequence: str, said: ChainLengths, path: Path) -> tuple[ChainSpec, ...]:
    names, found = chain_letters(), []
    for number, copies in enumerate(said.copies, start=1):
        source = str(path) if len(said.copies) == 1 else f"{path}#{number}"
        ids, own = tuple(islice(names, copies)), sequence[said.columns(number)]
        found.append(ChainSpec(ids=ids, kind="protein", sequence=own, msa=(source,)))
    return tuple(found)
