"""Complexes as predictions of them have it: chains held as templates, moved as pieces to where contacts are told."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from scipy.spatial import KDTree
from torch import Tensor

from structdiff.constraints.chain_poses import ChainPoses
from structdiff.errors import InputError
from structdiff.features.build import build_features
from structdiff.features.condition import Condition
from structdiff.features.crop import crop_spatial
from structdiff.features.requests import Proximity, contact_condition
from structdiff.features.tokens import TokenTable, tokenise
from structdiff.geometry.rotations import rotation_from_vector
from structdiff.structure.tables import ChainKind, Structure
from structdiff.training.batches import BatchConfig
from structdiff.training.dataset import StructureSet
from structdiff.training.held import HeldBatch, HeldExample, atom_places, centred

#: How often contacts are told, how often those are wrong, and how often a ligand's pocket is drawn where there is one.
_TOLD, _MISTOLD, _LIGAND = 0.6, 0.15, 0.4
#: How often all chains are held, and how often none; of the others each one half of the times.
_ALL_HELD, _NONE_HELD = 0.6, 0.2
_TOUCHING, _BOUND = 5.0, 6.0  # Å between heavy atoms: chains that touch, contacts that are told
_FEWEST = 8  # atoms of a ligand
_SETTLED = 1.0  # Å of noise at which wrong poses are freed of overlaps
_MOST_TRIED = 200  # entries in a row without chains that touch


@dataclass(frozen=True, kw_only=True)
class Interface:
    """Two chains that touch, by their rows, and rows [pair, 2] of the residues that do."""

    first: int
    second: int
    pairs: np.ndarray


class HeldChains:
    """Batches of complexes without nucleic acids; batch number k depends on the seed and k alone.

    Each example is the neighbourhood of a residue where two proteins touch, or a protein and a ligand of eight heavy
    atoms or more. Some or all proteins are held; contacts between chains are told of most, some of them wrong.
    wrong: structures made for each example whose chains are right and stand in wrong places. Raises InputError for a
    set in which no chains touch.
    """

    def __init__(self, structures: StructureSet, config: BatchConfig, *, seed: int, wrong: int = 0) -> None:
        self.structures, self.config, self.seed, self.wrong = structures, config, seed, wrong
        self.weight = structures.weight * _may_touch(structures)
        if not has_interfaces(structures):
            raise self._no_chains()
        self.weight /= self.weight.sum()
        self._interfaces: dict[int, list[Interface]] = {}

    def batch(self, number: int) -> HeldBatch:
        """Batch number ``number``."""
        rng = np.random.default_rng([self.seed, number, 2])
        tokens, size = self.config.drawn_crop(rng)
        return HeldBatch.of([self._example(tokens, rng) for _ in range(size)])

    def _example(self, tokens: int, rng: np.random.Generator) -> HeldExample:
        for _ in range(_MOST_TRIED):
            index = int(rng.choice(len(self.weight), p=self.weight))
            structure = self.structures.structure(index)
            if index not in self._interfaces:
                self._interfaces[index] = interfaces(structure)
            if found := self._interfaces[index]:
                crop = _around(structure, found, tokens, rng)
                if interfaces(crop):
                    return held_chains(crop, rng, wrong=self.wrong)
        raise self._no_chains()

    def _no_chains(self) -> InputError:
        message = f"no structure of the {self.structures.split!r} split has chains that touch each other"
        return InputError(message, path=self.structures.path)


def has_interfaces(structures: StructureSet) -> bool:
    """Whether chains of any structure that may be drawn touch."""
    rows = np.flatnonzero(_may_touch(structures) & (structures.weight > 0)).tolist()
    return any(interfaces(structures.structure(row)) for row in rows)


def _may_touch(structures: StructureSet) -> np.ndarray:
    return structures.several_chains & ~structures.nucleic & (structures.atoms_kind == "all")


def interfaces(structure: Structure) -> list[Interface]:
    """Where chains of a structure touch: proteins each other, and ligands of some size a protein."""
    kind, seen = structure.chains.kind, structure.atoms.resolved
    atoms = [np.flatnonzero((structure.atom_chain == row) & seen) for row in range(len(kind))]
    counts = [kind[row] == ChainKind.PROTEIN or (kind[row] == ChainKind.LIGAND and len(atoms[row]) >= _FEWEST)
              for row in range(len(kind))]  # fmt: skip
    rows = [row for row in np.flatnonzero(counts).tolist() if len(atoms[row])]
    trees = {row: KDTree(structure.atoms.positions[atoms[row]]) for row in rows}
    found = []
    for one, other in combinations(rows, 2):
        if ChainKind.PROTEIN not in (kind[one], kind[other]):
            continue
        near = trees[one].query_ball_tree(trees[other], _TOUCHING)
        ends = [(int(atoms[one][i]), int(atoms[other][j])) for i, some in enumerate(near) for j in some]
        if ends:
            pairs = np.unique(structure.atoms.residue[np.array(ends)], axis=0)
            found.append(Interface(first=one, second=other, pairs=pairs))
    return found


def _around(structure: Structure, found: Sequence[Interface], tokens: int, rng: np.random.Generator) -> Structure:
    """The neighbourhood of a residue of a protein that touches another chain, or of one that touches a ligand."""
    ligand = structure.chains.kind == ChainKind.LIGAND
    with_ligand = [each for each in found if ligand[each.first] or ligand[each.second]]
    others = [each for each in found if each not in with_ligand]
    some = with_ligand if not others or (with_ligand and rng.random() < _LIGAND) else others
    rows = np.unique(some[int(rng.integers(len(some)))].pairs)
    rows = rows[~ligand[structure.residues.chain[rows]]]
    crop = crop_spatial(structure, tokens, rng, int(rng.choice(rows)))
    return crop.select(centred(crop)[crop.atoms.residue] & crop.atoms.resolved)


def held_chains(crop: Structure, rng: np.random.Generator, *, wrong: int = 0) -> HeldExample:
    """Chains that touch, all of whose atoms were seen: which are held and what is told of them is drawn.

    wrong: structures to make of them whose chains stand elsewhere.
    """
    tokens, touching = tokenise(crop), interfaces(crop)
    protein = crop.chains.kind == ChainKind.PROTEIN
    share = rng.choice([1.0, 0.0, 0.5], p=[_ALL_HELD, _NONE_HELD, 1 - _ALL_HELD - _NONE_HELD])
    held = protein & (rng.random(len(protein)) < share)
    group = np.where(held, 1 + np.arange(len(held)), 0)
    contacts = _contacts(crop, touching, rng) if rng.random() < _TOLD else []
    features = build_features(crop, _condition(crop, tokens, group, contacts), tokens=tokens, only_resolved=True)
    rows = atom_places(tokens, features.atom.mask.unflatten(0, tokens.atoms.shape).numpy())
    follow = ChainPoses(crop, group[crop.atom_chain], contacts)
    return HeldExample(
        features=features, constraints=(follow,), rows=rows,
        wrong=_misplaced(crop, touching, rng, wrong),
    )  # fmt: skip


def _contacts(crop: Structure, touching: Sequence[Interface], rng: np.random.Generator) -> list[Proximity]:
    """Up to four contacts of each interface; sometimes of residues that are anywhere in the two chains."""
    told, right = [], rng.random() >= _MISTOLD
    ligand = crop.chains.kind == ChainKind.LIGAND
    for each in touching:
        pairs = each.pairs[rng.permutation(len(each.pairs))[: rng.integers(1, 5)]]
        if not right:
            ends = [np.arange(len(crop.residues))[crop.chain_residues(row)] for row in (each.first, each.second)]
            pairs = np.stack([rng.choice(rows, len(pairs)) for rows in ends], -1)
        # Of a pocket the residue is named first, as in complex_proximities.
        pairs = pairs[:, ::-1] if ligand[each.first] else pairs
        told += [Proximity(name="contact", first=_atoms(crop, i), second=_atoms(crop, j), bound=_BOUND)
                 for i, j in pairs.tolist()]  # fmt: skip
    return told


def _condition(crop: Structure, tokens: TokenTable, group: np.ndarray, contacts: Sequence[Proximity]) -> Condition:
    """Which chains are held, and the contacts and pockets that are told."""
    ligand = crop.chains.kind == ChainKind.LIGAND
    pairs, pocket = [], []
    for each in contacts:
        first, second = (
            np.flatnonzero(tokens.residue == crop.atoms.residue[rows[0]]) for rows in (each.first, each.second)
        )
        if ligand[crop.atom_chain[each.second[0]]]:
            pocket.append(first)
        else:
            pairs.append((first, second, each.bound))
    own = group[tokens.chain].astype(np.int32)
    return contact_condition(len(tokens), pairs, pocket).replace(motif_group=own, structure_fixed=own > 0)


def _misplaced(crop: Structure, touching: Sequence[Interface], rng: np.random.Generator, count: int) -> Tensor:
    """The chains moved by little or much, brought to touch again and freed of overlaps [count, atom, 3]."""
    truth = torch.from_numpy(crop.atoms.positions)
    chain = torch.from_numpy(crop.atom_chain.astype(np.int64))
    rows = [np.flatnonzero(crop.atom_chain == row) for row in range(len(crop.chains))]
    touch = [
        Proximity(name="touching", first=rows[each.first], second=rows[each.second], bound=_TOUCHING)
        for each in touching
    ]
    settle = ChainPoses(crop, np.where(crop.atom_chain >= 0, 1 + crop.atom_chain, 0), touch)
    done = [settle.project(_moved(truth, chain, rng)[None], _SETTLED)[0] for _ in range(count)]
    return torch.stack(done) if done else truth.new_zeros(0, *truth.shape)


def _moved(truth: Tensor, chain: Tensor, rng: np.random.Generator) -> Tensor:
    """Each chain turned about its middle and shifted, by up to half a turn and some 20 Å."""
    positions = truth.clone()
    size = math.exp(rng.uniform(math.log(0.02), math.log(1.0)))
    for number in range(int(chain.max()) + 1):
        own = chain == number
        axis = torch.from_numpy(rng.standard_normal(3, dtype=np.float32))
        turn = rotation_from_vector(torch.nn.functional.normalize(axis, dim=0) * math.pi * size * rng.random())
        shift = 10.0 * size * torch.from_numpy(rng.standard_normal(3, dtype=np.float32))
        middle = truth[own].mean(0)
        positions[own] = (truth[own] - middle) @ turn.T + middle + shift
    return positions


def _atoms(crop: Structure, residue: int) -> np.ndarray:
    return np.arange(len(crop.atoms))[crop.residue_atoms(residue)]
