"""Which structures the confidence head learns from, and by which it is judged."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from structdiff.training.dataset import StructureSet
from structdiff.training.folder import chain_sequences, sequence_groups

_WORST_RESOLUTION = 4.0  # Å; errors beside a blurred structure say little (AlphaFold 3, section 4.3)


def well_resolved(data: Path, split: str) -> StructureSet:
    """A split of a training set in which structures of known poor resolution are never drawn."""
    structures = StructureSet(data, split)
    blurred = [float(str(entry.get("resolution", 0.0))) > _WORST_RESOLUTION for entry in structures.metadata]
    structures.weight = structures.weight * ~np.array(blurred, bool)
    return structures


def validation_halves(data: Path) -> tuple[StructureSet, StructureSet]:
    """The validation split twice: one half of it may be drawn in the first, the other in the second.

    The head learns from the first: what trunk and denoiser have not learnt is predicted worse than what they have, and
    a head that saw the latter alone takes everything for better than it is. It is judged by the second. Entries that
    share a sequence are in one half; the second has the odd one, so a single group is there and the first is empty.
    """
    learnt, judged = well_resolved(data, "val"), well_resolved(data, "val")
    groups = sequence_groups([chain_sequences(learnt.structure(index)) for index in range(len(learnt))])
    number = {group: place for place, group in enumerate(sorted(set(groups)))}
    first = np.array([number[group] % 2 == 1 for group in groups], bool)
    learnt.weight = learnt.weight * first
    judged.weight = judged.weight * ~first
    return learnt, judged
