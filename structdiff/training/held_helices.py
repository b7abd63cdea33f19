"""Structures with DNA and RNA as predictions see them: their helices, by the energies of base pairs, are held."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch

from structdiff.constraints.helix_clearance import HelixClearance
from structdiff.constraints.per_sample import PerSample
from structdiff.errors import InputError
from structdiff.features.build import build_features
from structdiff.features.collate import collate
from structdiff.features.condition import Condition
from structdiff.features.crop import crop_spatial
from structdiff.features.helices import PairsOfComplex, helix_bodies, predicted_pairs, with_helices
from structdiff.features.schema import Features
from structdiff.features.templates import Templates
from structdiff.features.tokens import TokenTable, tokenise
from structdiff.spec.chain import UNKNOWN_LETTER
from structdiff.structure.base_pairs import base_letters
from structdiff.structure.tables import ChainKind, Structure
from structdiff.training.base_pairs import other_pairs
from structdiff.training.batches import BatchConfig
from structdiff.training.dataset import StructureSet

#: How often nothing pairs, and how often the base pairs of the structure are drawn anew.
_NO_PAIRS, _OTHER_PAIRS = 0.2, 0.5
#: Nucleotides of an entry at most: energies of 300 take some 3 s.
_MOST = 300
_NUCLEIC = (ChainKind.DNA, ChainKind.RNA)


@dataclass(frozen=True, kw_only=True)
class HeldExample:
    """A crop whose helices are told and held, and what keeps them out of each other.

    features: positions are the experiment's, those of the motif the ideal helices'. clearance: of the atoms of these
    rows (token, slot).
    """

    features: Features
    clearance: tuple[HelixClearance, ...]
    rows: np.ndarray


@dataclass(frozen=True, kw_only=True)
class HeldBatch:
    """Several examples padded together; clearances and rows as in the examples."""

    features: Features
    clearances: tuple[tuple[HelixClearance, ...], ...]
    rows: tuple[np.ndarray, ...]

    def constraint(self, samples: int) -> PerSample:
        """What keeps the helices apart, of each example ``samples`` times in a row."""
        slots = self.features.num_slots
        atoms = [torch.from_numpy(rows[:, 0] * slots + rows[:, 1]) for rows in self.rows]
        parts = [own for own in self.clearances for _ in range(samples)]
        return PerSample(parts, [rows for rows in atoms for _ in range(samples)])


class HeldHelices:
    """Batches of structures with nucleic acids; batch number k depends on the seed and k alone.

    Entries of more than 300 nucleotides are left out. Half of the structures have other base pairs, of which the
    backbone alone is known; of a fifth nothing is said to pair. Raises InputError for a set without nucleic acids.
    """

    def __init__(self, structures: StructureSet, config: BatchConfig, *, seed: int, natural: bool = False) -> None:
        self.structures, self.config, self.seed = structures, config, seed
        self.others, self.unpaired = (0.0, 0.0) if natural else (_OTHER_PAIRS, _NO_PAIRS)
        self.entries = np.array(
            [index for index in np.flatnonzero(structures.nucleic).tolist() if self._fits(index)], np.int64
        )
        if not len(self.entries):
            raise InputError(
                f"no structure of the {structures.split!r} split has DNA or RNA (of at most {_MOST} nucleotides)",
                path=structures.path,
            )
        self.weight = structures.weight[self.entries] / structures.weight[self.entries].sum()
        self._pairs: dict[int, np.ndarray] = {}

    def batch(self, number: int) -> HeldBatch:
        """Batch number ``number``."""
        rng = np.random.default_rng([self.seed, number, 1])
        tokens, size = self.config.drawn_crop(rng)
        items: list[HeldExample] = []
        while len(items) < size:
            item = self._example(tokens, rng)
            if int(item.features.token.mask.sum()) >= 8:
                items.append(item)
        return HeldBatch(
            features=collate([item.features for item in items]),
            clearances=tuple(item.clearance for item in items),
            rows=tuple(item.rows for item in items),
        )

    def _fits(self, index: int) -> bool:
        return self.structures.weight[index] > 0 and sum(map(len, _strands(self.structures.structure(index)))) <= _MOST

    def _example(self, tokens: int, rng: np.random.Generator) -> HeldExample:
        index = int(rng.choice(self.entries, p=self.weight))
        structure = self.structures.structure(index)
        changed = rng.random() < self.others
        if changed:
            structure = self.structures.structure(index, nucleotides=other_pairs(structure, rng))
        if rng.random() < self.unpaired:
            pairs = np.zeros((0, 2), np.int64)
        elif changed:
            pairs = energy_pairs(structure)
        else:
            pairs = self._own_pairs(index, structure)
        return held_example(structure, pairs, tokens, rng)

    def _own_pairs(self, index: int, structure: Structure) -> np.ndarray:
        if index not in self._pairs:
            self._pairs[index] = energy_pairs(structure)
        return self._pairs[index]


def energy_pairs(structure: Structure) -> np.ndarray:
    """Rows [pair, 2] of the residues that pair by least free energy, in helices, as predictions have them."""
    return predicted_pairs(structure, _strands(structure), _letters(structure))


def _strands(structure: Structure) -> list[np.ndarray]:
    """Rows of the residues of each chain of nucleic acid."""
    nucleic = np.flatnonzero(np.isin(structure.chains.kind, _NUCLEIC)).tolist()
    return [np.arange(len(structure.residues))[structure.chain_residues(row)] for row in nucleic]


def _letters(structure: Structure) -> np.ndarray:
    letters = base_letters(structure)
    return np.where(letters == "", UNKNOWN_LETTER["rna"], letters)


def held_example(structure: Structure, pairs: np.ndarray, max_tokens: int, rng: np.random.Generator) -> HeldExample:
    """The neighbourhood of a nucleotide, with the helices of the pairs (rows of residues) that it holds whole.

    Of each helix the atoms that the experiment saw are laid as in an ideal one.
    """
    nucleic = np.isin(structure.chains.kind[structure.residues.chain], _NUCLEIC)
    centre = int(rng.choice(np.flatnonzero(nucleic & _centred(structure))))
    crop = crop_spatial(structure, max_tokens, rng, centre)
    crop = crop.select(_centred(crop)[crop.atoms.residue])
    own = PairsOfComplex(
        asked=np.zeros((0, 2), np.int64), predicted=_of_crop(pairs, structure, crop), letters=_letters(crop)
    )
    count = len(crop.atoms)
    nothing = Templates(
        asked=(), positions=np.zeros((count, 3), np.float32), group=np.zeros(count, np.int32),
        fixed=np.zeros(count, bool),
    )  # fmt: skip
    laid = with_helices(nothing, crop, own)
    tokens = tokenise(crop)
    condition = laid.told(Condition.unknown(len(tokens)), tokens)
    features = build_features(crop, condition, tokens=tokens, only_resolved=True)
    told = build_features(
        crop.with_positions(laid.positions, resolved=laid.fixed & crop.atoms.resolved), condition, tokens=tokens
    )
    seen = features.atom.mask.unflatten(0, tokens.atoms.shape).numpy()
    features = dataclasses.replace(features, condition=told.condition)
    visible = np.zeros(count, bool)
    visible[tokens.atoms[seen]] = True
    return HeldExample(features=features, clearance=_clearance(crop, laid, own, visible), rows=_rows(tokens, seen))


def _centred(structure: Structure) -> np.ndarray:
    """Residues of which CA, or C1', or (of ligands) anything was seen."""
    ligand = (structure.chains.kind == ChainKind.LIGAND)[structure.atom_chain]
    seen = structure.atoms.resolved & (ligand | np.isin(structure.atoms.name, ("CA", "C1'")))
    return np.bincount(structure.atoms.residue[seen], minlength=len(structure.residues)) > 0


def _of_crop(pairs: np.ndarray, structure: Structure, crop: Structure) -> np.ndarray:
    """The pairs of whose residues the crop has both, by its rows."""
    row = {key: number for number, key in enumerate(_keys(crop))}
    keys = _keys(structure)
    both = [(row.get(keys[one], -1), row.get(keys[other], -1)) for one, other in pairs.tolist()]
    return np.array([pair for pair in both if min(pair) >= 0], np.int64).reshape(-1, 2)


def _keys(structure: Structure) -> list[tuple[str, int]]:
    residues = structure.residues
    return list(zip(structure.chains.label_id[residues.chain].tolist(), residues.label_seq_id.tolist(), strict=True))


def _clearance(
    crop: Structure, laid: Templates, pairs: PairsOfComplex, visible: np.ndarray
) -> tuple[HelixClearance, ...]:
    """What keeps the helices of a crop apart: nothing where there are none; by rows of visible atoms."""
    shown = crop.select(visible)
    own = Templates(asked=(), positions=laid.positions[visible], group=laid.group[visible], fixed=laid.fixed[visible])
    bodies = helix_bodies(own, shown, pairs)
    return (HelixClearance(shown, bodies),) if bodies else ()


def _rows(tokens: TokenTable, seen: np.ndarray) -> np.ndarray:
    """Token and slot of each atom that is seen, in the order of the structure's atoms."""
    places = np.argwhere(seen)
    return places[np.argsort(tokens.atoms[seen], kind="stable")]
