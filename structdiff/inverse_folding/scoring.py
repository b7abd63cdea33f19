"""How well a sequence fits a backbone, in the eyes of an inverse folding network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch

from structdiff.arguments import check_kind, check_whole_number, checked_names
from structdiff.errors import InputError
from structdiff.inverse_folding.alphabet import LETTERS, UNKNOWN, letter_index
from structdiff.inverse_folding.backbone import Backbone, chain_letters, chain_rows, protein_backbone
from structdiff.inverse_folding.columns import flags, membrane_labels
from structdiff.inverse_folding.decoding import Decoder
from structdiff.inverse_folding.library import check_membrane, load_network, model_name, seen_labels
from structdiff.structure.tables import Structure

#: Residues that are scored together.
_ROWS_AT_ONCE = 2048


@dataclass(frozen=True, kw_only=True, eq=False)
class SequenceScore:
    """negative_log_likelihood: mean over the scored residues, nats. residue_negative_log_likelihood: (residue,), NaN

    where nothing was scored. chain_negative_log_likelihood: mean of each chain, by its name. sequences: the letters
    that were scored, of each protein chain. log_probabilities: (residue, 21) of the letters ACDEFGHIKLMNPQRSTVWYX, NaN
    likewise; mean over the orders. spread: standard deviation of the mean between decoding orders, NaN for one.
    """

    negative_log_likelihood: float
    chain_negative_log_likelihood: Mapping[str, float]
    sequences: Mapping[str, str] = field(repr=False)
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
    sequences: Mapping[str, str] | None = None,
    given: np.ndarray | None = None,
    membrane: np.ndarray | None = None,
    device: torch.device | str = "cpu",
) -> SequenceScore:
    """How likely a structure's own sequence is, given its backbone: negative log-likelihood in nats a residue.

    Each residue is judged knowing those read before it, in num_orders random orders. sequences: letters of chains, by
    their names, that are scored in place of their own: of all residues of a chain, or of those with a backbone. given:
    residues that are read first and not scored, (residue,) bool. membrane: labels, as for ``design_sequences``.
    Residues that are no amino acid are not scored. Raises InputError when nothing can be scored, for sequences that do
    not fit, and when the weights have not been fetched.
    """
    check_kind(structure, Structure, "structure", "a Structure: read_structure(file), or a design's .structure")
    check_whole_number(num_orders, "num_orders", 1)
    check_whole_number(seed, "seed", 0)
    network = load_network(model, device=device)
    check_membrane(model, network, membrane)
    backbone = protein_backbone(structure, ca_only=network.config.kind == "ca")
    known = flags(given, len(structure.residues), "given")[backbone.rows]
    own = backbone.letters if sequences is None else _with_sequences(structure, backbone, sequences)
    scored = ~known & (own != UNKNOWN)
    if not scored.any():
        raise InputError("no residue is left to be scored", key="given")
    labels = seen_labels(model, membrane_labels(membrane, len(structure.residues))[backbone.rows])
    decoder = Decoder(network, network.encode(backbone, membrane=torch.from_numpy(labels)))
    letters = torch.from_numpy(own)
    ranks = torch.from_numpy(np.stack([_ranks(known, seed, number) for number in range(num_orders)]))
    at_once = max(1, _ROWS_AT_ONCE // len(backbone))
    logs = torch.cat([decoder.score(0, letters, part) for part in ranks.split(at_once)]).cpu().double().numpy()
    chosen = -logs[:, np.arange(len(backbone)), own]
    means = chosen[:, scored].mean(1)
    by_residue = _spread_out(chosen.mean(0), scored, backbone.rows, len(structure.residues))
    chains = {name: by_residue[rows] for name, rows in chain_rows(structure).items()}
    return SequenceScore(
        negative_log_likelihood=float(means.mean()),
        chain_negative_log_likelihood={
            name: float(np.nanmean(values)) for name, values in chains.items() if not np.isnan(values).all()
        },
        sequences={
            name: sequences.get(name, letters) if sequences else letters
            for name, letters in chain_letters(structure).items()
        },
        residue_negative_log_likelihood=by_residue,
        log_probabilities=_spread_out(logs.mean(0), scored, backbone.rows, len(structure.residues)),
        spread=float(means.std(ddof=1)) if num_orders > 1 else float("nan"),
        model=model_name(model),
    )


def _with_sequences(structure: Structure, backbone: Backbone, sequences: Mapping[str, str]) -> np.ndarray:
    """The letters of a backbone, (residue,) int64, with those of these chains in place of their own."""
    found, chains = backbone.letters.copy(), chain_rows(structure)
    place = {row: number for number, row in enumerate(backbone.rows.tolist())}
    for name, letters in sequences.items():
        if name not in chains:
            raise InputError("the structure has no protein chain of that name", key="sequences", found=name,
                             allowed=list(chains), suggest_from=chains)  # fmt: skip
        if odd := next((letter for letter in letters if letter not in LETTERS), None):
            raise InputError(f"this is no amino acid of chain {name}", key="sequences", found=odd, allowed=LETTERS)
        rows = chains[name].tolist()
        seen = [row for row in rows if row in place]
        if len(letters) not in (len(rows), len(seen)):
            others = f", or the {len(seen)} with a backbone" if len(seen) < len(rows) else ""
            raise InputError(f"chain {name} has {len(rows)} residues{others}", key="sequences",
                             found=f"{len(letters)} letters")  # fmt: skip
        for row, letter in zip(rows if len(letters) == len(rows) else seen, letters, strict=True):
            if row in place:
                found[place[row]] = letter_index(letter)
    return found


def _ranks(known: np.ndarray, seed: int, number: int) -> np.ndarray:
    """When each residue is read: known ones first, at random otherwise."""
    keys = np.random.default_rng([seed, number]).random(len(known)) + ~known
    return np.argsort(np.argsort(keys, kind="stable"), kind="stable")


def _spread_out(values: np.ndarray, chosen: np.ndarray, rows: np.ndarray, count: int) -> np.ndarray:
    """Values of some backbone rows at their residues; NaN elsewhere."""
    found = np.full((count, *values.shape[1:]), np.nan)
    found[rows[chosen]] = values[chosen]
    return found
