"""Atoms of one residue that have one name, as Open Babel and others write ligands into PDB files (C, C, C, O)."""

from __future__ import annotations

import warnings
from collections import Counter, defaultdict
from collections.abc import Mapping

import gemmi

_SAME = 0.1  # Å; an atom of the same name that is nearer is the same atom, listed twice
_ONE_OF_THEM = 1.01  # the occupancy of all that alternate at one place, with what rounding adds
_BACKBONES = ({"N", "CA", "C"}, {"C3'", "C4'"})


class RepeatedNamesWarning(UserWarning):
    """Atoms of a residue that have one name, without being alternates of each other."""


def number_repeated_names(structure: gemmi.Structure, name: str) -> None:
    """Numbers the atoms of residues whose atoms are all called after their elements (C1, C2, O1), in their order.

    Elsewhere the first atom of a name is the one that counts. Warns of both. A link to one of them goes to the atom of
    that element that is nearest to its other end. name: the file's.
    """
    numbered, dropped = {}, {}
    renamed: dict[tuple[str, str, str], gemmi.Residue] = {}
    for model in structure:
        for chain in model:
            for residue in chain:
                repeated = _repeated(residue)
                place = f"{residue.name} {residue.seqid} of chain {chain.name}"
                if repeated and all(atom.name.upper() == atom.element.name.upper() for atom in residue):
                    _number(residue)
                    numbered[place] = ""
                    renamed.setdefault((chain.name, str(residue.seqid), residue.name), residue)
                elif repeated:
                    dropped[place] = f"{' '.join(repeated)} of "
    if renamed:
        _link_nearest(structure, renamed)
    for found, says in (
        (numbered, "atoms that are called after their elements alone are numbered in their order"),
        (dropped, "atoms of one residue have the same name, and only the first of each is read"),
    ):
        if found:
            rows = [f"{names}{place}" for place, names in found.items()]
            more = f" and {len(rows) - 3} more residues" if len(rows) > 3 else ""
            warnings.warn(f"{name}: {says}: {'; '.join(rows[:3])}{more}", RepeatedNamesWarning, stacklevel=3)


def _repeated(residue: gemmi.Residue) -> list[str]:
    """Names that several atoms of a ligand have at different places, and all at once.

    Files without alternate locations have those too, with occupancies that come to one.
    """
    if len(residue) == len({(atom.name, atom.altloc) for atom in residue}) or _has_backbone(residue):
        return []
    rows: dict[tuple[str, str], list[gemmi.Atom]] = defaultdict(list)
    for atom in residue:
        same = rows[atom.name, atom.altloc]
        if all(other.pos.dist(atom.pos) > _SAME for other in same):
            same.append(atom)
    return list(dict.fromkeys(name for (name, _), same in rows.items() if _are_all_there(same)))


def _has_backbone(residue: gemmi.Residue) -> bool:
    names = {atom.name for atom in residue}
    return any(names >= backbone for backbone in _BACKBONES)


def _are_all_there(atoms: list[gemmi.Atom]) -> bool:
    return len(atoms) > 1 and sum(atom.occ for atom in atoms) > _ONE_OF_THEM


def _number(residue: gemmi.Residue) -> None:
    counts: Counter[tuple[str, str]] = Counter()
    for atom in residue:
        symbol = atom.element.name.upper()
        counts[symbol, atom.altloc] += 1
        atom.name = f"{symbol}{counts[symbol, atom.altloc]}"


def _link_nearest(structure: gemmi.Structure, renamed: Mapping[tuple[str, str, str], gemmi.Residue]) -> None:
    for link in structure.connections:
        for end, other in ((link.partner1, link.partner2), (link.partner2, link.partner1)):
            residue = renamed.get((end.chain_name, str(end.res_id.seqid), end.res_id.name))
            target = structure[0].find_cra(other).atom
            if residue is None or target is None:
                continue
            same = [atom for atom in residue if atom.element.name.upper() == end.atom_name.upper()]
            if same:
                end.atom_name = min(same, key=lambda atom: atom.pos.dist(target.pos)).name
