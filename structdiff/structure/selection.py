"""Residues by the numbers that users see: ``A``, ``A163-181``, ``A52A`` (insertion code), ``A10-20,B5``."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from structdiff.errors import InputError, nearest_match
from structdiff.structure.tables import ChainKind, Structure

_RANGE = re.compile(r"(-?\d+)([A-Za-z]?)(?:-(-?\d+)([A-Za-z]?))?")
_GRAMMAR = "a chain (A), a residue (A52 or A52A), a range (A163-181), or several with commas (A10-20,B5)"


@dataclass(frozen=True, kw_only=True)
class ResidueRange:
    """A stretch of one chain in author numbering, both ends included; None means the whole chain."""

    chain: str
    first: tuple[int, str] | None = None
    last: tuple[int, str] | None = None


def parse_selection(text: str, chain_names: list[str] | None = None) -> tuple[ResidueRange, ...]:
    """The residue ranges that a selection writes, such as ``A10-20,B5``; a chain id can end in a colon (B1:5-9).

    chain_names: those there are; with them ids that hold digits are told apart. Raises InputError for other text.
    """
    parts = [part.strip() for part in text.split(",")]
    return tuple(_parse_part(part, text, chain_names or []) for part in parts)


def select_residues(structure: Structure, selection: str) -> np.ndarray:
    """Rows of the residues that a selection names, in the order it names them.

    A range must begin and end at residues that exist and takes what lies between them; a whole chain means its polymer,
    or its ligands where it has none. Raises InputError that tells what exists.
    """
    names = list(dict.fromkeys(structure.chains.name.tolist()))
    ranges = parse_selection(selection, names)
    return np.concatenate([_rows(structure, item, selection) for item in ranges])


def describe_chains(structure: Structure) -> str:
    """What chains there are, for messages: ``A 1-120, B 5-88``."""
    chains = structure.chains
    polymers = np.flatnonzero(chains.kind <= ChainKind.RNA)
    rows = polymers if len(polymers) else np.arange(len(chains))
    return ", ".join(f"{chains.name[row]} {_extent(structure, int(row))}" for row in rows)


def _parse_part(part: str, text: str, chain_names: list[str]) -> ResidueRange:
    for name in sorted(chain_names, key=len, reverse=True):
        rest = part.removeprefix(name)
        if part.startswith(name) and (rest == "" or _RANGE.fullmatch(rest.removeprefix(":"))):
            return _range(name, rest.removeprefix(":"))
    match = re.fullmatch(r"([^:]+):(.*)|([A-Za-z]+)(.*)", part)
    chain, rest = (match[1] or match[3], match[2] or match[4] or "") if match else ("", part)
    if not chain or (rest and not _RANGE.fullmatch(rest)):
        raise InputError("this is no selection of residues", key=text, found=part, allowed=_GRAMMAR)
    return _range(chain, rest)


def _range(chain: str, rest: str) -> ResidueRange:
    match = _RANGE.fullmatch(rest)
    if match is None:
        return ResidueRange(chain=chain)
    first = (int(match[1]), match[2])
    last = (int(match[3]), match[4]) if match[3] is not None else first
    return ResidueRange(chain=chain, first=first, last=last)


def _rows(structure: Structure, item: ResidueRange, selection: str) -> np.ndarray:
    chains = structure.chains
    rows = np.flatnonzero(chains.name == item.chain)
    if len(rows) == 0:
        near = nearest_match(item.chain, chains.name.tolist())
        hint = f"; did you mean {near!r}?" if near else ""
        raise InputError(
            f"there is no chain {item.chain!r}; the structure has {describe_chains(structure)}{hint}", key=selection
        )
    polymers = rows[chains.kind[rows] <= ChainKind.RNA]
    if item.first is None or item.last is None:
        wanted = polymers if len(polymers) else rows
        return np.concatenate([_chain_rows(structure, int(row)) for row in wanted])
    ordered = [int(row) for row in (*polymers, *(row for row in rows if row not in polymers))]
    start_chain, start = _find(structure, ordered, item.first, selection)
    stop_chain, stop = _find(structure, ordered, item.last, selection)
    if stop < start or start_chain != stop_chain:
        raise InputError(
            f"the range {_written(item.first)}-{_written(item.last)} of chain {item.chain} runs backwards",
            key=selection,
        )
    return np.arange(start, stop + 1)


def _chain_rows(structure: Structure, chain: int) -> np.ndarray:
    span = structure.chain_residues(chain)
    return np.arange(span.start, span.stop)


def _find(structure: Structure, chains: list[int], number: tuple[int, str], selection: str) -> tuple[int, int]:
    """Chain row and residue row of an author number, one that was seen before one that was not."""
    residues = structure.residues
    seen = np.bincount(structure.atoms.residue[structure.atoms.resolved], minlength=len(residues)) > 0
    candidates = []
    for chain in chains:
        rows = _chain_rows(structure, chain)
        hits = rows[(residues.author_seq_id[rows] == number[0]) & (residues.insertion_code[rows] == number[1])]
        candidates += [(chain, int(row)) for row in hits]
    if not candidates:
        name = structure.chains.name[chains[0]]
        extent = _extent(structure, chains[0])
        raise InputError(
            f"chain {name} has no residue {_written(number)}; chain {name} has residues {extent}", key=selection
        )
    return next((pair for pair in candidates if seen[pair[1]]), candidates[0])


def _written(number: tuple[int, str]) -> str:
    return f"{number[0]}{number[1]}"


def _extent(structure: Structure, chain: int) -> str:
    rows = _chain_rows(structure, chain)
    ends = [(int(structure.residues.author_seq_id[row]), str(structure.residues.insertion_code[row])) for row in rows]
    return _written(ends[0]) if len(ends) == 1 else f"{_written(ends[0])}-{_written(ends[-1])}"
