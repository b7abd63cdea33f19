"""trRosetta's network against its layers as they were published, by torch's own: channels first, biases and all."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional
from torch.testing import assert_close

from structdiff.trrosetta import network
from structdiff.trrosetta.network import CLASSES
from tests.kernels.contract import in_mode

BLOCKS = 6  # the first dilation comes again


@pytest.fixture
def published(monkeypatch, tmp_path) -> dict[str, torch.Tensor]:
    """Weights of few blocks under their published names, in a file that is loaded as theirs."""
    monkeypatch.setattr(network, "_BLOCKS", BLOCKS)
    generator = torch.Generator().manual_seed(0)

    def layer(name: str, out: int, into: int, taps: int) -> dict[str, torch.Tensor]:
        weight = torch.randn(out, into, taps, taps, generator=generator) / (into * taps * taps) ** 0.5
        return {f"{name}.weight": weight, f"{name}.bias": torch.randn(out, generator=generator)}

    def norm(name: str) -> dict[str, torch.Tensor]:
        return {f"{name}.{kind}": 1 + 0.3 * torch.randn(64, generator=generator) for kind in ("weight", "bias")}

    found = layer("first_block.0", 64, 526, 1) | norm("first_block.1")
    for index in range(BLOCKS):
        for place in (0, 4):
            found |= layer(f"layers.{index}.{place}", 64, 64, 3) | norm(f"layers.{index}.{place + 1}")
    for name, theirs in network._PUBLISHED_ANSWERS.items():
        found |= layer(f"{theirs}.0", CLASSES[name], 64, 1)
    path = tmp_path / "trrosetta_a.safetensors"
    save_file(found, str(path))
    monkeypatch.setattr(network, "weights_path", lambda name: path)
    return found


def as_published(weights, single, pair):
    """Answers [pair of the second residue, of the first], channels first."""

    def convolved(x, name, dilation=1):
        weight = weights[f"{name}.weight"]
        return functional.conv2d(
            x, weight, weights[f"{name}.bias"], padding=dilation * (weight.shape[-1] // 2), dilation=dilation
        )

    def normed(x, name):
        return functional.instance_norm(x, weight=weights[f"{name}.weight"], bias=weights[f"{name}.bias"], eps=1e-6)

    one = single.T[None, :, None].expand(-1, -1, len(single), -1)  # of the first residue, along the columns
    x = torch.cat([one, one.transpose(2, 3), pair.permute(2, 1, 0)[None]], 1)
    x = functional.elu(normed(convolved(x, "first_block.0"), "first_block.1"))
    for index in range(BLOCKS):
        dilation = (1, 2, 4, 8, 16)[index % 5]
        inner = functional.elu(normed(convolved(x, f"layers.{index}.0", dilation), f"layers.{index}.1"))
        x = functional.elu(x + normed(convolved(inner, f"layers.{index}.4", dilation), f"layers.{index}.5"))
    both = 0.5 * (x + x.transpose(2, 3))
    inputs = {"distance": both, "omega": both, "theta": x, "phi": x}
    return {name: convolved(inputs[name], f"{theirs}.0") for name, theirs in network._PUBLISHED_ANSWERS.items()}


@pytest.mark.parametrize("mode", ["auto", "reference"])
def test_answers_are_those_of_the_published_layers(published, mode):
    generator = torch.Generator().manual_seed(1)
    single, pair = torch.rand(23, 42, generator=generator), torch.randn(23, 23, 442, generator=generator)
    expected = as_published(published, single, pair)
    found = in_mode(mode, lambda: network._load("trrosetta_a")(single[None], pair[None]))
    for name, answer in expected.items():
        assert_close(found[name][0], answer[0].permute(2, 1, 0), rtol=1e-4, atol=1e-4)
