"""Which residues of a design get an amino acid of their own, and which chains get the same ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from structdiff.spec.design import DesignSpec
from structdiff.spec.layout import Layout
from structdiff.spec.layout_residue import LayoutResidue
from structdiff.spec.segments import ResidueId
from structdiff.structure.held_parts import retyped
from structdiff.structure.motif_residues import motif_residues
from structdiff.structure.tables import ChainKind, Structure


def open_residues(spec: DesignSpec, layout: Layout, motif: Structure | None) -> np.ndarray:
    """Which residues of a layout get a new amino acid, (residue,) bool. spec: with its stretches looked up."""
    changed = _proteins(motif) & retyped(spec, layout) if motif is not None else set()
    bonded = {(chain, number if number > 0 else len(layout.chains.get(chain, ())) + 1 + number)
              for pair in spec.disulfides for chain, number in pair}  # fmt: skip
    places = [(name, place) for name, chain in layout.chains.items() for place in range(1, len(chain) + 1)]
    return np.array(
        [
            residue.origin in changed if residue.origin is not None else not residue.keeps_type and place not in bonded
            for residue, place in zip(layout.residues, places, strict=True)
        ],
        bool,
    )


def _proteins(motif: Structure) -> set[ResidueId]:
    kinds = motif.chains.kind[motif.residues.chain]
    return {residue for residue, row in motif_residues(motif).items() if kinds[row] == ChainKind.PROTEIN}


def alike_chains(spec: DesignSpec, layout: Layout, motif: Structure | None) -> list[tuple[str, ...]]:
    """Names of the chains of a layout that get one sequence, group by group.

    They are those that take the place of chains of equal sequence in the motif's file, residue by residue, with the
    same residues open. Chains that are new, if only in part, have nothing in common but what was drawn.
    """
    if motif is None:
        return []
    rows, open_ = motif_residues(motif), iter(open_residues(spec, layout, motif).tolist())
    groups: dict[tuple, list[str]] = {}
    for name, chain in layout.chains.items():
        given = tuple((_source_type(residue, motif, rows), next(open_)) for residue in chain)
        if any(is_open for _, is_open in given) and all(source is not None for source, _ in given):
            groups.setdefault(given, []).append(name)
    return [tuple(names) for names in groups.values() if len(names) > 1]


def _source_type(residue: LayoutResidue, motif: Structure, rows: Mapping[ResidueId, int]) -> str | None:
    """The type of the residue of the motif's file that this one is, or takes the place of."""
    parent = residue.parent
    return None if parent is None or parent not in rows else str(motif.residues.name[rows[parent]])


def rows_alike(structure: Structure, groups: Iterable[Sequence[str]]) -> list[list[int]]:
    """Rows of residues that stand at the same place of chains that get one sequence; groups: names of such chains."""
    names = structure.chains.name.tolist()
    parts = [[structure.chain_residues(names.index(name)) for name in group] for group in groups]
    return [
        list(rows) for group in parts for rows in zip(*(range(part.start, part.stop) for part in group), strict=True)
    ]
