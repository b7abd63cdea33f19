"""Layouts as text: a bar for each chain, and its stretches in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from structdiff.errors import InputError
from structdiff.spec.layout_residue import LayoutResidue
from structdiff.spec.segments import ResidueId

_NEW, _MOTIF, _TARGET = "░", "█", "▓"
#: The residues of each chain by its name.
Chains = Mapping[str, tuple[LayoutResidue, ...]]


def chains_in_words(chains: Chains) -> str:
    """Each chain with its stretches, in one line."""
    several = len(_groups(chains)) > 1
    return ", ".join(f"{name} {' · '.join(_stretches(row, several))}" for name, row in chains.items())


def drawn_chains(chains: Chains, width: int) -> str:
    """A bar for each chain, its stretches below, a legend last; raises InputError for fewer than 40 columns."""
    if width < 40:
        raise InputError("a layout needs at least 40 columns", key="width", found=width)
    longest, label = max(map(len, chains.values())), max(map(len, chains))
    room = width - label - len(f"  {longest} residues") - 2
    motif_groups = _groups({name: row for name, row in chains.items() if not row[0].chain_is_fixed})
    several = len(_groups(chains)) > 1
    lines: list[str] = []
    for name, row in chains.items():
        lines.append(f"{name:<{label}}  {_bar(row, room, longest, motif_groups)}  {_counted(len(row))}")
        below = _wrapped(_stretches(row, several), width - label - 2, gap=" · ")
        lines.extend(" " * (label + 2) + line for line in below)
    lines.extend(_wrapped(_legend(chains, motif_groups), width, gap="   "))
    return "\n".join(lines)


def _groups(chains: Chains) -> list[int]:
    return sorted({residue.group for row in chains.values() for residue in row if residue.group})


def _legend(chains: Chains, motif_groups: list[int]) -> list[str]:
    parts = [f"{_NEW} new"]
    if motif_groups:
        named = f"{_MOTIF} motif" if len(motif_groups) == 1 else f"{_named_groups(motif_groups)} motif groups"
        parts.append(named)
    if any(row[0].chain_is_fixed for row in chains.values()):
        parts.append(f"{_TARGET} chain kept whole")
    every = _groups(chains)
    if len(every) > 1:
        parts.append(f"the {len(every)} groups move freely")
    return parts


def _counted(number: int) -> str:
    return "1 residue" if number == 1 else f"{number} residues"


def _named_groups(groups: Sequence[int]) -> str:
    return " ".join(dict.fromkeys(str(group % 10) for group in groups))


def _mark(residue: LayoutResidue, several_groups: bool) -> str:
    if residue.origin is None:
        return _NEW
    if residue.chain_is_fixed:
        return _TARGET
    return str(residue.group % 10) if several_groups else _MOTIF


def _bar(row: tuple[LayoutResidue, ...], room: int, longest: int, groups: list[int]) -> str:
    marks = [_mark(residue, len(groups) > 1) for residue in row]
    if longest <= room:
        return "".join(marks).ljust(longest)
    columns = max(1, round(len(row) * room / longest))
    edges = np.linspace(0, len(row), columns + 1).round().astype(int)
    cells = [marks[low : max(high, low + 1)] for low, high in pairwise(edges)]
    # A motif of one residue must not vanish between its neighbours, so anything known wins over new.
    drawn = [max(cell, key=lambda mark, cell=cell: (mark != _NEW, cell.count(mark))) for cell in cells]
    return "".join(drawn).ljust(room)


def _stretches(row: tuple[LayoutResidue, ...], several_groups: bool) -> list[str]:
    """Runs of new residues and of neighbours in the source, each as 'where = from'."""
    runs: list[list[LayoutResidue]] = []
    for residue in row:
        before = runs[-1][-1] if runs else None
        if before is not None and _continues(before, residue):
            runs[-1].append(residue)
        else:
            runs.append([residue])
    return [_stretch(run) + (f"@{run[0].group}" if several_groups and run[0].group else "") for run in runs]


def _continues(before: LayoutResidue, after: LayoutResidue) -> bool:
    if before.origin is None or after.origin is None:
        return before.origin is after.origin
    same = before.origin.chain == after.origin.chain and before.group == after.group
    return same and 0 <= after.origin.number - before.origin.number <= 1


def _stretch(run: list[LayoutResidue]) -> str:
    here = _range(run[0].id, run[-1].id, named=False)
    first, last = run[0].origin, run[-1].origin
    if first is None or last is None:
        return f"{here} new"
    return f"{here} = {_range(first, last, named=True)}"


def _range(first: ResidueId, last: ResidueId, *, named: bool) -> str:
    start = str(first) if named else f"{first.number}{first.insertion_code}"
    return start if first == last else f"{start}-{last.number}{last.insertion_code}"


def _wrapped(parts: list[str], width: int, gap: str) -> list[str]:
    lines: list[str] = []
    for part in parts:
        if lines and len(lines[-1]) + len(gap) + len(part) <= width:
            lines[-1] += f"{gap}{part}"
        else:
            lines.append(part)
    return lines
