"""The letters of designs: by the network's own sequence head, or those that a fold was made up with."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import torch
from torch import Tensor

from structdiff.chemistry.residues import PROTEIN_ONE_TO_THREE, RESTYPE_INDEX, RESTYPES
from structdiff.constraints.residue_torsions import glycine_and_proline
from structdiff.features.hallucinated_folds import letters_of
from structdiff.jobs import Job
from structdiff.output.prediction import AMINO_ACIDS
from structdiff.structure.open_residues import alike_chains, rows_alike
from structdiff.structure.tables import ChainKind, Structure

_AMINO_ACIDS = torch.tensor([RESTYPE_INDEX[PROTEIN_ONE_TO_THREE[letter]] for letter in AMINO_ACIDS])
_OTHER_LETTERS = 1e-3  # share of all but that of a sequence that was made up


def with_torsions(job: Job, structure: Structure, logits: Tensor) -> Tensor:
    """What the sequence head says of each amino acid, and what the finished backbone's torsions say to it."""
    odds = torch.from_numpy(glycine_and_proline(structure.select(job.visible))).to(logits)[job.tokens.residue]
    told = logits.clone()
    told[:, [RESTYPE_INDEX["GLY"], RESTYPE_INDEX["PRO"]]] += odds
    return told


def with_made_up_letters(job: Job, logits: Tensor) -> Tensor:
    """The same, but for chains whose fold was made up the letters that it was made up with, nearly surely.

    The others keep their order: one of them is drawn where that letter may not be.
    """
    told = logits.clone()
    for own in job.folds:
        chain = int(np.flatnonzero(job.structure.chains.name == own.chains[0])[0])
        here = np.flatnonzero((job.tokens.chain == chain) & _is_designed(job))
        letters, first = letters_of(own), job.structure.chain_residues(chain).start
        for token in here.tolist():
            told[token] += math.log(_OTHER_LETTERS) - logits[token, _AMINO_ACIDS].logsumexp(-1)
            told[token, RESTYPE_INDEX[PROTEIN_ONE_TO_THREE[letters[job.tokens.residue[token] - first]]]] = 0.0
    return told


def with_sequence(job: Job, structure: Structure, logits: Tensor, generator: torch.Generator) -> Structure:
    """The designed residues renamed by the network's own sequence head; their side chains are not built.

    Each residue is drawn from its own distribution, since the most likely one everywhere would be leucine nearly
    everywhere. Gumbel noise makes the draw: no rounding of the logits changes it but at a tie. Chains
    that are alike get the letters of the first of them.
    """
    hidden = _is_designed(job)
    uniform = torch.rand(len(logits), len(_AMINO_ACIDS), generator=generator).clamp(min=1e-9)
    drawn = _AMINO_ACIDS[(logits[:, _AMINO_ACIDS] - torch.log(-torch.log(uniform))).argmax(-1)].numpy()
    names = structure.residues.name.astype("U5")
    names[job.tokens.residue[hidden]] = [RESTYPES[index] for index in drawn[hidden]]
    for alike in _alike(job):
        names[alike] = names[alike[0]]
    renamed = dataclasses.replace(structure, residues=dataclasses.replace(structure.residues, name=names))
    return renamed.select(job.visible)


def _is_designed(job: Job) -> np.ndarray:
    """Tokens whose amino acid is open."""
    return (~job.features.condition.sequence_known).numpy() & (job.features.token.kind == ChainKind.PROTEIN).numpy()


def _alike(job: Job) -> list[list[int]]:
    """Rows of residues that get one amino acid, since their chains are alike in the file that they begin with."""
    assert job.spec is not None
    assert job.layout is not None
    return rows_alike(job.structure, alike_chains(job.spec, job.layout, job.motif))


def sequence_probabilities(job: Job, logits: Tensor) -> np.ndarray:
    """The shares of the amino acids (AMINO_ACIDS) that each open residue is drawn with; NaN for the others."""
    shares = torch.softmax(logits[:, _AMINO_ACIDS].double(), -1).numpy()
    return np.where(_is_designed(job)[:, None], shares, np.nan)
