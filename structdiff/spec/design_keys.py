"""The keys of a design's file: how each is read from YAML, from the command line, and written."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from structdiff.spec.contig_grammar import parse_contigs, parse_residues, parse_stretches
from structdiff.spec.contigs import Contigs
from structdiff.spec.design_grammar import (
    HeldAtoms,
    parse_count,
    parse_crop,
    parse_disulfides,
    parse_fold_plan,
    parse_held_atoms,
    parse_truth,
    written_disulfides,
    written_residues,
)
from structdiff.spec.document import Node
from structdiff.spec.energies import Energy
from structdiff.spec.energy_text import energy_from_dict, energy_to_dict, parse_energy, scalar
from structdiff.spec.fold import parse_block_pairs
from structdiff.spec.lengths import LengthRange, format_length, parse_length
from structdiff.spec.rebuilding import ALL, GAPS, Loop, Noise, parse_kept, parse_loops, parse_noise, parse_part
from structdiff.spec.segments import FixedSegment, ResidueId
from structdiff.spec.symmetry import Symmetry, parse_symmetry


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


def _held_atoms(node: Node) -> tuple[HeldAtoms, ...]:
    """From a list of texts, or a mapping of residues to their atoms."""
    if not isinstance(node.value, dict):
        return parse_held_atoms(",".join(each.text() for each in node.one_or_more()))
    words = [f"{name}={'/'.join(atom.text() for atom in atoms.one_or_more())}" for name, atoms in node.value.items()]
    return parse_held_atoms(",".join(word.replace(",", "/").replace(" ", "") for word in words))


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())


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
        text=lambda text: parse_residues(text, key),
        holds=_are(ResidueId),
        many=True,
        write=written_residues,
        joined=",",
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
        text=parse_disulfides, holds=_row_of(_IS_PLACE, _IS_PLACE), many=True, write=written_disulfides, joined=","
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
