"""Parts of a structure small enough to train on: stretches of a chain and spatial neighbourhoods.

A token is a standard residue of a polymer, or one atom of anything else; residues and ligands are never cut.
"""

from __future__ import annotations

import numpy as np

from structdiff.chemistry.residues import RESIDUE_ATOMS
from structdiff.errors import InputError
from structdiff.structure.tables import ChainKind, Structure

#: Residues of two chains this near (Å, between centre atoms) touch; AlphaFold 3, section 2.5.3.
INTERFACE_DISTANCE = 15.0
_STANDARD = np.array(sorted(RESIDUE_ATOMS))
_POLYMERS = (ChainKind.PROTEIN, ChainKind.DNA, ChainKind.RNA)


def residue_tokens(structure: Structure) -> np.ndarray:
    """Number of tokens of each residue: 1 if standard and in a polymer, its atoms if not, 0 for water."""
    residues = structure.residues
    kind = structure.chains.kind[residues.chain]
    count = np.diff(residues.atom_start, append=len(structure.atoms))
    row = np.minimum(np.searchsorted(_STANDARD, residues.name), len(_STANDARD) - 1)
    standard = (_STANDARD[row] == residues.name) & np.isin(kind, _POLYMERS)
    return np.where(standard, 1, np.where(kind == ChainKind.WATER, 0, count))


def crop_contiguous(structure: Structure, max_tokens: int, rng: np.random.Generator) -> Structure:
    """A stretch of at most max_tokens tokens of one chain, or the whole chain if it is shorter.

    The chain is drawn with the probability of its length, among polymers if there are any; its stretch is drawn evenly.
    A modified residue too large for the crop ends a stretch.
    """
    tokens = _checked_tokens(structure, max_tokens)
    chain = structure.residues.chain
    fits = (tokens > 0) & (tokens <= max_tokens)
    polymer = fits & np.isin(structure.chains.kind, _POLYMERS)[chain]
    rows = np.flatnonzero(polymer if polymer.any() else fits)
    begins = np.flatnonzero(np.append(True, (np.diff(rows) > 1) | (np.diff(chain[rows]) > 0)))
    length = np.add.reduceat(tokens[rows], begins)
    piece = int(rng.choice(len(length), p=length / length.sum()))
    rows = np.split(rows, begins[1:])[piece]
    ends = np.cumsum(tokens[rows])
    starts = ends - tokens[rows]
    latest = int(np.searchsorted(starts, ends[-1] - max_tokens)) if ends[-1] > max_tokens else 0
    first = int(rng.integers(latest + 1))
    stop = int(np.searchsorted(ends, starts[first] + max_tokens, side="right"))
    keep = np.zeros(len(tokens), bool)
    keep[rows[first:stop]] = True
    return _take(structure, keep)


def crop_spatial(
    structure: Structure,
    max_tokens: int,
    rng: np.random.Generator,
    centre: int | None = None,
    *,
    interface_fraction: float = 0.5,
) -> Structure:
    """The residues nearest to a random one, at most max_tokens tokens; those never observed are left out.

    centre: row of the residue in the middle; by default one is drawn among those observed, with probability
    interface_fraction among those within 15 Å of another chain (if there are any). Distances are from centre atom
    (CA, C1') to centre atom, for ligands from their nearest atom. AlphaFold 3, section 2.5.4 (spatial cropping).
    """
    tokens = _checked_tokens(structure, max_tokens)
    place, centred = _places(structure)
    observed = np.flatnonzero(np.isfinite(place[:, 0]) & (tokens > 0) & (tokens <= max_tokens))
    if len(observed) == 0:
        raise InputError("nothing to crop: no residue that fits was observed", key=structure.name)
    if tokens[observed].sum() <= max_tokens and centre is None:
        keep = np.zeros(len(tokens), bool)
        keep[observed] = True
        return _take(structure, keep)
    if centre is None:
        centre = _draw_centre(structure, place, observed, rng, interface_fraction)
    distance = _distances(structure, place, centred, place[centre])[observed]
    order = observed[np.argsort(distance, kind="stable")]
    keep = np.zeros(len(tokens), bool)
    keep[_fill(order, tokens, max_tokens)] = True
    return _take(structure, keep)


def _fill(order: np.ndarray, tokens: np.ndarray, max_tokens: int) -> np.ndarray:
    """The first residues of an order until the tokens are used up; ligands too large for the rest are passed over."""
    while True:
        total = np.cumsum(tokens[order])
        fits = int(np.searchsorted(total, max_tokens, side="right"))
        if fits == len(order) or total[fits - 1 if fits else 0] == max_tokens:
            return order[:fits]
        order = np.delete(order, fits)


def _checked_tokens(structure: Structure, max_tokens: int) -> np.ndarray:
    tokens = residue_tokens(structure)
    fits = (tokens > 0) & (tokens <= max_tokens)
    if not fits.any():
        smallest = int(tokens[tokens > 0].min(initial=1 << 30))
        raise InputError(
            "no residue fits into a crop", key="max_tokens", found=max_tokens, allowed=f"{smallest} or more"
        )
    return tokens


def _take(structure: Structure, residues: np.ndarray) -> Structure:
    return structure if residues.all() else structure.select(residues[structure.atoms.residue])


def _places(structure: Structure) -> tuple[np.ndarray, np.ndarray]:
    """Where each residue is (its centre atom, else the mean of its seen atoms, else NaN); whether by centre atom."""
    atoms, count = structure.atoms, len(structure.residues)
    place = np.full((count, 3), np.nan, np.float32)
    centred = np.zeros(count, bool)
    kind = structure.chains.kind[structure.residues.chain][atoms.residue]
    centre = np.where(kind == ChainKind.PROTEIN, atoms.name == "CA", (atoms.name == "C1'") & (kind != ChainKind.LIGAND))
    rows = np.flatnonzero(centre & atoms.resolved)
    place[atoms.residue[rows]] = atoms.positions[rows]
    centred[atoms.residue[rows]] = True
    if not centred.all():
        seen = np.flatnonzero(atoms.resolved & ~centred[atoms.residue])
        number = np.bincount(atoms.residue[seen], minlength=count)
        some = number > 0
        for axis in range(3):
            total = np.bincount(atoms.residue[seen], weights=atoms.positions[seen, axis], minlength=count)
            place[some, axis] = total[some] / number[some]
    return place, centred


def _distances(structure: Structure, place: np.ndarray, centred: np.ndarray, origin: np.ndarray) -> np.ndarray:
    distance = np.sqrt(((place - origin) ** 2).sum(1))
    if centred.all():
        return distance
    atoms = structure.atoms
    rows = np.flatnonzero(atoms.resolved & ~centred[atoms.residue])
    np.minimum.at(distance, atoms.residue[rows], np.sqrt(((atoms.positions[rows] - origin) ** 2).sum(1)))
    return distance


def _draw_centre(
    structure: Structure, place: np.ndarray, observed: np.ndarray, rng: np.random.Generator, interface_fraction: float
) -> int:
    """A random observed residue, perhaps one at an interface; drawn by trial, which is even among those that touch."""
    chain = structure.residues.chain[observed]
    if chain[0] != chain[-1] and rng.random() < interface_fraction:
        for row in rng.permutation(len(observed))[:32]:
            near = ((place[observed] - place[observed[row]]) ** 2).sum(1) < INTERFACE_DISTANCE**2
            if (chain[near] != chain[row]).any():
                return int(observed[row])
    return int(rng.choice(observed))
