"""Structures with DNA and RNA as predictions see them: their helices, by the energies of base pairs, are held."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from structdiff.constraints.chain_poses import ChainPoses
from structdiff.constraints.helix_clearance import HelixClearance
from structdiff.diffusion.constraint_protocol import SamplingConstraint
from structdiff.errors import InputError
from structdiff.features.build import build_features
from structdiff.features.condition import Condition
from structdiff.features.crop import crop_spatial
from structdiff.features.helices import PairsOfComplex, helix_bodies, predicted_pairs, with_helices
from structdiff.features.templates import Templates
from structdiff.features.tokens import tokenise
from structdiff.spec.chain import UNKNOWN_LETTER
from structdiff.structure.base_pairs import base_letters
from structdiff.structure.tables import ChainKind, Structure
from structdiff.training.base_pairs import other_pairs
from structdiff.training.batches import BatchConfig
from structdiff.training.dataset import StructureSet
from structdiff.training.held import HeldBatch, HeldExample, atom_places, centred

#: How often nothing pairs, and how often the base pairs of the structure are drawn anew.
_NO_PAIRS, _OTHER_PAIRS = 0.2, 0.5
#: Nucleotides of an entry at most: energies of 300 take some 3 s.
_MOST = 300
_NUCLEIC = (ChainKind.DNA, ChainKind.RNA)


class HeldHelices:
    """Batches of structures with nucleic acids; batch number k depends on the seed and k alone.

    Entries of more than 300 nucleotides are left out. Half of the structures have other base pairs, of which the
    backbone alone is known; of a fifth nothing is said to pair. Raises InputError for a set without nucleic acids.
    """

    def __init__(self, structures: StructureSet, config: BatchConfig, *, seed: int, natural: bool = False) -> None:
        self.structures, self.config, self.seed = structures, config, seed
        self.others, self.unpaired = (0.0, 0.0) if natural else (_OTHER_PAIRS, _NO_PAIRS)
        self.entries = _entries(structures)
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
        return HeldBatch.of(items)

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


def has_nucleic_acids(structures: StructureSet) -> bool:
    """Whether any structure that may be drawn has DNA or RNA, of few enough nucleotides."""
    return len(_entries(structures)) > 0


def _entries(structures: StructureSet) -> np.ndarray:
    rows = np.flatnonzero(structures.nucleic & (structures.weight > 0)).tolist()
    fitting = [row for row in rows if sum(map(len, _strands(structures.structure(row)))) <= _MOST]
    return np.array(fitting, np.int64)


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
    centre = int(rng.choice(np.flatnonzero(nucleic & centred(structure))))
    crop = crop_spatial(structure, max_tokens, rng, centre)
    crop = crop.select(centred(crop)[crop.atoms.residue])
    own = PairsOfComplex(
        asked=np.zeros((0, 2), np.int64), predicted=_of_crop(pairs, structure, crop), letters=_letters(crop)
    )
    count = len(crop.atoms)
    laid = with_helices(Templates.none(count, len(crop.residues)), crop, own)
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
    return HeldExample(
        features=features,
        constraints=_clearance(crop, laid, own, visible),
        rows=atom_places(tokens, seen),
        wrong=torch.zeros(0, int(seen.sum()), 3),
    )


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
) -> tuple[SamplingConstraint, ...]:
    """What keeps the chains and helices of a crop apart, by rows of visible atoms."""
    shown = crop.select(visible)
    own = laid.select(visible)
    poses = ChainPoses(shown, np.where(own.fixed, own.group, 0), ())
    bodies = helix_bodies(own, shown, pairs)
    return (poses, HelixClearance(shown, bodies)) if bodies else (poses,)
