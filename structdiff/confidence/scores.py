"""Each score of confidence by itself, from the bins that the network predicts (AlphaFold 3, sections 4.3 and 5.9).

Tokens are numbered as in the features. In every matrix of errors row i, column j is about the position of token j as
seen from the frame of token i: rows are aligned, columns are judged.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from structdiff.errors import InputError
from structdiff.typing import Bool, Float, Int

LARGEST_ERROR = 32.0  # Å, upper edge of the bins of PAE and PDE
_CLASH_PENALTY = 100.0
_IPTM_WEIGHT = 0.8
#: ipSAE: Å, pairs of residues with a larger PAE do not count; the fewest residues that its d0 is made for; the least
#: d0 (Å) of proteins, and of pairs with a nucleic acid.
_IPSAE_CUTOFF, _IPSAE_FEWEST, _IPSAE_LEAST, _IPSAE_LEAST_NUCLEIC = 10.0, 27, 1.0, 2.0


@runtime_checkable
class ConfidenceLogits(Protocol):
    """Anything that holds the logits of one structure: plddt [token, 50], pae and pde [token, token, 64]."""

    @property
    def plddt(self) -> Tensor:
        """Bins of lDDT from 0 to 1."""
        ...

    @property
    def pae(self) -> Tensor:
        """Bins of the aligned error from 0 to 32 Å."""
        ...

    @property
    def pde(self) -> Tensor:
        """Bins of the distance error from 0 to 32 Å."""
        ...


def bin_centres(count: int, largest: float) -> Float[Tensor, " bin"]:
    """The middle of each of ``count`` equal bins between 0 and ``largest``.

    >>> bin_centres(4, 2.0)
    tensor([0.2500, 0.7500, 1.2500, 1.7500])
    """
    return (torch.arange(count) + 0.5) * (largest / count)


def plddt_from_logits(logits: Float[Tensor, "token bin"]) -> Float[np.ndarray, " token"]:
    """How well each token's surroundings are expected to be kept: predicted lDDT, 0 to 100 (AlphaFold 3, 4.3.1)."""
    return _expectation(logits, bin_centres(logits.shape[-1], 100.0))


def expected_error(logits: Float[Tensor, "token token bin"]) -> Float[np.ndarray, "token token"]:
    """The expected error (Å) of each pair, for PAE and PDE alike; the last bin counts as its own middle, 31.75 Å."""
    return _expectation(logits, bin_centres(logits.shape[-1], LARGEST_ERROR))


def _expectation(logits: Tensor, values: Tensor) -> np.ndarray:
    logits = logits.detach().float().cpu()
    # Row by row, so that the probabilities of a large complex are never all in memory.
    rows = [torch.softmax(row, -1) @ values for row in logits]
    return torch.stack(rows).numpy() if rows else np.zeros(logits.shape[:-1], np.float32)


def tm_scale(num_tokens: int) -> float:
    """The distance d0 (Å) at which an error halves a residue's TM-score (Zhang & Skolnick 2004); at least 19 tokens.

    >>> round(tm_scale(100), 3), tm_scale(5) == tm_scale(19)
    (3.652, True)
    """
    return 1.24 * (max(num_tokens, 19) - 15) ** (1 / 3) - 1.8


def expected_tm_terms(
    logits: Float[Tensor, "aligned judged bin"], num_tokens: int
) -> Float[np.ndarray, "aligned judged"]:
    """What each token j adds to the TM-score when the prediction is laid upon the truth at frame i: 0 to 1.

    The expectation of 1 / (1 + (e_ij / d0)²) over the aligned error e, with d0 for num_tokens (AlphaFold 3, 5.9.1).
    """
    centres = bin_centres(logits.shape[-1], LARGEST_ERROR)
    return _expectation(logits, 1 / (1 + (centres / tm_scale(num_tokens)).square()))


def ptm_from_terms(
    terms: Float[np.ndarray, "token token"], judged: Bool[np.ndarray, " token"], frames: Bool[np.ndarray, " token"]
) -> float:
    """Predicted TM-score: the mean over all judged tokens, from the frame that sees them best.

    judged: tokens that count. frames: tokens whose atoms span a plane; only they are aligned. NaN without any.
    AlphaFold 3, section 5.9.1.
    """
    aligned = frames & judged
    return float(terms[aligned][:, judged].mean(1).max()) if aligned.any() else float("nan")


def iptm_from_terms(
    terms: Float[np.ndarray, "token token"],
    asym_id: Int[np.ndarray, " token"],
    judged: Bool[np.ndarray, " token"],
    frames: Bool[np.ndarray, " token"],
) -> float:
    """Interface pTM: as pTM, but each frame judges the tokens of the other chains only; NaN for a single chain.

    AlphaFold 3, section 5.9.1.
    """
    other = (asym_id[:, None] != asym_id) & judged & (frames & judged)[:, None]
    count = other.sum(1)
    seen = count > 0
    if not seen.any():
        return float("nan")
    return float(((terms * other).sum(1)[seen] / count[seen]).max())


def chain_pair_iptm(
    pae_logits: Float[Tensor, "token token bin"],
    asym_id: Int[np.ndarray, " token"],
    judged: Bool[np.ndarray, " token"],
    frames: Bool[np.ndarray, " token"],
) -> Float[np.ndarray, "chain chain"]:
    """How sure the network is of where each chain lies as seen from each other one, 0 to 1.

    Row: the chain that is aligned; column: the chain that is judged. So the matrix is not symmetric; the larger of the
    two entries of a pair is what AlphaFold 3 calls its ipTM. The diagonal is each chain's own pTM. d0 is that of the
    number of tokens in the two chains together. Chains in the order of their asym_id; NaN where the aligned chain has
    no frame. AlphaFold 3, section 5.9.1.
    """
    chains = np.unique(asym_id[judged])
    scores = np.full((len(chains), len(chains)), np.nan)
    for row, column in np.ndindex(*scores.shape):
        aligned = (asym_id == chains[row]) & frames & judged
        seen = (asym_id == chains[column]) & judged
        if not aligned.any():
            continue
        size = int(seen.sum()) if row == column else int(((asym_id == chains[row]) & judged).sum() + seen.sum())
        part = pae_logits[torch.from_numpy(aligned)][:, torch.from_numpy(seen)]
        scores[row, column] = expected_tm_terms(part, size).mean(1).max()
    return scores


def chain_pair_ipsae(
    pae: Float[np.ndarray, "token token"],
    asym_id: Int[np.ndarray, " token"],
    judged: Bool[np.ndarray, " token"],
    frames: Bool[np.ndarray, " token"],
    residues: Bool[np.ndarray, " token"],
    nucleic: Bool[np.ndarray, " token"],
) -> Float[np.ndarray, "chain chain"]:
    """How sure the network is of the interface of each ordered pair of chains, 0 to 1: ipSAE with d0 by residue.

    Row: the chain that is aligned; column: the chain that is judged. From each aligned residue those residues of the
    other chain are judged whose PAE (Å) is under 10 Å, by the mean of 1 / (1 + (PAE / d0)²) with d0 for their number;
    the best aligned residue counts. So parts that are far from the interface, or disordered, do not lower it as they do
    ipTM. 0 where no PAE is under 10 Å. The larger of a pair's two entries is its ipSAE.

    pae: Å. judged: tokens that exist. frames: those with a frame, which alone are aligned. residues: those that stand
    for a residue of a polymer, nucleic: of a nucleic acid, which raises the least d0 of its pairs from 1 to 2 Å. Chains
    in the order of their asym_id; NaN for ligands and on the diagonal.
    Dunbrack 2025, bioRxiv 10.1101/2025.02.10.637595: ipSAE, there also called ipSAE_d0res.
    """
    chains = np.unique(asym_id[judged])
    scores = np.full((len(chains), len(chains)), np.nan)
    for row, column in np.ndindex(*scores.shape):
        one, other = ((asym_id == chains[each]) & judged & residues for each in (row, column))
        if row == column or not (one & frames).any() or not other.any():
            continue
        errors = pae[one & frames][:, other]
        near = errors < _IPSAE_CUTOFF
        count = near.sum(1)
        least = _IPSAE_LEAST_NUCLEIC if nucleic[one | other].any() else _IPSAE_LEAST
        scale = np.maximum(1.24 * np.cbrt(np.maximum(count, _IPSAE_FEWEST) - 15) - 1.8, least)
        terms = near / (1 + np.square(errors / scale[:, None]))
        scores[row, column] = (terms.sum(1) / np.maximum(count, 1)).max()
    return scores


def chain_pair_minimum(
    pae: Float[np.ndarray, "token token"],
    asym_id: Int[np.ndarray, " token"],
    judged: Bool[np.ndarray, " token"],
    frames: Bool[np.ndarray, " token"],
) -> Float[np.ndarray, "chain chain"]:
    """The smallest PAE (Å) between each pair of chains; row: the aligned chain, column: the judged one.

    On the diagonal a token's error in its own frame, which is always small, is left out. NaN where there is none.
    """
    chains = np.unique(asym_id[judged])
    smallest = np.full((len(chains), len(chains)), np.nan)
    for row, column in np.ndindex(*smallest.shape):
        pair = ((asym_id == chains[row]) & frames & judged)[:, None] & ((asym_id == chains[column]) & judged)
        np.fill_diagonal(pair, False)
        if pair.any():
            smallest[row, column] = pae[pair].min()
    return smallest


def ranking_score(*, ptm: float, iptm: float, mean_plddt: float, has_clash: bool) -> float:
    """One number to sort samples by, higher is better: 0.8 ipTM + 0.2 pTM - 100 if chains clash.

    A single chain is ranked by pTM; where nothing has a frame (ions alone), by the mean pLDDT over 100.
    AlphaFold 3, section 5.9.3, without its term for disorder.

    >>> ranking_score(ptm=0.5, iptm=0.75, mean_plddt=80.0, has_clash=False)
    0.7
    """
    if np.isnan(ptm):
        score = mean_plddt / 100
    elif np.isnan(iptm):
        score = ptm
    else:
        score = _IPTM_WEIGHT * iptm + (1 - _IPTM_WEIGHT) * ptm
    return round(float(score - _CLASH_PENALTY * has_clash), 6)


def check_logits(logits: ConfidenceLogits, num_tokens: int) -> None:
    """Raises InputError where logits are not those of so many tokens."""
    shapes = {"plddt": (num_tokens,), "pae": (num_tokens, num_tokens), "pde": (num_tokens, num_tokens)}
    for name, shape in shapes.items():
        found = tuple(getattr(logits, name).shape)
        if found[:-1] != shape:
            raise InputError("logits do not fit the tokens", key=name, found=found, allowed=f"{(*shape, 'bins')}")
