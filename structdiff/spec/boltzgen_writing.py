"""From a plan of BoltzGen's chains to a design: contigs, ligands, what is to be touched, folds, amino acids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from structdiff.errors import InputError
from structdiff.spec.boltzgen_bonds import bonded
from structdiff.spec.boltzgen_contigs import chain_items, contig, named_residues, settle_groups
from structdiff.spec.boltzgen_plan import Chain, Item, Plan
from structdiff.spec.boltzgen_sources import Sources
from structdiff.spec.boltzgen_text import AMINO_ACIDS, FOLD_LETTERS
from structdiff.spec.contig_grammar import parse_contigs
from structdiff.spec.imported import MOTIF_FILE, Imported, MotifPart
from structdiff.spec.lengths import format_length
from structdiff.spec.segments import ResidueId, chain_prefix

_WEIGHTS = "boltzgen"
_FREE_LIGAND = "L"  # what the chain of a ligand that comes from no file is called in the motif's
_LARGE_TARGET = 150  # residues; structdiff shows the network what lies around the hotspots of a larger one


def written(plan: Plan, name: str, sources: Sources) -> Imported:
    """The design of a plan whose files are those of sources. Raises InputError for what structdiff cannot do."""
    found = Imported(data={"version": 1, "name": name}, notes=plan.notes, options={"--weights": _WEIGHTS})
    data, chains = found.data, list(plan.polymers())
    if not chains:
        raise InputError("there is nothing to design", key="entities", allowed="a protein with a length, as 80..140")
    _refuse_twins(chains)
    settle_groups(plan)
    sources.tell(plan)
    _motif(plan, sources, found)
    data["contigs"] = " ".join(contig(chain, sources.polymers()) for chain in chains)
    names = dict(zip(map(id, chains), parse_contigs(data["contigs"]).chain_ids, strict=True))
    for chain in chains:
        if chain.is_designed and names[id(chain)] != chain.id:
            plan.tell(f"chain {chain.id} is called {names[id(chain)]} in the design")
        _tell_missing(plan, chain)
    _touched(plan, data)
    cysteines = bonded(plan, names, data)
    if any(chain.cyclic for chain in chains):
        data["cyclic"] = [names[id(chain)] for chain in chains if chain.cyclic]
    redesigned = named_residues([item for chain in chains for item in chain.items if item.redesign and item.known])
    if redesigned:
        data["redesign"] = redesigned
    _folds(plan, data)
    _total(plan, data)
    _amino_acids(plan, names, cysteines, found.options)
    return found


def _refuse_twins(chains: list[Chain]) -> None:
    counts = Counter(chain.twins for chain in chains if chain.twins)
    for group, count in counts.items():
        if count > 1:
            raise InputError("structdiff gives chains one sequence where they are copies of each other",
                             key="symmetric_group", found=group,
                             allowed="one chain, with symmetry: C2, say, by hand")  # fmt: skip


def _motif(plan: Plan, sources: Sources, found: Imported) -> None:
    """The motif's file, or what it is to be put together from, and the ligands that are taken from it."""
    free = [chain for chain in plan.chains if chain.ccd or chain.smiles]
    kept = [item for chain in plan.chains for item in chain.items if item.known is not None]
    if free and (len(free) > 1 or kept):
        free[-1].parts[0].node.fail(
            "a ligand is kept where a file has it, and of this one no place beside the rest is known",
            found=free[-1].ccd or free[-1].smiles, allowed="a file entity that holds it with all else that is kept",
        )  # fmt: skip
    ligands = [item for chain in plan.chains if chain.kind == "ligand" for item in chain.items]
    names = [_with_colon(item.known.id) for item in ligands if item.known is not None]
    if free:
        found.parts = (MotifPart(ccd=free[0].ccd, smiles=free[0].smiles, chain=_FREE_LIGAND),)
        plan.tell(f"the ligand {free[0].ccd or free[0].smiles} is held in its ideal conformer, BoltzGen bends it")
        names = [f"{_FREE_LIGAND}1"]
    elif len(sources.parts) > 1:
        found.parts = tuple(sources.parts.values())
    elif kept:
        found.data["motif"] = next(iter(sources.parts))
    if found.parts:
        found.data["motif"] = f"{found.data['name']}{MOTIF_FILE}"
    if names:
        found.data["ligands"] = names


def _with_colon(residue: ResidueId) -> str:
    """A ligand's residue; of a negative number with a colon, since A-2 may be a chain."""
    number = f"{residue.number}{residue.insertion_code}"
    return f"{residue.chain}:{number}" if residue.number < 0 else str(residue)


def _tell_missing(plan: Plan, chain: Chain) -> None:
    missing = [item.missing for item in chain.items if item.missing]
    if missing:
        what = "are new, with their amino acids" if chain.is_designed else "stay out"
        named = missing[0] if len(missing) == 1 else f"{missing[0]} to {missing[-1]}"
        plan.tell(f"{len(missing)} residues without coordinates ({named}) {what}")


def _touched(plan: Plan, data: dict) -> None:
    """Hotspots, and what is to be kept away from."""
    for letter, key in (("B", "hotspots"), ("N", "keep_away")):
        asked = [(chain, item) for chain in plan.chains for item in chain.items if item.binding == letter]
        words = named_residues([item for _, item in asked if item.known is not None and not item.redesign])
        words += [f"{_FREE_LIGAND}1" for chain, _ in asked if chain.ccd or chain.smiles]
        if words:
            data[key] = words
        if any(item.redesign or (item.known is None and chain.kind != "ligand") for chain, item in asked):
            plan.tell(f"binding_types of residues that are designed or not in the file: left out, {key} are kept ones")
    target = sum(len(chain_items(chain)) for chain in plan.polymers() if not chain.is_designed)
    if "hotspots" in data and target > _LARGE_TARGET:
        plan.tell("the network sees what lies around the hotspots; target_crop: none shows it the whole target, as "
                  "BoltzGen does")  # fmt: skip


def _folds(plan: Plan, data: dict) -> None:
    """Secondary structure of new residues, a letter each; raises InputError where lengths are open."""
    designed = [chain for chain in plan.polymers() if chain.is_designed]
    items = [item for chain in plan.chains for item in chain.items if item.fold != "U"]
    if any(item.known is not None for item in items):
        plan.tell("secondary_structure of residues that are kept: left out, they have their own")
    if all(item.known is not None for item in items):
        return
    for chain in designed:
        if any(item.least != item.most for item in chain.items):
            chain.parts[0].node.fail("secondary_structure is said of every residue, so each designed chain has one "
                                     "length", found=f"a range in chain {chain.id}", allowed="one number")  # fmt: skip
    data["secondary_structure"] = " / ".join(
        _runs("".join(FOLD_LETTERS[item.fold] if item.known is None else "?" for item in chain_items(chain)))
        for chain in designed
    )


def _runs(letters: str) -> str:
    return " ".join(f"{letter}{len(list(run))}" for letter, run in groupby(letters))


def _total(plan: Plan, data: dict) -> None:
    """The length of the designed chains, of that of everything; raises InputError where it cannot be met."""
    if plan.total is None:
        return
    fixed = sum(len(chain.items) for chain in plan.chains if chain.kind == "ligand" or not chain.is_designed)
    items = [item for chain in plan.polymers() if chain.is_designed for item in chain_items(chain)]
    least, most = sum(item.least for item in items), sum(item.most for item in items)
    low, high = max(plan.total[0] - fixed, least), min(plan.total[1] - fixed, most)
    if low > high:
        raise InputError("the chains cannot come to this length", key="constraints.total_len",
                         found=format_length(plan.total),
                         allowed=format_length((least + fixed, most + fixed)))  # fmt: skip
    if (low, high) != (least, most):
        data["length"] = format_length((low, high))


def _amino_acids(plan: Plan, names: Mapping[int, str], cysteines: set[int], options: dict[str, str]) -> None:
    """Amino acids of new residues that are said, as options of ``structdiff design``, which asks for them."""
    rows = [(chain, item) for chain in plan.polymers() for item in chain_items(chain) if chain.is_designed]
    rows = [(chain, item) for chain, item in rows if item.known is None and id(item) not in cysteines]
    opened = [item for _, item in rows if not item.letter]
    redesigned = any(item.redesign for chain in plan.polymers() for item in chain.items)
    letters = {item.letter for _, item in rows}
    avoided = "".join(
        letter for letter in AMINO_ACIDS if opened and not redesigned and letter not in letters
        and all(item.allowed and letter not in item.allowed for item in opened)
    )  # fmt: skip
    rest = "".join(letter for letter in AMINO_ACIDS if letter not in avoided)
    said = [(chain, item) for chain, item in rows if (item.letter or item.allowed) not in ("", rest)]
    if avoided:
        options["--avoid"] = avoided
    if said:
        options["--allow-at"] = ",".join(_stretches(said, names))
    if avoided or said:
        plan.tell("amino acids that are said of new residues are options of the command, and not in the file")


def _stretches(said: Sequence[tuple[Chain, Item]], names: Mapping[int, str]) -> Iterator[str]:
    """Amino acids at places of the design: those that follow each other with the same ones together."""
    rows = [(names[id(chain)], item.letter or item.allowed, _counted(chain, item)) for chain, item in said]
    for (name, letters, _), run in groupby(enumerate(rows), lambda row: (*row[1][:2], row[1][2] - row[0])):
        places = [place for _, (_, _, place) in run]
        stop = f"-{places[-1]}" if len(places) > 1 else ""
        yield f"{chain_prefix(name)}{places[0]}{stop}={letters}"


def _counted(chain: Chain, item: Item) -> int:
    place = chain.place_of(item)
    if place is None or place < 0:
        chain.parts[0].node.fail("where an amino acid stands depends on a length before it",
                                 found=f"{item.letter or item.allowed} in chain {chain.id}",
                                 allowed="one length before it, or a design for each")  # fmt: skip
    return place
