"""Targets that were cropped for the network, put back whole, in the design's frame, with their own names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from structdiff.geometry.superposition import superposition
from structdiff.spec.design import DesignSpec
from structdiff.spec.layout import Layout
from structdiff.structure.held_parts import partly_held, retyped
from structdiff.structure.keys import ResidueName, residue_keys
from structdiff.structure.scaffold import build_scaffold
from structdiff.structure.tables import Structure

#: Å: nearer than this to where the motif's file has it, a design stands in the file's own frame.
_SAME_FRAME = 0.01


@dataclass(frozen=True, kw_only=True)
class WholeTarget:
    """What a design is with all of its target.

    layout: its residues, those that were not drawn included. structure: its molecules; atoms of the motif's file stand
    where they stand there. group: motif group of each residue; left_out: which residues were not drawn.
    """

    layout: Layout
    structure: Structure
    group: np.ndarray
    left_out: np.ndarray

    @classmethod
    def of(cls, spec: DesignSpec, layout: Layout, motif: Structure | None) -> WholeTarget | None:
        """The whole of a cropped design; None where nothing was left out."""
        if spec.whole_contigs is None or motif is None:
            return None
        whole = layout.with_whole_target(spec.whole_contigs)
        scaffold = build_scaffold(
            whole, motif, cyclic=spec.cyclic, disulfides=spec.disulfides, held=partly_held(spec),
            retyped=retyped(spec, whole), name="", incomplete=frozenset(spec.left_out),
        )  # fmt: skip
        missing = set(spec.left_out)
        left_out = np.array([residue.chain_is_fixed and residue.origin in missing for residue in whole.residues])
        return cls(layout=whole, structure=scaffold.structure, group=scaffold.residue_group, left_out=left_out)

    def completed(self, drawn: Structure) -> Structure:
        """A drawn structure with what was not drawn; only atoms that are resolved are kept.

        Each piece of the target moves with the held residues of its motif group; where these stand as in the motif's
        file, it stands exactly as there.
        """
        whole, rows = self.structure, _rows(self.structure)
        place = np.array([rows[key] for key in residue_keys(drawn)])
        names = whole.residues.name.astype("U5")
        names[place] = drawn.residues.name
        there = {
            (int(residue), str(name)): row
            for row, (residue, name) in enumerate(zip(whole.atoms.residue, whole.atoms.name, strict=True))
        }
        # A chain that was cut has an OXT, or not, by where it ended; the whole chain decides.
        mine = [
            (row, there[key])
            for row in np.flatnonzero(drawn.atoms.resolved)
            if (key := (int(place[drawn.atoms.residue[row]]), str(drawn.atoms.name[row]))) in there
        ]
        source, target = (np.array(each, np.int64) for each in zip(*mine, strict=True))
        given, held = whole.atoms.positions.astype(np.float64), whole.atoms.resolved.copy()
        positions, resolved = given.copy(), self.left_out[whole.atoms.residue] & held
        b_factor = np.zeros(len(whole.atoms), np.float32)
        positions[target], b_factor[target] = drawn.atoms.positions[source], drawn.atoms.b_factor[source]
        for group in np.unique(self.group[self.left_out]):
            own = (self.group == group)[whole.atoms.residue] & held
            anchors = np.intersect1d(np.flatnonzero(own & ~resolved), target)
            moved = _moved(given[anchors], positions[anchors], given[own & resolved])
            positions[own & resolved] = moved
        resolved[target] = True
        renamed = replace(whole, name=drawn.name, residues=replace(whole.residues, name=names), metadata=drawn.metadata)
        return renamed.with_positions(positions, b_factor=b_factor, resolved=resolved).select(resolved)

    def residue_map(self) -> dict[str, Any]:
        """The residue map of the whole; what was not drawn bears ``"drawn": false``."""
        missing = {each.id for each, left in zip(self.layout.residues, self.left_out, strict=True) if left}
        return self.layout.residue_map(not_drawn=missing)


def drawn_part(structure: Structure, residue_map: Mapping[str, Any]) -> Structure:
    """A finished design without what of its target was not drawn."""
    missing = {_named(row["design"]) for row in residue_map.get("residues", ()) if not row.get("drawn", True)}
    if not missing:
        return structure
    kept = np.array([key not in missing for key in residue_keys(structure)])
    return structure.select(kept[structure.atoms.residue])


def _moved(before: np.ndarray, now: np.ndarray, more: np.ndarray) -> np.ndarray:
    """More positions (atom, 3) moved as those of the anchors were, from before to now."""
    if len(before) < 3 or np.abs(before - now).max() < _SAME_FRAME:
        return more
    return superposition(torch.from_numpy(before), torch.from_numpy(now)).apply(torch.from_numpy(more)).numpy()


def _rows(structure: Structure) -> dict[ResidueName, int]:
    return {key: row for row, key in enumerate(residue_keys(structure))}


def _named(residue: Mapping[str, Any]) -> ResidueName:
    return str(residue["chain"]), int(residue["number"]), str(residue.get("insertion_code") or "").strip()
