"""Wrong structures made from right ones, some subtly wrong, some grossly: what the confidence head tells apart.

All take by_slot positions [token, slot, 3] in Å of one example and a generator, and return moved ones; how far they
move is drawn anew each time, so that all qualities occur. Atoms that noise alone has moved are easily told from real
ones; the other kinds keep residues as they are, or bonds too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from structdiff.features.schema import Features
from structdiff.features.token_frames import atom_of_token, token_frames
from structdiff.geometry.rotations import rotation_from_vector
from structdiff.typing import Bool, Float, Int

_WAVES = 4


@dataclass(frozen=True, kw_only=True)
class Example:
    """One structure of a batch: positions [token, slot, 3] and which are there; the tokens' atoms and chain order.

    follows: tokens that are bound to the token before them. frame, centre: slots, as in the features. there: numbers of
    the tokens that exist, in order; others are padding or were not seen.
    """

    positions: Float[Tensor, "token slot 3"]
    mask: Bool[Tensor, "token slot"]
    centre: Int[Tensor, " token"]
    frame: Int[Tensor, "token 3"]
    follows: Bool[np.ndarray, " token"]
    there: Int[np.ndarray, " existing"]

    @property
    def centres(self) -> Float[Tensor, "token 3"]:
        """Positions (Å) of the centre atoms."""
        return atom_of_token(self.positions, self.centre)


def examples(batch: Features) -> list[Example]:
    """The structures of a batch, by themselves."""
    shape, token = (batch.num_tokens, batch.num_slots), batch.token
    positions = batch.atom.positions.unflatten(1, shape)
    mask = (batch.atom.mask & batch.atom.resolved).unflatten(1, shape)
    next_one = (token.asym_id.diff(dim=1) == 0) & (token.residue_index.diff(dim=1) == 1)
    follows = torch.nn.functional.pad(next_one & token.standard[:, 1:] & token.standard[:, :-1], (1, 0))
    return [
        Example(positions=positions[row], mask=mask[row], centre=token.centre[row], frame=token.frame[row],
                follows=follows[row].numpy(), there=np.flatnonzero(token.mask[row].numpy()))
        for row in range(len(positions))
    ]  # fmt: skip


def decoy(kind: str, batch: list[Example], row: int, rng: np.random.Generator) -> Float[Tensor, "token slot 3"]:
    """A wrong structure (Å) for one example of a batch; kind is a key of KINDS."""
    return KINDS[kind](batch, row, rng)


def _noise(batch: list[Example], row: int, rng: np.random.Generator) -> Tensor:
    """Each atom, or each token as a whole, moved by itself."""
    example, spread = batch[row], _log_uniform(rng, 0.1, 6.0)
    slots = 1 if rng.random() < 0.5 else example.positions.shape[1]
    return example.positions + spread * _normal(rng, len(example.positions), slots, 3)


def _warp(batch: list[Example], row: int, rng: np.random.Generator) -> Tensor:
    """Space bent by a few long waves; tokens are carried along whole."""
    example = batch[row]
    reach = 1 / torch.tensor(rng.uniform(8.0, 40.0, (_WAVES, 1)), dtype=torch.float32)  # Å
    waves = 2 * math.pi * reach * torch.nn.functional.normalize(_normal(rng, _WAVES, 3), dim=-1)
    phases = torch.tensor(rng.uniform(0, 2 * math.pi, _WAVES), dtype=torch.float32)
    heights = _log_uniform(rng, 0.2, 6.0) * _normal(rng, _WAVES, 3) / math.sqrt(_WAVES)
    return example.positions + (torch.sin(example.centres @ waves.T + phases) @ heights)[:, None]


def _swing(batch: list[Example], row: int, rng: np.random.Generator) -> Tensor:
    """Backbones turned about N-CA and CA-C bonds at a few residues, or at all of them a little; bonds stay."""
    example = batch[row]
    positions, there = example.positions.clone(), example.there
    pivots = len(there) if rng.random() < 0.3 else int(rng.integers(1, 9))
    spread = math.radians(_log_uniform(rng, 4.0, 120.0)) / math.sqrt(pivots)
    ends = _segment_ends(example.follows)
    for token in np.sort(rng.permutation(there)[:pivots]):
        end = int(ends[token])
        a, b, c = (int(slot) for slot in example.frame[token])
        if min(a, b, c) < 0 or not bool(example.mask[token, [a, b, c]].all()):
            continue
        psi = bool(rng.random() < 0.5)
        start, tail = (b, c) if psi else (a, b)
        origin = positions[token, tail].clone()
        turn = _rotation(origin - positions[token, start], spread * rng.standard_normal())
        moved = slice(token + 1 if psi else token, end)  # N and CA lie on the axis of phi
        positions[moved] = (positions[moved] - origin) @ turn.T + origin
    return positions


def _fragments(batch: list[Example], row: int, rng: np.random.Generator) -> Tensor:
    """The chain cut into a few pieces, each turned about its middle and shifted."""
    example = batch[row]
    positions, there = example.positions.clone(), example.there
    angle, shift = math.radians(_log_uniform(rng, 2.0, 90.0)), _log_uniform(rng, 0.3, 8.0)
    cuts = np.sort(rng.integers(1, len(there), int(rng.integers(1, 6))))
    for piece in np.split(there, cuts):
        if len(piece):
            middle = example.centres[piece].mean(0)
            turn = _rotation(_normal(rng, 3), angle * rng.standard_normal())
            positions[piece] = (positions[piece] - middle) @ turn.T + middle + shift * _normal(rng, 3)
    return positions


def _thread(batch: list[Example], row: int, rng: np.random.Generator) -> Tensor:
    """The residues laid upon the backbone of another structure of the batch, or of its own some residues further on."""
    own = batch[row]
    here, count = torch.as_tensor(own.there), len(own.there)
    long = [other for other in range(len(batch)) if other != row and len(batch[other].there) >= count]
    if long and rng.random() < 0.6:
        donor = batch[int(rng.choice(long))]
        order = int(rng.integers(0, len(donor.there) - count + 1)) + np.arange(count)
    else:
        donor = own
        order = (np.arange(count) + int(rng.choice([-4, -3, -2, -1, 1, 2, 3, 4, count // 2]))) % count
    place = torch.as_tensor(donor.there[order])
    (theirs, valid), (ours, our_valid) = (token_frames(e.positions, e.frame, e.mask) for e in (donor, own))
    positions = own.positions.clone()
    local = (positions[here] - ours.translation[here, None]) @ ours.rotation[here]
    laid = local @ theirs.rotation[place].transpose(-1, -2) + theirs.translation[place, None]
    shifted = positions[here] + (donor.centres[place] - own.centres[here])[:, None]
    both = (valid[place] & our_valid[here])[:, None, None]
    positions[here] = torch.where(both, laid, shifted)
    return positions


#: Ways to make a wrong structure of an example.
KINDS: dict[str, Callable[[list[Example], int, np.random.Generator], Tensor]] = {
    "noise": _noise,
    "warp": _warp,
    "swing": _swing,
    "fragments": _fragments,
    "thread": _thread,
}


def _segment_ends(follows: np.ndarray) -> np.ndarray:
    """For each token the first one that is not bound to it through the chain."""
    number = np.cumsum(~follows)
    return np.searchsorted(number, number, side="right")


def _rotation(axis: Tensor, angle: float) -> Float[Tensor, "3 3"]:
    return rotation_from_vector(torch.nn.functional.normalize(axis, dim=-1) * angle)


def _normal(rng: np.random.Generator, *shape: int) -> Tensor:
    return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return math.exp(rng.uniform(math.log(low), math.log(high)))
