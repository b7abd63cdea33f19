"""Which amino acids networks of sequences favour, and how much: those of a design's parent, or of its backbone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial import KDTree

from structdiff.evaluation.backbone import Backbone
from structdiff.evaluation.interface import pairs_across
from structdiff.inverse_folding.alphabet import UNKNOWN, letter_index
from structdiff.inverse_folding.backbone import letter_of
from structdiff.inverse_folding.restrictions import favouring
from structdiff.spec.layout import Layout
from structdiff.structure.motif_residues import motif_residues
from structdiff.structure.tables import ChainKind, Structure
from structdiff.typing import Bool, Float

_ATOM = 6.0  # Å from a CB to atoms of what is no protein, within which a residue is beside them


def favoured_letters(
    structure: Structure, layout: Layout, motif: Structure | None, tied: Sequence[Sequence[int]], favour: float
) -> Float[np.ndarray, "residue 20"]:
    """What is added to the logits of each residue of a design.

    Favoured is the letter of the residue of the motif's file that it is or stands in for; of others, those of
    hallucinated folds among them, the one that the backbone came with, but none where other chains or ligands are near,
    of which that letter knows nothing. tied: rows that get one amino acid, the first of which says what is favoured.
    """
    open_ = ~beside_others(structure)
    letters = np.array([letter_index(letter_of(structure, row)) for row in range(len(structure.residues))])
    chains = structure.chains.name.tolist()
    known = {} if motif is None else motif_residues(motif)
    for name, chain in layout.chains.items():
        first = structure.chain_residues(chains.index(name)).start
        for place, residue in enumerate(chain):
            if motif is not None and residue.parent in known:
                letters[first + place] = letter_index(letter_of(motif, known[residue.parent]))
                open_[first + place] = True
    letters[~open_] = UNKNOWN
    for alike in tied:
        letters[list(alike)] = letters[alike[0]]
    return favouring(letters, favour)


def beside_others(structure: Structure) -> Bool[np.ndarray, " residue"]:
    """Amino acids whose CB is within 8 Å of that of another chain, or within 6 Å of an atom of what is no protein."""
    protein = structure.chains.kind[structure.residues.chain] == ChainKind.PROTEIN
    cb = Backbone.from_structure(structure).cb_or_ideal
    known = np.isfinite(cb).all(-1)
    rows, places = np.flatnonzero(protein)[known], cb[known]
    found = np.zeros(len(protein), bool)
    found[pairs_across(structure, rows, places)] = True
    other = structure.atoms.positions[structure.atoms.resolved & ~protein[structure.atoms.residue]]
    if len(other):
        found[rows] |= KDTree(other).query(places)[0] < _ATOM
    return found
