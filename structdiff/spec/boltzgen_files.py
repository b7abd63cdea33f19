"""File entities of BoltzGen: what of a structure is kept, what of it is designed, as chains of a plan."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from structdiff.spec.boltzgen_plan import Chain, Item, Part, Plan
from structdiff.spec.boltzgen_sequences import join
from structdiff.spec.boltzgen_text import length_range, letters_by_name, names_of, parse_places
from structdiff.spec.document import Node
from structdiff.spec.imported import KnownChain

KEYS = (
    "path", "include", "include_proximity", "exclude", "structure_groups", "design", "not_design", "binding_types",
    "secondary_structure", "design_insertions", "add_cyclization", "reset_res_index", "fuse", "msa", "use_assembly",
)  # fmt: skip
_RANGE = ("id", "res_index")
_INSERTION = ("id", "res_index", "num_residues", "secondary_structure")
_INSERTED = {"UNSPECIFIED": "U", "LOOP": "L", "HELIX": "H", "SHEET": "S"}
_ALL = "all"


@dataclass(kw_only=True)
class _Marks:
    """What is said of each residue (from 0) of a chain of a file. groups: 0 where BoltzGen sees no structure."""

    known: KnownChain
    included: list[bool]
    groups: list[int]
    designed: list[bool]
    binding: list[str]
    fold: list[str]
    twins: int = 0
    cyclic: bool = False
    insertions: list[tuple[int, list[Item]]] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many residues it has."""
        return len(self.known.residues)


def add_file(plan: Plan, node: Node, chains: tuple[KnownChain, ...], source: str) -> None:
    """Adds what a file entity takes of a file's chains to a plan; source: its path. Raises InputError."""
    given = node.fields(KEYS, required=("path",))
    if "use_assembly" in given and given["use_assembly"].boolean():
        given["use_assembly"].fail("a motif's file is read as it is", found="true",
                                   allowed="the file of the assembly, as the PDB hands it out, and false")  # fmt: skip
    marks = {chain.name: _unmarked(chain) for chain in chains}
    _include(plan, given, marks)
    _groups(given, marks)
    for key, value in (("design", True), ("not_design", False)):
        for mark, places in _named(given, key, marks, every=key == "design"):
            for place in places:
                mark.designed[place] = value
    for key in ("binding_types", "secondary_structure"):
        _letters(given, key, marks)
    for entry in _entries(given, "add_cyclization", "chain"):
        _mark(entry, entry.fields(("id",), required=("id",)), marks).cyclic = True
    for entry in _entries(given, "reset_res_index", "chain"):  # designs are numbered anew; the chain must be there
        _mark(entry, entry.fields(("id",), required=("id",)), marks)
    for entry in _entries(given, "design_insertions", "insertion"):
        _insert(entry, marks)
    if "msa" in given:
        plan.tell("msa has no counterpart: designs read no alignments")
    _tell_unbound(plan, marks)
    found = [_chain(mark, node, source) for mark in marks.values() if any(mark.included) or mark.insertions]
    if not found:
        node.fail("nothing of the file is included", found=source)
    join(plan, found, given.get("fuse"))


def _unmarked(chain: KnownChain) -> _Marks:
    count = len(chain.residues)
    return _Marks(known=chain, included=[True] * count, groups=[1] * count, designed=[False] * count,
                  binding=["U"] * count, fold=["U"] * count)  # fmt: skip


def _entries(given: Mapping[str, Node], key: str, name: str) -> Iterator[Node]:
    """The values of a list such as ``- chain: {...}``."""
    for each in given[key].items() if key in given else ():
        yield each.only_field((name,))[1]


def _mark(entry: Node, fields: Mapping[str, Node], marks: Mapping[str, _Marks]) -> _Marks:
    """The chain that an entry names; raises InputError."""
    name = fields["id"].text()
    if name in marks:
        return marks[name]
    called = [_called(each) for each in marks.values()]
    entry.fail("the file has no such chain; BoltzGen calls chains by label_asym_id, and ligands of PDB files by the "
               "last free letters", found=name, allowed=called)  # fmt: skip


def _called(mark: _Marks) -> str:
    author = mark.known.residues[0].id.chain
    return mark.known.name if author == mark.known.name else f"{mark.known.name} (author's {author})"


def _places(fields: Mapping[str, Node], mark: _Marks) -> list[int]:
    return parse_places(fields["res_index"], mark.count) if "res_index" in fields else list(range(mark.count))


def _named(
    given: Mapping[str, Node], key: str, marks: Mapping[str, _Marks], *, every: bool = False
) -> Iterator[tuple[_Marks, list[int]]]:
    """Chains with places of each entry of a list; every: ``id: all`` stands for all of them."""
    for entry in _entries(given, key, "chain"):
        fields = entry.fields(_RANGE, required=("id",))
        if every and fields["id"].text() == _ALL:
            for mark in marks.values():
                yield mark, list(range(mark.count) if mark.known.kind == "protein" else ())
        else:
            mark = _mark(entry, fields, marks)
            yield mark, _places(fields, mark)


def _include(plan: Plan, given: Mapping[str, Node], marks: Mapping[str, _Marks]) -> None:
    """What is kept: of what is included that which is near enough and not excluded."""
    if "include" in given and given["include"].value != _ALL:
        if not given["include"].is_list:
            given["include"].fail("expected all, or a list of chains", allowed="[{chain: {id: A}}], say")
        for mark in marks.values():
            mark.included = [False] * mark.count
        for entry in _entries(given, "include", "chain"):
            fields = entry.fields((*_RANGE, "msa", "symmetric_group", "smiles"), required=("id",))
            mark = _mark(entry, fields, marks)
            for place in _places(fields, mark):
                mark.included[place] = True
            if "symmetric_group" in fields:
                mark.twins = fields["symmetric_group"].integer()
            for key, why in (("msa", "designs read no alignments"), ("smiles", "bonds are those of the file")):
                if key in fields:
                    plan.tell(f"{key} has no counterpart: {why}")
    if "include_proximity" in given:
        _keep_near(given, marks)
    for mark, places in _named(given, "exclude", marks):
        for place in places:
            mark.included[place] = False
    for mark in marks.values():
        _trim(mark)


def _trim(mark: _Marks) -> None:
    """Leaves out what was not seen at the ends of what is included."""
    seen = [place for place, residue in enumerate(mark.known.residues) if mark.included[place] and residue.seen]
    for place in range(mark.count):
        mark.included[place] &= bool(seen) and seen[0] <= place <= seen[-1]


def _keep_near(given: Mapping[str, Node], marks: Mapping[str, _Marks]) -> None:
    """Leaves out what is further from all residues named than their radius (Å), by CA, C1' or first atoms."""
    near: set[tuple[str, int]] = set()
    for entry in _entries(given, "include_proximity", "chain"):
        fields = entry.fields((*_RANGE, "radius"), required=("id", "radius"))
        mark, radius = _mark(entry, fields, marks), fields["radius"].number()
        centres = [mark.known.residues[place].centre for place in _places(fields, mark)]
        centres = [centre for centre in centres if centre is not None]
        for other in marks.values():
            for place, residue in enumerate(other.known.residues):
                if residue.centre and any(math.dist(residue.centre, centre) < radius for centre in centres):
                    near.add((other.known.name, place))
    for mark in marks.values():
        mark.included = [kept and (mark.known.name, place) in near for place, kept in enumerate(mark.included)]


def _groups(given: Mapping[str, Node], marks: Mapping[str, _Marks]) -> None:
    """Which residues keep their pose to each other; what no entry names has group 0."""
    if "structure_groups" not in given:
        return
    node = given["structure_groups"]
    if not node.is_list:
        if node.text() not in (_ALL, "1"):
            node.fail("expected all, or a list of groups", found=node.text())
        return
    for mark in marks.values():
        mark.groups = [0] * mark.count
    for entry in _entries(given, "structure_groups", "group"):
        fields = entry.fields((*_RANGE, "visibility"), required=("id", "visibility"))
        group = fields["visibility"].integer()
        if group < 0:
            fields["visibility"].fail("a visibility is 0 or the number of a group", found=group)
        if fields["id"].text() == _ALL:
            for mark in marks.values():
                mark.groups = [1] * mark.count  # whatever the visibility, as BoltzGen 0.3.2 has it
            continue
        mark = _mark(entry, fields, marks)
        for place in _places(fields, mark):
            mark.groups[place] = group


def _letters(given: Mapping[str, Node], key: str, marks: Mapping[str, _Marks]) -> None:
    for entry in _entries(given, key, "chain"):
        fields = entry.fields(("id", *names_of(key)), required=("id",))
        mark = _mark(entry, fields, marks)
        found = letters_by_name(fields, mark.count, key)
        for place, letter in found.items():
            (mark.binding if key == "binding_types" else mark.fold)[place] = letter


def _tell_unbound(plan: Plan, marks: Mapping[str, _Marks]) -> None:
    """Notes what binding_types says of residues that the design does not have."""
    for mark in marks.values():
        asked = [place for place, letter in enumerate(mark.binding) if letter != "U" and not mark.included[place]]
        left = [str(mark.known.residues[place].id) for place in asked]
        if left:
            named = left[0] if len(left) == 1 else f"{len(left)} residues from {left[0]} to {left[-1]}"
            plan.tell(f"binding_types of what is not included is left out: {named}")


def _insert(entry: Node, marks: Mapping[str, _Marks]) -> None:
    """New residues before a residue of a chain, or after the last."""
    fields = entry.fields(_INSERTION, required=("id", "res_index", "num_residues"))
    mark = _mark(entry, fields, marks)
    place = fields["res_index"].integer() - 1
    if not 0 <= place <= mark.count:
        fields["res_index"].fail("residues count from 1 along the sequence", found=place + 1,
                                 allowed=f"1..{mark.count + 1}")  # fmt: skip
    word = fields["secondary_structure"].text() if "secondary_structure" in fields else "UNSPECIFIED"
    if word not in _INSERTED:
        fields["secondary_structure"].fail("unknown secondary structure", found=word, allowed=_INSERTED)
    low, high = length_range(fields["num_residues"])
    items = [Item(fold=_INSERTED[word]) for _ in range(low)]
    items += [Item(least=0, most=high - low, fold=_INSERTED[word])] if high > low else []
    mark.insertions.append((place, items))


def _chain(mark: _Marks, node: Node, source: str) -> Chain:
    """The chain with what is included of it, its designed residues, and insertions at their places."""
    known, items = mark.known, []
    for place in range(mark.count + 1):
        items += [item for at, row in mark.insertions if at == place for item in row]
        if place < mark.count and mark.included[place]:
            items.append(_item(mark, place))
    designed = any(item.is_new or item.redesign for item in items)
    if designed and known.kind != "protein":
        node.fail("structdiff designs proteins", found=f"chain {known.name}, a {known.kind}")
    part = Part(id=known.name, items=items, node=node, source=source, inserted=bool(mark.insertions))
    return Chain(id=known.name, kind=known.kind, parts=[part], cyclic=mark.cyclic, twins=mark.twins)


def _item(mark: _Marks, place: int) -> Item:
    """A residue: kept, kept with another amino acid, new in its place, or an amino acid alone where none was seen."""
    residue, designed, group = mark.known.residues[place], mark.designed[place], mark.groups[place]
    item = Item(place=place, group=group, binding=mark.binding[place], fold=mark.fold[place])
    if not residue.seen and not designed:
        item.letter, item.missing = residue.letter, str(residue.id)
    elif residue.seen and not (designed and group == 0):
        item.known, item.redesign = residue, designed
    return item
