"""The trRosetta network: from a sequence or an alignment to distributions of residues' distances and orientations.

Yang et al., PNAS 117, 1496 (2020). Weights: ``structdiff weights fetch trrosetta`` (five networks, MIT licence); their
mean is taken. Given an alignment it is a predictor; given one designed sequence it tells whether that sequence by
itself says what it folds into (Anishchenko et al., Nature 600, 547, 2021).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from structdiff.errors import InputError
from structdiff.published_weights import weights_path
from structdiff.trrosetta.alignment import ALPHABET, Alignment, alone
from structdiff.trrosetta.couplings import COUPLINGS, LETTERS, alignment_channels
from structdiff.typing import Float

NETWORKS = ("trrosetta_a", "trrosetta_b", "trrosetta_c", "trrosetta_d", "trrosetta_e")
_FEATURES = len(ALPHABET) + LETTERS + 1  # a residue: type, frequencies in its column, gaps too, and their entropy
_CHANNELS, _BLOCKS, _DILATIONS = 64, 61, (1, 2, 4, 8, 16)
#: Classes of each answer; class 0 is "20 Å or further apart".
CLASSES = {"distance": 37, "omega": 25, "theta": 25, "phi": 13}


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """Log probabilities of the geometry of every pair of residues of a sequence.

    distance: CB-CB, 0.5 Å a class from 2 Å. omega: torsion CA-CB-CB-CA, 15° a class from -180°. theta: torsion
    N-CA-CB-CB of the first residue, likewise. phi: angle CA-CB-CB of the first, 15° a class from 0°. Class 0 of each is
    for CB 20 Å or further apart.
    """

    distance: Float[Tensor, "residue residue 37"]
    omega: Float[Tensor, "residue residue 25"]
    theta: Float[Tensor, "residue residue 25"]
    phi: Float[Tensor, "residue residue 13"]

    @property
    def contact_probability(self) -> Float[Tensor, "residue residue"]:
        """Of CB within 8 Å."""
        return self.distance[..., 1:13].exp().sum(-1)


class _Block(nn.Module):
    def __init__(self, dilation: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(_CHANNELS, _CHANNELS, 3, padding=dilation, dilation=dilation)
        self.first_norm = nn.InstanceNorm2d(_CHANNELS, affine=True, eps=1e-6)
        self.second = nn.Conv2d(_CHANNELS, _CHANNELS, 3, padding=dilation, dilation=dilation)
        self.second_norm = nn.InstanceNorm2d(_CHANNELS, affine=True, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        # In place, so that a gradient needs a third less memory.
        inner = functional.elu(self.first_norm(self.first(x)), inplace=True)
        return functional.elu(x + self.second_norm(self.second(inner)), inplace=True)


class TrRosetta(nn.Module):
    """One of the five networks. What couplings of an alignment add to its first layer is a layer of its own, which
    single sequences leave out.
    """

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Conv2d(2 * _FEATURES, _CHANNELS, 1)
        self.enter_couplings = nn.Conv2d(COUPLINGS, _CHANNELS, 1, bias=False)
        self.enter_norm = nn.InstanceNorm2d(_CHANNELS, affine=True, eps=1e-6)
        self.blocks = nn.ModuleList(_Block(_DILATIONS[index % len(_DILATIONS)]) for index in range(_BLOCKS))
        self.answers = nn.ModuleDict({name: nn.Conv2d(_CHANNELS, count, 1) for name, count in CLASSES.items()})

    def forward(
        self, single: Float[Tensor, "batch residue channel"], pair: Float[Tensor, "batch i j coupling"] | None = None
    ) -> dict[str, Tensor]:
        """Logits of every pair, (batch, residue, residue, class), from channels of residues and of pairs."""
        one = single[:, :, None].expand(-1, -1, single.shape[1], -1)
        x = torch.cat([one, one.transpose(1, 2)], -1)
        # The published weights see the second residue along the rows.
        x = self.enter(x.permute(0, 3, 2, 1))
        if pair is not None:
            x = x + self.enter_couplings(pair.permute(0, 3, 2, 1))
        x = functional.elu(self.enter_norm(x))
        for block in self.blocks:
            x = block(x)
        both = 0.5 * (x + x.transpose(2, 3))
        inputs = {"distance": both, "omega": both, "theta": x, "phi": x}
        return {name: self.answers[name](inputs[name]).permute(0, 3, 2, 1) for name in CLASSES}


@lru_cache(maxsize=1)
def load_networks(names: Sequence[str] = NETWORKS) -> tuple[TrRosetta, ...]:
    """The published networks, kept for the next call; raises InputError that says how to fetch them."""
    with torch.inference_mode(False):  # the next call may want gradients
        return tuple(_load(name) for name in names)


def _load(name: str) -> TrRosetta:
    published = load_file(str(weights_path(name)))
    entering = published.pop("first_block.0.weight")
    published["first_block.0.weight"] = entering[:, : 2 * _FEATURES]
    network = TrRosetta().eval().requires_grad_(False)
    ours = {own: published[theirs] for own, theirs in _names()}
    network.load_state_dict(ours | {"enter_couplings.weight": entering[:, 2 * _FEATURES :]})
    return network


def _names() -> list[tuple[str, str]]:
    """Our name and the published one of each layer's weights."""
    layers = [("enter", "first_block.0"), ("enter_norm", "first_block.1")]
    parts = {"first": 0, "first_norm": 1, "second": 4, "second_norm": 5}
    layers += [(f"blocks.{i}.{part}", f"layers.{i}.{place}") for i in range(_BLOCKS) for part, place in parts.items()]
    heads = {"distance": "to_distance", "omega": "to_prob_omega", "theta": "to_prob_theta", "phi": "to_prob_phi"}
    layers += [(f"answers.{name}", f"{theirs}.0") for name, theirs in heads.items()]
    return [(f"{ours}.{kind}", f"{theirs}.{kind}") for ours, theirs in layers for kind in ("weight", "bias")]


@lru_cache(maxsize=4)
def expect_each(sequence: str) -> tuple[Expectation, ...]:
    """What each of the five networks expects of a sequence of the twenty amino acids, kept for the next call.

    Raises InputError for other letters.
    """
    unknown = next((letter for letter in sequence if letter not in ALPHABET), None)
    if not sequence or unknown is not None:
        raise InputError("trRosetta knows the twenty amino acids only", key="sequence", found=unknown or sequence)
    return _answers(alone(sequence))


def expect(sequence: str) -> Expectation:
    """What the networks expect of a sequence in the mean of their probabilities; raises InputError as one does."""
    return mean_expectation(expect_each(sequence))


def expect_aligned(alignment: Alignment) -> Expectation:
    """What the networks expect of the first sequence of an alignment, in the mean of their probabilities."""
    return mean_expectation(_answers(alignment))


def _answers(alignment: Alignment) -> tuple[Expectation, ...]:
    with torch.inference_mode():
        single, pair = alignment_channels(alignment)
        answers = [network(single[None], None if pair is None else pair[None]) for network in load_networks()]
        return tuple(Expectation(**{name: own[name][0].log_softmax(-1) for name in CLASSES}) for own in answers)


def mean_expectation(each: Sequence[Expectation]) -> Expectation:
    """What several networks expect in the mean of their probabilities."""
    mean = {name: torch.stack([getattr(own, name).exp() for own in each]).mean(0) for name in CLASSES}
    return Expectation(**{name: (value + 1e-8).log() for name, value in mean.items()})
