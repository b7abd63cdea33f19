"""The alignments of a complex as one, which networks that read alignments are shown (AlphaFold 3, supplement 2.3, 2.4).

The chains' own sequences are the first row. Then come rows in which sequences of several chains are of one organism,
then the chains' other rows side by side.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from structdiff.chemistry.residues import GAP
from structdiff.errors import InputError
from structdiff.features.aligned_chains import AlignedChain, read_aligned_chain
from structdiff.features.row_pairing import NO_ROW, pair_rows
from structdiff.features.schema import MSAFeatures
from structdiff.features.tokens import TokenTable
from structdiff.spec.alignment_source import has_pairs
from structdiff.spec.chain import SEQUENCE_ALONE
from structdiff.spec.complex import ComplexSpec
from structdiff.structure.tables import Structure
from structdiff.typing import Int, UInt8

MOST_ROWS = 8192


def msa_features(
    spec: ComplexSpec, structure: Structure, tokens: TokenTable, *, most_rows: int = MOST_ROWS
) -> MSAFeatures:
    """The aligned sequences [row, token] of a complex, at most so many; the query is row 0, and all of it is paired.

    structure, tokens: those of the complex. restype: GAP below the query where a chain has no alignment; all atoms of a
    modified residue have its letter. deletion_value: 2/pi atan(d/3) of the residues d that are left out before a
    letter. mask: true, rows of gaps are rows too. Which rows are paired, `read_aligned_chain` and `pair_rows` tell.
    Raises InputError for what is no alignment of its chain.
    """
    if most_rows < 1:
        raise InputError("the query is a row too", key="most_rows", found=most_rows, allowed="1 or more")
    aligned = read_aligned_chains(spec)
    names = tuple(aligned)
    pairing = pair_rows([aligned[name].pairing for name in names], most_rows)
    letters = np.full((len(pairing.rows), len(tokens)), GAP, np.uint8)
    deletions, paired = np.zeros(letters.shape, np.int16), np.zeros(letters.shape, bool)
    rows = dict(zip(names, pairing.rows.T, strict=True))
    for own in dict.fromkeys(aligned.values()):
        copies = [name for name in names if aligned[name] is own]
        wanted, found, left_out = _rows_and_gaps(own, np.concatenate([rows[name] for name in copies]))
        for name in copies:
            places, residues = _places(name, structure, tokens)
            at = np.searchsorted(wanted, rows[name])[:, None]
            letters[:, places], deletions[:, places] = found[at, residues], left_out[at, residues]
            paired[:, places] = pairing.paired[:, [names.index(name)]]
    letters[0], deletions[0], paired[0] = tokens.restype, 0, True
    counts = torch.from_numpy(deletions.astype(np.float32))
    return MSAFeatures(
        restype=torch.from_numpy(letters.astype(np.int64)),
        has_deletion=counts.clamp(max=1),
        deletion_value=(counts / 3).atan_().mul_(2 / math.pi),
        paired=torch.from_numpy(paired),
        mask=torch.ones(letters.shape, dtype=torch.bool),
    )


def read_aligned_chains(spec: ComplexSpec) -> dict[str, AlignedChain]:
    """The alignments of a complex by the names of its chains, copies included; a sequence alone is none."""
    chains = [chain for chain in spec.chains if chain.has_alignment and chain.msa != (SEQUENCE_ALONE,)]
    # Headers tell which rows belong together where nothing else does, and of different chains alone.
    by_organism = len({chain.sequence for chain in chains}) > 1 and not has_pairs(spec)
    return {
        name: own
        for chain in chains
        for own in [read_aligned_chain(chain, by_organism=by_organism)]
        for name in chain.ids
    }  # fmt: skip


def _places(
    name: str, structure: Structure, tokens: TokenTable
) -> tuple[Int[np.ndarray, " place"], Int[np.ndarray, " place"]]:
    """The tokens of a chain, and the residue, from 0, that each of them is of."""
    chain = int(np.flatnonzero(structure.chains.name == name)[0])
    places = np.flatnonzero(tokens.chain == chain)
    return places, tokens.residue[places] - structure.chain_residues(chain).start


def _rows_and_gaps(
    aligned: AlignedChain, rows: Int[np.ndarray, " row"]
) -> tuple[Int[np.ndarray, " wanted"], UInt8[np.ndarray, "wanted residue"], Int[np.ndarray, "wanted residue"]]:
    """Which rows of a chain are among these, in order, and their restypes and deletions; NO_ROW is one of gaps."""
    wanted = np.union1d(rows, NO_ROW)
    letters, deletions = aligned.letters_and_deletions(wanted[1:])
    gaps = np.full((1, letters.shape[1]), GAP, np.uint8)
    return wanted, np.concatenate([gaps, letters]), np.concatenate([np.zeros_like(deletions[:1]), deletions])
