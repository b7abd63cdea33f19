"""Does a designed sequence, by itself, say that it folds as designed? The judgement of trRosetta."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import torch

from structdiff.errors import InputError
from structdiff.evaluation.backbone import CA, Backbone, N
from structdiff.evaluation.tm_score import tm_score
from structdiff.trrosetta.folding import fold
from structdiff.trrosetta.geometry import classes_of, pair_geometry
from structdiff.trrosetta.network import NETWORKS, Expectation, expect_each, mean_expectation

#: Pairs nearer in sequence say nothing of a fold; further apart than this (Å) trRosetta does not tell distances.
_SEPARATION, _FARTHEST, _CONTACT = 6, 20.0, 8.0
#: Residues of the chains that can be judged.
SHORTEST, LONGEST = 20, 400


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What trRosetta thinks of a sequence for a backbone.

    log_likelihood: mean log probability of the backbone's own CB-CB distances (pairs at least 6 residues and at most
    20 Å apart; ln(1/37) = -3.6 is no opinion). contact_precision: share of the L likeliest contacts that are contacts
    (CB within 8 Å). sc_tm: TM-score of a quick fold into what is expected, against the backbone; None if not asked for.
    """

    log_likelihood: float
    contact_precision: float
    sc_tm: float | None = None


def judge_design(
    backbone: Backbone, sequence: str, *, refold: bool = True, seed: int = 0, networks: Collection[str] = NETWORKS
) -> Judgement:
    """Judges one chain; a low score of a large natural fold proves nothing, of a small design it says much.

    networks: whose opinions count, the mean of them. Raises InputError for a backbone with gaps, for one whose length
    is not that of the sequence or is out of reach (20 to 400 residues), and when the networks have not been fetched.
    """
    if len(backbone) != len(sequence):
        raise InputError("sequence and backbone differ in length", found=len(sequence), allowed=str(len(backbone)))
    if not SHORTEST <= len(sequence) <= LONGEST:
        raise InputError("out of reach of trRosetta", found=f"{len(sequence)} residues",
                         allowed=f"{SHORTEST} to {LONGEST}")  # fmt: skip
    if not backbone.complete.all():
        raise InputError("the backbone lacks atoms", found=f"{int((~backbone.complete).sum())} residues")
    positions = torch.from_numpy(backbone.positions).float()
    pairs = pair_geometry(positions[:, N], positions[:, CA], torch.from_numpy(backbone.cb_or_ideal).float())
    opinions = dict(zip(NETWORKS, expect_each(sequence), strict=True))
    expected = mean_expectation([opinions[name] for name in NETWORKS if name in networks])
    place = torch.arange(len(sequence))
    counts = (place[:, None] - place).abs() >= _SEPARATION
    logs = expected.distance.gather(-1, classes_of(pairs)["distance"].unsqueeze(-1)).squeeze(-1)
    upper = torch.triu(counts)
    likeliest = expected.contact_probability[upper].argsort(descending=True, stable=True)[: len(sequence)]
    return Judgement(
        log_likelihood=float(logs[counts & (pairs.distance < _FARTHEST)].mean()),
        contact_precision=float((pairs.distance[upper][likeliest] < _CONTACT).float().mean()),
        sc_tm=_sc_tm(backbone, expected, seed) if refold else None,
    )


def _sc_tm(backbone: Backbone, expected: Expectation, seed: int) -> float:
    folded = fold(expected, seed=seed).backbone[:, 1].numpy().astype(np.float64)
    return float(tm_score(folded, backbone.positions[:, CA]).score)
