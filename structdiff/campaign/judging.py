"""Judging: what a network that had no part in a design expects of its sequence alone, beside what it looks like."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from structdiff.campaign.measures import designed_chains
from structdiff.chemistry.residues import PROTEIN_THREE_TO_ONE
from structdiff.evaluation.backbone import Backbone
from structdiff.evaluation.trrosetta import LONGEST, SHORTEST, Judgement, judge_design
from structdiff.structure.tables import Structure
from structdiff.trrosetta.network import NETWORKS


def judge_columns(
    design: Structure, residue_map: Mapping[str, Any], networks: Collection[str] = NETWORKS
) -> dict[str, float | None]:
    """What trRosetta thinks of the designed chains: their mean, of chains with one sequence the first.

    networks: those of its five that are asked. None where no chain is within its reach: 20 to 400 residues, without
    gaps, of the twenty amino acids.
    """
    backbone = Backbone.from_structure(design)
    names = design.chains.name[backbone.chain]
    chains = [backbone.select(names == name) for name in designed_chains(design, residue_map)]
    apart = {tuple(chain.restype.tolist()): chain for chain in reversed(chains)}
    found = [judgement for chain in apart.values() if (judgement := _judged(chain, networks)) is not None]
    return {
        "judge_log_likelihood": _mean([each.log_likelihood for each in found]),
        "judge_contact_precision": _mean([each.contact_precision for each in found]),
    }


def _judged(chain: Backbone, networks: Collection[str]) -> Judgement | None:
    """One chain; None where it is out of reach."""
    known = all(name in PROTEIN_THREE_TO_ONE for name in chain.restype.tolist())
    if not known or not SHORTEST <= len(chain) <= LONGEST or not chain.complete.all():
        return None
    letters = "".join(PROTEIN_THREE_TO_ONE[name] for name in chain.restype.tolist())
    return judge_design(chain, letters, refold=False, networks=networks)


def _mean(values: list[float]) -> float | None:
    known = [value for value in values if np.isfinite(value)]
    return round(float(np.mean(known)), 4) if known else None
