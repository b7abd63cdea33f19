"""Which chain and residue of a model stands for which of the true structure.

Equal chains may have any names in a model, so they are permuted: one is superposed on each of its equals in turn, and
the others go to the nearest of their own kind (as AlphaFold 3, section 4.2). The arrangement of the lowest RMSD wins.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from structdiff.errors import InputError
from structdiff.evaluation.superposition import rmsd, superpose
from structdiff.structure.sequence_alignment import aligned_residues
from structdiff.structure.tables import ChainKind, Structure

_POLYMERS = (ChainKind.PROTEIN, ChainKind.DNA, ChainKind.RNA)
_SAME = 0.7  # share of paired residues that must be of the same type
_COVERED = 0.3  # of the shorter chain that must be paired


@dataclass(frozen=True, kw_only=True)
class ChainPair:
    """A chain of the model (row) and one of the reference (row) that could be the same, and their paired residues.

    residues (pair, 2): rows of the residue tables. model, reference (pair, 3): CA or C1' of those seen in both, in Å.
    """

    model_chain: int
    reference_chain: int
    residues: np.ndarray
    model: np.ndarray
    reference: np.ndarray


def match_chains(model: Structure, reference: Structure) -> list[ChainPair]:
    """The chains of a model paired with those of a reference, each at most once, so that the whole agrees best.

    Raises InputError where no chain of the model is like any of the reference.
    """
    possible = _possible_pairs(model, reference)
    if not possible:
        raise InputError(
            "no chain of the model is like a chain of the reference",
            found=_described(model), allowed=_described(reference),
        )  # fmt: skip
    largest = max(len(pair.model) for pair in possible)
    anchors = [pair for pair in possible if len(pair.model) >= 0.8 * largest]
    arrangements = [_arranged(anchor, possible) for anchor in anchors]
    return min(arrangements, key=_total_deviation)


def as_reference(model: Structure, reference: Structure) -> Structure:
    """The model with the chain names and residue places of the reference, after its chains were matched.

    Residues and chains without a partner get names that the reference does not have.
    """
    pairs = match_chains(model, reference)
    taken = set(reference.chains.name.tolist())
    names = np.array([f"?{name}" if name in taken else str(name) for name in model.chains.name.tolist()], dtype=object)
    # A place beyond all of the reference's: residues that have no partner.
    label = model.residues.label_seq_id.astype(np.int64) + 10_000_000
    for pair in pairs:
        names[pair.model_chain] = str(reference.chains.name[pair.reference_chain])
        label[pair.residues[:, 0]] = reference.residues.label_seq_id[pair.residues[:, 1]]
    ligands = ~np.isin(model.chains.kind[model.residues.chain], _POLYMERS)
    label[ligands] = model.residues.label_seq_id[ligands]
    return dataclasses.replace(
        model,
        chains=dataclasses.replace(model.chains, name=names.astype(np.str_)),
        residues=dataclasses.replace(model.residues, label_seq_id=label.astype(np.int32)),
    )


def _possible_pairs(model: Structure, reference: Structure) -> list[ChainPair]:
    own, true = (np.flatnonzero(np.isin(each.chains.kind, _POLYMERS)).tolist() for each in (model, reference))
    pairs = (_pair(model, reference, a, b) for a, b in product(own, true))
    return [pair for pair in pairs if pair is not None]


def _pair(model: Structure, reference: Structure, own: int, true: int) -> ChainPair | None:
    """Two chains as a pair; None where they are of different kinds or sequences."""
    if model.chains.kind[own] != reference.chains.kind[true]:
        return None
    residues = _paired_residues(model, reference, own, true)
    if residues is None:
        return None
    centres = _centres(model, own), _centres(reference, true)
    seen = [(a, b) for a, b in residues.tolist() if a in centres[0] and b in centres[1]]
    if len(seen) < 3:
        return None
    return ChainPair(
        model_chain=own,
        reference_chain=true,
        residues=residues,
        model=np.array([centres[0][a] for a, _ in seen]),
        reference=np.array([centres[1][b] for _, b in seen]),
    )


def _paired_residues(model: Structure, reference: Structure, own: int, true: int) -> np.ndarray | None:
    """Rows of residues that belong together: by place in the sequence, by author's number, or by alignment."""
    rows = [np.arange(*each.chain_residues(chain).indices(len(each.residues)))
            for each, chain in ((model, own), (reference, true))]  # fmt: skip
    for columns in (("label_seq_id",), ("author_seq_id", "insertion_code")):
        place = dict(_numbered(model, rows[0], columns))
        shared = [(place[key], row) for key, row in _numbered(reference, rows[1], columns) if key in place]
        pairs = np.array(shared, np.int64).reshape(-1, 2)
        if _alike(model, reference, pairs, min(map(len, rows)), strict=True):
            return pairs
    pairs = aligned_residues(model, reference, rows[0], rows[1])
    return pairs if _alike(model, reference, pairs, min(map(len, rows)), strict=False) else None


def _numbered(structure: Structure, rows: np.ndarray, columns: tuple[str, ...]) -> Iterator[tuple[tuple, int]]:
    """What residues are called by these columns of their table, and their rows."""
    values = (getattr(structure.residues, column)[rows].tolist() for column in columns)
    return zip(zip(*values, strict=True), rows.tolist(), strict=True)


def _alike(model: Structure, reference: Structure, pairs: np.ndarray, shorter: int, *, strict: bool) -> bool:
    if len(pairs) < max(3, _COVERED * shorter):
        return False
    same = np.mean(model.residues.name[pairs[:, 0]] == reference.residues.name[pairs[:, 1]])
    return bool(same >= (0.95 if strict else _SAME))


def _centres(structure: Structure, chain: int) -> dict[int, np.ndarray]:
    """CA or C1' position of each residue of a chain that has one, by row."""
    rows = np.flatnonzero(
        structure.atoms.resolved & np.isin(structure.atoms.name, ("CA", "C1'")) & (structure.atom_chain == chain)
    )
    positions = structure.atoms.positions[rows].astype(np.float64)
    return dict(zip(structure.atoms.residue[rows].tolist(), positions, strict=True))


def _arranged(anchor: ChainPair, possible: list[ChainPair]) -> list[ChainPair]:
    """One chain on its partner, and every other chain with the free one of its kind that then lies nearest."""
    rest = [pair for pair in possible if pair is not anchor]
    if not rest:
        return [anchor]
    points = np.concatenate([anchor.model, *(pair.model for pair in rest)])
    filler = np.zeros((len(points) - len(anchor.model), 3))
    weights = np.r_[np.ones(len(anchor.model)), np.zeros(len(filler))]
    moved = superpose(points, np.concatenate([anchor.reference, filler]), weights)
    ends = np.cumsum([len(anchor.model), *(len(pair.model) for pair in rest)])
    distance = [
        float(np.linalg.norm((moved[start:stop] - pair.reference).mean(0)))
        for pair, start, stop in zip(rest, ends[:-1], ends[1:], strict=True)
    ]
    chosen, own, true = [anchor], {anchor.model_chain}, {anchor.reference_chain}
    for number in np.argsort(distance, kind="stable").tolist():
        pair = rest[number]
        if pair.model_chain not in own and pair.reference_chain not in true:
            chosen.append(pair)
            own.add(pair.model_chain)
            true.add(pair.reference_chain)
    return chosen


def _total_deviation(pairs: list[ChainPair]) -> tuple[int, float]:
    """More chains paired first, then a lower RMSD of all together."""
    deviation = rmsd(np.concatenate([p.model for p in pairs]), np.concatenate([p.reference for p in pairs]))
    return -len(pairs), deviation


def _described(structure: Structure) -> str:
    chains = structure.chains
    rows = np.flatnonzero(np.isin(chains.kind, _POLYMERS)).tolist()
    return ", ".join(f"{chains.name[r]} ({len(range(*structure.chain_residues(r).indices(len(structure.residues))))})"
                     for r in rows)  # fmt: skip
