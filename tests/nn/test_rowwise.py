"""Long tables are worked on in pieces where no gradients are wanted, which changes nothing."""

import pytest
import torch

from structdiff.nn import msa, rowwise
from structdiff.nn.msa import OuterProductMean, PairWeightedAveraging
from structdiff.nn.transition import Transition


def tables():
    generator = torch.Generator().manual_seed(5)
    draw = {
        name: torch.randn(*shape, generator=generator)
        for name, shape in (("m", (2, 21, 13, 16)), ("z", (2, 13, 13, 8)))
    }
    there = torch.rand(2, 21, 13, generator=generator) > 0.2
    pairs = torch.rand(2, 13, 13, generator=generator) > 0.1
    return draw["m"], draw["z"], there, pairs


CASES = {
    "outer product mean": (lambda: OuterProductMean(16, 8), lambda m, z, there, pairs: (m, there)),
    "averaging": (lambda: PairWeightedAveraging(16, 8), lambda m, z, there, pairs: (m, z, pairs)),
    "transition": (lambda: Transition(16), lambda m, z, there, pairs: (m,)),
}


@pytest.mark.parametrize("case", CASES)
def test_pieces_change_nothing(case, monkeypatch):
    make, pick = CASES[case]
    module, inputs = make(), pick(*tables())
    generator = torch.Generator().manual_seed(6)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.3, generator=generator)
    whole = module(*inputs)
    largest = []
    inner = module.project_out.register_forward_pre_hook(lambda _, x: largest.append(x[0].numel() // x[0].shape[-1]))
    for owner in (msa, rowwise):
        monkeypatch.setattr(owner, "PIECE", 60)
    with torch.no_grad():
        pieces = module(*inputs)
    inner.remove()
    assert whole.abs().max() > 0.5
    assert torch.equal(pieces, whole.detach())
    assert len(largest) > 3
    assert max(largest) <= 2 * 60  # of a batch of two
