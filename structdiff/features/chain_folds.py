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
from structdiff.geometry.superposition import superposition
from structdiff.published_weights import weights_path
from structdiff.spec.chain import MSA_WORDS, SEQUENCE_ALONE
from structdiff.spec.complex import ComplexSpec
from structdiff.spec.text_source import source_sha256
from structdiff.structure.tables import Structure
from structdiff.trrosetta.alignment import Alignment, alone, read_alignment
from structdiff.trrosetta.folding import THOROUGH, Held, fold
from structdiff.trrosetta.network import NETWORKS, expect_aligned
from structdiff.trrosetta.reliability import reliability
from structdiff.typing import Bool, Float, Int

#: Residues of chains that are folded: time (seconds on a core of 2023, and some for any) and memory (bytes) grow with
#: their square; bytes for each letter of an alignment.
SHORTEST, LONGEST = 10, 600
_LENGTHS = f"{SHORTEST} to {LONGEST} residues, or msa: empty, which in JSON of AlphaFold 3 is an empty text"
_SECONDS, _ANY_SECONDS, _BYTES, _BYTES_A_LETTER = 6e-4, 5.0, 8_000, 180
#: Expected lDDT from which on a residue is told where it lies, and the fewest residues that are told.
_TOLD, _FEWEST = 0.35, 10
_MAIN_CHAIN = ("N", "CA", "C", "O", "CB")
_FRAME = _MAIN_CHAIN[:3]
_NOWHERE = np.full(3, np.nan)


@dataclass(frozen=True, kw_only=True, eq=False)
class ChainFold:
    """The fold of chains with one alignment. chains: their names.

    distance: trRosetta's log probabilities. positions: N, CA, C, O, CB (Å), in the frame of a template or motif that it
    keeps. told: residues that are sure enough to be told to the network. kept: residues of template or
    motif, none of which is told.
    """

    chains: tuple[str, ...]
    alignment: Alignment
    distance: Float[Tensor, "i j class"]
    positions: Float[np.ndarray, "residue 5 3"]
    told: np.ndarray
    kept: np.ndarray


def read_alignments(spec: ComplexSpec) -> dict[str, Alignment]:
    """The alignments of a complex by the first name of their chains, read and checked; nothing is computed.

    Raises InputError for an alignment that is none of its chain, of RNA, of a chain that is too long, and where
    trRosetta's weights have not been fetched.
    """
    found = {}
    for chain in spec.chains:
        if not chain.has_alignment:
            continue
        if chain.kind != "protein":
            raise InputError("alignments of proteins alone are read: remove it, or write msa: empty", key="msa",
                             found=f"that of {chain.kind} {chain.ids[0]}")  # fmt: skip
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
            numbers = f"needs about {needed / 2**30:.1f} GiB and {free / 2**30:.1f} GiB of main memory are free"
            raise ResourceError(f"folding {residues} residues by their alignment {numbers}")


def folding_seconds(spec: ComplexSpec) -> dict[str, float]:
    """About how long the fold of each chain with an alignment takes on one core, by its first name."""
    return {chain.ids[0]: fold_seconds(len(chain)) for chain in spec.chains if chain.has_alignment}


def fold_seconds(residues: int) -> float:
    """About how long the fold of a chain takes on one core, the network's answer included."""
    return _ANY_SECONDS + _SECONDS * residues**2


def alignments_sha256(spec: ComplexSpec) -> dict[str, str]:
    """Checksums of the files and texts of all alignments, by how they are named."""
    return {name: source_sha256(name) for chain in spec.chains for name in chain.msa if name not in MSA_WORDS}


def _alignment(sources: tuple[str, ...], sequence: str) -> Alignment:
    return alone(sequence) if sources == (SEQUENCE_ALONE,) else read_alignment(sources, sequence)


def fold_chains(spec: ComplexSpec, structure: Structure, templates: Templates) -> tuple[ChainFold, ...]:
    """The folds of all chains with an alignment, in the frames of their templates where they have any.

    A template's residues keep their shape, and the alignment says how the others lie. Raises InputError as
    `read_alignments` does.
    """
    alignments = read_alignments(spec)
    found = []
    for chain in spec.chains:
        if chain.ids[0] not in alignments:
            continue
        sources = tuple(map(source_sha256, chain.msa))
        kept = {name: _kept(templates, structure, name) for name in chain.ids}
        for own in dict.fromkeys(kept.values()):
            made = _folded(chain.msa, sources, chain.sequence, own)
            names = tuple(name for name, each in kept.items() if each == own)
            found.append(dataclasses.replace(made, chains=names))
    return tuple(found)


@dataclass(frozen=True, kw_only=True)
class _Kept:
    """What a chain keeps of its template, as numbers that can be compared: rows of residues, N, CA and C (Å)."""

    rows: tuple[int, ...]
    backbone: tuple[float, ...]

    def atoms(self) -> Float[np.ndarray, "held 3 3"]:
        """N, CA and C of each residue."""
        return np.array(self.backbone).reshape(-1, 3, 3)


def _kept(templates: Templates, structure: Structure, name: str) -> _Kept | None:
    """The residues of a chain of which a template has the whole main chain; None where it has none."""
    rows, backbone = [], []
    part = structure.chain_residues(int(np.flatnonzero(structure.chains.name == name)[0]))
    for row in range(part.start, part.stop):
        atoms = structure.residue_atoms(row)
        known = {str(structure.atoms.name[atom]): atom for atom in range(atoms.start, atoms.stop)
                 if templates.group[atom]}  # fmt: skip
        if all(atom in known for atom in _FRAME):
            rows.append(row - part.start)
            backbone += [templates.positions[known[atom]] for atom in _FRAME]
    if not rows:
        return None
    return _Kept(rows=tuple(rows), backbone=tuple(np.concatenate(backbone).tolist()))


@lru_cache(maxsize=8)
def _folded(sources: tuple[str, ...], sha256: tuple[str, ...], sequence: str, kept: _Kept | None) -> ChainFold:
    """The fold of a sequence by the alignment in sources of these checksums; kept, since it takes a while."""
    alignment = _alignment(sources, sequence)
    places = np.zeros(len(sequence), bool)
    held = None
    if kept is not None:
        places[list(kept.rows)] = True
        held = Held(places=torch.from_numpy(places), backbone=torch.from_numpy(kept.atoms()).float())
    with one_thread():
        expected = expect_aligned(alignment)
        if held is not None and places.all():
            positions = main_chain(held.backbone)  # a descent would leave nothing else of it
        else:
            positions = main_chain(fold(expected, descent=THOROUGH, held=held).backbone)
    if kept is not None:
        positions = laid_on(positions, places, kept.atoms())
    sure = reliability(expected.distance, torch.from_numpy(positions[:, -1]).float()).lddt.numpy() >= _TOLD
    enough = kept is not None or sure.sum() >= _FEWEST
    return ChainFold(
        chains=(),
        alignment=alignment,
        distance=expected.distance,
        positions=positions,
        told=sure & ~places if enough else np.zeros(len(sequence), bool),
        kept=places,
    )


def laid_on(
    positions: Float[np.ndarray, "residue atom 3"],
    places: Bool[np.ndarray, " residue"],
    backbone: Float[np.ndarray, "held 3 3"],
) -> Float[np.ndarray, "residue atom 3"]:
    """A fold (N, CA, C first) in the frame of the residues that it keeps, of which N, CA and C are given (Å)."""
    own, given = (torch.from_numpy(each.reshape(1, -1, 3)) for each in (positions[places, :3], backbone))
    moved = superposition(own, given).apply(torch.from_numpy(positions.reshape(1, -1, 3)))[0]
    return moved.numpy().reshape(positions.shape)


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
    """The templates, and the folds of chains: as part of their template, in whose frame they are, or as further groups.

    They are told, not held.
    """
    positions, group, of_fold = templates.positions.copy(), templates.group.copy(), templates.of_fold.copy()
    number = max(len(templates.asked), int(group.max(initial=0)))
    for own in folds:
        for name in own.chains:
            here = structure.atom_chain == int(np.flatnonzero(structure.chains.name == name)[0])
            known = int(templates.group[here].max())
            number += not known
            rows, places = told_atoms(own, structure, name)
            positions[rows], group[rows], of_fold[rows] = places, known or number, True
    return dataclasses.replace(templates, positions=positions, group=group, of_fold=of_fold)


def fold_groups(folds: Sequence[ChainFold], templates: Templates, structure: Structure) -> list[int]:
    """The groups that `with_folds` has made of chains, once each; of chains without any residue that is told none."""
    names = [name for own in folds for name in own.chains]
    chains = structure.atom_chain
    rows = [chains == int(np.flatnonzero(structure.chains.name == name)[0]) for name in names]
    return sorted({int(templates.group[own].max()) for own in rows if templates.group[own].any()})
