"""Where the ligands of a predicted complex are: RMSD and lDDT-PLI, whatever the names of equivalent atoms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from structdiff.chemistry.elements import element_symbol
from structdiff.evaluation.superposition import superpose
from structdiff.structure.ligand_molecules import ligand_rows
from structdiff.structure.tables import Structure

_POCKET = 10.0  # Å about the true ligand, of CA and C1' that are superposed
_REACH = 6.0  # Å, of lDDT-PLI
_THRESHOLDS = (0.5, 1.0, 2.0, 4.0)  # Å
_NAMINGS = 2000  # symmetric namings tried at most, not counting the orders of equal ends
_LACKING = 1e9  # Å², of an atom that the model lacks
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
    true_ligands, own_ligands = (list(ligand_rows(each, _SMALLEST)) for each in (reference, model))
    found: dict[tuple[int, int], _Fit] = {}
    for row, true in enumerate(true_ligands):
        for other, own in enumerate(own_ligands):
            namings = _namings(model, own, reference, true)
            if namings is not None:
                found[row, other] = _pose(model, namings, reference, polymer)
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


class _Namings(NamedTuple):
    """Rows of the model's atoms (naming, atom), one naming for each symmetry, and of the true atoms they stand for.

    ends: places of atoms that hang on one atom, such as the oxygens of a phosphate; every order of a group is as good,
    and the namings have one of them.
    """

    own: np.ndarray
    true: np.ndarray
    ends: list[np.ndarray]


def _namings(model: Structure, own: np.ndarray, reference: Structure, true: np.ndarray) -> _Namings | None:
    """How the atoms of two ligands may be paired; None where they are different molecules.

    Atoms that were not seen belong to a molecule too, where it is known whole; else what was seen may agree.
    """
    seen = own[model.atoms.resolved[own]], true[reference.atoms.resolved[true]]
    for one, two in ((own, true), seen):
        if len(one) != len(two) or sorted(model.atoms.element[one]) != sorted(reference.atoms.element[two]):
            continue
        ends = _equal_ends(reference, two)
        own_graph = _graph(model, one, _equal_ends(model, one))
        matches = own_graph.GetSubstructMatches(_graph(reference, two, ends), uniquify=False, maxMatches=_NAMINGS)
        if matches:
            return _Namings(one[np.array(matches)], two, ends)
    return None


def _equal_ends(structure: Structure, rows: np.ndarray) -> list[np.ndarray]:
    """Places among the rows of atoms with one bond, grouped by element and the atom that they hang on."""
    one, other = structure.bonds.atom_1, structure.bonds.atom_2
    inside = np.isin(one, rows) & np.isin(other, rows)
    one, other = np.concatenate([one[inside], other[inside]]), np.concatenate([other[inside], one[inside]])
    groups: dict[tuple[int, int], list[int]] = {}
    for place, row in enumerate(rows.tolist()):
        partners = other[one == row].tolist()
        if len(partners) == 1:
            groups.setdefault((partners[0], int(structure.atoms.element[row])), []).append(place)
    return [np.array(group) for group in groups.values() if len(group) > 1]


def _graph(structure: Structure, rows: np.ndarray, ends: list[np.ndarray]):  # noqa: ANN202 - an RDKit molecule, loaded late
    """Elements and bonds, all single: bond orders differ between files and do not matter for who is who.

    Equal ends are told apart as isotopes: their orders are too many to be listed (46656 in inositol hexaphosphate).
    """
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
    for group in ends:
        for number, end in enumerate(group.tolist(), 1):
            molecule.GetAtomWithIdx(end).SetIsotope(number)
    return molecule.GetMol()


def _pose(model: Structure, namings: _Namings, reference: Structure, polymer: _Pairing) -> _Fit:
    """Lowest RMSD (Å) and highest lDDT-PLI over the namings of a ligand, by the atoms seen in the reference."""
    there = reference.atoms.resolved[namings.true]
    target = reference.atoms.positions[namings.true].astype(np.float64)
    own, atom = np.unique(namings.own, return_inverse=True)
    numbered = namings._replace(own=atom.reshape(namings.own.shape))
    placed = np.where(model.atoms.resolved[own, None], model.atoms.positions[own].astype(np.float64), np.nan)
    reach = np.linalg.norm(polymer.reference[:, None] - target, axis=-1)
    reach[:, ~there] = np.inf
    kept = _kept(placed, reach, polymer)
    near = int((reach <= _REACH).sum())
    rmsd, most = _deviation(placed, target, there, reach, numbered, polymer)
    best = _assigned(kept, numbered, maximize=True).sum(-1).max() / near if near else float("nan")
    return _Fit(rmsd=rmsd, lddt_pli=float(best), atoms=most)


def _assigned(table: np.ndarray, namings: _Namings, *, maximize: bool = False) -> np.ndarray:
    """What a table (own atom, true atom) says of the atoms (naming, atom), equal ends in their best order."""
    chosen = table[namings.own, np.arange(len(namings.true))]
    for group in namings.ends:
        for row, own in enumerate(namings.own[:, group]):
            part = table[np.ix_(own, group)]
            first, second = linear_sum_assignment(part, maximize=maximize)
            chosen[row, group[second]] = part[first, second]
    return chosen


def _deviation(
    placed: np.ndarray, target: np.ndarray, there: np.ndarray, reach: np.ndarray, namings: _Namings, polymer: _Pairing
) -> tuple[float, int]:
    """RMSD (Å) of the naming that agrees best by the atoms that both have, and their number; NaN where nothing can be
    superposed.

    placed (own atom, 3): NaN for atoms that the model lacks. target (true atom, 3) and which of them were seen. reach
    (polymer atom, true atom): true distances.
    """
    has = np.isfinite(placed).all(-1)
    pocket = polymer.centre & (reach.min(1) <= _POCKET)
    if pocket.sum() < 3:
        pocket = polymer.centre
    number = int(pocket.sum())
    points = np.concatenate([polymer.model[pocket], placed[has]])
    goal = np.concatenate([polymer.reference[pocket], np.zeros((int(has.sum()), 3))])
    weights = np.r_[np.ones(number), np.zeros(int(has.sum()))]
    moved = np.full_like(placed, np.nan)
    if number >= 3:
        moved[has] = superpose(points, goal, weights)[number:]
    # Of a ligand that lacks atoms, the naming with the most of them comes first.
    squares = np.sum((moved[:, None] - target) ** 2, -1)
    squares[~has] = _LACKING
    squares[:, ~there] = 0
    if number < 3:
        squares[np.isnan(squares)] = 0
    chosen = _assigned(squares, namings)[:, there]
    found = (chosen < _LACKING).sum(-1)
    best = chosen[found == found.max()]
    total = np.where(best < _LACKING, best, 0).sum(-1).min()
    most = int(found.max())
    return (float(np.sqrt(total / most)) if number >= 3 and most else float("nan")), most


def _kept(placed: np.ndarray, reach: np.ndarray, polymer: _Pairing) -> np.ndarray:
    """Number of true distances to near atoms of the polymer that are kept, were an atom of the model the true one:
    (own atom, true atom). Those to atoms that the model lacks (NaN) are not.
    """
    kept = np.zeros((len(placed), reach.shape[1]))
    for atom, distance in enumerate(reach.T):
        near = np.flatnonzero(distance <= _REACH)
        off = np.abs(np.linalg.norm(polymer.model[near] - placed[:, None], axis=-1) - distance[near])
        kept[:, atom] = np.mean([off <= threshold for threshold in _THRESHOLDS], axis=0).sum(-1)
    return kept
