"""Which component each residue of a file is: the dictionary's, or one made from the file's atoms."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import gemmi
import numpy as np

from structdiff.chemistry.components import FREE_CODES, OTHER, Component, component, is_known
from structdiff.errors import InputError
from structdiff.structure.observed_components import ComponentBond, ObservedAtom, observed_component

#: Å; a ligand with a fifth of its component's bonds longer is another molecule of that code. Beside the dictionary's a
#: bad model is still one; two molecules of a file may have the same names, with bonds where the other has angles.
_LONGEST_LISTED, _LONGEST_OBSERVED = 2.6, 2.2


def unknown_components(
    structure: gemmi.Structure,
    groups: Iterable[tuple[str, Sequence[gemmi.Residue]]],
    defined: Mapping[str, Component],
    told: Mapping[str, Sequence[ComponentBond]],
) -> dict[str, Component]:
    """Components for codes that the dictionary does not hold, or holds as another molecule, from the file's atoms.

    groups: author chain name and residues of each chain. Where several molecules of a file have one code (two ligands
    that are both called LIG), those after the fullest are renamed, in the groups and in the links of the structure, by
    codes that are free for ligands. defined: components that the file defines. told: bonds that it tells of others.
    Raises InputError where codes run out.
    """
    instances: dict[str, list[tuple[str, gemmi.Residue]]] = defaultdict(list)
    for chain, residues in groups:
        for residue in residues:
            instances[residue.name].append((chain, residue))
    free = (code for code in FREE_CODES if code not in instances and code not in defined)
    unknown: dict[str, Component] = {}
    for code, placed in instances.items():
        if code in defined:
            continue
        listed = component(code) if is_known(code) else None
        listed = listed if listed is not None and _fits(listed, placed[0][1], _LONGEST_LISTED) else None
        rest = placed if listed is None else [each for each in placed if _is_another(listed, each[1])]
        name = code
        while rest:
            if listed is not None or code in unknown:
                name = next(free, "")
                if not name:
                    raise InputError("too many different molecules have this code", found=code)
            _, fullest = max(rest, key=lambda each: len(each[1]))
            whole = observed_component(name, _observed(fullest), structure.conect_map or {}, told.get(code, ()))
            same = [
                each
                for each in rest
                if each[1] is fullest or whole.kind != OTHER or _fits(whole, each[1], _LONGEST_OBSERVED)
            ]
            rest = [each for each in rest if not any(each is other for other in same)]
            unknown[name] = whole
            if name != code:
                _rename(structure, same, name)
    return unknown


def chosen_atoms(residue: gemmi.Residue) -> list[gemmi.Atom]:
    """The atoms of one conformation of a residue: the alternate location of the highest occupancy, or the first."""
    totals: dict[str, list[float]] = defaultdict(list)
    for atom in residue:
        if atom.altloc != "\0":
            totals[atom.altloc].append(atom.occ)
    best = max(totals, key=lambda letter: sum(totals[letter]) / len(totals[letter]), default="\0")
    chosen: dict[str, gemmi.Atom] = {}
    for atom in residue:
        if atom.altloc in ("\0", best):
            chosen.setdefault(atom.name, atom)
    return list(chosen.values())


class ForeignAtomsWarning(UserWarning):
    """Atoms of a file that the dictionary's residues of these names do not have, and that are left out."""


def warn_of_foreign_atoms(
    name: str, groups: Iterable[tuple[str, Iterable[gemmi.Residue]]], components: Mapping[str, Component]
) -> None:
    """Warns of atoms that have no place in their residues: a phosphate of a residue called SER. name: the file's."""
    found = []
    for chain, residues in groups:
        for residue in residues:
            known = component(residue.name, components).atom_index
            atoms = [atom.name for atom in residue if atom.name not in known and atom.element.atomic_number > 1]
            if atoms:
                found.append(f"{' '.join(dict.fromkeys(atoms))} of {residue.name} {residue.seqid} of chain {chain}")
    if found:
        more = f" and those of {len(found) - 3} more residues" if len(found) > 3 else ""
        warnings.warn(
            f"{name}: atoms that the residue of this name does not have are left out: {'; '.join(found[:3])}{more}",
            ForeignAtomsWarning, stacklevel=2,
        )  # fmt: skip


def _rename(structure: gemmi.Structure, residues: Iterable[tuple[str, gemmi.Residue]], code: str) -> None:
    places = {(chain, str(residue.seqid), residue.name) for chain, residue in residues}
    for link in structure.connections:
        for end in (link.partner1, link.partner2):
            if (end.chain_name, str(end.res_id.seqid), end.res_id.name) in places:
                end.res_id.name = code
    for _, residue in residues:
        residue.name = code


def _observed(residue: gemmi.Residue) -> list[ObservedAtom]:
    return [
        ObservedAtom(atom.name, atom.element.atomic_number, atom.charge, _point(atom), atom.serial)
        for atom in chosen_atoms(residue)
    ]


def _point(atom: gemmi.Atom) -> tuple[float, float, float]:
    return atom.pos.x, atom.pos.y, atom.pos.z


def _is_another(whole: Component, residue: gemmi.Residue) -> bool:
    """Whether a ligand of a component's code has too few of its names to be one."""
    return whole.kind == OTHER and not _shares_names(whole, residue)


def _shares_names(whole: Component, residue: gemmi.Residue) -> bool:
    """Whether half of a residue's atoms have names of the component."""
    seen = {atom.name for atom in residue}
    return 2 * len(seen & set(whole.atom_names.tolist())) >= len(seen)


def _fits(whole: Component, residue: gemmi.Residue, longest: float) -> bool:
    """Whether a residue may be that component: by its names, and of a ligand by all names and the lengths of bonds."""
    if whole.kind != OTHER:
        return _shares_names(whole, residue)
    seen = {atom.name: np.array(_point(atom)) for atom in chosen_atoms(residue)}
    ends = [(str(whole.atom_names[i]), str(whole.atom_names[j])) for i, j in whole.bonds.tolist()]
    lengths = [float(np.linalg.norm(seen[a] - seen[b])) for a, b in ends if a in seen and b in seen]
    long = sum(length > longest for length in lengths)
    return seen.keys() <= set(whole.atom_names.tolist()) and long <= 0.2 * len(lengths)
