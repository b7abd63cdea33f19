"""All scores of one structure together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from structdiff.confidence.scores import (
    ConfidenceLogits,
    chain_pair_ipsae,
    chain_pair_iptm,
    chain_pair_minimum,
    check_logits,
    expected_error,
    expected_tm_terms,
    iptm_from_terms,
    plddt_from_logits,
    ptm_from_terms,
    ranking_score,
)
from structdiff.errors import InputError


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Confidence:
    """How much the network believes in one structure.

    plddt [token]: 0 to 100. pae, pde [token, token]: expected errors in Å; row of pae: the token whose frame is
    aligned, column: the token whose position is judged. Both are NaN for tokens that do not exist. ptm, iptm: 0 to 1,
    NaN where undefined (iptm of a single chain). chains: their names, the order of all that follows. chain_plddt,
    chain_ptm [chain]; chain_iptm [chain]: mean over the other chains. chain_pair_iptm, chain_pair_ipsae and
    chain_pair_pae_min (Å) [chain, chain]: row aligned, column judged; the diagonal of the first is chain_ptm.
    ranking_score: higher is better.
    """

    plddt: np.ndarray
    pae: np.ndarray
    pde: np.ndarray
    ptm: float
    iptm: float
    chains: tuple[str, ...]
    chain_plddt: np.ndarray
    chain_pair_iptm: np.ndarray
    chain_pair_ipsae: np.ndarray
    chain_pair_pae_min: np.ndarray
    has_clash: bool
    ranking_score: float

    def __repr__(self) -> str:
        return f"<Confidence of {len(self.plddt)} tokens: {self.described()}>"

    def described(self) -> str:
        """Its scores in words, as a notebook shows them."""
        scores = {"pTM": self.ptm, "ipTM": self.iptm, "ipSAE": self.ipsae}
        parts = [f"{name} {value:.2f}" for name, value in scores.items() if np.isfinite(value)]
        return ", ".join([f"pLDDT {self.mean_plddt:.1f}", *parts, *(["clash"] if self.has_clash else [])])

    @property
    def mean_plddt(self) -> float:
        """Mean pLDDT (0 to 100) of all tokens."""
        return float(np.nanmean(self.plddt))

    @property
    def chain_ptm(self) -> np.ndarray:
        """pTM of each chain by itself."""
        return np.diagonal(self.chain_pair_iptm).copy()

    @property
    def chain_iptm(self) -> np.ndarray:
        """Mean over all other chains of the ipTM with them, the better direction of each pair; NaN if alone."""
        best = np.fmax(self.chain_pair_iptm, self.chain_pair_iptm.T)
        np.fill_diagonal(best, np.nan)
        there = np.isfinite(best)
        total = np.where(there, best, 0.0).sum(1)
        return np.where(there.any(1), total / np.maximum(there.sum(1), 1), np.nan)

    @property
    def chain_ipsae(self) -> np.ndarray:
        """ipSAE of each chain's surest interface, the better direction of each pair; NaN if alone, and for ligands."""
        best = np.fmax(self.chain_pair_ipsae, self.chain_pair_ipsae.T)
        return np.fmax.reduce(best, axis=1, initial=np.nan)

    @property
    def ipsae(self) -> float:
        """ipSAE of the whole, 0 to 1: that of the chain whose surest interface is the least sure; NaN if undefined.

        Of two chains it is that of their pair.
        """
        return float(np.fmin.reduce(self.chain_ipsae, initial=np.nan))

    def summary(self) -> dict[str, Any]:
        """The scores of the whole structure and of its chains for JSON; None where one is undefined."""
        return {
            "ranking_score": _number(self.ranking_score),
            "mean_plddt_0_to_100": _number(self.mean_plddt, 2),
            "ptm": _number(self.ptm),
            "iptm": _number(self.iptm),
            "ipsae": _number(self.ipsae),
            "mean_pae_angstrom": _number(float(np.nanmean(self.pae)), 2),
            "mean_pde_angstrom": _number(float(np.nanmean(self.pde)), 2),
            "has_clash": self.has_clash,
            "chains": list(self.chains),
            "chain_mean_plddt_0_to_100": _numbers(self.chain_plddt, 2),
            "chain_ptm": _numbers(self.chain_ptm),
            "chain_iptm": _numbers(self.chain_iptm),
            "chain_ipsae": _numbers(self.chain_ipsae),
            "chain_pair_iptm_row_aligned": [_numbers(row) for row in self.chain_pair_iptm],
            "chain_pair_ipsae_row_aligned": [_numbers(row) for row in self.chain_pair_ipsae],
            "chain_pair_pae_min_angstrom_row_aligned": [_numbers(row, 2) for row in self.chain_pair_pae_min],
        }


def _number(value: float, digits: int = 4) -> float | None:
    return round(float(value), digits) if np.isfinite(value) else None


def _numbers(values: np.ndarray, digits: int = 4) -> list[float | None]:
    return [_number(value, digits) for value in values.tolist()]


def compute_confidence(
    logits: ConfidenceLogits,
    *,
    asym_id: np.ndarray | Tensor,
    mask: np.ndarray | Tensor,
    frames: np.ndarray | Tensor,
    residues: np.ndarray | None = None,
    nucleic: np.ndarray | None = None,
    chain_names: Sequence[str] | None = None,
    has_clash: bool = False,
) -> Confidence:
    """All scores of one structure from the network's logits.

    Args:
        logits: plddt [token, 50], pae and pde [token, token, 64].
        asym_id: chain of each token [token]. mask: tokens that exist [token].
        frames: tokens with a frame to align on [token], from `valid_frames`.
        residues: tokens that stand for a residue of a polymer [token]; all if None. nucleic: of a nucleic acid; none.
        chain_names: of the chains in the order of their asym_id; numbers from 1 if None.
        has_clash: from `structdiff.confidence.clash.structure_has_clash`.

    Raises InputError where the shapes do not fit or no token exists. AlphaFold 3, section 5.9.
    """
    asym_id, mask, frames = np.asarray(asym_id), np.asarray(mask, bool), np.asarray(frames, bool)
    check_logits(logits, len(mask))
    if not mask.any():
        raise InputError("there is no token to be confident of", key="mask")
    numbers = np.unique(asym_id[mask])
    names = tuple(str(number + 1) for number in numbers) if chain_names is None else tuple(chain_names)
    if len(names) != len(numbers):
        raise InputError("a name is needed for each chain", key="chain_names", found=names, allowed=str(len(numbers)))
    pair = mask[:, None] & mask
    plddt = np.where(mask, plddt_from_logits(logits.plddt), np.nan)
    pae, pde = (np.where(pair, expected_error(each), np.nan) for each in (logits.pae, logits.pde))
    terms = expected_tm_terms(logits.pae, int(mask.sum()))
    ptm, iptm = ptm_from_terms(terms, mask, frames), iptm_from_terms(terms, asym_id, mask, frames)
    return Confidence(
        plddt=plddt,
        pae=pae,
        pde=pde,
        ptm=ptm,
        iptm=iptm,
        chains=names,
        chain_plddt=np.array([np.nanmean(plddt[asym_id == number]) for number in numbers]),
        chain_pair_iptm=chain_pair_iptm(logits.pae, asym_id, mask, frames),
        chain_pair_ipsae=chain_pair_ipsae(
            pae,
            asym_id,
            mask,
            frames,
            np.ones_like(mask) if residues is None else residues,
            np.zeros_like(mask) if nucleic is None else nucleic,
        ),
        chain_pair_pae_min=chain_pair_minimum(pae, asym_id, mask, frames),
        has_clash=bool(has_clash),
        ranking_score=ranking_score(ptm=ptm, iptm=iptm, mean_plddt=float(np.nanmean(plddt)), has_clash=has_clash),
    )
