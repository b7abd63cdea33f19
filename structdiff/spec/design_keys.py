"""The keys of a design's file: how each is read from YAML, from the command line, and written."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from structdiff.errors import InputError
from structdiff.spec.contig_grammar import parse_contigs, parse_residues, parse_stretches
from structdiff.spec.contigs import Contigs
from structdiff.spec.document import Node
from structdiff.spec.energies import Energy, energy_from_dict, energy_to_dict, parse_energy, scalar
from structdiff.spec.fold import FOLD_PLANS, parse_block_pairs
from structdiff.spec.lengths import LengthRange, format_length, parse_length
from structdiff.spec.rebuilding import ALL, GAPS, Loop, Noise, parse_kept, parse_loops, parse_noise, parse_part
from structdiff.spec.segments import CHAIN_NAME, FixedSegment, ResidueId, chain_prefix
from structdiff.spec.symmetry import Symmetry, parse_symmetry

#: Two residues of the design that a disulfide bond joins: chain, and number in it (negative: from the end).
Disulfide = tuple[tuple[str, int], tuple[str, int]]
#: A residue of the motif, and those of its atoms that are held.
HeldAtoms = tuple[ResidueId, tuple[str, ...]]

_RESIDUE = rf"(?:([A-Za-z]+)|({CHAIN_NAME}):)(-?\d+)"
_DISULFIDE = re.compile(rf"{_RESIDUE}-{_RESIDUE}")
_DISULFIDE_WITH_COLON = re.compile(r"([A-Za-z]+)()(-?\d+):([A-Za-z]+)()(-?\d+)")
_CROPS = ("auto", "none")
_TRUTH = {"true": True, "yes": True, "false": False, "no": False}


@dataclass(frozen=True, kw_only=True)
class Key:
    """How the value of one key is read from text, and from a file where that differs, and how it is written.

    holds: whether something is such a value already; of keys with ``many`` values, one of them.
    """

    text: Callable[[str], Any]
    holds: Callable[[Any], bool]
    many: bool = False
    node: Callable[[Node], Any] | None = None
    write: Callable[[Any], Any] = lambda value: value
    joined: str | None = None

    def read(self, node: Node) -> Any:
        """The value of a node of a file; raises InputError."""
        if self.many and node.is_list and not node.items():
            return ()
        if self.node is not None:
            return self.node(node)
        if self.joined is not None:
            return self.text(self.joined.join(each.text() for each in node.one_or_more()))
        return self.text(node.text())


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


def _held_atoms(node: Node) -> tuple[HeldAtoms, ...]:
    """From a list of texts, or a mapping of residues to their atoms."""
    if not isinstance(node.value, dict):
        return parse_held_atoms(",".join(each.text() for each in node.one_or_more()))
    words = [f"{name}={'/'.join(atom.text() for atom in atoms.one_or_more())}" for name, atoms in node.value.items()]
    return parse_held_atoms(",".join(word.replace(",", "/").replace(" ", "") for word in words))


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


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())


def _written_disulfides(value: Iterable[Disulfide]) -> list[str]:
    return ["-".join(f"{chain_prefix(chain)}{number}" for chain, number in pair) for pair in value]


def _residue_texts(residues: Sequence[ResidueId]) -> list[str]:
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


def _strings(value: Iterable[object]) -> list[str]:
    return [str(each) for each in value]


def _part(value: Iterable[FixedSegment] | str) -> list[str] | str:
    return value if isinstance(value, str) else _strings(value)


def _length(node: Node) -> LengthRange:
    """From a number or range, or a list of the least and the greatest."""
    return parse_length("-".join(each.text() for each in node.one_or_more()))


def _energies(node: Node) -> tuple:
    found = []
    for each in node.items() if node.is_list else [node]:
        with each.located():
            found.append(energy_from_dict(_relocated(each)))
    return tuple(found)


def _relocated(node: Node) -> Any:
    """Plain data of an energy; files in it become paths as seen from the working folder."""
    if isinstance(node.value, str):
        return node.text()
    kind, fields = next(iter(node.value.items())) if isinstance(node.value, dict) and node.value else ("", None)
    if not isinstance(node.value, dict) or len(node.value) != 1:
        node.fail("expected one energy by its name")
    if fields is None or fields.is_null:
        return {kind: {}}
    if not isinstance(fields.value, dict):
        fields.fail("expected the settings of an energy")
    return {kind: {key: each.file() if key == "file" else _plain(each) for key, each in fields.value.items()}}


def _plain(node: Node) -> Any:
    if isinstance(node.value, str):
        return node.value if node.quoted else scalar(node.value)
    return [_plain(each) for each in node.items()]


def _are(*kinds: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, kinds)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _row_of(*holds: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Whether something is a tuple of values, each as said."""
    return lambda value: (
        isinstance(value, tuple)
        and len(value) == len(holds)
        and all(each(part) for each, part in zip(holds, value, strict=True))
    )


_IS_TEXT = _are(str)
_IS_PAIR = _row_of(_is_whole, _is_whole)
_IS_PLACE = _row_of(_IS_TEXT, _is_whole)


def _is_atoms(value: Any) -> bool:
    return isinstance(value, tuple) and all(map(_IS_TEXT, value))


def _is_loop(value: Any) -> bool:
    return isinstance(value, Loop) or value == GAPS


def _is_part(value: Any) -> bool:
    return value == ALL or (isinstance(value, tuple) and all(isinstance(each, FixedSegment) for each in value))


def _names_key() -> Key:
    return Key(text=_names, holds=_IS_TEXT, many=True, write=list, joined=",")


def _count(key: str) -> Key:
    return Key(text=lambda text: parse_count(text, key), holds=_is_whole, node=Node.integer)


def _residues(key: str) -> Key:
    return Key(
        text=lambda text: parse_residues(text, key), holds=_are(ResidueId), many=True, write=_residue_texts, joined=","
    )


def _pairs(key: str) -> Key:
    return Key(
        text=lambda text: parse_block_pairs(text, key),
        holds=_IS_PAIR,
        many=True,
        write=lambda value: [f"{low}-{high}" for low, high in value],
        joined=",",
    )


def _stretches(value: Iterable[FixedSegment]) -> str:
    return "/".join(map(str, value))


#: Every key of a design but ``version``, in the order in which they are written.
KEYS: dict[str, Key] = {
    "name": Key(text=str, holds=_IS_TEXT),
    "motif": Key(text=str, holds=_IS_TEXT, node=Node.file),
    "contigs": Key(text=parse_contigs, holds=_are(Contigs), write=str, joined=" "),
    "length": Key(text=parse_length, holds=_IS_PAIR, node=_length, write=format_length),
    "unindexed": Key(
        text=lambda text: parse_stretches(text, "unindexed"),
        holds=_are(FixedSegment),
        many=True,
        write=_stretches,
        joined="/",
    ),
    "ligands": _names_key(),
    "backbone_only": _residues("backbone_only"),
    "tip": _residues("tip"),
    "held_atoms": Key(
        text=parse_held_atoms,
        holds=_row_of(_are(ResidueId), _is_atoms),
        many=True,
        node=_held_atoms,
        write=lambda value: [f"{residue}={'/'.join(atoms)}" for residue, atoms in value],
    ),
    "redesign": _residues("redesign"),
    "fixed_sequence": Key(text=lambda text: parse_truth(text, "fixed_sequence"), holds=_are(bool), node=Node.boolean),
    "hotspots": _residues("hotspots"),
    "keep_away": _residues("keep_away"),
    "epitope": _names_key(),
    "target_crop": Key(text=parse_crop, holds=_IS_TEXT),
    "secondary_structure": Key(text=str, holds=_IS_TEXT),
    "burial": Key(text=str, holds=_IS_TEXT),
    "fold_of": Key(text=str, holds=_IS_TEXT, node=Node.file),
    "fold_plan": Key(text=parse_fold_plan, holds=_IS_TEXT),
    "adjacent": _pairs("adjacent"),
    "apart": _pairs("apart"),
    "parallel": _pairs("parallel"),
    "cyclic": _names_key(),
    "disulfides": Key(
        text=parse_disulfides, holds=_row_of(_IS_PLACE, _IS_PLACE), many=True, write=_written_disulfides, joined=","
    ),
    "inpaint": Key(text=parse_loops, holds=_is_loop, many=True, write=_strings, joined=","),
    "noise": Key(text=parse_noise, holds=_are(Noise), write=str),
    "hold": Key(
        text=lambda text: parse_kept(text, "hold"), holds=_are(FixedSegment), many=True, write=_strings, joined=","
    ),
    "keep_sequence": Key(text=lambda text: parse_part(text, "keep_sequence"), holds=_is_part, write=_part, joined=","),
    "symmetry": Key(text=parse_symmetry, holds=_are(Symmetry), write=str),
    "energies": Key(
        text=lambda text: (parse_energy(text),),
        holds=_are(Energy),
        many=True,
        node=_energies,
        write=lambda value: [energy_to_dict(each) for each in value],
    ),
    "num_designs": _count("num_designs"),
    "draws": _count("draws"),
    "seed": _count("seed"),
}
#: Keys whose values are paths of other files.
FILES = ("motif", "fold_of")
