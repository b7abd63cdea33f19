"""Atoms in windows: 32 atoms attend to the 128 around them, in AlphaFold 3's order of atoms (Algorithm 7)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from structdiff.kernels.attention_pair_bias import attention_pair_bias
from structdiff.model.boltz.config import WINDOW_KEYS, WINDOW_QUERIES
from structdiff.typing import Bool, Float

_BESIDE = (WINDOW_KEYS - WINDOW_QUERIES) // 2
_PENALTY = -1e6  # as Boltz has it: finite, so that windows without any atom stay numbers


def queries_of(atoms: Tensor) -> Tensor:
    """[batch, atom, ...] as windows [batch, window, 32, ...]; a view. The number of atoms is a multiple of 32."""
    return atoms.unflatten(1, (-1, WINDOW_QUERIES))


def keys_of(atoms: Tensor) -> Tensor:
    """For the windows of [batch, atom, ...] the 128 atoms around each, [batch, window, 128, ...]; 0 beyond the ends.

    A view into one padded copy: each atom stands in four windows, and is held once.
    """
    padded = functional.pad(atoms.flatten(2) if atoms.dim() > 2 else atoms[..., None], (0, 0, _BESIDE, _BESIDE))
    windows = padded.unfold(1, WINDOW_KEYS, WINDOW_QUERIES).transpose(2, 3)
    return windows.unflatten(-1, atoms.shape[2:]) if atoms.dim() > 2 else windows[..., 0]


def key_penalty(mask: Bool[Tensor, "batch atom"]) -> Float[Tensor, "batch window key"]:
    """What keeps attention from atoms that do not exist, to be added to its logits."""
    return _PENALTY * (1 - keys_of(mask.float()))


def attend_in_windows(
    q: Float[Tensor, "batch atom heads channels"],
    k: Float[Tensor, "batch atom heads channels"],
    v: Float[Tensor, "batch atom heads channels"],
    bias: Float[Tensor, "#batch window_heads query key"],
) -> Float[Tensor, "batch atom heads channels"]:
    """Lets every atom attend to the 128 around its window; the bias holds windows by heads, and the mask of keys.

    To the kernel each window is a set of heads of its own, so that all samples share one table of biases.
    """
    heads = q.shape[2]
    q = queries_of(q).transpose(1, 2).flatten(2, 3)
    k, v = (keys_of(x).transpose(1, 2).flatten(2, 3) for x in (k, v))
    gathered = attention_pair_bias(q, k, v, bias)
    return gathered.unflatten(2, (-1, heads)).transpose(1, 2).flatten(1, 2)


def shared(table: Tensor, samples: int) -> Tensor:
    """A table [group, ...] that several samples in a row share: as it is where it serves all or is each one's own."""
    return table if len(table) in (1, samples) else table.repeat_interleave(samples // len(table), 0)


def per_token_mean(
    atoms: Float[Tensor, "batch atom c"], token: Tensor, mask: Bool[Tensor, "batch atom"], tokens: int
) -> Float[Tensor, "batch token c"]:
    """The mean over the atoms of each token; 0 where it has none."""
    first = torch.arange(len(atoms), device=atoms.device)[:, None] * tokens
    row = (first + token).flatten()
    exists = mask[..., None].to(atoms.dtype)
    sums = atoms.new_zeros(len(atoms) * tokens, atoms.shape[-1]).index_add_(0, row, (atoms * exists).flatten(0, 1))
    count = atoms.new_zeros(len(atoms) * tokens, 1).index_add_(0, row, exists.flatten(0, 1))
    return (sums / (count + 1e-6)).unflatten(0, (len(atoms), tokens))  # Boltz's own 1e-6


def of_token(tokens: Float[Tensor, "batch token c"], token: Tensor) -> Float[Tensor, "batch atom c"]:
    """What each atom's token carries."""
    return tokens.gather(1, token[..., None].expand(-1, -1, tokens.shape[-1]))
