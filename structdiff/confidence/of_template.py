"""Confidence in residues that follow a template: no surer than templates of so many equal letters are right.

The network cannot judge them: it takes whatever structure it is told for as good as the true one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from structdiff.confidence.of_alignment import AlignedLogits, plddt_logits
from structdiff.confidence.scores import ConfidenceLogits, plddt_from_logits
from structdiff.features.chain_folds import ChainFold
from structdiff.features.templates import Templates
from structdiff.features.tokens import TokenTable
from structdiff.structure.tables import Structure

#: lDDT (CA) to the true structure of one with the same letters, and what each of the others takes away of it
#: (`benchmarks/template_likeness.py`).
_SAME, _SLOPE = 0.95, 0.31


def judged_by_templates(
    logits: ConfidenceLogits, templates: Templates | None, folds: Sequence[ChainFold], structure: Structure,
    tokens: TokenTable,
) -> ConfidenceLogits:  # fmt: skip
    """The logits with a pLDDT, of residues whose template is told and not held, of what the likeness of letters allows.

    folds: those of chains with an alignment, which knows less of these residues than the template does.
    """
    if templates is None or not templates.told_only.any():
        return logits
    plddt, aligned = logits.plddt.clone(), [name for own in folds for name in own.chains]
    of_aligned = np.isin(structure.chains.name[tokens.chain], aligned)
    for number in np.unique(templates.group[templates.told_only]).tolist():
        residues = np.unique(structure.atoms.residue[templates.told_only & (templates.group == number)])
        expected = _SAME - _SLOPE * (1.0 - float(templates.alike[residues].mean()))
        here = np.isin(tokens.residue, residues)
        rows = torch.from_numpy(np.flatnonzero(here))
        surest = torch.full((len(rows),), expected)
        own = torch.from_numpy(plddt_from_logits(plddt[rows])) / 100.0
        known = torch.from_numpy(of_aligned[here])
        plddt[rows] = plddt_logits(torch.where(known, surest, torch.minimum(own, surest)), plddt.shape[-1]).to(plddt)
    return AlignedLogits(plddt=plddt, pae=logits.pae, pde=logits.pde)
