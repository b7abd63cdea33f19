"""Which part of each residue of a motif is held, and which of them get a new amino acid."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from structdiff.chemistry.functional_groups import TIP_ATOMS
from structdiff.chemistry.residues import BACKBONE_ATOMS
from structdiff.errors import InputError
from structdiff.spec.design import DesignSpec
from structdiff.spec.layout import Layout
from structdiff.spec.segments import ResidueId
from structdiff.structure.tables import Structure

#: How much of a motif's residue is held, by its name in the motif: its backbone, its tip, or atoms by name; all of them
#: where it is not named.
Held = Mapping[ResidueId, str | tuple[str, ...]]
BACKBONE, TIP = "backbone", "tip"


def held_names(part: str | tuple[str, ...] | None, component: str, every: Collection[str]) -> Collection[str]:
    """Which atoms of a motif's residue are held, of all that it has."""
    if part is None:
        return every
    if isinstance(part, tuple):
        return part
    return BACKBONE_ATOMS if part == BACKBONE else TIP_ATOMS.get(component, ())


def partly_held(spec: DesignSpec) -> dict[ResidueId, str | tuple[str, ...]]:
    """Of which residues of the motif only the backbone, the tip, or some atoms are held."""
    return {**dict.fromkeys(spec.backbone_only, BACKBONE), **dict.fromkeys(spec.tip, TIP), **dict(spec.held_atoms)}


def retyped(spec: DesignSpec, layout: Layout) -> frozenset[ResidueId]:
    """Which residues of the motif get a new amino acid.

    A target keeps its types whatever becomes of a motif's, but for what is named; alone it is what is designed.
    """
    found = set(spec.redesign)
    if not spec.fixed_sequence:
        alone = all(residue.chain_is_fixed for residue in layout.residues)
        found |= {each.origin for each in layout.residues if each.origin and (alone or not each.chain_is_fixed)}
    return frozenset(found)


def let_go(design: Structure, place: int, origin: ResidueId, part: str | tuple[str, ...], resolved: np.ndarray) -> None:
    """Leaves only a part of a motif's residue held; raises InputError where that is not there."""
    rows = design.residue_atoms(place)
    component = str(design.residues.name[place])
    seen = design.atoms.name[rows][resolved[rows]].tolist()
    if isinstance(part, tuple) and (missing := [atom for atom in part if atom not in seen]):
        raise InputError(f"{component} {origin} has no such atom in the motif", key="held_atoms", found=missing[0],
                         allowed=seen, suggest_from=seen)  # fmt: skip
    kept = held_names(part, component, ())
    if part == TIP and not kept:
        raise InputError(f"what the functional group of {component} is is not known", key="tip", found=str(origin),
                         allowed="standard amino acids; held_atoms names atoms of any residue")  # fmt: skip
    resolved[rows] &= np.isin(design.atoms.name[rows], list(kept))
    if not resolved[rows].any():
        key = "tip" if part == TIP else "backbone_only"
        raise InputError(f"{component} has none of {', '.join(kept)} in the motif", key=key, found=str(origin),
                         allowed=seen)  # fmt: skip
