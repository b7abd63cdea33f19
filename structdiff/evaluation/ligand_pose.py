"""Where the ligands of a predicted complex are: RMSD and lDDT-PLI, whatever the names of equivalent atoms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from structdiff.chemistry.elements import SYMBOLS
from structdiff.evaluation.superposition import superpose
from structdiff.structure.tables import ChainKind, Structure

_POCKET = 10.0  # Å about the true ligand, of CA and C1' that are superposed
_REACH = 6.0  # Å, of lDDT-PLI
_THRESHOLDS = (0.5, 1.0, 2.0, 4.0)  # Å
_NAMINGS = 2000  # symmetric namings tried at most
_SMALLEST = 4  # heavy atoms: ions and waters have no pose


@dataclass(frozen=True, kw_only=True)
class LigandPose:
    """One ligand of the reference: its CCD code, RMSD (Å; NaN where the model lacks it) and lDDT-PLI (0 then)."""

    name: str
    rmsd: float
    lddt_pli: float


@dataclass(frozen=True, kw_only=True)
class _Pairing:
    """Paired polymer atoms: in the model and in the reference (atom, 3), and which of them are CA or C1' (atom)."""

    model: np.ndarray
    reference: np.ndarray
    centre: np.ndarray


def ligand_poses(
    model: Structure, reference: Structure, positions: np.ndarray, true_positions: np.ndarray, names: np.ndarray
) -> list[LigandPose]:
    """Every ligand of the reference with four heavy atoms or more beside the model's of the same constitution.

    positions, true_positions (atom, 3): polymer atoms that both have, paired; names (atom): theirs. Of several equal
    ligands in the model, each stands for one of the reference, the nearest first.
    """
    paired = np.isfinite(positions).all(-1)
    polymer = _Pairing(
        model=positions[paired], reference=true_positions[paired], centre=np.isin(names[paired], ("CA", "C1'"))
    )
    true_ligands, own_ligands = list(_ligands(reference)), list(_ligands(model))
    found: dict[tuple[int, int], tuple[float, float]] = {}
    for row, true in enumerate(true_ligands):
        for other, own in enumerate(own_ligands):
            namings = _namings(model, own, reference, true)
            if namings is not None:
                found[row, other] = _pose(model, own, reference, true, namings, polymer)
    assigned: dict[int, int] = {}
    for row, other in sorted(found, key=lambda key: found[key][0]):
        if row not in assigned and other not in assigned.values():
            assigned[row] = other
    return [
        LigandPose(
            name=str(reference.residues.name[reference.atoms.residue[true[0]]]),
            rmsd=found[row, assigned[row]][0] if row in assigned else float("nan"),
            lddt_pli=found[row, assigned[row]][1] if row in assigned else 0.0,
        )
        for row, true in enumerate(true_ligands)
    ]


def _ligands(structure: Structure) -> Iterator[np.ndarray]:
    """Rows of the seen atoms of each ligand chain."""
    for chain in np.flatnonzero(structure.chains.kind == ChainKind.LIGAND).tolist():
        rows = np.flatnonzero((structure.atom_chain == chain) & structure.atoms.resolved)
        if len(rows) >= _SMALLEST:
            yield rows


def _namings(model: Structure, own: np.ndarray, reference: Structure, true: np.ndarray) -> np.ndarray | None:
    """Rows of the model's atoms in the order of the true ones (naming, atom), one for each symmetry; None if unlike."""
    if len(own) != len(true) or sorted(model.atoms.element[own]) != sorted(reference.atoms.element[true]):
        return None
    own_graph, true_graph = _graph(model, own), _graph(reference, true)
    matches = own_graph.GetSubstructMatches(true_graph, uniquify=False, maxMatches=_NAMINGS)
    return own[np.array(matches)] if matches else None


def _graph(structure: Structure, rows: np.ndarray):  # noqa: ANN202 - an RDKit molecule, loaded late
    """Elements and bonds, all single: bond orders differ between files and do not matter for who is who."""
    from rdkit import Chem

    molecule = Chem.RWMol()
    place = {}
    for row in rows.tolist():
        atom = Chem.Atom(SYMBOLS[int(structure.atoms.element[row]) - 1])
        atom.SetNoImplicit(True)
        place[row] = molecule.AddAtom(atom)
    for one, two in zip(structure.bonds.atom_1.tolist(), structure.bonds.atom_2.tolist(), strict=True):
        if one in place and two in place:
            molecule.AddBond(place[one], place[two], Chem.BondType.SINGLE)
    return molecule.GetMol()


def _pose(
    model: Structure, own: np.ndarray, reference: Structure, true: np.ndarray, namings: np.ndarray, polymer: _Pairing
) -> tuple[float, float]:
    """Lowest RMSD (Å) and highest lDDT-PLI over the namings of a ligand."""
    target = reference.atoms.positions[true].astype(np.float64)
    own_positions = model.atoms.positions.astype(np.float64)
    reach = np.linalg.norm(polymer.reference[:, None] - target, axis=-1)
    pocket = polymer.centre & (reach.min(1) <= _POCKET)
    if pocket.sum() < 3:
        pocket = polymer.centre
    deviation = float("nan")
    if pocket.sum() >= 3:
        weights = np.r_[np.ones(int(pocket.sum())), np.zeros(len(own))]
        points = np.concatenate([polymer.model[pocket], own_positions[own]])
        moved = superpose(points, np.concatenate([polymer.reference[pocket], target]), weights)[int(pocket.sum()) :]
        place = {row: number for number, row in enumerate(own.tolist())}
        order = np.vectorize(place.__getitem__)(namings)
        deviation = float(np.sqrt(np.min(np.mean(np.sum((moved[order] - target) ** 2, -1), -1))))
    near, atom = np.nonzero(reach <= _REACH)
    if not len(near):
        return deviation, float("nan")
    kept = [_kept(polymer.model[near], own_positions[naming[atom]], reach[near, atom]) for naming in namings]
    return deviation, max(kept)


def _kept(polymer: np.ndarray, ligand: np.ndarray, true_distance: np.ndarray) -> float:
    off = np.abs(np.linalg.norm(polymer - ligand, axis=-1) - true_distance)
    return float(np.mean([off <= threshold for threshold in _THRESHOLDS]))
