"""A small network of which every part acts."""

from __future__ import annotations

import pytest
import torch

from structdiff.model.network import StructureNetwork, tiny


@pytest.fixture(scope="module")
def network() -> StructureNetwork:
    torch.manual_seed(0)
    network = StructureNetwork(tiny()).double().eval()
    for parameter in network.parameters():  # what starts at zero would hide half of a head
        if parameter.abs().max() == 0:
            torch.nn.init.normal_(parameter, std=0.2)
    return network
