"""Which amino acids networks of sequences favour, and how much: those of a design's parent, or of its backbone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from structdiff.inverse_folding.alphabet import letter_index
from structdiff.inverse_folding.backbone import letter_of
from structdiff.inverse_folding.restrictions import favouring
from structdiff.spec.layout import Layout
from structdiff.structure.motif_residues import motif_residues
from structdiff.structure.tables import Structure
from structdiff.typing import Float


def favoured_letters(
    structure: Structure, layout: Layout, motif: Structure | None, tied: Sequence[Sequence[int]], favour: float
) -> Float[np.ndarray, "residue 20"]:
    """What is added to the logits of each residue of a design.

    Favoured is the letter of the residue of the motif's file that it is or stands in for; of others, those of
    hallucinated folds among them, the one that the backbone came with. tied: rows that get one amino acid, the first of
    which says what is favoured.
    """
    letters = np.array([letter_index(letter_of(structure, row)) for row in range(len(structure.residues))])
    chains = structure.chains.name.tolist()
    known = {} if motif is None else motif_residues(motif)
    for name, chain in layout.chains.items():
        first = structure.chain_residues(chains.index(name)).start
        for place, residue in enumerate(chain):
            if motif is not None and residue.parent in known:
                letters[first + place] = letter_index(letter_of(motif, known[residue.parent]))
    for alike in tied:
        letters[list(alike)] = letters[alike[0]]
    return favouring(letters, favour)
