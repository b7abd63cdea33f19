"""From several structures of a cropped complex to what Boltz-2's affinity modules say of the best of them."""

from __future__ import annotations

import torch
from torch import Tensor

from structdiff.model.boltz.affinity import AffinityReadings
from structdiff.model.boltz.affinity_inputs import of_query_alone
from structdiff.model.boltz.inputs import BoltzInputs
from structdiff.model.boltz.interface_ptm import interface_ptm
from structdiff.model.boltz.network import BoltzNetwork
from structdiff.model.boltz.trunk import BoltzTrunkOutput
from structdiff.typing import Bool, Float


def ensemble_readings(
    network: BoltzNetwork,
    inputs: BoltzInputs,
    trunk: BoltzTrunkOutput,
    binder: Bool[Tensor, "one token"],
    packed: Float[Tensor, "sample atom 3"],
) -> list[AffinityReadings]:
    """What each module says of that structure (Å) whose ipTM is highest, by the network's own confidence in it.

    inputs, trunk: of the one complex that all of the structures are of. binder: tokens of the ligand.
    """
    best = packed[_iptm(network, inputs, trunk, packed).argmax()][None]
    s_inputs = network.trunk.input_embedder(of_query_alone(inputs))
    return [module(inputs, binder, s_inputs, trunk.z_trunk, best) for module in network.affinity]


def _iptm(
    network: BoltzNetwork, inputs: BoltzInputs, trunk: BoltzTrunkOutput, packed: Float[Tensor, "sample atom 3"]
) -> Float[Tensor, " sample"]:
    """The ipTM of each structure; one after the other, to spare memory."""
    assert network.confidence is not None
    found = []
    for one in packed.split(1):
        judged = network.confidence.judged(inputs, trunk.s_inputs, trunk.s_trunk, trunk.z_trunk, one)
        found.append(interface_ptm(inputs, one, judged.pae))
    return torch.cat(found)
