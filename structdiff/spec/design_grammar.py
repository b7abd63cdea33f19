"""Values of a design as texts: numbers, disulfides, atoms that are held, crops, fold plans."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from structdiff.errors import InputError
from structdiff.spec.contig_grammar import parse_residues
from structdiff.spec.fold import FOLD_PLANS
from structdiff.spec.segments import CHAIN_NAME, ResidueId, chain_prefix

#: Two residues of the design that a disulfide bond joins: chain, and number in it (negative: from the end).
Disulfide = tuple[tuple[str, int], tuple[str, int]]
#: A residue of the motif, and those of its atoms that are held.
HeldAtoms = tuple[ResidueId, tuple[str, ...]]
_RESIDUE = rf"(?:([A-Za-z]+)|({CHAIN_NAME}):)(-?\d+)"
_DISULFIDE = re.compile(rf"{_RESIDUE}-{_RESIDUE}")
_DISULFIDE_WITH_COLON = re.compile(r"([A-Za-z]+)()(-?\d+):([A-Za-z]+)()(-?\d+)")
_CROPS = ("auto", "none")
_TRUTH = {"true": True, "yes": True, "false": False, "no": False}


def parse_count(text: str, key: str) -> int:
    """Reads a whole number; raises InputError under ``key``."""
    if not re.fullmatch(r"[+-]?\d+", text.strip()):
        raise InputError("expected a whole number", key=key, found=text)
    return int(text)


def parse_truth(text: str, key: str) -> bool:
    """Reads true or false; raises InputError under ``key``."""
    word = text.strip().lower()
    if word not in _TRUTH:
        raise InputError("expected true or false", key=key, found=text, allowed=_TRUTH)
    return _TRUTH[word]


def parse_disulfides(text: str) -> tuple[Disulfide, ...]:
    """Reads pairs of residues such as ``A2-A14, A5-A-1``; raises InputError.

    >>> parse_disulfides("A2-A-1")
    ((('A', 2), ('A', -1)),)
    """
    found = []
    for word in re.split(r"\s*,\s*|\s+", text.strip("[] '\"\t\n")):
        match = _DISULFIDE.fullmatch(word) or _DISULFIDE_WITH_COLON.fullmatch(word)
        if match is None or 0 in (int(match[3]), int(match[6])):
            raise InputError("this names no two residues of the design", key="disulfides", found=word,
                             allowed="A2-A14; A-1 is the last residue of chain A")  # fmt: skip
        found.append(((match[1] or match[2], int(match[3])), (match[4] or match[5], int(match[6]))))
    return tuple(found)


def parse_held_atoms(text: str) -> tuple[HeldAtoms, ...]:
    """Reads atoms of residues such as ``A108=ND2/CG, A139=OG``; raises InputError.

    >>> [(str(residue), atoms) for residue, atoms in parse_held_atoms("A108=ND2/CG, A139=OG")]
    [('A108', ('ND2', 'CG')), ('A139', ('OG',))]
    """
    found: dict[ResidueId, tuple[str, ...]] = {}
    for word in re.split(r"\s*,\s*|\s+", text.strip('[] "\t\n')):
        name, _, listed = word.partition("=")
        atoms = tuple(dict.fromkeys(filter(None, listed.split("/"))))
        if not name or not atoms:
            raise InputError("this names no atoms of a residue", key="held_atoms", found=word,
                             allowed="A108=ND2/CG, say")  # fmt: skip
        for residue in parse_residues(name, "held_atoms"):
            if residue in found:
                raise InputError("the residue is named twice", key="held_atoms", found=str(residue))
            found[residue] = atoms
    return tuple(found.items())


def parse_crop(text: str) -> str:
    """How much of a target the network sees: ``auto``, ``none`` (all of it), or a number of residues."""
    word = text.strip().lower()
    if word not in _CROPS and not (word.isdigit() and int(word) >= 10):
        raise InputError("how much of the target to keep", key="target_crop", found=text,
                         allowed="auto, none, or a number of residues from 10")  # fmt: skip
    return word


def parse_fold_plan(text: str) -> str:
    """Where the fold of new chains comes from when nothing is said of it: one of `FOLD_PLANS`."""
    word = text.strip().lower()
    if word not in FOLD_PLANS:
        raise InputError("where the fold of new chains comes from", key="fold_plan", found=text, allowed=FOLD_PLANS,
                         suggest_from=FOLD_PLANS)  # fmt: skip
    return word


def written_disulfides(value: Iterable[Disulfide]) -> list[str]:
    """Pairs of residues as `parse_disulfides` reads them."""
    return ["-".join(f"{chain_prefix(chain)}{number}" for chain, number in pair) for pair in value]


def written_residues(residues: Sequence[ResidueId]) -> list[str]:
    """Single residues, and stretches that were written as such."""
    found: list[str] = []
    first: ResidueId | None = None
    for residue in residues:
        if residue.with_insertions:
            first = first or residue
            continue
        found.append(str(residue) if first is None else f"{first}-{residue.number}")
        first = None
    return found
