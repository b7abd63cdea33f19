"""The decoder: amino acids one after another, each knowing those before it.

A lane is one sequence in the making. Residues of all lanes lie in one row after another, and a residue is known to its
neighbours by one vector a layer: before it has a letter by what the encoder saw, afterwards by its letter and its own
state. So a step of the decoder looks up neighbours and multiplies nothing but its own residue.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from structdiff.inverse_folding.alphabet import NUM_AMINO_ACIDS, UNKNOWN
from structdiff.inverse_folding.network import Encoding, InverseFoldingNetwork

#: Rank of a residue that gets its letter later than all that are looked at.
_LATER = 1 << 30


@dataclass(frozen=True, kw_only=True)
class Lane:
    """One sequence to be drawn on one backbone; rows count from the backbone's first residue.

    backbone: which of the encoding. known: rows whose letters are given, in the order they are read. steps: rows that
    get a letter, those of a group the same one at the same time. letters: given ones (others are not looked at).
    bias: added to the logits, -inf where an amino acid is banned. gumbel: the noise that draws, one row a step.
    """

    backbone: int
    known: Int[Tensor, "known"]
    steps: Sequence[Int[Tensor, "_"]]
    letters: Int[Tensor, "residue"]
    bias: Float[Tensor, "residue letter"]
    gumbel: Float[Tensor, "step letter"]


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """letters: numbers of ``LETTERS``. log_probabilities: of all letters when a residue got its own, nats."""

    letters: Int[Tensor, "residue"]
    log_probabilities: Float[Tensor, "residue 21"]


class Decoder:
    """Decodes on an encoding; its lanes are independent of each other."""

    def __init__(self, network: InverseFoldingNetwork, encoding: Encoding) -> None:
        self.layers, self.logits = network.decoder, network.logits
        self.encoding = encoding
        messages = [layer.message for layer in self.layers]
        self.from_edges = [message.part(1, encoding.edges) for message in messages]
        self.from_letters = [message.part(2, network.letters.weight) for message in messages]
        self.unread = [message.part(3, encoding.nodes) for message in messages]

    def sample(self, lanes: Sequence[Lane], temperature: float) -> list[Decoded]:
        """Draws the letters of all lanes. temperature: of the logits; at 0 the most likely letter is taken."""
        rows = _Rows(self.encoding, [lane.backbone for lane in lanes])
        letters = torch.cat([lane.letters for lane in lanes]).to(self.device)
        log_probabilities = torch.zeros(len(letters), UNKNOWN + 1, device=self.device)
        around = [each[rows.residue] for each in self.unread]
        known = torch.cat([lane.known.to(self.device) + start for lane, start in zip(lanes, rows.starts, strict=True)])
        if len(known):
            log_probabilities[known] = self._read(rows, known, _ranks(rows, lanes, self.device), letters, around)
        for step in _steps(rows, lanes, self.device):
            states, logits = self._states(rows, step.rows, around)
            log_probabilities[step.rows] = torch.log_softmax(logits, dim=-1)
            letters[step.rows] = _draw(step, logits, temperature)[step.group]
            self._write(step.rows, letters[step.rows], states, around)
        return [
            Decoded(letters=letters[start:stop], log_probabilities=log_probabilities[start:stop])
            for start, stop in zip(rows.starts, [*rows.starts[1:], rows.count], strict=True)
        ]

    def score(
        self, backbone: int, letters: Int[Tensor, "residue"], ranks: Int[Tensor, "order residue"]
    ) -> Float[Tensor, "order residue 21"]:
        """Log-probabilities (nats) of all letters of a sequence that is read in several orders."""
        rows = _Rows(self.encoding, [backbone] * len(ranks))
        every = torch.arange(rows.count, device=self.device)
        repeated = letters.to(self.device).repeat(len(ranks))
        around = [each[rows.residue] for each in self.unread]
        found = self._read(rows, every, ranks.to(self.device).flatten(), repeated, around)
        return found.unflatten(0, ranks.shape)

    @property
    def device(self) -> torch.device:
        """Where the work is done."""
        return self.encoding.nodes.device

    def _read(
        self, rows: _Rows, chosen: Tensor, ranks: Tensor, letters: Tensor, around: list[Tensor]
    ) -> Float[Tensor, "row 21"]:
        """Reads given letters all at once, each knowing those of a lower rank; gives log-probabilities."""
        residue = rows.residue[chosen]
        neighbours = rows.neighbours(chosen)
        read = ranks[neighbours] < ranks[chosen, None]
        states = self.encoding.nodes[residue]
        mask = None if self.encoding.mask is None else self.encoding.mask[residue]
        for number, layer in enumerate(self.layers):
            before = around[number].clone()
            around[number][chosen] = self.from_letters[number][letters[chosen]] + layer.message.part(3, states)
            first = torch.where(read[..., None], around[number][neighbours], before[neighbours])
            states = layer(states, first + self.from_edges[number][residue], mask)
        return torch.log_softmax(self.logits(states), dim=-1)

    def _states(self, rows: _Rows, chosen: Tensor, around: list[Tensor]) -> tuple[list[Tensor], Tensor]:
        """The states of residues before each layer, and their logits."""
        residue = rows.residue[chosen]
        neighbours = rows.neighbours(chosen)
        mask = None if self.encoding.mask is None else self.encoding.mask[residue]
        states = [self.encoding.nodes[residue]]
        for number, layer in enumerate(self.layers):
            first = around[number][neighbours] + self.from_edges[number][residue]
            states.append(layer(states[-1], first, mask))
        return states, self.logits(states[-1])

    def _write(self, chosen: Tensor, letters: Tensor, states: list[Tensor], around: list[Tensor]) -> None:
        """From now on these residues are known by their letters."""
        for number, layer in enumerate(self.layers):
            around[number][chosen] = self.from_letters[number][letters] + layer.message.part(3, states[number])


class _Rows:
    """The residues of all lanes, one lane after another.

    residue: row of each in the encoding. starts: first row of each lane. count: of rows.
    """

    def __init__(self, encoding: Encoding, backbones: Sequence[int]) -> None:
        device = encoding.nodes.device
        spans = [(encoding.starts[each], encoding.starts[each + 1]) for each in backbones]
        self.residue = torch.cat([torch.arange(start, stop, device=device) for start, stop in spans])
        lengths = [stop - start for start, stop in spans]
        self.starts = [sum(lengths[:number]) for number in range(len(lengths))]
        self.count = sum(lengths)
        self._encoding_neighbours = encoding.neighbours
        shifts = [lane - start for lane, (start, _) in zip(self.starts, spans, strict=True)]
        self._shift = torch.repeat_interleave(torch.tensor(shifts, device=device), torch.tensor(lengths, device=device))

    def neighbours(self, chosen: Int[Tensor, "row"]) -> Int[Tensor, "row neighbour"]:
        """Rows of the neighbours of rows."""
        found = self._encoding_neighbours[self.residue[chosen]] + self._shift[chosen, None]
        # Missing neighbours are masked, but must be rows.
        return found.clamp(0, self.count - 1)


@dataclass(frozen=True, kw_only=True)
class _Step:
    """What is decoded at once: rows, the group each belongs to, and of each group bias and noise."""

    rows: Int[Tensor, "row"]
    group: Int[Tensor, "row"]
    size: Float[Tensor, "group"]
    bias: Float[Tensor, "group letter"]
    gumbel: Float[Tensor, "group letter"]


def _steps(rows: _Rows, lanes: Sequence[Lane], device: torch.device) -> list[_Step]:
    steps = []
    for number in range(max(len(lane.steps) for lane in lanes)):
        active = [(row, lane) for row, lane in enumerate(lanes) if number < len(lane.steps)]
        groups = [lane.steps[number] for _, lane in active]
        sizes = torch.tensor([len(group) for group in groups])
        bias = [lane.bias[group].mean(0) for group, (_, lane) in zip(groups, active, strict=True)]
        chosen = [group + rows.starts[row] for group, (row, _) in zip(groups, active, strict=True)]
        steps.append(
            _Step(
                rows=torch.cat(chosen).to(device),
                group=torch.repeat_interleave(torch.arange(len(groups)), sizes).to(device),
                size=sizes.float().to(device),
                bias=torch.stack(bias).to(device),
                gumbel=torch.stack([lane.gumbel[number] for _, lane in active]).to(device),
            )
        )
    return steps


def _ranks(rows: _Rows, lanes: Sequence[Lane], device: torch.device) -> Int[Tensor, "row"]:
    ranks = torch.full((rows.count,), _LATER)
    for start, lane in zip(rows.starts, lanes, strict=True):
        ranks[lane.known + start] = torch.arange(len(lane.known))
    return ranks.to(device)


def _draw(step: _Step, logits: Float[Tensor, "row 21"], temperature: float) -> Int[Tensor, "group"]:
    """One letter a group: of the mean of its logits, with its bias, by Gumbel's noise."""
    mean = torch.zeros(len(step.size), NUM_AMINO_ACIDS, device=logits.device)
    mean.index_add_(0, step.group, logits[:, :NUM_AMINO_ACIDS])
    wanted = mean / step.size[:, None] + step.bias
    return (wanted if temperature == 0 else wanted / temperature + step.gumbel).argmax(-1)
