"""Protein chains that come with an alignment: folded as trRosetta expects, and told to the network as templates are."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from structdiff.errors import InputError, ResourceError
from structdiff.evaluation.backbone import Backbone
from structdiff.features.templates import Templates
from structdiff.published_weights import weights_path
from structdiff.spec.alignment_source import source_sha256
from structdiff.spec.chain import MSA_WORDS, NO_ALIGNMENT, SEQUENCE_ALONE, ChainSpec
from structdiff.spec.complex import ComplexSpec
from structdiff.structure.tables import Structure
from structdiff.trrosetta.alignment import Alignment, alone, read_alignment
from structdiff.trrosetta.folding import THOROUGH, fold
from structdiff.trrosetta.network import NETWORKS, expect_aligned
from structdiff.trrosetta.reliability import reliability
from structdiff.typing import Float, Int

#: Residues of chains that are folded: time (seconds on a core of 2023) and memory (bytes) grow with their square;
#: bytes for each letter of an alignment.
SHORTEST, LONGEST = 10, 600
_LENGTHS = f"{SHORTEST} to {LONGEST} residues, or msa: empty, which in JSON of AlphaFold 3 is an empty text"
FOLD_SECONDS, _BYTES, _BYTES_A_LETTER = 3.5e-3, 8_000, 180
#: Expected lDDT from which on a residue is told where it lies, and the fewest residues that are told.
_TOLD, _FEWEST = 0.35, 10
_MAIN_CHAIN = ("N", "CA", "C", "O", "CB")
_NOWHERE = np.full(3, np.nan)


@dataclass(frozen=True, kw_only=True, eq=False)
class ChainFold:
    """The fold of chains with one alignment. chains: their names.

    distance: trRosetta's log probabilities. positions: N, CA, C, O, CB (Å). told: residues that are sure enough to be
    told to the network.
    """

    chains: tuple[str, ...]
    alignment: Alignment
    distance: Float[Tensor, "i j class"]
    positions: Float[np.ndarray, "residue 5 3"]
    told: np.ndarray


def has_alignment(chain: ChainSpec) -> bool:
    """Whether an alignment is given, and not merely said to be empty."""
    return chain.msa not in ((), (NO_ALIGNMENT,))


def read_alignments(spec: ComplexSpec) -> dict[str, Alignment]:
    """The alignments of a complex by the first name of their chains, read and checked; nothing is computed.

    Raises InputError for an alignment that is none of its chain, of a chain that has a template too, of RNA, of a chain
    that is too long, and where trRosetta's weights have not been fetched.
    """
    found = {}
    templated = {name for template in spec.templates for name in template.chains or spec.chain_ids}
    for chain in spec.chains:
        if not has_alignment(chain):
            continue
        if chain.kind != "protein":
            raise InputError("alignments of proteins alone are read: remove it, or write msa: empty", key="msa",
                             found=f"that of {chain.kind} {chain.ids[0]}")  # fmt: skip
        both = [name for name in chain.ids if name in templated]
        if both:
            raise InputError("this chain has a template and an alignment, of which one would be ignored: leave one out",
                             key="msa", found=both[0])  # fmt: skip
        if not SHORTEST <= len(chain) <= LONGEST:
            raise InputError("chains of this length are not folded by their alignment", key="msa",
                             found=f"{len(chain)} residues of {chain.ids[0]}", allowed=_LENGTHS)  # fmt: skip
        check_folding_weights("msa", f"alignment {' and '.join(chain.msa)}")
        found[chain.ids[0]] = _alignment(chain.msa, chain.sequence)
    return found


def check_folding_weights(key: str = "refold", found: str = "trrosetta") -> None:
    """Raises InputError, which says how to fetch them, where trRosetta's weights are not here."""
    try:
        for name in NETWORKS:
            weights_path(name)
    except InputError as error:
        raise InputError(f"this needs trRosetta: {error}", key=key, found=found) from None


def check_folding_memory(alignments: Mapping[str, Alignment], free: float) -> None:
    """Raises ResourceError where the fold of one of these chains needs more than so many bytes."""
    for alignment in alignments.values():
        rows, residues = alignment.letters.shape
        needed = _BYTES * residues**2 + _BYTES_A_LETTER * rows * residues
        if needed > free:
            numbers = f"needs about {needed / 2**30:.1f} GiB and {free / 2**30:.1f} GiB are free"
            raise ResourceError(f"folding {residues} residues by their alignment {numbers}")


def folding_seconds(spec: ComplexSpec) -> dict[str, float]:
    """About how long the fold of each chain with an alignment takes on one core, by its first name."""
    return {chain.ids[0]: FOLD_SECONDS * len(chain) ** 2 for chain in spec.chains if has_alignment(chain)}


def alignments_sha256(spec: ComplexSpec) -> dict[str, str]:
    """Checksums of the files and texts of all alignments, by how they are named."""
    return {name: source_sha256(name) for chain in spec.chains for name in chain.msa if name not in MSA_WORDS}


def _alignment(sources: tuple[str, ...], sequence: str) -> Alignment:
    return alone(sequence) if sources == (SEQUENCE_ALONE,) else read_alignment(sources, sequence)


def fold_chains(spec: ComplexSpec) -> tuple[ChainFold, ...]:
    """The folds of all chains with an alignment; raises InputError as `read_alignments` does."""
    alignments = read_alignments(spec)
    chains = [chain for chain in spec.chains if chain.ids[0] in alignments]
    return tuple(
        dataclasses.replace(_folded(chain.msa, tuple(map(source_sha256, chain.msa)), chain.sequence), chains=chain.ids)
        for chain in chains
    )


@lru_cache(maxsize=8)
def _folded(sources: tuple[str, ...], sha256: tuple[str, ...], sequence: str) -> ChainFold:
    """The fold of a sequence by the alignment in sources of these checksums; kept, since it takes a while."""
    alignment = _alignment(sources, sequence)
    with one_thread():
        expected = expect_aligned(alignment)
        positions = main_chain(fold(expected, descent=THOROUGH).backbone)
    sure = reliability(expected.distance, torch.from_numpy(positions[:, -1]).float()).lddt.numpy() >= _TOLD
    return ChainFold(
        chains=(),
        alignment=alignment,
        distance=expected.distance,
        positions=positions,
        told=sure if sure.sum() >= _FEWEST else np.zeros(len(sequence), bool),
    )


def main_chain(fold: Float[Tensor, "residue 3 3"]) -> Float[np.ndarray, "residue 5 3"]:
    """N, CA, C, O and CB (Å) of a fold's N, CA and C."""
    chain = np.full((len(fold), 4, 3), np.nan)
    chain[:, :3] = fold.numpy()
    backbone = Backbone.from_arrays(chain)
    return np.concatenate([chain[:, :3], backbone.oxygen_or_ideal[:, None], backbone.cb_or_ideal[:, None]], 1)


@contextmanager
def one_thread() -> Iterator[None]:
    """Sums are taken in one order: a long descent makes another fold of another last digit."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def told_atoms(
    own: ChainFold, structure: Structure, name: str
) -> tuple[Int[np.ndarray, " atom"], Float[np.ndarray, "atom 3"]]:
    """Rows and places (Å) of the main-chain atoms of a chain's residues that are told."""
    first = structure.chain_residues(int(np.flatnonzero(structure.chains.name == name)[0])).start
    rows, places = [], []
    for residue in np.flatnonzero(own.told).tolist():
        part = structure.residue_atoms(first + residue)
        for row in range(part.start, part.stop):
            atom = str(structure.atoms.name[row])
            given = own.positions[residue, _MAIN_CHAIN.index(atom)] if atom in _MAIN_CHAIN else _NOWHERE
            if np.isfinite(given).all():
                rows.append(row)
                places.append(given)
    return np.array(rows, np.int64), np.array(places, np.float32).reshape(-1, 3)


def with_folds(templates: Templates, structure: Structure, folds: Sequence[ChainFold]) -> Templates:
    """The templates, and the folds of chains as further groups that are told, not held."""
    positions, group = templates.positions.copy(), templates.group.copy()
    number = max(len(templates.asked), int(group.max(initial=0)))
    for own in folds:
        for name in own.chains:
            number += 1
            rows, places = told_atoms(own, structure, name)
            positions[rows], group[rows] = places, number
    return dataclasses.replace(templates, positions=positions, group=group)


def fold_groups(folds: Sequence[ChainFold], templates: Templates, structure: Structure) -> list[int]:
    """The groups that `with_folds` has made of chains, those without any residue that is told left out."""
    names = [name for own in folds for name in own.chains]
    chains = structure.atom_chain
    rows = [chains == int(np.flatnonzero(structure.chains.name == name)[0]) for name in names]
    return [int(templates.group[own].max()) for own in rows if templates.group[own].any()]
