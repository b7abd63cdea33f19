"""What Boltz-2's affinity network sees of a complex: the ligand, and the stretches of chains that lie nearest to it."""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist

from structdiff.features.tokens import TokenTable
from structdiff.structure.tables import ChainKind, Structure
from structdiff.typing import Bool, Int

MOST_TOKENS, MOST_ATOMS = 256, 2048
MOST_RESIDUES = 200  # tokens of polymers
STRETCH = 10  # tokens about each that is near; shorter chains are taken whole


def affinity_crop(tokens: TokenTable, structure: Structure, binder: int) -> Bool[np.ndarray, " token"]:
    """Which tokens of a complex are seen, given the row of the ligand's chain.

    structure: the predicted one, whose positions (Å) decide. From the nearest to the ligand on, each token brings those
    about it in its chain, until one more would be too many: as Boltz crops (version 2.2.1), for which all of a modified
    residue is one token.
    """
    hosts = boltz_tokens(tokens, structure)
    centres = structure.atoms.positions[_centres(tokens, structure)[hosts]]
    chain, residue = tokens.chain[hosts], tokens.residue[hosts]
    polymer = structure.chains.kind[chain] < ChainKind.LIGAND
    atoms = np.add.reduceat((tokens.atoms >= 0).sum(1), hosts)
    kept = np.zeros(len(hosts), bool)
    for row in np.argsort(cdist(centres, centres[chain == binder]).min(1), kind="stable"):
        more = kept | _stretch(chain, residue, int(row))
        if more.sum() > MOST_TOKENS or atoms[more].sum() > MOST_ATOMS or (more & polymer).sum() > MOST_RESIDUES:
            break
        kept = more
    return np.repeat(kept, np.diff(hosts, append=len(tokens)))


def all_is_seen(tokens: TokenTable, structure: Structure) -> bool:
    """Whether a complex is so small that all of it is seen, however it lies."""
    hosts = boltz_tokens(tokens, structure)
    residues = int((structure.chains.kind[tokens.chain[hosts]] < ChainKind.LIGAND).sum())
    return len(hosts) <= MOST_TOKENS and residues <= MOST_RESIDUES and int((tokens.atoms >= 0).sum()) <= MOST_ATOMS


def boltz_tokens(tokens: TokenTable, structure: Structure) -> Int[np.ndarray, " host"]:
    """The tokens that are some of Boltz-2's too: all but those of a modified residue behind its first."""
    polymer = structure.chains.kind[tokens.chain] < ChainKind.LIGAND
    within = np.append(False, tokens.residue[1:] == tokens.residue[:-1])
    return np.flatnonzero(~(within & polymer & ~tokens.standard))


def _centres(tokens: TokenTable, structure: Structure) -> Int[np.ndarray, " token"]:
    """The row of the atom that is each token's place: CA, C1', or the atom itself.

    Of a modified residue it is the first atom; of selenomethionine, which Boltz takes for methionine, the second (CA).
    """
    places = tokens.atoms[np.arange(len(tokens)), tokens.centre]
    polymer = structure.chains.kind[tokens.chain] < ChainKind.LIGAND
    selenium = polymer & ~tokens.standard & (structure.residues.name[tokens.residue] == "MSE")
    return places + selenium


def _stretch(chain: np.ndarray, residue: np.ndarray, row: int) -> Bool[np.ndarray, " host"]:
    """The tokens that come along with one: its whole chain if that is short, else residues on both sides."""
    own = chain == chain[row]
    if own.sum() <= STRETCH:
        return own
    apart = np.abs(residue - residue[row])
    reach = next((each for each in range(STRETCH) if (own & (apart <= each)).sum() >= STRETCH), STRETCH)
    return own & (apart <= reach)
