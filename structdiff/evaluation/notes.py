"""Notes on an evaluation: what was left out of it and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from structdiff.evaluation.subject import Given, Subject
from structdiff.structure.tables import ChainKind, Structure

_NAMED_AT_MOST = 10  # structures in a note


def together(said: Sequence[tuple[Subject, str]]) -> list[str]:
    """Notes on single structures, each once: those that say the same of several name these."""
    found: dict[tuple[str, str], list[str]] = {}
    for subject, note in said:
        starts = {f"{subject.name} ": (" ", subject.name), f"{subject.path}: ": (": ", str(subject.path))}
        start = next((each for each in starts if note.startswith(each)), "")
        mark, name = starts.get(start, ("", ""))
        found.setdefault((note.removeprefix(start), mark), []).append(name)
    return [
        f"{names[0]}{mark}{text}" if len(set(names)) == 1
        else f"{_some(dict.fromkeys(names))} ({len(set(names))} structures): {'each ' if mark == ' ' else ''}{text}"
        for (text, mark), names in found.items()
    ]  # fmt: skip


def _some(names: Iterable[str]) -> str:
    """The first of some names."""
    listed = list(names)
    return ", ".join(listed[:_NAMED_AT_MOST]) + (", ..." if len(listed) > _NAMED_AT_MOST else "")


def without_reference(subjects: Sequence[Subject], given: Given) -> list[str]:
    """A note on the structures that no reference was found for, where there are references."""
    missing = [subject.name for subject in subjects if given.references and given.reference_of(subject.name) is None]
    if not missing:
        return []
    return [f"no reference has the name of {len(missing)} of {len(subjects)} structures, which the means against the "
            f"reference leave out: {_some(missing)}"]  # fmt: skip


def about_targets(subjects: Sequence[Subject]) -> list[str]:
    """A note where the chain that stands for each structure is the same in all, beside others: it will be a target."""
    beside = [subject for subject in subjects if not subject.residue_map.get("chains")]
    chosen = [_sequences(subject.structure) for subject in beside]
    if len(chosen) < 2 or min(map(len, chosen)) < 2:
        return []
    longest = {max(sequences, key=len) for sequences in chosen}
    if len(longest) > 1 or len({tuple(sorted(sequences)) for sequences in chosen}) == 1:
        return []
    return [f"the longest chain, which stands for a structure beside others, is the same in {len(beside)} of "
            f"{len(subjects)}: --designed names the chains that were designed"]  # fmt: skip


def _sequences(structure: Structure) -> list[tuple[str, ...]]:
    """The residues of each protein chain."""
    proteins = np.flatnonzero(structure.chains.kind == ChainKind.PROTEIN).tolist()
    return [tuple(structure.residues.name[structure.chain_residues(row)].tolist()) for row in proteins]
