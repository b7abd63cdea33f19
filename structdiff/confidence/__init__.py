"""Confidence: from the network's logits to pLDDT, PAE, PDE, pTM, ipTM, ipSAE and a ranking."""

from structdiff.confidence.result import Confidence, compute_confidence
from structdiff.confidence.scores import (
    ConfidenceLogits,
    chain_pair_ipsae,
    chain_pair_iptm,
    chain_pair_minimum,
    expected_tm_terms,
    iptm_from_terms,
    plddt_from_logits,
    ptm_from_terms,
    ranking_score,
    tm_scale,
)

__all__ = [
    "Confidence",
    "ConfidenceLogits",
    "chain_pair_ipsae",
    "chain_pair_iptm",
    "chain_pair_minimum",
    "compute_confidence",
    "expected_tm_terms",
    "iptm_from_terms",
    "plddt_from_logits",
    "ptm_from_terms",
    "ranking_score",
    "tm_scale",
]
