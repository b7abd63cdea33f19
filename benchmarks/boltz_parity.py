"""What comparisons with Boltz's and BoltzGen's packages share: parameters given to their networks, and what differs."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn

from structdiff.model.boltz.names import to_own_names
from structdiff.model.boltz.network import BoltzNetwork

_Network = TypeVar("_Network", bound=nn.Module)


@torch.no_grad()
def with_our_parameters(theirs: _Network, ours: BoltzNetwork) -> _Network:
    """Their network with the parameters of ours; every name of ours must have its counterpart."""
    state = theirs.state_dict()
    numbers = {name: torch.full(value.shape, float(row)) for row, (name, value) in enumerate(state.items())}
    names, known = list(state), {}
    for own, value in to_own_names(numbers, designs=ours.config.designs).items():
        known[own] = names[int(value.flatten()[0])]
    assert known.keys() == ours.state_dict().keys(), known.keys() ^ ours.state_dict().keys()
    for own, value in ours.state_dict().items():
        state[known[own]].copy_(value.view(state[known[own]].shape))
        linear = known[own].replace(".output_projection.0.", ".output_projection_linear.")
        state[linear if linear in state else known[own]].copy_(value.view(state[known[own]].shape))
    theirs.load_state_dict(state)
    return theirs.eval()


def print_outputs(label: str, ours: BoltzNetwork, wanted: dict[str, Tensor], found: dict[str, Tensor]) -> None:
    """How large each of their outputs is, and how far ours are off."""
    print(f"{label}: {sum(p.numel() for p in ours.parameters()) / 1e6:.1f} million")
    for name, value in wanted.items():
        off = float((value - found[name]).abs().max())
        print(f"  {name:10} largest {float(value.abs().max()):8.3f}, off by {off:.2g}")


def differences(name: str, mine: Tensor, its: Tensor, tolerance: float = 1e-5) -> list[str]:
    """How many values of an input differ, and the first of them."""
    if mine.shape != its.shape:
        return [f"{name}: {tuple(mine.shape)} here, {tuple(its.shape)} there"]
    wrong = (mine.double() - its.double()).abs() > tolerance
    if not wrong.any():
        return []
    first = tuple(torch.nonzero(wrong)[0].tolist())
    return [f"{name}: {int(wrong.sum())} of {wrong.numel()} differ, first {first}: {mine[first]} here, "
            f"{its[first]} there"]  # fmt: skip
