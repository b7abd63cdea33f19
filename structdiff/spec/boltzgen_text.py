"""The little languages inside BoltzGen's specifications: sequences with lengths, ranges of residues, a letter each."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence

from structdiff.chemistry.residues import PROTEIN_ONE_TO_THREE, PROTEIN_THREE_TO_ONE
from structdiff.spec.boltzgen_plan import Item
from structdiff.spec.document import Node
from structdiff.spec.letters import SECONDARY_STRUCTURE_LETTERS

#: One-letter codes of the twenty.
AMINO_ACIDS = "".join(sorted(PROTEIN_ONE_TO_THREE))
_TOKEN = re.compile(r"(\d+)\.\.(\d+)|(\d+)|([A-Za-z])|([,\s]+)")
_RANGE = re.compile(r"(\d*)(\.\.)?(\d*)")
_LONGEST = 100_000
_BINDING = {"binding": "B", "not_binding": "N"}
_FOLD = {"loop": "L", "helix": "H", "sheet": "S"}
#: BoltzGen's letters of secondary structure, and ours.
FOLD_LETTERS = dict(zip("HSLU", SECONDARY_STRUCTURE_LETTERS, strict=True))


def parse_items(node: Node) -> list[Item]:
    """The residues of ``80..140`` or ``15..20AAA3``: numbers are new ones, letters amino acids; raises InputError.

    Of a range those that are there in any case come one by one, and then what may be added.
    """
    text, items, place = node.text(), [], 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            node.fail(f"character {place + 1} is neither a length nor an amino acid", found=text[place:][:10],
                      allowed="80..140, 60, or letters between lengths")  # fmt: skip
        place = match.end()
        if match[4]:
            items.append(Item(letter=_letter(node, match[4])))
        elif not match[5]:
            items += _new_items(node, int(match[1] or match[3]), int(match[2] or match[3]))
    if not items:
        node.fail("the sequence is empty", found=text, allowed="80..140, say")
    return items


def _letter(node: Node, letter: str) -> str:
    if letter not in AMINO_ACIDS:
        node.fail("this is no amino acid", found=letter, allowed=", ".join(AMINO_ACIDS))
    return letter


def _new_items(node: Node, low: int, high: int) -> list[Item]:
    if low > high:
        node.fail("the range is reversed", found=f"{low}..{high}", allowed=f"{high}..{low}")
    if high > _LONGEST:
        node.fail(f"more than {_LONGEST} residues", found=f"{low}..{high}")
    return [Item() for _ in range(low)] + ([Item(least=0, most=high - low)] if high > low else [])


def length_range(node: Node) -> tuple[int, int]:
    """A length, ``12`` or ``10..14``; raises InputError."""
    items = parse_items(node)
    if any(item.letter for item in items):
        node.fail("expected a length", found=node.text(), allowed="12 or 10..14, say")
    return sum(item.least for item in items), sum(item.most for item in items)


def parse_places(node: Node, count: int) -> list[int]:
    """Places, from 0, of ``3``, ``5..9``, ``..4`` and ``12..``, with commas between, in a chain of so many residues.

    Raises InputError.
    """
    found: list[int] = []
    for text in node.text().split(","):
        match = _RANGE.fullmatch(text.strip())
        if match is None or not (match[1] or match[3]):
            node.fail("this names no residues", found=text, allowed="3, 5..9, ..4 or 12..")
        first = int(match[1] or 1)
        last = first if not match[2] else int(match[3] or count)
        if not 1 <= first <= last <= count:
            node.fail("residues count from 1 along the sequence, up to where a length is drawn", found=text,
                      allowed=f"1..{count}")  # fmt: skip
        found += range(first - 1, last)
    return found


def items_at(node: Node, items: Sequence[Item]) -> list[Item]:
    """The residues of a sequence that such ranges name, with all that may be added where one has no end.

    Raises InputError where lengths that are drawn decide which residues these are.
    """
    firm = next((place for place, item in enumerate(items) if item.most != item.least), len(items))
    if firm == len(items) or not node.text().endswith(".."):
        return [items[place] for place in parse_places(node, firm)]
    named, _, last = node.text().rpartition(",")
    first = parse_places(dataclasses.replace(node, value=last.strip().removesuffix("..")), firm)[0]
    return [*(items_at(dataclasses.replace(node, value=named), items) if named else []), *items[first:]]


def parse_letters(node: Node, items: Sequence[Item], key: str) -> list[tuple[Item, str]]:
    """Binding types (key ``binding_types``) or secondary structure: the residues with a letter; raises InputError.

    They are written as a text of letters, or as ranges by their names.
    """
    names = names_of(key)
    if isinstance(node.value, dict):
        given = node.fields(tuple(names))
        return [(item, names[name]) for name in names if name in given for item in items_at(given[name], items)]
    text = node.text().upper()
    wrong = sorted(set(text) - {"U", *names.values()})
    if wrong:
        node.fail("unknown letter", found=wrong[0], allowed=["U", *names.values()])
    firm = next((place for place, item in enumerate(items) if item.most != item.least), len(items))
    if len(text.rstrip("U")) > firm:
        node.fail("these are letters for more residues than have a place that no length decides", found=len(text),
                  allowed=firm)  # fmt: skip
    return list(zip(items, text[:firm], strict=False))


def letters_by_name(given: Mapping[str, Node], count: int, key: str) -> dict[int, str]:
    """Letters by places, from 0, of ranges under names, ``all`` being the whole chain; of names the last wins."""
    found = {}
    for name, letter in names_of(key).items():
        if name in given:
            every = given[name].text() == "all"
            found |= dict.fromkeys(range(count) if every else parse_places(given[name], count), letter)
    return found


def names_of(key: str) -> Mapping[str, str]:
    """The names of ranges under ``binding_types`` or ``secondary_structure``, and the letter of each."""
    return _BINDING if key == "binding_types" else _FOLD


def amino_acids(node: Node) -> str:
    """Letters of ``AGS``, ``ALA``, ``[A, G]`` or ``[ALA, GLY]``; raises InputError."""
    words: Sequence[str] = [each.text().strip().upper() for each in node.one_or_more()]
    if not node.is_list and words[0] not in PROTEIN_THREE_TO_ONE:
        words = list(words[0])
    letters = {letter: letter for letter in AMINO_ACIDS} | PROTEIN_THREE_TO_ONE
    found = "".join(letters.get(word, "?") for word in words)
    if "?" in found or not found:
        node.fail("these are no amino acids", found=", ".join(words), allowed="AGS, or [ALA, GLY, SER]")
    return found
