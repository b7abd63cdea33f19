"""How well a sequence fits a backbone, in the eyes of an inverse folding network."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch

from structdiff.arguments import check_kind, check_whole_number, checked_names
from structdiff.errors import InputError
from structdiff.inverse_folding.alphabet import UNKNOWN
from structdiff.inverse_folding.backbone import protein_backbone
from structdiff.inverse_folding.columns import flags, membrane_labels
from structdiff.inverse_folding.decoding import Decoder
from structdiff.inverse_folding.library import check_membrane, load_network, model_name, seen_labels
from structdiff.structure.tables import Structure

#: Residues that are scored together.
_ROWS_AT_ONCE = 2048


@dataclass(frozen=True, kw_only=True, eq=False)
class SequenceScore:
    """negative_log_likelihood: mean over the scored residues, nats. residue_negative_log_likelihood: (residue,), NaN

    where nothing was scored. log_probabilities: (residue, 21) of the letters ACDEFGHIKLMNPQRSTVWYX, NaN likewise; mean
    over the orders. spread: standard deviation of the mean between decoding orders, NaN for one.
    """

    negative_log_likelihood: float
    residue_negative_log_likelihood: np.ndarray = field(repr=False)
    log_probabilities: np.ndarray = field(repr=False)
    spread: float
    model: str

    @property
    def perplexity(self) -> float:
        """As from how many amino acids the network would have to choose."""
        return float(np.exp(self.negative_log_likelihood))


@checked_names
@torch.no_grad()
def score_sequence(
    structure: Structure,
    *,
    model: str = "proteinmpnn",
    seed: int = 0,
    num_orders: int = 4,
    given: np.ndarray | None = None,
    membrane: np.ndarray | None = None,
    device: torch.device | str = "cpu",
) -> SequenceScore:
    """How likely a structure's own sequence is, given its backbone: negative log-likelihood in nats a residue.

    Each residue is judged knowing those read before it, in num_orders random orders. given: residues that are read
    first and not scored, (residue,) bool. membrane: labels, as for ``design_sequences``. Residues that are no amino
    acid are not scored. Raises InputError when nothing can be scored or the weights have not been fetched.
    """
    check_kind(structure, Structure, "structure", "a Structure: read_structure(file), or a design's .structure")
    check_whole_number(num_orders, "num_orders", 1)
    check_whole_number(seed, "seed", 0)
    network = load_network(model, device=device)
    check_membrane(model, network, membrane)
    backbone = protein_backbone(structure, ca_only=network.config.kind == "ca")
    known = flags(given, len(structure.residues), "given")[backbone.rows]
    scored = ~known & (backbone.letters != UNKNOWN)
    if not scored.any():
        raise InputError("no residue is left to be scored", key="given")
    labels = seen_labels(model, membrane_labels(membrane, len(structure.residues))[backbone.rows])
    decoder = Decoder(network, network.encode(backbone, membrane=torch.from_numpy(labels)))
    letters = torch.from_numpy(backbone.letters)
    ranks = torch.from_numpy(np.stack([_ranks(known, seed, number) for number in range(num_orders)]))
    at_once = max(1, _ROWS_AT_ONCE // len(backbone))
    logs = torch.cat([decoder.score(0, letters, part) for part in ranks.split(at_once)]).cpu().double().numpy()
    chosen = -logs[:, np.arange(len(backbone)), backbone.letters]
    means = chosen[:, scored].mean(1)
    return SequenceScore(
        negative_log_likelihood=float(means.mean()),
        residue_negative_log_likelihood=_spread_out(chosen.mean(0), scored, backbone.rows, len(structure.residues)),
        log_probabilities=_spread_out(logs.mean(0), scored, backbone.rows, len(structure.residues)),
        spread=float(means.std(ddof=1)) if num_orders > 1 else float("nan"),
        model=model_name(model),
    )


def _ranks(known: np.ndarray, seed: int, number: int) -> np.ndarray:
    """When each residue is read: known ones first, at random otherwise."""
    keys = np.random.default_rng([seed, number]).random(len(known)) + ~known
    return np.argsort(np.argsort(keys, kind="stable"), kind="stable")


def _spread_out(values: np.ndarray, chosen: np.ndarray, rows: np.ndarray, count: int) -> np.ndarray:
    """Values of some backbone rows at their residues; NaN elsewhere."""
    found = np.full((count, *values.shape[1:]), np.nan)
    found[rows[chosen]] = values[chosen]
    return found
