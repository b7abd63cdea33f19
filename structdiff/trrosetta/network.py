"""The trRosetta network: from a sequence or an alignment to distributions of residues' distances and orientations.

Yang et al., PNAS 117, 1496 (2020). Weights: ``structdiff weights fetch trrosetta`` (five networks, MIT licence); their
mean is taken. Given an alignment it is a predictor; given one designed sequence it tells whether that sequence by
itself says what it folds into (Anishchenko et al., Nature 600, 547, 2021).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from structdiff.errors import InputError
from structdiff.kernels.pair_convolution import pair_convolution, pair_norm
from structdiff.published_weights import weights_path
from structdiff.trrosetta.alignment import ALPHABET, Alignment, alone
from structdiff.trrosetta.couplings import COUPLINGS, LETTERS, alignment_channels
from structdiff.typing import Float

NETWORKS = ("trrosetta_a", "trrosetta_b", "trrosetta_c", "trrosetta_d", "trrosetta_e")
_FEATURES = len(ALPHABET) + LETTERS + 1  # a residue: type, frequencies in its column, gaps too, and their entropy
_CHANNELS, _BLOCKS, _DILATIONS = 64, 61, (1, 2, 4, 8, 16)
#: Classes of each answer; class 0 is "20 Å or further apart".
CLASSES = {"distance": 37, "omega": 25, "theta": 25, "phi": 13}
_PUBLISHED_ANSWERS = {
    "distance": "to_distance",
    "omega": "to_prob_omega",
    "theta": "to_prob_theta",
    "phi": "to_prob_phi",
}
_ENTERING = ("first", "second", "couplings")


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


class _Half(nn.Module):
    """Half of a block; its convolution's weight is (3, 3, input, output)."""

    def __init__(self, dilation: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 3, _CHANNELS, _CHANNELS) / (9 * _CHANNELS) ** 0.5)
        self.gain, self.shift = nn.Parameter(torch.ones(_CHANNELS)), nn.Parameter(torch.zeros(_CHANNELS))
        self.dilation = dilation

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        return pair_convolution(x, self.weight, self.gain, self.shift, residual, dilation=self.dilation)


class _Block(nn.Module):
    def __init__(self, dilation: int) -> None:
        super().__init__()
        self.first, self.second = _Half(dilation), _Half(dilation)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x), x)


class TrRosetta(nn.Module):
    """One of the five networks, channels last. What couplings of an alignment add to its first layer is a layer of its
    own, which single sequences leave out.
    """

    def __init__(self) -> None:
        super().__init__()
        self.enter_first = nn.Linear(_FEATURES, _CHANNELS)
        self.enter_second = nn.Linear(_FEATURES, _CHANNELS, bias=False)
        self.enter_couplings = nn.Linear(COUPLINGS, _CHANNELS, bias=False)
        self.enter_gain, self.enter_shift = nn.Parameter(torch.ones(_CHANNELS)), nn.Parameter(torch.zeros(_CHANNELS))
        self.blocks = nn.ModuleList(_Block(_DILATIONS[index % len(_DILATIONS)]) for index in range(_BLOCKS))
        self.answers = nn.ModuleDict({name: nn.Linear(_CHANNELS, count) for name, count in CLASSES.items()})

    def forward(
        self, single: Float[Tensor, "batch residue channel"], pair: Float[Tensor, "batch i j coupling"] | None = None
    ) -> dict[str, Tensor]:
        """Logits of every pair, (batch, residue, residue, class), from channels of residues and of pairs."""
        x = self.enter_first(single)[:, :, None] + self.enter_second(single)[:, None]
        if pair is not None:
            x = x + self.enter_couplings(pair)
        x = functional.elu(pair_norm(x, self.enter_gain, self.enter_shift)[0])
        for block in self.blocks:
            x = block(x)
        both = 0.5 * (x + x.transpose(1, 2))
        inputs = {"distance": both, "omega": both, "theta": x, "phi": x}
        return {name: self.answers[name](inputs[name]) for name in CLASSES}


@lru_cache(maxsize=1)
def load_networks(names: Sequence[str] = NETWORKS) -> tuple[TrRosetta, ...]:
    """The published networks, kept for the next call; raises InputError that says how to fetch them."""
    with torch.inference_mode(False):  # the next call may want gradients
        return tuple(_load(name) for name in names)


def _load(name: str) -> TrRosetta:
    published = load_file(str(weights_path(name)))
    network = TrRosetta().eval().requires_grad_(False)
    network.load_state_dict({own: published[theirs] for own, theirs in _names()} | _rearranged(published))
    return network


def _names() -> list[tuple[str, str]]:
    """Our name and the published one of weights that are the same."""
    names = [("enter_first.bias", "first_block.0.bias")]
    names += [("enter_gain", "first_block.1.weight"), ("enter_shift", "first_block.1.bias")]
    names += [(f"answers.{name}.bias", f"{theirs}.0.bias") for name, theirs in _PUBLISHED_ANSWERS.items()]
    for index in range(_BLOCKS):
        for part, place in (("first", 1), ("second", 5)):
            names.append((f"blocks.{index}.{part}.gain", f"layers.{index}.{place}.weight"))
            names.append((f"blocks.{index}.{part}.shift", f"layers.{index}.{place}.bias"))
    return names


def _rearranged(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The others. Published convolutions see the second residue along the rows, and have biases, which vanish in the
    norms that follow.
    """
    entering = published["first_block.0.weight"][..., 0, 0].split([_FEATURES, _FEATURES, COUPLINGS], 1)
    found = {f"enter_{own}.weight": part for own, part in zip(_ENTERING, entering, strict=True)}
    for name, theirs in _PUBLISHED_ANSWERS.items():
        found[f"answers.{name}.weight"] = published[f"{theirs}.0.weight"][..., 0, 0]
    for index in range(_BLOCKS):
        for part, place in (("first", 0), ("second", 4)):
            turned = published[f"layers.{index}.{place}.weight"].permute(3, 2, 1, 0)
            found[f"blocks.{index}.{part}.weight"] = turned.contiguous()
    return found


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
