"""What the network is told beside the molecules themselves: one value a token or a pair, 0 always meaning unknown."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

#: Values of the categorical channels; 0 is unknown in each.
HOTSPOT, NO_HOTSPOT = 1, 2
KEEP_AWAY, MAY_TOUCH = 1, 2
HELIX, STRAND, LOOP = 1, 2, 3
BURIED, PARTLY_BURIED, EXPOSED = 1, 2, 3
APART, ADJACENT = 1, 2


@dataclass(frozen=True, kw_only=True)
class Condition:
    """Conditions on the tokens of one structure (numpy; token count T).

    sequence_known: the residue type is given. motif_group: 0 is free; tokens of one group > 0 keep their distances, the
    pose of one group to another is free. structure_fixed: the group's atoms are held, not merely hinted at.
    hotspot, keep_away, secondary_structure, burial, fold_adjacency: categories, see the constants of this module.
    contact_bound: upper bound of the distance between representative atoms in Å, 0 where nothing is asked.
    pocket_bound: the same of a token of a pocket (row) and one of what should bind there (column), to any of which.
    """

    sequence_known: np.ndarray  # bool [T]
    motif_group: np.ndarray  # int32 [T]
    structure_fixed: np.ndarray  # bool [T]
    hotspot: np.ndarray  # int8 [T]
    keep_away: np.ndarray  # int8 [T]
    secondary_structure: np.ndarray  # int8 [T]
    burial: np.ndarray  # int8 [T]
    contact_bound: np.ndarray  # float32 [T, T]
    pocket_bound: np.ndarray  # float32 [T, T]
    fold_adjacency: np.ndarray  # int8 [T, T]

    @classmethod
    def unknown(cls, num_tokens: int, *, sequence_known: bool = True) -> Condition:
        """Nothing is asked: every channel says unknown; the sequence is known or not as a whole."""
        zeros = np.zeros(num_tokens, np.int8)
        return cls(
            sequence_known=np.full(num_tokens, sequence_known),
            motif_group=np.zeros(num_tokens, np.int32),
            structure_fixed=np.zeros(num_tokens, bool),
            hotspot=zeros,
            keep_away=zeros,
            secondary_structure=zeros,
            burial=zeros,
            contact_bound=np.zeros((num_tokens, num_tokens), np.float32),
            pocket_bound=np.zeros((num_tokens, num_tokens), np.float32),
            fold_adjacency=np.zeros((num_tokens, num_tokens), np.int8),
        )

    def replace(self, **channels: np.ndarray) -> Condition:
        """The same conditions with some channels exchanged."""
        return dataclasses.replace(self, **channels)
