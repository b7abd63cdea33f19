"""Is the motif of a design where it was asked to be."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from structdiff.chemistry.functional_groups import TIP_ATOMS
from structdiff.chemistry.residues import BACKBONE_ATOMS
from structdiff.errors import InputError
from structdiff.evaluation.comparison import EXCHANGEABLE
from structdiff.evaluation.superposition import rmsd, superpose
from structdiff.structure.tables import Structure

#: Chain, number and insertion code of a residue.
ResidueKey = tuple[str, int, str]
_Pair = tuple[int, int, tuple[str, ...]]  # residue of the design, residue of the motif, atoms held


@dataclass(frozen=True, kw_only=True)
class MotifResidue:
    """One residue of a motif: its name in the design and in the motif's file; residues of a group move as one.

    atoms: those that the design was asked to hold, TIP for its functional group; none for all of it.
    """

    design: ResidueKey
    motif: ResidueKey
    group: int = 1
    atoms: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class MotifDeviation:
    """RMSD (Å) of a design's motif to the given one: of the backbone, and of all heavy atoms (NaN where types differ).

    residues: how many there are. Of several groups, each superposed by itself, the worst counts. Where single atoms of
    residues were to be held these alone are compared; the backbone is NaN where fewer than three of its atoms were.
    """

    residues: int
    backbone: float
    all_atoms: float


def residues_of_map(residue_map: Mapping[str, Any]) -> list[MotifResidue]:
    """The motif residues of a design's residue map.

    Chains that were kept whole (a binder's target) are left out, and residues of which no atom was to be held.
    """
    kept = {str(each["chain"]) for each in residue_map.get("chains", ()) if each.get("kept")}
    rows = [
        MotifResidue(
            design=_key(row["design"]),
            motif=_key(row["motif"]),
            group=int(row.get("group", 1)),
            atoms=tuple(map(str, row.get("atoms", ()))),
        )
        for row in residue_map.get("residues", ())
        if row.get("atoms") != []
    ]
    return [row for row in rows if row.design[0] not in kept]


def motif_deviation(design: Structure, motif: Structure, residues: Sequence[MotifResidue]) -> MotifDeviation:
    """How far a design's motif is from the given one.

    Raises InputError where there are no residues, or one of them is in neither structure.
    """
    if not residues:
        raise InputError("the design has no motif residues", path=design.name or None)
    own, given = _places(design), _places(motif)
    groups: dict[int, list[_Pair]] = defaultdict(list)
    for residue in residues:
        for key, table, structure in ((residue.design, own, design), (residue.motif, given, motif)):
            if key not in table:
                message = "a motif residue is not in the structure"
                raise InputError(message, path=structure.name or None, found=f"{key[0]}{key[1]}{key[2]}")
        groups[residue.group].append((own[residue.design], given[residue.motif], residue.atoms))
    found = [_group_deviation(design, motif, rows) for rows in groups.values()]
    return MotifDeviation(
        residues=len(residues),
        backbone=_worst([backbone for backbone, _ in found]),
        all_atoms=float(np.max([all_atoms for _, all_atoms in found])),
    )


def _worst(values: list[float]) -> float:
    """The largest of those that there are, NaN of none."""
    return max((value for value in values if not np.isnan(value)), default=float("nan"))


def _group_deviation(design: Structure, motif: Structure, rows: list[_Pair]) -> tuple[float, float]:
    """Backbone and all-atom RMSD (Å) of one group, best superposed; the latter NaN where there are no side chains."""
    pairs = [pair for row in rows for pair in _atom_pairs(design, motif, *row)]
    backbone = [(own, given) for own, given, name, _ in pairs if name in BACKBONE_ATOMS]
    of_single_atoms = any(atoms for _, _, atoms in rows)
    if len(pairs if of_single_atoms else backbone) < 3:
        what = "atoms" if of_single_atoms else "backbone atoms"
        raise InputError(f"fewer than three {what} of the motif can be compared", path=design.name or None)
    mobile, target = (design.atoms.positions.astype(np.float64), motif.atoms.positions.astype(np.float64))
    of_backbone = float("nan")
    if len(backbone) >= 3:
        own, given = np.array(backbone).T
        of_backbone = rmsd(mobile[own], target[given])
    if len(pairs) == len(backbone):
        return of_backbone, float("nan")
    is_guide = [of_single_atoms or name in BACKBONE_ATOMS for _, _, name, _ in pairs]
    own, given = np.array([(own, given) for own, given, _, _ in pairs]).T
    placed = superpose(mobile[own], target[given], np.array(is_guide, float))
    own = own[_best_naming(placed, target[given], [(name, residue) for _, _, name, residue in pairs], design)]
    return of_backbone, rmsd(mobile[own], target[given])


def _atom_pairs(
    design: Structure, motif: Structure, own: int, given: int, held: tuple[str, ...]
) -> Iterator[tuple[int, int, str, int]]:
    """Atoms that both have and that were held: of the backbone always, of side chains where the types are the same."""
    kind = str(motif.residues.name[given])
    same_type = design.residues.name[own] == kind
    names = TIP_ATOMS.get(kind, ()) if held == ("TIP",) else held
    there = {
        str(design.atoms.name[row]): row
        for row in range(*design.residue_atoms(own).indices(len(design.atoms)))
        if design.atoms.resolved[row]
    }
    for row in range(*motif.residue_atoms(given).indices(len(motif.atoms))):
        name = str(motif.atoms.name[row])
        is_held = not held or name in names
        if is_held and motif.atoms.resolved[row] and name in there and (same_type or name in BACKBONE_ATOMS):
            yield there[name], row, name, own


def _best_naming(placed: np.ndarray, target: np.ndarray, atoms: list[tuple[str, int]], design: Structure) -> np.ndarray:
    """Order of the atoms in which symmetric side chains are named as the motif's."""
    order = np.arange(len(atoms))
    place = {(residue, name): row for row, (name, residue) in enumerate(atoms)}
    for residue in {residue for _, residue in atoms}:
        couples = EXCHANGEABLE.get(str(design.residues.name[residue]), ())
        rows = [
            (place[residue, a], place[residue, b]) for a, b in couples if {(residue, a), (residue, b)} <= set(place)
        ]
        if not rows:
            continue
        one = np.array([row for couple in rows for row in couple])
        other = np.array([row for couple in rows for row in couple[::-1]])
        if np.sum((placed[other] - target[one]) ** 2) < np.sum((placed[one] - target[one]) ** 2):
            order[one] = other
    return order


def _places(structure: Structure) -> dict[ResidueKey, int]:
    residues = structure.residues
    names = structure.chains.name[residues.chain].tolist()
    keys = zip(names, residues.author_seq_id.tolist(), residues.insertion_code.tolist(), strict=True)
    return {key: row for row, key in reversed(list(enumerate(keys)))}


def _key(entry: Mapping[str, Any]) -> ResidueKey:
    return str(entry["chain"]), int(entry["number"]), str(entry.get("insertion_code", ""))
