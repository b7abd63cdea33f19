"""From what is asked, in a complex or a design, to what the network is told and what is checked in the end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from structdiff.errors import InputError
from structdiff.features.condition import (
    ADJACENT,
    APART,
    BURIED,
    EXPOSED,
    HELIX,
    HOTSPOT,
    KEEP_AWAY,
    LOOP,
    PARTLY_BURIED,
    STRAND,
    Condition,
)
from structdiff.features.tokens import TokenTable
from structdiff.spec.complex import ComplexSpec, ContactSpec, PocketSpec, Site
from structdiff.spec.design import DesignSpec
from structdiff.spec.fold import Block, blocks_of
from structdiff.spec.layout import Layout
from structdiff.structure.build import POLYMER_LINK
from structdiff.structure.held_parts import retyped
from structdiff.structure.residue_bonds import are_disulfides
from structdiff.structure.scaffold import Scaffold
from structdiff.structure.tables import ChainKind, Structure

#: A hotspot is touched when a backbone atom of the design comes this near (Å) to any of its heavy atoms.
HOTSPOT_DISTANCE = 8.0
#: The same for a ligand, for any atom of a target without hotspots, and for the CA atoms of adjacent blocks.
LIGAND_DISTANCE, TARGET_DISTANCE, BLOCK_DISTANCE = 6.0, 5.0, 8.0

_SECONDARY_STRUCTURE = {"H": HELIX, "E": STRAND, "L": LOOP, "?": 0}
_BURIAL = {"B": BURIED, "P": PARTLY_BURIED, "E": EXPOSED, "?": 0}
#: The keys of a design that fill two channels.
_KEYS = {"hotspot": "hotspots", "keep_away": "keep_away"}


def design_condition(spec: DesignSpec, layout: Layout, scaffold: Scaffold, tokens: TokenTable) -> Condition:
    """Everything a design asks for; residues and tokens are mapped one to many for what is no standard residue."""
    group = scaffold.residue_group[tokens.residue]
    kept = group > 0
    named = scaffold.structure.residues.name[tokens.residue] != "UNK"
    open_ = np.isin(tokens.residue, layout.indices(sorted(retyped(spec, layout)), "redesign"))
    protein = scaffold.structure.chains.kind[scaffold.structure.residues.chain] == ChainKind.PROTEIN
    for residue, place in zip(spec.redesign, layout.indices(spec.redesign, "redesign"), strict=True):
        if not protein[place]:
            raise InputError("only proteins are designed", key="redesign", found=str(residue),
                             allowed="residues of protein chains")  # fmt: skip
    channels: dict[str, np.ndarray] = {
        "motif_group": group,
        "structure_fixed": kept,
        # A new residue with a name is one that a bond asks for.
        "sequence_known": np.where(kept, ~open_, named) | ~protein[tokens.residue],
    }
    for channel, asked, value in (("hotspot", spec.hotspots, HOTSPOT), ("keep_away", spec.keep_away, KEEP_AWAY)):
        marked = np.isin(tokens.residue, layout.indices(asked, _KEYS[channel]))
        channels[channel] = np.where(marked, value, 0)
    letters = {"secondary_structure": (spec.secondary_structure_of(layout), _SECONDARY_STRUCTURE)}
    letters["burial"] = (spec.burial_of(layout), _BURIAL)
    for channel, (text, codes) in letters.items():
        channels[channel] = np.array([codes[letter] for letter in text], np.int8)[tokens.residue]
    channels["fold_adjacency"] = _fold_adjacency(spec, layout, tokens)
    return Condition.unknown(len(tokens)).replace(**channels)


def _fold_adjacency(spec: DesignSpec, layout: Layout, tokens: TokenTable) -> np.ndarray:
    """Which tokens belong to helices and strands that are asked to touch, or to keep apart (token, token)."""
    told = np.zeros((len(tokens), len(tokens)), np.int8)
    blocks = [tokens_of(block, tokens) for block in residue_blocks(spec, layout)]
    for pairs, value in ((spec.adjacent, ADJACENT), (spec.apart, APART)):
        for low, high in pairs:
            told[np.ix_(blocks[low - 1], blocks[high - 1])] = value
            told[np.ix_(blocks[high - 1], blocks[low - 1])] = value
    return told


def residue_blocks(spec: DesignSpec, layout: Layout) -> list[Block]:
    """The helices and strands that are asked for, by residues of the layout (from 0)."""
    if spec.secondary_structure is None:
        return []
    designed = np.flatnonzero([not residue.chain_is_fixed for residue in layout.residues])
    return [
        Block(letter=block.letter, start=int(designed[block.start]), stop=int(designed[block.stop - 1]) + 1)
        for block in blocks_of(spec.secondary_structure)
    ]


def tokens_of(block: Block, tokens: TokenTable) -> np.ndarray:
    """The tokens of a block's residues."""
    return np.flatnonzero((tokens.residue >= block.start) & (tokens.residue < block.stop))


def complex_condition(spec: ComplexSpec, structure: Structure, tokens: TokenTable) -> Condition:
    """The contacts and pockets that a complex asks for, as upper bounds and hotspots."""
    contacts, pocket = [], []
    bound = np.zeros((len(tokens), len(tokens)), np.float32)
    for constraint in spec.constraints:
        if isinstance(constraint, ContactSpec):
            first, second = (site_tokens(structure, tokens, site) for site in (constraint.token1, constraint.token2))
            contacts.append((first, second, float(constraint.max_distance)))
        elif isinstance(constraint, PocketSpec):
            rows = [site_tokens(structure, tokens, site) for site in constraint.contacts]
            chain = int(np.flatnonzero(structure.chains.name == constraint.binder)[0])
            bound[np.ix_(np.concatenate(rows), np.flatnonzero(tokens.chain == chain))] = constraint.max_distance
            pocket += rows
    return contact_condition(len(tokens), contacts, pocket).replace(pocket_bound=bound)


def contact_condition(
    count: int, contacts: Iterable[tuple[np.ndarray, np.ndarray, float]], pocket: Iterable[np.ndarray]
) -> Condition:
    """What so many tokens are told of contacts, pairs of rows and an upper bound (Å), and of rows of pockets."""
    bound = np.zeros((count, count), np.float32)
    hotspot = np.zeros(count, np.int8)
    for first, second, distance in contacts:
        bound[np.ix_(first, second)] = bound[np.ix_(second, first)] = distance
    for rows in pocket:
        hotspot[rows] = HOTSPOT
    return Condition.unknown(count).replace(contact_bound=bound, hotspot=hotspot)


@dataclass(frozen=True, kw_only=True)
class Proximity:
    """Two sets of atoms (rows of the structure) that must come near each other, or must not (``avoid``).

    bound: the distance in Å between the nearest atoms, at most, or at least when avoiding. told: it has a verdict of
    its own; otherwise it serves something that has.
    """

    name: str
    first: np.ndarray
    second: np.ndarray
    bound: float
    avoid: bool = False
    told: bool = True


def design_proximities(spec: DesignSpec, layout: Layout, structure: Structure, tokens: TokenTable) -> list[Proximity]:
    """What must come near what: hotspots and ligands, blocks, ends to be joined; and what must keep apart."""
    new = np.array([residue.origin is None for residue in layout.residues])
    designed = np.flatnonzero(new[structure.atoms.residue])
    asked = []
    for channel, residues, avoid in (("hotspot", spec.hotspots, False), ("keep_away", spec.keep_away, True)):
        for residue, place in zip(residues, layout.indices(residues, _KEYS[channel]), strict=True):
            asked.append(
                Proximity(
                    name=f"{channel.replace('_', ' ')} {residue}", first=_atoms_of(structure, place),
                    second=_beside(place, layout, structure, designed, _KEYS[channel]), bound=HOTSPOT_DISTANCE,
                    avoid=avoid,
                )
            )  # fmt: skip
    for place, residue in enumerate(layout.residues):
        if str(residue.origin) in spec.ligands and residue.origin not in (*spec.hotspots, *spec.keep_away):
            asked.append(Proximity(name=f"ligand {residue.origin}", first=_atoms_of(structure, place), second=designed,
                                   bound=LIGAND_DISTANCE))  # fmt: skip
    if is_binder(layout) and not spec.hotspots:
        whole = np.array([residue.chain_is_fixed for residue in layout.residues])
        target = np.flatnonzero(whole[structure.atoms.residue])
        asked.append(Proximity(name="target", first=target, second=designed, bound=TARGET_DISTANCE, told=False))
    return asked + _block_proximities(spec, layout, structure) + _closures(spec, layout, structure)


def _beside(place: int, layout: Layout, structure: Structure, designed: np.ndarray, key: str) -> np.ndarray:
    """New atoms that may touch a residue: those of other chains, since its own chain always lies against it."""
    own = layout.residues[place]
    if own.chain_is_fixed:
        return designed
    chains = np.array([residue.chain for residue in layout.residues])
    others = designed[chains[structure.atoms.residue[designed]] != own.chain]
    if not len(others):
        raise InputError("the residue is part of the designed chain itself, and no other new chain could touch it",
                         key=key, found=str(own.origin), allowed="residues of chains that are kept whole")  # fmt: skip
    return others


def is_binder(layout: Layout) -> bool:
    """Whether a chain made of new residues alone stands beside a polymer or ligand that is kept whole."""
    rows = layout.chains.values()
    return any(row[0].chain_is_fixed for row in rows) and any(all(r.origin is None for r in row) for row in rows)


def _block_proximities(spec: DesignSpec, layout: Layout, structure: Structure) -> list[Proximity]:
    blocks = residue_blocks(spec, layout)
    asked = []
    for pairs, avoid in ((spec.adjacent, False), (spec.apart, True)):
        for pair in pairs:
            first, second = (_alphas(structure, blocks[number - 1]) for number in pair)
            name = f"blocks {pair[0]}-{pair[1]} {'apart' if avoid else 'adjacent'}"
            asked.append(Proximity(name=name, first=first, second=second, bound=BLOCK_DISTANCE, avoid=avoid))
    return asked


def _closures(spec: DesignSpec, layout: Layout, structure: Structure) -> list[Proximity]:
    """Ends of cyclic chains, and the sulphurs of disulfides: drawn near enough for the bond to close."""
    names, chains = structure.atoms.name, structure.chains
    asked = []
    for chain in spec.cyclic:
        span = structure.chain_residues(int(np.flatnonzero(chains.name == chain)[0]))
        ends = (_atoms_of(structure, span.stop - 1), _atoms_of(structure, span.start))
        last, first = (atoms[names[atoms] == name] for atoms, name in zip(ends, ("C", "N"), strict=True))
        asked.append(Proximity(name=f"cyclic {chain}", first=last, second=first, bound=1.45, told=False))
    for one, other in drawn_disulfides(layout, structure):
        name = f"disulfide of residues {structure.atoms.residue[one] + 1} and {structure.atoms.residue[other] + 1}"
        asked.append(Proximity(name=name, first=np.array([one]), second=np.array([other]), bound=2.2, told=False))
    return asked


def drawn_disulfides(layout: Layout, structure: Structure) -> list[tuple[int, int]]:
    """Rows of the two sulphurs of each disulfide bond of a design that is drawn: not both of its ends are held."""
    bonds = structure.bonds
    held = np.array([residue.origin is not None for residue in layout.residues])[structure.atoms.residue]
    drawn = are_disulfides(structure) & ~(held[bonds.atom_1] & held[bonds.atom_2])
    return list(zip(bonds.atom_1[drawn].tolist(), bonds.atom_2[drawn].tolist(), strict=True))


def _atoms_of(structure: Structure, residue: int) -> np.ndarray:
    return np.arange(len(structure.atoms))[structure.residue_atoms(residue)]


def _alphas(structure: Structure, block: Block) -> np.ndarray:
    residue = structure.atoms.residue
    inside = (residue >= block.start) & (residue < block.stop) & (structure.atoms.name == "CA")
    return np.flatnonzero(inside)


def complex_proximities(spec: ComplexSpec, structure: Structure) -> list[Proximity]:
    """One proximity a contact, and one a residue of a pocket."""
    asked = []
    for constraint in spec.constraints:
        if isinstance(constraint, ContactSpec):
            name = f"contact {constraint.token1} - {constraint.token2}"
            pairs = [(name, constraint.token1, site_atoms(structure, constraint.token2, name))]
        else:
            chain = int(np.flatnonzero(structure.chains.name == constraint.binder)[0])
            binder = np.flatnonzero(structure.atom_chain == chain)
            pairs = [(f"pocket {constraint.binder} - {site}", site, binder) for site in constraint.contacts]
        for name, site, others in pairs:
            first = site_atoms(structure, site, name)
            asked.append(Proximity(name=name, first=first, second=others, bound=float(constraint.max_distance)))
    return asked


def complex_bonds(spec: ComplexSpec, structure: Structure) -> list[tuple[str, tuple[int, int]]]:
    """Name and rows of the two atoms of every covalent bond that a complex asks for, closed rings of chains included.

    A bond that is written twice is one. Raises InputError for an atom that is not there.
    """
    found: dict[tuple[int, int], str] = {}
    for bond in spec.bonds:
        name = f"bond {bond.atom1} - {bond.atom2}"
        one, other = (int(site_atoms(structure, site, name)[0]) for site in (bond.atom1, bond.atom2))
        found.setdefault((min(one, other), max(one, other)), name)
    for chain in np.flatnonzero(structure.chains.cyclic).tolist():
        span = structure.chain_residues(chain)
        first, last = _atoms_of(structure, span.start), _atoms_of(structure, span.stop - 1)
        leave, enter = POLYMER_LINK[ChainKind(int(structure.chains.kind[chain]))]
        ends = [atoms[structure.atoms.name[atoms] == name] for atoms, name in ((first, enter), (last, leave))]
        if all(len(atoms) for atoms in ends):
            found.setdefault((int(ends[0][0]), int(ends[1][0])), f"cyclic {structure.chains.name[chain]}")
    return [(name, ends) for ends, name in found.items()]


def site_atoms(structure: Structure, site: Site, asked: str | None = None) -> np.ndarray:
    """Rows of the atoms of a residue, or of the one atom named.

    Raises InputError when it is not there, which begins with what is asked of it.
    """
    chain = int(np.flatnonzero(structure.chains.name == site.chain)[0])
    rows = structure.residue_atoms(structure.chain_residues(chain).start + site.residue - 1)
    names = structure.atoms.name[rows].tolist()
    if site.atom is None:
        return np.arange(rows.start, rows.stop)
    if site.atom not in names:
        raise InputError(f"{site.chain}/{site.residue} has no such atom", key=asked, found=site.atom, allowed=names,
                         suggest_from=names)  # fmt: skip
    return np.array([rows.start + names.index(site.atom)])


def site_tokens(structure: Structure, tokens: TokenTable, site: Site) -> np.ndarray:
    """Tokens of a residue, or of the one atom named where the residue is split into atoms."""
    chain = int(np.flatnonzero(structure.chains.name == site.chain)[0])
    row = structure.chain_residues(chain).start + site.residue - 1
    found = np.flatnonzero(tokens.residue == row)
    if site.atom is not None and len(found) > 1:
        found = found[structure.atoms.name[tokens.atoms[found, 0]] == site.atom]
    return found
