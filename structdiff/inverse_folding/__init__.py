"""Sequences for given backbones: ProteinMPNN and LigandMPNN, and the packing of side chains."""

from structdiff.inverse_folding.design import DesignedSequence, SequenceConfig, design_for_backbones, design_sequences
from structdiff.inverse_folding.packing import PackingConfig, pack_side_chains
from structdiff.inverse_folding.restrictions import Restrictions, rows_in, tied_rows
from structdiff.inverse_folding.scoring import SequenceScore, score_sequence

__all__ = [
    "DesignedSequence",
    "PackingConfig",
    "Restrictions",
    "SequenceConfig",
    "SequenceScore",
    "design_for_backbones",
    "design_sequences",
    "pack_side_chains",
    "rows_in",
    "score_sequence",
    "tied_rows",
]
