"""From what is asked, in a complex or a design, to what the network is told and what is checked in the end."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from structdiff.errors import InputError
from structdiff.features.condition import (
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
from structdiff.spec.layout import Layout
from structdiff.structure.scaffold import Scaffold
from structdiff.structure.tables import Structure

#: A hotspot is touched when a backbone atom of the design comes this near (Å) to any of its heavy atoms.
HOTSPOT_DISTANCE = 8.0

_SECONDARY_STRUCTURE = {"H": HELIX, "E": STRAND, "L": LOOP, "?": 0}
_BURIAL = {"B": BURIED, "P": PARTLY_BURIED, "E": EXPOSED, "?": 0}


def design_condition(spec: DesignSpec, layout: Layout, scaffold: Scaffold, tokens: TokenTable) -> Condition:
    """Everything a design asks for; residues and tokens are mapped one to many for what is no standard residue."""
    group = scaffold.residue_group[tokens.residue]
    kept = group > 0
    channels: dict[str, np.ndarray] = {
        "motif_group": group,
        "structure_fixed": kept,
        "sequence_known": kept if spec.fixed_sequence else np.zeros(len(tokens), bool),
    }
    fixed_chain = np.array([residue.chain_is_fixed for residue in layout.residues])[tokens.residue]
    channels["sequence_known"] = channels["sequence_known"] | fixed_chain
    for channel, asked, value in (("hotspot", spec.hotspots, HOTSPOT), ("keep_away", spec.keep_away, KEEP_AWAY)):
        marked = np.isin(tokens.residue, layout.indices(asked, channel))
        channels[channel] = np.where(marked, value, 0)
    letters = {"secondary_structure": (spec.secondary_structure_of(layout), _SECONDARY_STRUCTURE)}
    letters["burial"] = (spec.burial_of(layout), _BURIAL)
    for channel, (text, codes) in letters.items():
        channels[channel] = np.array([codes[letter] for letter in text], np.int8)[tokens.residue]
    return Condition.unknown(len(tokens)).replace(**channels)


def complex_condition(spec: ComplexSpec, structure: Structure, tokens: TokenTable) -> Condition:
    """The contacts and pockets that a complex asks for, as upper bounds and hotspots."""
    bound = np.zeros((len(tokens), len(tokens)), np.float32)
    hotspot = np.zeros(len(tokens), np.int8)
    for constraint in spec.constraints:
        if isinstance(constraint, ContactSpec):
            first, second = (site_tokens(structure, tokens, site) for site in (constraint.token1, constraint.token2))
            bound[np.ix_(first, second)] = bound[np.ix_(second, first)] = constraint.max_distance
        elif isinstance(constraint, PocketSpec):
            for site in constraint.contacts:
                hotspot[site_tokens(structure, tokens, site)] = HOTSPOT
    return Condition.unknown(len(tokens)).replace(contact_bound=bound, hotspot=hotspot)


@dataclass(frozen=True, kw_only=True)
class Proximity:
    """Two sets of atoms (rows of the structure) that must come near each other, or must not (``avoid``).

    bound: the distance in Å between the nearest atoms, at most, or at least when avoiding.
    """

    name: str
    first: np.ndarray
    second: np.ndarray
    bound: float
    avoid: bool = False


def design_proximities(spec: DesignSpec, layout: Layout, structure: Structure, tokens: TokenTable) -> list[Proximity]:
    """One proximity a hotspot and keep-away residue, between all its atoms and the backbone of what is designed."""
    new = np.array([residue.origin is None for residue in layout.residues])
    designed = np.flatnonzero(new[structure.atoms.residue])
    asked = []
    for name, residues, avoid in (("hotspot", spec.hotspots, False), ("keep away", spec.keep_away, True)):
        for residue, place in zip(residues, layout.indices(residues, name), strict=True):
            atoms = np.arange(len(structure.atoms))[structure.residue_atoms(place)]
            asked.append(
                Proximity(name=f"{name} {residue}", first=atoms, second=designed, bound=HOTSPOT_DISTANCE, avoid=avoid)
            )
    return asked


def complex_proximities(spec: ComplexSpec, structure: Structure) -> list[Proximity]:
    """One proximity a contact, and one a residue of a pocket."""
    asked = []
    for constraint in spec.constraints:
        if isinstance(constraint, ContactSpec):
            name = f"contact {constraint.token1} - {constraint.token2}"
            pairs = [(name, constraint.token1, site_atoms(structure, constraint.token2))]
        else:
            chain = int(np.flatnonzero(structure.chains.name == constraint.binder)[0])
            binder = np.flatnonzero(structure.atom_chain == chain)
            pairs = [(f"pocket {constraint.binder} - {site}", site, binder) for site in constraint.contacts]
        for name, site, others in pairs:
            first = site_atoms(structure, site)
            asked.append(Proximity(name=name, first=first, second=others, bound=constraint.max_distance))
    return asked


def site_atoms(structure: Structure, site: Site) -> np.ndarray:
    """Rows of the atoms of a residue, or of the one atom named; raises InputError when it is not there."""
    chain = int(np.flatnonzero(structure.chains.name == site.chain)[0])
    rows = structure.residue_atoms(structure.chain_residues(chain).start + site.residue - 1)
    names = structure.atoms.name[rows].tolist()
    if site.atom is None:
        return np.arange(rows.start, rows.stop)
    if site.atom not in names:
        raise InputError(f"{site.chain}/{site.residue} has no such atom", found=site.atom, allowed=names,
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
