"""What designed chains keep of a motif, as folds are drawn around it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from structdiff.evaluation.backbone import CA, Backbone, C
from structdiff.evaluation.secondary_structure import secondary_structure
from structdiff.spec.anchor import Anchor
from structdiff.spec.design import DesignSpec
from structdiff.spec.layout import Layout
from structdiff.spec.layout_residue import LayoutResidue
from structdiff.structure.motif_residues import ligand_residues, motif_residues
from structdiff.structure.tables import ChainKind, Structure

FEWEST_NEW = 20  # residues that a fold around a motif needs


def motif_anchors(spec: DesignSpec, layout: Layout, motif: Structure, *, of_shape: bool = False) -> dict[str, Anchor]:
    """For each chain with a motif around which a fold can be planned, by name: where the motif is, and its fold.

    That is one rigid group with its whole backbone, where nothing else is asked that has a place in space; ligands and
    chains that are kept stand in the way. of_shape: also where symmetry or energies are asked for, since only the shape
    of the fold is planned.
    """
    asked = (spec.noise, spec.burial, *spec.cyclic, *spec.disulfides, *spec.hotspots, *spec.keep_away, *spec.tip,
             *spec.held_atoms, *spec.unindexed)  # fmt: skip
    if not of_shape:
        asked += (spec.symmetry, *spec.energies)
    if any(each is not None for each in asked):
        return {}
    if {residue.group for residue in layout.residues if residue.origin is not None} != {1}:
        return {}
    rows, kept = motif_residues(motif), {residue.origin for residue in layout.residues}
    around = rows | ligand_residues(motif)
    found: dict[str, Anchor] = {}
    for name, chain in layout.chains.items():
        own = [residue.origin for residue in chain if residue.origin is not None]
        if chain[0].chain_is_fixed or not own or len(chain) - len(own) < FEWEST_NEW:
            continue
        others = [row for residue, row in around.items() if residue in kept and residue not in set(own)]
        anchor = _anchor(chain, [rows[residue] for residue in own], others, motif)
        if anchor is not None:
            found[name] = anchor
    return found


def _atoms(motif: Structure, rows: Sequence[int]) -> np.ndarray:
    """Positions (Å) of the atoms of residues that were seen."""
    return motif.atoms.positions[motif.atoms.resolved & np.isin(motif.atoms.residue, rows)].astype(np.float64)


def _anchor(
    chain: Sequence[LayoutResidue], own: Sequence[int], others: Sequence[int], motif: Structure
) -> Anchor | None:
    """Of a chain that keeps these residues of the motif (by row), beside others; None where one is no amino acid."""
    protein = np.flatnonzero(motif.chains.kind[motif.residues.chain] == ChainKind.PROTEIN)
    if not np.isin(own, protein).all():
        return None
    backbone = Backbone.from_structure(motif)
    at = np.searchsorted(protein, own)
    alphas = backbone.positions[at, CA]
    if not np.isfinite(alphas).all():
        return None
    return Anchor(
        places=np.flatnonzero([residue.origin is not None for residue in chain]),
        letters="".join(secondary_structure(backbone)[at]),
        alphas=alphas,
        carbonyls=backbone.oxygen_or_ideal[at] - backbone.positions[at, C],
        obstacles=_atoms(motif, others),
    )
