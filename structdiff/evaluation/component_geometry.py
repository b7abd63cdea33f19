"""Bonds and angles inside residues, nucleotides and ligands, against each component's ideal conformer.

The backbone of proteins is left to Engh & Huber (``covalent``); this is for side chains, nucleic acids and ligands.
Side chains of the standard amino acids are held against the medians of high-resolution chains of the training split,
because ideal conformers are those of the neutral acid. Others have wide sigmas: their conformer is one of many.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import resources

import numpy as np

from structdiff.chemistry.components import PEPTIDE, Component, component
from structdiff.chemistry.residues import BACKBONE_ATOMS, PROTEIN_THREE_TO_ONE
from structdiff.evaluation.internal_coordinates import bond_angle
from structdiff.structure.tables import ChainKind, Structure

BOND_SIGMA, WIDE_BOND_SIGMA = 0.02, 0.03  # Å
ANGLE_SIGMA, WIDE_ANGLE_SIGMA = np.radians(2.5), np.radians(3.0)
SIDE_CHAIN_FILE = "side_chains.json"
SIGMA_LIMIT = 4.0


@dataclass(frozen=True, kw_only=True)
class ComponentGeometry:
    """Shares of bonds and angles over 4 sigma off their targets; NaN where there is nothing to judge."""

    bonds_over_4_sigma: float
    angles_over_4_sigma: float


def component_geometry(structure: Structure) -> ComponentGeometry:
    """How well side chains, nucleotides and ligands keep the bonds and angles of their components."""
    bonds, angles = [], []
    for name, rows in _placed(structure):
        topology = _topology(component(name, structure.components))
        length, angle = _measured(topology, _positions(structure, rows))
        bonds.append(((length - topology.lengths) / topology.bond_sigma).ravel())
        angles.append(((angle - topology.openings) / topology.angle_sigma).ravel())
    return ComponentGeometry(bonds_over_4_sigma=_share_over_limit(bonds), angles_over_4_sigma=_share_over_limit(angles))


@dataclass(frozen=True, eq=False)
class _Topology:
    """Rows of a component's atoms: bonds (bond, 2) and angles (angle, 3).

    lengths (Å) and openings (radian) are the targets of bonds and angles.
    """

    bonds: np.ndarray
    angles: np.ndarray
    lengths: np.ndarray
    openings: np.ndarray
    bond_sigma: float = WIDE_BOND_SIGMA
    angle_sigma: float = WIDE_ANGLE_SIGMA


@functools.lru_cache(maxsize=512)
def _topology(definition: Component) -> _Topology:
    names = definition.atom_names.tolist()
    elsewhere = (*BACKBONE_ATOMS, "CB", "OXT") if definition.kind == PEPTIDE else ()
    backbone = {row for row, name in enumerate(names) if name in elsewhere}
    near = definition.neighbours()
    bonds = [pair for pair in definition.bonds.tolist() if not set(pair) <= backbone]
    angles = [
        (a, b, c) for b in range(len(names)) for a in near[b] for c in near[b] if a < c and not {a, b, c} <= backbone
    ]
    nothing = np.zeros(0)
    topology = _Topology(
        bonds=np.array(bonds, np.int64).reshape(-1, 2),
        angles=np.array(angles, np.int64).reshape(-1, 3),
        lengths=nothing,
        openings=nothing,
    )
    lengths, openings = (x[0] for x in _measured(topology, definition.ideal_positions[None].astype(np.float64)))
    topology = dataclasses.replace(topology, lengths=lengths, openings=openings)
    side_chains = _side_chains()
    if definition.name not in side_chains:
        return topology
    # An atom that the table does not name (OXT) keeps the ideal conformer's targets.
    known = side_chains[definition.name]
    bonds = [" ".join(names[row] for row in pair) for pair in topology.bonds.tolist()]
    angles = [" ".join(names[row] for row in three) for three in topology.angles.tolist()]
    return dataclasses.replace(
        topology,
        lengths=np.array([known["bonds"].get(k, ideal) for k, ideal in zip(bonds, lengths, strict=True)]),
        openings=np.array([known["angles"].get(k, ideal) for k, ideal in zip(angles, openings, strict=True)]),
        bond_sigma=BOND_SIGMA,
        angle_sigma=ANGLE_SIGMA,
    )


def estimate_side_chains(
    structures: Iterable[Structure], *, at_least: int = 50
) -> dict[str, dict[str, dict[str, float]]]:
    """Median bond lengths (Å) and angles (radian) of the standard amino acids' side chains, by names of atoms."""
    seen: dict[tuple[str, str, str], list[np.ndarray]] = defaultdict(list)
    for structure in structures:
        for name, rows in _placed(structure):
            if name in PROTEIN_THREE_TO_ONE:
                topology, names = _topology(component(name)), component(name).atom_names
                measured = _measured(topology, _positions(structure, rows))
                tables = (topology.bonds, topology.angles)
                for kind, table, values in zip(("bonds", "angles"), tables, measured, strict=True):
                    for atoms, column in zip(table, values.T, strict=True):
                        seen[name, kind, " ".join(names[atoms])].append(column[np.isfinite(column)])
    out: dict[str, dict[str, dict[str, float]]] = {}
    for (name, kind, atoms), parts in sorted(seen.items()):
        values = np.concatenate(parts)
        if len(values) >= at_least:
            entry = out.setdefault(name, {"bonds": {}, "angles": {}})
            entry[kind][atoms] = round(float(np.median(values)), 4)
    return out


@functools.cache
def _side_chains() -> dict[str, dict[str, dict[str, float]]]:
    text = resources.files("structdiff.evaluation").joinpath("data").joinpath(SIDE_CHAIN_FILE).read_text()
    return json.loads(text)["residues"]


def _measured(topology: _Topology, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bond lengths and angles of placed components (residue, atom, 3)."""
    a, b = topology.bonds.T
    lengths = np.linalg.norm(positions[:, a] - positions[:, b], axis=-1)
    a, b, c = topology.angles.T
    return lengths, bond_angle(positions[:, a], positions[:, b], positions[:, c])


def _placed(structure: Structure) -> Iterator[tuple[str, np.ndarray]]:
    """For each component name, rows of the atoms of its residues (residue, atom of the component), -1 where absent."""
    residues, atoms = structure.residues, structure.atoms
    judged = structure.chains.kind[residues.chain] != ChainKind.WATER
    for name in np.unique(residues.name[judged]).tolist():
        index = component(name, structure.components).atom_index
        own = np.flatnonzero(judged & (residues.name == name))
        rows = np.full((len(own), len(index)), -1)
        for place, residue in enumerate(own.tolist()):
            for row in range(*structure.residue_atoms(residue).indices(len(atoms))):
                column = index.get(str(atoms.name[row]))
                if column is not None and atoms.resolved[row]:
                    rows[place, column] = row
        yield name, rows


def _positions(structure: Structure, rows: np.ndarray) -> np.ndarray:
    return np.where((rows >= 0)[..., None], structure.atoms.positions[rows].astype(np.float64), np.nan)


def _share_over_limit(parts: list[np.ndarray]) -> float:
    values = np.concatenate(parts) if parts else np.zeros(0)
    values = values[np.isfinite(values)]
    return float(np.mean(np.abs(values) > SIGMA_LIMIT)) if len(values) else float("nan")
