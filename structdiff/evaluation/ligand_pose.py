"""Where the ligands of a predicted complex are: RMSD and lDDT-PLI, whatever the names of equivalent atoms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from structdiff.chemistry.elements import element_symbol
from structdiff.evaluation.superposition import superpose
from structdiff.structure.tables import ChainKind, Structure

_POCKET = 10.0  # Å about the true ligand, of CA and C1' that are superposed
_REACH = 6.0  # Å, of lDDT-PLI
_THRESHOLDS = (0.5, 1.0, 2.0, 4.0)  # Å
_NAMINGS = 2000  # symmetric namings tried at most
_SMALLEST = 4  # heavy atoms: ions and waters have no pose


#: What crystals are grown and frozen in; AlphaFold 3 (Nature 630, 493, 2024), supplementary table 9.
ADDITIVES = frozenset(
    ("SO4", "GOL", "EDO", "PO4", "ACT", "PEG", "DMS", "TRS", "PGE", "PG4", "FMT", "EPE", "MPD", "MES", "CD", "IOD")
)


@dataclass(frozen=True, kw_only=True)
class LigandPose:
    """One ligand of the reference and how the model has it.

    name: CCD code; chain, number: the reference's author's. atoms: heavy atoms seen in the reference; atoms_found: how
    many of them the model has, 0 where it lacks the ligand. rmsd: Å over these, NaN where there are none. lddt_pli:
    distances of atoms that the model lacks are not kept. is_additive: a lone molecule of those crystals are grown in.
    """

    name: str
    chain: str
    number: int
    atoms: int
    atoms_found: int
    rmsd: float
    lddt_pli: float
    is_additive: bool

    @property
    def label(self) -> str:
        """The ligand as a note names it."""
        return f"{self.name} {self.chain}{self.number}"


@dataclass(frozen=True, kw_only=True)
class _Fit:
    """How well one ligand of the model stands for one of the reference."""

    rmsd: float
    lddt_pli: float
    atoms: int


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
    found: dict[tuple[int, int], _Fit] = {}
    for row, true in enumerate(true_ligands):
        for other, own in enumerate(own_ligands):
            namings = _namings(model, own, reference, true)
            if namings is not None:
                found[row, other] = _pose(model, namings.own, reference, namings.true, polymer)
    assigned: dict[int, _Fit] = {}
    taken: set[int] = set()
    for row, other in sorted(found, key=lambda key: found[key].rmsd):
        if row not in assigned and other not in taken:
            assigned[row] = found[row, other]
            taken.add(other)
    return [_described(reference, true, assigned.get(row)) for row, true in enumerate(true_ligands)]


def _described(reference: Structure, true: np.ndarray, fit: _Fit | None) -> LigandPose:
    rows = np.unique(reference.atoms.residue[true])
    name = str(reference.residues.name[rows[0]])
    return LigandPose(
        name=name,
        chain=str(reference.chains.name[reference.residues.chain[rows[0]]]),
        number=int(reference.residues.author_seq_id[rows[0]]),
        atoms=int(reference.atoms.resolved[true].sum()),
        atoms_found=0 if fit is None else fit.atoms,
        rmsd=float("nan") if fit is None else fit.rmsd,
        lddt_pli=0.0 if fit is None else fit.lddt_pli,
        is_additive=len(rows) == 1 and name in ADDITIVES,
    )


def _ligands(structure: Structure) -> Iterator[np.ndarray]:
    """Rows of the atoms, seen or not, of each ligand chain."""
    for chain in np.flatnonzero(structure.chains.kind == ChainKind.LIGAND).tolist():
        rows = np.flatnonzero(structure.atom_chain == chain)
        if structure.atoms.resolved[rows].sum() >= _SMALLEST:
            yield rows


class _Namings(NamedTuple):
    """Rows of the model's atoms (naming, atom), one naming for each symmetry, and of the true atoms they stand for."""

    own: np.ndarray
    true: np.ndarray


def _namings(model: Structure, own: np.ndarray, reference: Structure, true: np.ndarray) -> _Namings | None:
    """How the atoms of two ligands may be paired; None where they are different molecules.

    Atoms that were not seen belong to a molecule too, where it is known whole; else what was seen may agree.
    """
    seen = own[model.atoms.resolved[own]], true[reference.atoms.resolved[true]]
    for one, two in ((own, true), seen):
        if len(one) != len(two) or sorted(model.atoms.element[one]) != sorted(reference.atoms.element[two]):
            continue
        own_graph, true_graph = _graph(model, one), _graph(reference, two)
        matches = own_graph.GetSubstructMatches(true_graph, uniquify=False, maxMatches=_NAMINGS)
        if matches:
            return _Namings(one[np.array(matches)], two)
    return None


def _graph(structure: Structure, rows: np.ndarray):  # noqa: ANN202 - an RDKit molecule, loaded late
    """Elements and bonds, all single: bond orders differ between files and do not matter for who is who."""
    from rdkit import Chem

    molecule = Chem.RWMol()
    place = {}
    for row in rows.tolist():
        atom = Chem.Atom(element_symbol(int(structure.atoms.element[row])))
        atom.SetNoImplicit(True)
        place[row] = molecule.AddAtom(atom)
    for one, two in zip(structure.bonds.atom_1.tolist(), structure.bonds.atom_2.tolist(), strict=True):
        if one in place and two in place:
            molecule.AddBond(place[one], place[two], Chem.BondType.SINGLE)
    return molecule.GetMol()


def _pose(model: Structure, namings: np.ndarray, reference: Structure, true: np.ndarray, polymer: _Pairing) -> _Fit:
    """Lowest RMSD (Å) and highest lDDT-PLI over the namings of a ligand, by the atoms seen in the reference."""
    there = reference.atoms.resolved[true]
    namings, true = namings[:, there], true[there]
    target = reference.atoms.positions[true].astype(np.float64)
    placed = np.where(model.atoms.resolved[:, None], model.atoms.positions.astype(np.float64), np.nan)[namings]
    most = int(np.isfinite(placed).all(-1).sum(-1).max())
    reach = np.linalg.norm(polymer.reference[:, None] - target, axis=-1)
    near, atom = np.nonzero(reach <= _REACH)
    kept = [_kept(polymer.model[near], each[atom], reach[near, atom]) for each in placed] if len(near) else []
    return _Fit(rmsd=_deviation(placed, target, reach, polymer), lddt_pli=max(kept, default=float("nan")), atoms=most)


def _deviation(placed: np.ndarray, target: np.ndarray, reach: np.ndarray, polymer: _Pairing) -> float:
    """RMSD (Å) of the naming that agrees best, by the atoms that the model has; NaN where nothing can be superposed.

    placed (naming, atom, 3): NaN for atoms that the model lacks. reach (polymer atom, atom): true distances.
    """
    pocket = polymer.centre & (reach.min(1) <= _POCKET)
    if pocket.sum() < 3:
        pocket = polymer.centre
    number = int(pocket.sum())
    if number < 3:
        return float("nan")
    flat = placed.reshape(-1, 3)
    has = np.isfinite(flat).all(-1)
    points = np.concatenate([polymer.model[pocket], flat[has]])
    goal = np.concatenate([polymer.reference[pocket], np.zeros((int(has.sum()), 3))])
    weights = np.r_[np.ones(number), np.zeros(int(has.sum()))]
    moved = np.full_like(flat, np.nan)
    moved[has] = superpose(points, goal, weights)[number:]
    squares = np.sum((moved.reshape(placed.shape) - target) ** 2, -1)
    # Of a ligand that lacks atoms, the naming with the most of them comes first.
    found = np.isfinite(squares).sum(-1)
    return float(np.sqrt(np.min(np.nanmean(squares[found == found.max()], -1))))


def _kept(polymer: np.ndarray, ligand: np.ndarray, true_distance: np.ndarray) -> float:
    """Share of distances kept; those to atoms that the model lacks (NaN) are not."""
    off = np.abs(np.linalg.norm(polymer - ligand, axis=-1) - true_distance)
    return float(np.mean([off <= threshold for threshold in _THRESHOLDS]))
