"""Boltz-2's affinity modules: which pairs they look at, what changes nothing, and settings that are refused."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from structdiff.errors import InputError
from structdiff.model.boltz.affinity import binding_pairs
from structdiff.model.boltz.affinity_inputs import of_query_alone
from structdiff.model.boltz.confidence import one_of
from structdiff.model.boltz.config import config_from_hyper_parameters
from structdiff.structure.tables import ChainKind
from tests.parity.boltz2_affinity_cases import affinity_hyper_parameters, draw_affinity_inputs
from tests.parity.boltz2_cases import filled_network, noisy_positions


@pytest.fixture(scope="module")
def network():
    return filled_network(config_from_hyper_parameters(affinity_hyper_parameters()))


@pytest.fixture(scope="module")
def drawn(network):
    """Inputs, the ligand's tokens, the trunk and positions of one complex."""
    inputs, binder = draw_affinity_inputs()
    first = one_of(inputs, 0)
    with torch.inference_mode():
        return first, binder[:1], network.trunk.understood(first), noisy_positions(first)[0]


def said(network, inputs, binder, trunk, positions):
    with torch.inference_mode():
        found = [module(inputs, binder, trunk.s_inputs, trunk.z_trunk, positions) for module in network.affinity]
    return torch.stack([value for each in found for value in (each.log10_ic50, each.binder_logit)])


def test_pairs_are_those_of_ligand_and_protein_and_within_the_ligand(drawn):
    inputs, binder, *_ = drawn
    pairs = binding_pairs(inputs, binder)[0]
    protein = inputs.molecule_type[0] == ChainKind.PROTEIN
    for row, column in ((0, 0), (0, 15), (15, 18), (15, 15)):
        ends = (bool(binder[0, row]), bool(binder[0, column]))
        kinds = (bool(protein[row]), bool(protein[column]))
        assert bool(pairs[row, column]) == (all(ends) or (any(ends) and any(kinds)))
    assert torch.equal(pairs, pairs.T)
    assert not pairs[:14, :14].any()
    assert pairs[:14, 14:].any()


def test_where_the_whole_lies_and_what_is_no_protein_change_nothing(network, drawn):
    inputs, binder, trunk, positions = drawn
    wanted = said(network, inputs, binder, trunk, positions)
    moved = said(network, inputs, binder, trunk, positions + torch.tensor([40.0, -3.0, 7.0]))
    torch.testing.assert_close(moved, wanted, rtol=1e-4, atol=1e-4)
    other = (inputs.molecule_type[0] != ChainKind.PROTEIN) & ~binder[0]
    assert other.any()
    z = trunk.z_trunk.clone()
    z[:, other] += 3.0
    z[:, :, other] -= 2.0
    beside = dataclasses.replace(trunk, z_trunk=z)
    torch.testing.assert_close(said(network, inputs, binder, beside, positions), wanted, rtol=1e-5, atol=1e-5)
    nearer = said(network, inputs, binder, trunk, positions * 0.3)
    assert (nearer - wanted).abs().min() > 1e-4


def test_tokens_that_are_not_there_change_nothing(network):
    inputs, binder = draw_affinity_inputs()
    padded, own = one_of(inputs, 1), binder[1:]
    with torch.inference_mode():
        trunk = network.trunk.understood(padded)
    wanted = said(network, padded, own, trunk, noisy_positions(inputs)[0][1:])
    changed = dataclasses.replace(trunk, z_trunk=trunk.z_trunk.clone())
    changed.z_trunk[:, 16:] += 5.0
    changed.z_trunk[:, :, 16:] += 5.0
    anything = torch.ones_like(own)
    anything[:, :16] = own[:, :16]
    found = said(network, padded, anything, changed, noisy_positions(inputs)[0][1:])
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


def test_the_alignment_is_left_out_but_for_its_first_row(drawn):
    inputs = drawn[0]
    alone = of_query_alone(inputs)
    assert torch.equal(alone.profile.argmax(-1), inputs.msa[:, 0])
    assert torch.equal(alone.profile.sum(-1), torch.ones_like(alone.deletion_mean))
    assert not alone.deletion_mean.any()
    assert inputs.deletion_mean.any()


def test_settings_that_cannot_be_honoured_are_refused():
    settings = affinity_hyper_parameters()
    for change, says in (
        ({"skip_run_structure": True}, "skip_run_structure"),
        ({"affinity_model_args2": None}, "affinity_model_args2"),
        ({"confidence_prediction": False}, "confidence_prediction"),
    ):
        with pytest.raises(InputError, match=says):
            config_from_hyper_parameters(settings | change)
    config = config_from_hyper_parameters(settings)
    assert [each.blocks for each in config.affinity] == [2, 1]
    assert len(config_from_hyper_parameters(affinity_hyper_parameters(ensemble=False)).affinity) == 1
    assert config_from_hyper_parameters(settings | {"affinity_prediction": False}).affinity == ()
