"""Measures of structures: are they valid, what do they look like, how like a reference are they.

Everything here is numpy in, numbers out; ``validity`` and ``compare`` do all checks at once.
"""

from structdiff.evaluation.backbone import Backbone
from structdiff.evaluation.comparison import Comparison, compare
from structdiff.evaluation.lddt import lddt
from structdiff.evaluation.secondary_structure import secondary_structure
from structdiff.evaluation.summary import Summary, summarise
from structdiff.evaluation.superposition import rmsd, superpose
from structdiff.evaluation.tm_score import gdt_ha, gdt_ts, tm_score
from structdiff.evaluation.validity import Validity, backbone_validity, summarise_validity, validity

__all__ = [
    "Backbone", "Comparison", "Summary", "Validity", "backbone_validity", "compare", "gdt_ha", "gdt_ts", "lddt", "rmsd",
    "secondary_structure", "summarise", "summarise_validity", "superpose", "tm_score", "validity",
]  # fmt: skip
