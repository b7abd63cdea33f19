"""Structures from sequences: every heavy atom that each chain has, with its bonds, before it has a position."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from structdiff.chemistry.components import OTHER, Component, component, leaving_in_chain, take_atoms
from structdiff.errors import InputError
from structdiff.structure.tables import AtomTable, BondTable, ChainKind, ChainTable, ResidueTable, Structure

#: The atoms that join a residue to the next one, by the kind of chain.
POLYMER_LINK = {ChainKind.PROTEIN: ("C", "N"), ChainKind.DNA: ("O3'", "P"), ChainKind.RNA: ("O3'", "P")}

#: One end of a bond: chain name (its label_id where it has one), place of the residue in its chain (from 1), atom name.
AtomAddress = tuple[str, int, str]


@dataclass(frozen=True, kw_only=True)
class ChainSequence:
    """One chain as it is asked for or written in a file: its name and the components in order.

    cyclic: the last residue is joined to the first. author_seq_ids and insertion_codes: the numbering that users see,
    1, 2, 3 ... without insertion codes if None. label_id: mmCIF's own chain id, given out in order if "".
    """

    name: str
    kind: ChainKind
    residues: tuple[str, ...]
    cyclic: bool = False
    author_seq_ids: tuple[int, ...] | None = None
    insertion_codes: tuple[str, ...] | None = None
    label_id: str = ""


def build_structure(
    chains: Sequence[ChainSequence],
    *,
    bonds: Iterable[tuple[AtomAddress, AtomAddress]] = (),
    leaving: Iterable[AtomAddress] = (),
    components: Mapping[str, Component] | None = None,
    name: str = "",
    metadata: Mapping[str, object] | None = None,
) -> Structure:
    """The structure that chains and extra covalent bonds describe: all heavy atoms, none placed yet.

    Residues of polymers lack the atoms that links take away (OXT, OP3, at the ends too, as in AlphaFold 3); at an extra
    bond the leaving atoms of its two ends go, and the atoms named in ``leaving``. Chains of the same kind and sequence
    share an entity. components: those that the CCD does not hold, by code. Raises InputError for repeated chain names,
    unknown codes, and bonds whose ends are not there.
    """
    components = dict(components or {})
    ends = [address for bond in bonds for address in bond]
    _check_chains(chains)
    dropped = leaving_at_bonds(chains, ends, components)
    for address in leaving:
        where = locate(chains, address)
        dropped[where] = dropped.get(where, frozenset()) | {address[2]}
    templates = _templates(chains, dropped, components)
    sizes = np.array([len(template.component) for template in templates], np.int64)
    atom_start = np.concatenate([[0], np.cumsum(sizes)])[: len(sizes)]
    residues = _residue_table(chains, atom_start)
    chain_table = _chain_table(chains)
    used = {code: value for code, value in components.items() if code in set(residues.name.tolist())}
    structure = Structure(
        name=name,
        chains=chain_table,
        residues=residues,
        atoms=_atom_table(templates, sizes),
        bonds=_bond_table(chains, chain_table, templates, atom_start, ends),
        components=used,
        metadata=dict(metadata or {}),
    )
    return structure


@dataclass(frozen=True, eq=False)
class _Template:
    """A component less the atoms that its place takes away."""

    component: Component
    index: dict[str, int]


@lru_cache(maxsize=8192)
def _template(whole: Component, polymer: bool, dropped: frozenset[str]) -> _Template:
    gone = np.isin(whole.atom_names, list(dropped))
    if polymer and whole.kind != OTHER:
        gone |= leaving_in_chain(whole)
    kept = whole if not gone.any() else take_atoms(whole, ~gone)
    return _Template(kept, kept.atom_index)


def _templates(
    chains: Sequence[ChainSequence], dropped: Mapping[tuple[int, int], frozenset[str]], components: dict[str, Component]
) -> list[_Template]:
    templates, nothing = [], frozenset()
    for row, chain in enumerate(chains):
        polymer = chain.kind in POLYMER_LINK
        whole = {code: component(code, components) for code in set(chain.residues)}
        for place, code in enumerate(chain.residues):
            templates.append(_template(whole[code], polymer, dropped.get((row, place), nothing)))
    return templates


def _check_chains(chains: Sequence[ChainSequence]) -> None:
    if not chains:
        raise InputError("a structure needs at least one chain")
    twice = [
        name for name, count in Counter(chain.name for chain in chains if chain.label_id == "").items() if count > 1
    ]
    if twice:
        raise InputError("two chains have the same name", found=twice[0])
    for chain in chains:
        if not chain.residues:
            raise InputError(f"chain {chain.name} has no residues")
        for label in ("author_seq_ids", "insertion_codes"):
            numbers = getattr(chain, label)
            if numbers is not None and len(numbers) != len(chain.residues):
                raise InputError(
                    f"chain {chain.name} has {len(chain.residues)} residues but {len(numbers)} {label}", key=label
                )


def _key(chain: ChainSequence) -> str:
    """What a bond calls a chain: a file's chains can share a name (a protein and its ligands), not a label."""
    return chain.label_id or chain.name


def locate(chains: Sequence[ChainSequence], address: AtomAddress) -> tuple[int, int]:
    """Row of the chain and place in it (from 0) of one end of a bond."""
    chain_name, number, atom_name = address
    names = [_key(chain) for chain in chains]
    row = names.index(chain_name) if chain_name in names else None
    if row is None:
        raise InputError("a bond names a chain that is not there", found=chain_name, allowed=names, suggest_from=names)
    count = len(chains[row].residues)
    if not 1 <= number <= count:
        raise InputError(
            f"a bond names residue {number} (atom {atom_name}) of chain {chain_name}, which has residues 1 to {count}"
        )
    return row, number - 1


def leaving_at_bonds(
    chains: Sequence[ChainSequence], ends: Iterable[AtomAddress], components: Mapping[str, Component]
) -> dict[tuple[int, int], frozenset[str]]:
    """Leaving atoms that the extra bonds take away, by (chain row, place)."""
    bonded: dict[tuple[int, int], list[str]] = defaultdict(list)
    for address in ends:
        bonded[locate(chains, address)].append(address[2])
    dropped = {}
    for (row, place), names in bonded.items():
        whole = component(chains[row].residues[place], components)
        neighbours, index = whole.neighbours(), whole.atom_index
        gone = {
            str(whole.atom_names[other])
            for name in names
            if name in index
            for other in neighbours[index[name]]
            if whole.leaving[other]
        }
        dropped[row, place] = frozenset(gone - set(names))
    return dropped


def _chain_table(chains: Sequence[ChainSequence]) -> ChainTable:
    entities: dict[tuple[ChainKind, tuple[str, ...], bool], int] = {}
    copies: Counter[int] = Counter()
    entity_id, sym_id = [], []
    for chain in chains:
        entity = entities.setdefault((chain.kind, chain.residues, chain.cyclic), len(entities))
        entity_id.append(entity)
        sym_id.append(copies[entity])
        copies[entity] += 1
    lengths = np.array([len(chain.residues) for chain in chains], np.int64)
    labels = _label_ids([chain.label_id for chain in chains])
    return ChainTable(
        name=np.array([chain.name for chain in chains]),
        label_id=np.array(labels),
        kind=np.array([int(chain.kind) for chain in chains], np.int8),
        entity_id=np.array(entity_id, np.int32),
        sym_id=np.array(sym_id, np.int32),
        cyclic=np.array([chain.cyclic for chain in chains], bool),
        residue_start=(np.cumsum(lengths) - lengths).astype(np.int32),
    )


def _label_ids(given: Sequence[str]) -> list[str]:
    taken, labels, number = set(given), [], 0
    for label in given:
        while label == "":
            candidate, number = chain_letters(number), number + 1
            label = "" if candidate in taken else candidate
        labels.append(label)
    return labels


def chain_letters(number: int) -> str:
    """The chain id of a number from 0: A to Z, then AA, BA, CA ... as the wwPDB counts.

    >>> chain_letters(0), chain_letters(25), chain_letters(26), chain_letters(27)
    ('A', 'Z', 'AA', 'BA')
    """
    letters = ""
    while number >= 0:
        letters += chr(ord("A") + number % 26)
        number = number // 26 - 1
    return letters


def _residue_table(chains: Sequence[ChainSequence], atom_start: np.ndarray) -> ResidueTable:
    lengths = [len(chain.residues) for chain in chains]
    places = [np.arange(1, length + 1, dtype=np.int32) for length in lengths]
    numbers = [
        place if chain.author_seq_ids is None else np.array(chain.author_seq_ids, np.int32)
        for chain, place in zip(chains, places, strict=True)
    ]
    codes = [
        chain.insertion_codes if chain.insertion_codes is not None else ("",) * length
        for chain, length in zip(chains, lengths, strict=True)
    ]
    return ResidueTable(
        chain=np.repeat(np.arange(len(chains), dtype=np.int32), lengths),
        name=np.array([code for chain in chains for code in chain.residues]),
        label_seq_id=np.concatenate(places),
        author_seq_id=np.concatenate(numbers).astype(np.int32),
        insertion_code=np.array([code for chain_codes in codes for code in chain_codes]),
        atom_start=atom_start.astype(np.int32),
    )


def _atom_table(templates: Sequence[_Template], sizes: np.ndarray) -> AtomTable:
    count = int(sizes.sum())
    parts = [template.component for template in templates]
    return AtomTable(
        residue=np.repeat(np.arange(len(parts), dtype=np.int32), sizes),
        name=np.concatenate([part.atom_names for part in parts]),
        element=np.concatenate([part.elements for part in parts]),
        charge=np.concatenate([part.charges for part in parts]),
        positions=np.zeros((count, 3), np.float32),
        resolved=np.zeros(count, bool),
        b_factor=np.zeros(count, np.float32),
        occupancy=np.ones(count, np.float32),
    )


def _bond_table(
    chains: Sequence[ChainSequence],
    table: ChainTable,
    templates: Sequence[_Template],
    atom_start: np.ndarray,
    ends: Sequence[AtomAddress],
) -> BondTable:
    parts = [template.component for template in templates]
    counts = [len(part.bonds) for part in parts]
    within = np.concatenate([part.bonds for part in parts]) + np.repeat(atom_start, counts)[:, None]
    links = _polymer_links(chains, table, templates, atom_start)
    extra = _extra_bonds(chains, table, templates, atom_start, ends)
    between = np.unique(np.sort(np.array([*links, *extra], np.int64).reshape(-1, 2), axis=1), axis=0)
    pairs = np.concatenate([within, between])
    orders = np.concatenate([*(part.bond_orders for part in parts), np.ones(len(between), np.uint8)])
    return BondTable(
        atom_1=pairs[:, 0].astype(np.int32), atom_2=pairs[:, 1].astype(np.int32), order=orders.astype(np.uint8)
    )


def _polymer_links(
    chains: Sequence[ChainSequence], table: ChainTable, templates: Sequence[_Template], atom_start: np.ndarray
) -> list[tuple[int, int]]:
    links = []
    for chain, start in zip(chains, table.residue_start.tolist(), strict=True):
        if chain.kind not in POLYMER_LINK:
            continue
        leave, enter = POLYMER_LINK[chain.kind]
        rows = list(range(start, start + len(chain.residues)))
        following = rows[1:] + (rows[:1] if chain.cyclic and len(rows) > 2 else [])
        for row, after in zip(rows, following, strict=False):
            first, second = templates[row].index.get(leave), templates[after].index.get(enter)
            if first is not None and second is not None:
                links.append((int(atom_start[row]) + first, int(atom_start[after]) + second))
    return links


def _extra_bonds(
    chains: Sequence[ChainSequence],
    table: ChainTable,
    templates: Sequence[_Template],
    atom_start: np.ndarray,
    ends: Sequence[AtomAddress],
) -> list[tuple[int, int]]:
    rows = []
    for address in ends:
        chain_row, place = locate(chains, address)
        residue = int(table.residue_start[chain_row]) + place
        template = templates[residue]
        if address[2] not in template.index:
            raise InputError(
                f"a bond names an atom that residue {address[1]} ({template.component.name}) of chain {address[0]} "
                "does not have",
                found=address[2],
                allowed=template.index,
                suggest_from=template.index,
            )
        rows.append(int(atom_start[residue]) + template.index[address[2]])
    return list(zip(rows[0::2], rows[1::2], strict=True))
