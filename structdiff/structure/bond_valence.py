"""Room for the covalent bonds that are asked for: which atoms leave, or that there is none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from structdiff.chemistry.components import AROMATIC, OTHER, Component, component, leaving_in_chain
from structdiff.errors import InputError
from structdiff.structure.build import POLYMER_LINK, AtomAddress, ChainSequence, leaving_at_bonds, locate

_BORON, _CARBON, _OXYGEN, _PHOSPHORUS, _SULPHUR = 5, 6, 8, 15, 16
_HALOGENS = (9, 17, 35, 53)
_NON_METALS = (1, _BORON, _CARBON, 7, _OXYGEN, 9, 14, _PHOSPHORUS, _SULPHUR, 17, 33, 34, 35, 53)
_BORON_BONDS = 4  # a boronate is one more than the boronic acid that it comes from

_Atom = tuple[int, int, str]  # row of the chain, place in it from 0, name


def atoms_that_leave(
    chains: Sequence[ChainSequence],
    bonds: Iterable[tuple[AtomAddress, AtomAddress]],
    components: Mapping[str, Component],
) -> list[AtomAddress]:
    """Atoms that make room for the bonds that are asked for, beside those that the components name as leaving.

    A bond takes the place of a hydrogen, else of the one halogen of its atom, else of a terminal hydroxyl of a
    phosphate, a sulphate or a carboxyl. Bonds to metals take no place. Raises InputError where there is no room.
    """
    bonds = list(bonds)
    dropped = leaving_at_bonds(chains, [end for bond in bonds for end in bond], components)
    leaving = []
    for (row, place, name), count in sorted(_new_bonds(chains, bonds, components).items()):
        chain, whole = chains[row], component(chains[row].residues[place], components)
        gone = set(dropped.get((row, place), ()))
        if chain.kind in POLYMER_LINK and whole.kind != OTHER:
            gone |= set(whole.atom_names[leaving_in_chain(whole)].tolist())
        bonded = {end[2] for bond in bonds for end in bond if locate(chains, end) == (row, place)}
        links = _links(chain, place, name)
        room = _room(whole, name, gone) - links
        for _ in range(count - room):
            found = _leaving_atom(whole, name, gone | bonded)
            if found is None:
                raise _no_room(chain, place, whole, name, count=count, room=room, gone=gone)
            gone.add(found)
            leaving.append((chain.label_id or chain.name, place + 1, found))
    return leaving


def kept_double_bonds(
    chains: Sequence[ChainSequence],
    bonds: Iterable[tuple[AtomAddress, AtomAddress]],
    components: Mapping[str, Component],
) -> list[tuple[str, str, str]]:
    """Chain, atom and its neighbour where a bond takes a hydrogen of a ligand's carbon that has a double bond there.

    So it is where an acrylamide is given as it is before it is bound. Aromatic bonds are none.
    """
    found = []
    for row, place, name in sorted(_new_bonds(chains, list(bonds), components)):
        whole = component(chains[row].residues[place], components)
        atom = whole.atom_index[name]
        if chains[row].kind in POLYMER_LINK or whole.elements[atom] != _CARBON or not whole.hydrogens[atom]:
            continue
        double = (whole.bonds == atom).any(axis=1) & (whole.kekule_orders > 1) & (whole.bond_orders != AROMATIC)
        for ends in whole.bonds[double].tolist():
            found.append((chains[row].name, name, str(whole.atom_names[sum(ends) - atom])))
    return found


def _new_bonds(
    chains: Sequence[ChainSequence],
    bonds: Sequence[tuple[AtomAddress, AtomAddress]],
    components: Mapping[str, Component],
) -> Counter[_Atom]:
    """How many bonds each atom gets that it has not yet, without those to metals; atoms that are not there are none."""
    pairs = {frozenset((*locate(chains, end), end[2]) for end in bond) for bond in bonds}
    counts: Counter[_Atom] = Counter()
    for pair in pairs:
        ends = sorted(pair)
        parts = [component(chains[row].residues[place], components) for row, place, _ in ends]
        if any(name not in part.atom_index for (*_, name), part in zip(ends, parts, strict=True)):
            continue  # the structure that is built says which
        metal = any(
            part.elements[part.atom_index[name]] not in _NON_METALS
            for (*_, name), part in zip(ends, parts, strict=True)
        )
        if not metal and not _is_there(chains, ends, parts[0]):
            counts.update(ends)
    return counts


def _is_there(chains: Sequence[ChainSequence], ends: list[_Atom], whole: Component) -> bool:
    """Whether a bond is one of the component's own, or a link of its chain."""
    (row, place, name), (other_row, other_place, other_name) = ends
    if row != other_row:
        return False
    if place == other_place:
        index = whole.atom_index
        return bool((np.sort(whole.bonds, axis=1) == sorted((index[name], index[other_name]))).all(1).any())
    chain = chains[row]
    if chain.kind not in POLYMER_LINK:
        return False
    leave, enter = POLYMER_LINK[chain.kind]
    closing = chain.cyclic and place == 0 and other_place == len(chain.residues) - 1
    return (other_place == place + 1 and (name, other_name) == (leave, enter)) or (
        closing and (name, other_name) == (enter, leave)
    )


def _links(chain: ChainSequence, place: int, name: str) -> int:
    """How many links to the residues beside it an atom has in its chain."""
    if chain.kind not in POLYMER_LINK:
        return 0
    leave, enter = POLYMER_LINK[chain.kind]
    before, after = place > 0 or chain.cyclic, place + 1 < len(chain.residues) or chain.cyclic
    return (name == enter and before) + (name == leave and after)


def _room(whole: Component, name: str, gone: set[str]) -> int:
    """How many single bonds an atom can take: hydrogens, and what has gone from it."""
    atom = whole.atom_index[name]
    freed = sum(order for other, order in _bonds_of(whole, atom) if str(whole.atom_names[other]) in gone)
    boronate = whole.elements[atom] == _BORON and sum(order for _, order in _bonds_of(whole, atom)) < _BORON_BONDS
    return int(whole.hydrogens[atom]) + freed + boronate


def _bonds_of(whole: Component, atom: int) -> list[tuple[int, int]]:
    """The neighbours of an atom with the order of each bond (1, 2, 3)."""
    return [
        (second if first == atom else first, order)
        for (first, second), order in zip(whole.bonds.tolist(), whole.kekule_orders.tolist(), strict=True)
        if atom in (first, second)
    ]


def _leaving_atom(whole: Component, name: str, staying: set[str]) -> str | None:
    """The atom that a bond to this one plainly takes away: its one halogen, or the last of its equal hydroxyls."""
    atom = whole.atom_index[name]
    near = _bonds_of(whole, atom)
    ends = [
        other
        for other, order in near
        if order == 1 and len(_bonds_of(whole, other)) == 1 and str(whole.atom_names[other]) not in staying
    ]
    halogens = [other for other in ends if whole.elements[other] in _HALOGENS]
    if len(halogens) == 1:
        return str(whole.atom_names[halogens[0]])
    is_acid = any(order == 2 and whole.elements[other] == _OXYGEN for other, order in near)
    if not is_acid or whole.elements[atom] not in (_CARBON, _PHOSPHORUS, _SULPHUR):
        return None
    hydroxyls = [
        other for other in ends if whole.elements[other] == _OXYGEN and (whole.hydrogens[other] or whole.charges[other])
    ]
    return str(whole.atom_names[max(hydroxyls)]) if hydroxyls else None


def _no_room(
    chain: ChainSequence, place: int, whole: Component, name: str, *, count: int, room: int, gone: set[str]
) -> InputError:
    signs = {1: "-", 2: "=", 3: "≡"}
    held = [
        f"{signs[order]}{whole.atom_names[other]}"
        for other, order in _bonds_of(whole, whole.atom_index[name])
        if whole.atom_names[other] not in gone
    ]
    held += ["-residue beside it"] * _links(chain, place, name)
    able = [
        each
        for each in whole.atom_names.tolist()
        if each not in gone and each != name and _room(whole, each, gone) > _links(chain, place, each)
    ]
    atom, verb = f"{name} of residue {place + 1} ({whole.name}) of chain {chain.name}", "is" if count == 1 else "are"
    return InputError(
        f"{atom} has the bonds {', '.join(held)}: it can take {max(room, 0)} more, and {count} {verb} asked for; name "
        "another atom, or give a ligand as it is when it is bound (SMILES with a hydrogen where the bond is to be)",
        key="bond",
        found=name,
        allowed=able,
    )
