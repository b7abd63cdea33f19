"""What touches between the chains of a complex: contacts, buried surface, hotspots."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from structdiff.chemistry.elements import element_symbol
from structdiff.errors import InputError
from structdiff.evaluation.backbone import Backbone
from structdiff.evaluation.motif import ResidueKey
from structdiff.structure.tables import ChainKind, Structure
from structdiff.typing import Float, Int

CONTACT = 5.0  # Å between heavy atoms
CB_CONTACT = 8.0  # Å between CB atoms, where a side chain is absent
_PROBE = 1.4  # Å
_NUCLEIC = (ChainKind.DNA, ChainKind.RNA)
_POLYMERS = (ChainKind.PROTEIN, *_NUCLEIC)


@dataclass(frozen=True, kw_only=True)
class Interface:
    """contacts: pairs of residues of different chains with heavy atoms within 5 Å; area: buried surface (Å²)."""

    contacts: int
    area: float


def interface(structure: Structure) -> Interface | None:
    """The interfaces of all polymer chains of a structure together; None for a single chain."""
    chain = structure.atom_chain
    used = structure.atoms.resolved & np.isin(structure.chains.kind[chain], _POLYMERS)
    rows = np.flatnonzero(used)
    if len(np.unique(chain[rows])) < 2:
        return None
    positions = structure.atoms.positions[rows].astype(np.float64)
    near = KDTree(positions).query_pairs(CONTACT, output_type="ndarray").reshape(-1, 2)
    i, j = rows[near].T
    across = chain[i] != chain[j]
    residues = np.sort(np.stack([structure.atoms.residue[i], structure.atoms.residue[j]], -1)[across], axis=-1)
    return Interface(contacts=len(np.unique(residues, axis=0)), area=_buried_area(structure, rows))


def interface_pairs(structure: Structure, of: Collection[str] | None = None) -> int | None:
    """Pairs of residues of different polymer chains with CB within 8 Å; of nucleotides any atom stands for the CB.

    Side chains make no difference. of: chains of which one of the two has to be, any by default. None for a single
    chain.
    """
    residue, place = _interface_points(structure)
    chain = structure.residues.chain
    if len(np.unique(chain[residue])) < 2:
        return None
    wanted = np.ones(len(structure.chains), bool) if of is None else np.isin(structure.chains.name, list(of))
    near = pairs_across(structure, residue, place)
    asked = wanted[chain[near]].any(-1)
    return len(np.unique(np.sort(near[asked], axis=-1), axis=0))


def pairs_across(
    structure: Structure, residue: Int[np.ndarray, " point"], place: Float[np.ndarray, "point 3"]
) -> Int[np.ndarray, "pair 2"]:
    """Residues of different chains of which points (Å; residue: that each is of) are within 8 Å, for each such two."""
    near = residue[KDTree(place).query_pairs(CB_CONTACT, output_type="ndarray").reshape(-1, 2)]
    chain = structure.residues.chain[near]
    return near[chain[:, 0] != chain[:, 1]]


def _interface_points(structure: Structure) -> tuple[np.ndarray, np.ndarray]:
    """Residues and places (Å): CB of amino acids, or where it would be, and all atoms of nucleotides."""
    kind = structure.chains.kind[structure.residues.chain]
    cb = Backbone.from_structure(structure).cb_or_ideal
    known = np.isfinite(cb).all(-1)
    rows = np.flatnonzero(structure.atoms.resolved & np.isin(kind, _NUCLEIC)[structure.atoms.residue])
    residue = np.concatenate([np.flatnonzero(kind == ChainKind.PROTEIN)[known], structure.atoms.residue[rows]])
    return residue.astype(np.int64), np.concatenate([cb[known], structure.atoms.positions[rows]])


def _buried_area(structure: Structure, rows: np.ndarray) -> float:
    """Surface (Å²) of the chains alone less that of the complex, halved; NaN where an atom has no radius."""
    chain = structure.atom_chain[rows]
    together = _surface(structure, rows)
    alone = sum(_surface(structure, rows[chain == each]) for each in np.unique(chain))
    return float((alone - together) / 2)


def _surface(structure: Structure, rows: np.ndarray) -> float:
    from biotite.structure import AtomArray
    from biotite.structure.sasa import sasa

    atoms = AtomArray(len(rows))
    atoms.coord = structure.atoms.positions[rows]
    atoms.element = np.array([element_symbol(number).upper() for number in structure.atoms.element[rows].tolist()])
    atoms.atom_name = structure.atoms.name[rows].astype("U6")
    atoms.res_name = structure.residues.name[structure.atoms.residue[rows]].astype("U5")
    return float(np.nansum(sasa(atoms, probe_radius=_PROBE, point_number=200, vdw_radii="Single")))


def hotspots_touched(structure: Structure, hotspots: Sequence[ResidueKey]) -> float:
    """Share of given residues that another polymer chain touches: heavy atoms within 5 Å, or CB within 8 Å.

    The latter counts where one of the two residues has no side chain. Raises InputError for a residue not there.
    """
    touched = [_is_touched(structure, key) for key in hotspots]
    return float(np.mean(touched)) if touched else float("nan")


def _is_touched(structure: Structure, key: ResidueKey) -> bool:
    residues, chains = structure.residues, structure.chains
    match = (chains.name[residues.chain] == key[0]) & (residues.author_seq_id == key[1])
    rows = np.flatnonzero(match & (residues.insertion_code == key[2]))
    if not len(rows):
        raise InputError("a hotspot is not in the structure", found=f"{key[0]}{key[1]}{key[2]}")
    seen = structure.atoms.resolved
    own = seen & (structure.atoms.residue == rows[0])
    others = seen & (chains.name[structure.atom_chain] != key[0])
    others &= np.isin(chains.kind[structure.atom_chain], _POLYMERS)
    if not own.any() or not others.any():
        return False
    if KDTree(structure.atoms.positions[others]).query(structure.atoms.positions[own])[0].min() <= CONTACT:
        return True
    ends = _contact_atoms(structure)
    spot, partners = ends[structure.atoms.residue[ends] == rows[0]], ends[others[ends]]
    if not len(spot) or not len(partners):
        return False
    bare = (own.sum() <= 5) | (_sizes(structure)[structure.atoms.residue[partners]] <= 5)
    distance = np.linalg.norm(structure.atoms.positions[partners] - structure.atoms.positions[spot[0]], axis=-1)
    return bool(np.any(bare & (distance <= CB_CONTACT)))


def _contact_atoms(structure: Structure) -> np.ndarray:
    """Rows of the CB of each residue, or its CA where it has none."""
    names, resolved = structure.atoms.name, structure.atoms.resolved
    with_cb = np.zeros(len(structure.residues), bool)
    with_cb[structure.atoms.residue[resolved & (names == "CB")]] = True
    return np.flatnonzero(resolved & ((names == "CB") | ((names == "CA") & ~with_cb[structure.atoms.residue])))


def _sizes(structure: Structure) -> np.ndarray:
    return np.bincount(structure.atoms.residue[structure.atoms.resolved], minlength=len(structure.residues))
