"""Sequences given in a FASTA file for the chains of a structure, to be scored."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from structdiff.arguments import checked_names
from structdiff.errors import InputError
from structdiff.inverse_folding.alphabet import LETTERS
from structdiff.inverse_folding.backbone import chain_rows
from structdiff.spec.input_files import read_text
from structdiff.structure.tables import Structure

#: What stands between the chains of a record.
_BETWEEN = "/"


@dataclass(frozen=True, kw_only=True)
class GivenSequence:
    """One sequence of a FASTA file. header: what its (first) record is called. sequences: letters by chain."""

    header: str
    sequences: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class _Record:
    header: str
    letters: str
    line: int


@checked_names
def read_given_sequences(path: str | Path, structure: Structure) -> list[GivenSequence]:
    """The sequences of a FASTA file for a structure's protein chains, in order.

    A record holds all chains in the structure's order with / between them (``MKT/GSW``), some by their names
    (``B:GSW``), or the one chain that its header ends with (``NAME_B``, as structdiff writes them): records of one
    NAME after another are one sequence. A structure of one chain needs none of that. Chains that are not named keep
    their letters. Raises InputError with the file and the line.
    """
    path, chains = Path(path), list(chain_rows(structure))
    found: list[tuple[str, GivenSequence]] = []
    for record in _records(path):
        stem, chain = _named_chain(record, chains)
        if chain is None:
            found.append(("", GivenSequence(header=record.header, sequences=_chains_of(record, chains, path))))
            continue
        letters = {chain: _checked(record.letters, record, path)}
        before = found[-1] if found else None
        if before is not None and before[0] == stem and chain not in before[1].sequences:
            joined = GivenSequence(header=before[1].header, sequences={**before[1].sequences, **letters})
            found[-1] = (stem, joined)
        else:
            found.append((stem, GivenSequence(header=record.header, sequences=letters)))
    return [each for _, each in found]


def _records(path: Path) -> Iterator[_Record]:
    header, line, parts = None, 0, []
    for number, text in enumerate(read_text(path).splitlines(), start=1):
        text = text.strip()
        if text.startswith(">"):
            if header is not None:
                yield _Record(header=header, letters="".join(parts), line=line)
            header, line, parts = text[1:].strip(), number, []
        elif text and header is None:
            raise InputError("a record begins with >", path=path, line=number, found=text[:20])
        else:
            parts.append("".join(text.split()))
    if header is not None:
        yield _Record(header=header, letters="".join(parts), line=line)


def _named_chain(record: _Record, chains: list[str]) -> tuple[str, str | None]:
    """The name of a design and the chain of it that a header such as ``design_1_B|protein`` tells of."""
    word = re.split(r"[|\s]", record.header, maxsplit=1)[0]
    stem, _, chain = word.rpartition("_")
    plain = _BETWEEN not in record.letters and ":" not in record.letters
    return (stem, chain) if stem and chain in chains and plain else (word, None)


def _chains_of(record: _Record, chains: list[str], path: Path) -> dict[str, str]:
    parts = record.letters.split(_BETWEEN)
    if any(":" in part for part in parts):
        return _by_name(parts, record, chains, path)
    if len(parts) != len(chains):
        raise InputError(
            f"the structure has {len(chains)} protein chains ({', '.join(chains)})", path=path, line=record.line,
            found=f"{len(parts)} with / between them", allowed="one for each chain, or B:LETTERS, or a header NAME_B",
        )  # fmt: skip
    return {chain: _checked(part, record, path) for chain, part in zip(chains, parts, strict=True)}


def _by_name(parts: list[str], record: _Record, chains: list[str], path: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in parts:
        chain, colon, letters = part.partition(":")
        if not colon or chain not in chains or chain in found:
            raise InputError("expected each chain once, by its name, such as A:MKT/B:GSW", path=path, line=record.line,
                             found=part[:20], allowed=chains)  # fmt: skip
        found[chain] = _checked(letters, record, path)
    return found


def _checked(letters: str, record: _Record, path: Path) -> str:
    letters = letters.upper()
    odd = next((letter for letter in letters if letter not in LETTERS), None)
    if odd is not None or not letters:
        raise InputError("expected amino acids", path=path, line=record.line, found=odd or "", allowed=LETTERS)
    return letters
