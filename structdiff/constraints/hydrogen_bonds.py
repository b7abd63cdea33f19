"""Hydrogen bonds and torsions of an asked secondary structure, and of base pairs, for relaxation to keep or to make."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch

from structdiff.constraints.ideal_fragments import ladders
from structdiff.constraints.ideal_pieces import (
    AFTER_HELIX,
    BEFORE_HELIX,
    HELIX_TORSIONS,
    HYDROGEN_BOND,
    pair_bonds,
)
from structdiff.constraints.stereochemistry import Stereochemistry
from structdiff.constraints.torsion_preference import torsion_well
from structdiff.spec.fold import Block, StrandPair
from structdiff.structure.base_pairs import PairAtoms

_BASE_PAIR_SPREAD = 0.08  # Å
_N_TO_O_SPREAD, _N_TO_C = 0.12, 4.1  # Å; natural sheets and helices have 4.07 and 4.14 from N to C
_FORMED = 3.5  # Å between N and O of a hydrogen bond that is there
#: kT/radian², how steep the torsions' wells are; weaker caps turn into more helix, weaker strands into flat sheets.
_HELIX_WELL, _STRAND_WELL, _CAP_WELL = 20.0, 80.0, 160.0
#: phi and psi (degrees) of the well of strands: more twisted than natural ones on average (-119, 136), since hydrogen
#: bonds and the density of torsions flatten sheets.
_STRAND_AIM = (-106.0, 141.0)


def bonds_of_fold(blocks: Sequence[Block], pairs: Sequence[StrandPair], chain: np.ndarray) -> list[tuple[int, int]]:
    """Residues (from 0) whose N-H and C=O are to be bonded, as (residue of the N, residue of the O)."""
    bonds = []
    for block in blocks:
        if block.letter == "H":
            for oxygen in range(max(0, block.start - 1), block.stop - 3):
                nitrogen = oxygen + 4
                if nitrogen < len(chain) and chain[oxygen] == chain[nitrogen] == chain[block.start]:
                    bonds.append((nitrogen, oxygen))
    for facing, parallel in ladders(pairs, chain):
        for (donor, i), (acceptor, j) in pair_bonds(len(facing), parallel=parallel):
            bonds.append((facing[i][donor], facing[j][acceptor]))
    return bonds


def with_fold(
    model: Stereochemistry,
    blocks: Sequence[Block],
    pairs: Sequence[StrandPair],
    *,
    backbone: np.ndarray,
    chain: np.ndarray,
    held: np.ndarray,
    loop: np.ndarray,
) -> Stereochemistry:
    """The same chemistry with the bonds and torsions of a fold added to what is minimised.

    backbone (residue, 4): rows of N, CA, C, O, -1 for none; chain (residue); held (atom): what stays where it is; loop
    (residue): where neither helix nor strand is to be.
    """
    bonded = with_hydrogen_bonds(model, blocks, pairs, backbone=backbone, chain=chain, held=held)
    return _with_wells(bonded, blocks, backbone, loop)


def with_hydrogen_bonds(
    model: Stereochemistry,
    blocks: Sequence[Block],
    pairs: Sequence[StrandPair],
    *,
    backbone: np.ndarray,
    chain: np.ndarray,
    held: np.ndarray,
    there: np.ndarray | None = None,
) -> Stereochemistry:
    """The same chemistry with the hydrogen bonds of a fold; with positions ``there`` (atom, 3), only those they have.

    The rest as in `with_fold`.
    """
    donors_acceptors = np.array(bonds_of_fold(blocks, pairs, chain), np.int64).reshape(-1, 2)
    nitrogen, oxygen = backbone[donors_acceptors[:, 0], 0], backbone[donors_acceptors[:, 1], 3]
    carbon = backbone[donors_acceptors[:, 1], 2]
    rows = np.concatenate([np.stack([nitrogen, oxygen], 1), np.stack([nitrogen, carbon], 1)])
    length = np.repeat([HYDROGEN_BOND, _N_TO_C], len(nitrogen))
    usable = (rows >= 0).all(1) & ~held[rows].all(1)
    if there is not None:
        apart = np.linalg.norm(there[nitrogen] - there[oxygen], axis=1)
        usable &= np.tile(apart < _FORMED, 2)
    return with_distances(model, rows[usable], length[usable], spread=_N_TO_O_SPREAD)


def with_base_pairs(model: Stereochemistry, pairs: PairAtoms) -> Stereochemistry:
    """The same chemistry with the hydrogen bonds of base pairs."""
    there = ~np.isnan(pairs.length)
    return with_distances(model, pairs.atoms[there], pairs.length[there], spread=_BASE_PAIR_SPREAD)


def with_distances(model: Stereochemistry, rows: np.ndarray, length: np.ndarray, *, spread: float) -> Stereochemistry:
    """The same chemistry with pairs of atoms (pair, 2) that are to be so far apart (Å), give or take a spread (Å)."""
    added = torch.from_numpy(length)
    return dataclasses.replace(
        model,
        pairs=torch.cat([model.pairs, torch.from_numpy(rows)]),
        distance=torch.cat([model.distance, added]),
        cis_distance=torch.cat([model.cis_distance, added]),
        proline_bond=torch.cat([model.proline_bond, torch.full((len(rows),), -1)]),
        pair_stiffness=torch.cat([model.pair_stiffness, torch.full((len(rows),), 1 / spread**2).double()]),
    )


def _with_wells(
    model: Stereochemistry, blocks: Sequence[Block], backbone: np.ndarray, loop: np.ndarray
) -> Stereochemistry:
    """Residues of helices, of their caps and of strands get torsion tables of their own: a well in the density of any.

    The well alone left residues that could not reach it between all that is natural (docs/log.md). Without caps helices
    run on into the loops.
    """
    preference = model.torsion_preference
    if preference is None:
        return model
    kinds = len(preference.table)
    caps = [(each, _CAP_WELL) for each in (BEFORE_HELIX, AFTER_HELIX)]
    aims = [(HELIX_TORSIONS, _HELIX_WELL), (_STRAND_AIM, _STRAND_WELL), *caps]
    wells = np.stack([torsion_well(np.radians(aim), depth) for aim, depth in aims])
    number = {"H": kinds, "E": kinds + 1}
    wanted = {int(backbone[row, 1]): number[block.letter] for block in blocks for row in range(block.start, block.stop)}
    for block in blocks:
        for row, cap in ((block.start - 1, kinds + 2), (block.stop, kinds + 3)):
            if block.letter == "H" and 0 <= row < len(loop) and loop[row]:
                wanted[int(backbone[row, 1])] = cap
    in_loops = preference.with_loops(set(backbone[loop, 1].tolist()))
    usual = zip(in_loops.atoms[:, 2].tolist(), in_loops.kind.tolist(), strict=True)
    kind = torch.tensor([wanted.get(alpha, kind) for alpha, kind in usual], dtype=torch.int64)
    changed = preference.with_wells(kind, wells, model.spreads.torsion_preference)
    return dataclasses.replace(model, torsion_preference=changed)
