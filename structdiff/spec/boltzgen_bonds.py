"""BoltzGen's constraints: bonds as rings and disulfides, and the length of everything together."""

from __future__ import annotations

from collections.abc import Mapping

from structdiff.spec.boltzgen_plan import Chain, Item, Plan
from structdiff.spec.document import Node
from structdiff.spec.segments import chain_prefix

_SULPHUR = "SG"
_WAY = "disulfides (SG to SG) and rings (N to C) of designed chains; what a file bonds stays bonded"


def read_constraints(plan: Plan, node: Node) -> None:
    """Adds bonds and the total length to a plan; raises InputError."""
    for each in node.items():
        kind, value = each.only_field(("bond", "total_len"))
        if kind == "bond":
            plan.bonds.append(value)
            continue
        given = value.fields(("min", "max"), required=("min", "max"))
        low, high = given["min"].integer(), given["max"].integer()
        if not 1 <= low <= high:
            value.fail("expected the least and the greatest number of residues", found=f"{low} to {high}")
        plan.total = low, high


def bonded(plan: Plan, names: Mapping[int, str], data: dict) -> set[int]:
    """Adds disulfides and rings to a design's data; names: of chains, by their ids. Gives the ids of cysteines.

    Raises InputError for bonds of another kind.
    """
    cysteines: set[int] = set()
    for node in plan.bonds:
        given = node.fields(("atom1", "atom2", "bondtype"), required=("atom1", "atom2"))
        ends = [_end(plan, given[key]) for key in ("atom1", "atom2")]
        (chain, item, atom), (other, partner, last) = ends
        if not (chain.is_designed and other.is_designed):
            _keep(plan, node, ends)
        elif atom == last == _SULPHUR:
            places = [_place(node, *end, names) for end in ends]
            if item is partner or cysteines & {id(item), id(partner)}:
                node.fail("a cysteine has one disulfide", found="-".join(places))
            data.setdefault("disulfides", []).append("-".join(places))
            cysteines |= {id(item), id(partner)}
        elif chain is other and _is_ring(chain, {atom: item, last: partner}):
            chain.cyclic = True
        else:
            node.fail("structdiff makes no such bond", found=f"{atom} to {last}", allowed=_WAY)
    return cysteines


def _end(plan: Plan, node: Node) -> tuple[Chain, Item, str]:
    """Chain, residue and atom of an end of a bond."""
    words = node.items()
    if len(words) != 3:
        node.fail("expected chain, residue and atom", found=[each.text() for each in words], allowed="[A, 5, SG]")
    name, number, atom = words[0].text(), words[1].integer(), words[2].text()
    rows = [(chain, part) for chain in plan.chains for part in chain.parts if part.id == name]
    if len(rows) != 1:
        node.fail("no chain has this name" if not rows else "several chains have this name", found=name,
                  allowed=[part.id for chain in plan.chains for part in chain.parts])  # fmt: skip
    chain, part = rows[0]
    if part.inserted:
        node.fail("the chain has design_insertions, which change its numbers", found=name, allowed="bonds elsewhere")
    there = {item.place + 1: item for item in part.items} if part.source else dict(enumerate(part.numbered(), start=1))
    if number not in there:
        words[1].fail("the chain has no such residue", found=number, allowed=f"{min(there)}..{max(there)}")
    return chain, there[number], atom


def _keep(plan: Plan, node: Node, ends: list[tuple[Chain, Item, str]]) -> None:
    """A bond between parts that are kept is the file's own, if it is there."""
    if any(chain.is_designed or item.known is None for chain, item, _ in ends):
        node.fail("structdiff joins a designed chain to nothing that is kept", found=_written(ends), allowed=_WAY)
    plan.tell(f"bond {_written(ends)}: between parts that are kept, bonded if the file has them so")


def _written(ends: list[tuple[Chain, Item, str]]) -> str:
    return " to ".join(f"{item.known.id if item.known else chain.id}:{atom}" for chain, item, atom in ends)


def _place(node: Node, chain: Chain, item: Item, _: str, names: Mapping[int, str]) -> str:
    """A cysteine's place in the design, from the end of its chain where lengths decide how much comes before."""
    cysteine = (item.known.letter if item.known is not None else item.letter) == "C"
    if not cysteine or item.redesign:
        node.fail("a disulfide joins cysteines", found=f"a residue of chain {chain.id} that is none",
                  allowed="the letter C at its place, as 3C8C2")  # fmt: skip
    place = chain.place_of(item)
    if place is None:
        node.fail("where this residue is depends on the lengths on both sides of it", found=f"chain {chain.id}",
                  allowed="one length on one side, as 3..5C8C2")  # fmt: skip
    return f"{chain_prefix(names[id(chain)])}{place}"


def _is_ring(chain: Chain, ends: Mapping[str, Item]) -> bool:
    """Whether N of the first residue is joined to C of the last."""
    items = chain.items
    return ends.get("N") is items[0] and ends.get("C") is items[-1]
