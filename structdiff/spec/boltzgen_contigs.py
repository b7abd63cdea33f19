"""Contigs and lists of residues, as structdiff writes them, of a plan of BoltzGen's chains."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from structdiff.spec.boltzgen_plan import Chain, Item, Part, Plan
from structdiff.spec.segments import ResidueId, chain_prefix


def settle_groups(plan: Plan) -> None:
    """Numbers groups from 1, which is that of the ligands, and gives one to all that is kept. Raises InputError.

    Chains without a visible structure become groups of their own, what is so within chains goes with its neighbours.
    """
    numbers: dict[int, int] = {}
    for number, (chain, part) in enumerate(_parts(plan), start=1):
        kept = [item for item in part.items if item.known is not None]
        if chain.kind == "ligand" or not any(item.group == 0 for item in kept):
            continue
        if all(item.group == 0 for item in kept):
            plan.tell(f"chain {part.id} of visibility 0 keeps its structure, and its pose is free")
            for item in kept:
                item.group = -number
        else:
            hidden = named_residues([item for item in kept if item.group == 0])
            plan.tell(f"{', '.join(hidden)}: of visibility 0, but held as the file has them")
            _fill(kept)
    bound = _group_of_ligands(plan)
    for item in [*bound, *(item for chain in plan.polymers() for item in chain.items)]:
        if item.known is not None:
            item.group = numbers.setdefault(item.group, len(numbers) + 1)


def _parts(plan: Plan) -> Iterator[tuple[Chain, Part]]:
    return ((chain, part) for chain in plan.chains for part in chain.parts if part.source)


def _fill(kept: Sequence[Item]) -> None:
    """Gives items of group 0 the group of the one before, or of the first after."""
    group = next(item.group for item in kept if item.group)
    for item in kept:
        group = item.group = item.group or group


def _group_of_ligands(plan: Plan) -> list[Item]:
    """The items of ligands of a file, all in one group."""
    rows = [(part, item) for chain, part in _parts(plan) if chain.kind == "ligand"
            for item in part.items if item.known is not None]  # fmt: skip
    groups = Counter(item.group for _, item in rows if item.group)
    if len(groups) > 1:
        part = next(part for part, item in rows if item.group == list(groups)[1])
        part.node.fail("ligands keep their pose to each other, and to one group",
                       found=f"visibilities {', '.join(map(str, groups))}",
                       allowed="the same for all ligands")  # fmt: skip
    hidden = [str(item.known.id) for _, item in rows if item.group == 0 and item.known is not None]
    if hidden:
        plan.tell(f"{', '.join(hidden)}: ligands of visibility 0, but held where the file has them")
    others = (item.group for chain in plan.polymers() for item in chain.items if item.group and item.known)
    group = next(iter(groups), None) or next(others, 1)
    for _, item in rows:
        item.group = group
    return [item for _, item in rows]


def contig(chain: Chain, polymers: Sequence[ResidueId]) -> str:
    """The contig of a chain; polymers: all residues of polymers that were seen. Raises InputError.

    In chains without new residues what was not seen is left out, else it is new.
    """
    words: list[str] = []
    low = high = 0
    for run in _runs(chain):
        if run[0].known is None:
            low, high = sum(item.least for item in run), sum(item.most for item in run)
            words.append(str(low) if low == high else f"{low}-{high}")
        else:
            words.append(_stretch(run))
    kept = [item.known.id for item in chain.items if item.known is not None]
    if not chain.is_designed and kept:
        name, groups = kept[0].chain, {item.group for item in chain.items if item.known is not None}
        if len(groups) == 1 and kept == [residue for residue in polymers if residue.chain == name]:
            return chain_prefix(name) + _mark(chain_items(chain)[0])
    return "/".join(words)


def chain_items(chain: Chain) -> list[Item]:
    """The residues of a chain that a design has."""
    return [item for item in chain.items if item.most and (chain.is_designed or not item.missing)]


def _runs(chain: Chain) -> Iterator[list[Item]]:
    """New residues together, and stretches of a file; raises InputError where a designed chain leaves residues out."""
    run: list[Item] = []
    rows = [(part, item) for part in chain.parts for item in part.items]
    there = {id(item) for item in chain_items(chain)}
    before: tuple[Part, Item] | None = None
    for part, item in rows:
        if id(item) not in there:
            continue
        if before is not None and not _goes_on(before[1], item, run, same=before[0] is part):
            yield run
            run = []
            if chain.is_designed and before[0] is part and _skips(before[1], item):
                part.node.fail("a chain with new residues goes on from one residue to the next, and some are left out",
                               found=f"between {_known(before[1])} and {_known(item)}",
                               allowed="to include or to design them")  # fmt: skip
        run.append(item)
        before = part, item
    if run:
        yield run


def _known(item: Item) -> ResidueId | None:
    return item.known.id if item.known is not None else None


def _skips(before: Item, item: Item) -> bool:
    """Whether a file has residues between two that are kept in one pose."""
    return None not in (before.known, item.known) and item.place > before.place + 1 and before.group == item.group


def _goes_on(before: Item, item: Item, run: Sequence[Item], *, same: bool) -> bool:
    """Whether a residue belongs to the run that ends with the one before."""
    if before.known is None or item.known is None:
        return before.known is None and item.known is None
    last, this, first = before.known.id, item.known.id, run[0].known
    follows = this.number - last.number in (0, 1) or this.bonded
    rises = first is not None and (first.id.number, first.id.insertion_code) < (this.number, this.insertion_code)
    return same and item.place == before.place + 1 and before.group == item.group and follows and rises


def _stretch(run: Sequence[Item]) -> str:
    first, last = _known(run[0]), _known(run[-1])
    name = str(first) if first == last or last is None else f"{first}-{last.number}{last.insertion_code}"
    return name + _mark(run[0])


def _mark(item: Item) -> str:
    return "" if item.group == 1 else f"@{item.group}"


def named_residues(items: Sequence[Item]) -> list[str]:
    """Residues of files, those that follow each other as stretches: A5, A7-9."""
    found: list[list[Item]] = []
    for item in items:
        if found and _follows(found[-1][-1], item):
            found[-1].append(item)
        elif item.known is not None:
            found.append([item])
    return [str(_known(run[0])) if len(run) == 1 else f"{_known(run[0])}-{_number(run[-1])}" for run in found]


def _number(item: Item) -> int:
    return item.known.id.number if item.known is not None else 0


def _follows(before: Item, item: Item) -> bool:
    last, this = _known(before), _known(item)
    if last is None or this is None or last.insertion_code or this.insertion_code:
        return False
    return item.place == before.place + 1 and last.chain == this.chain and this.number == last.number + 1
