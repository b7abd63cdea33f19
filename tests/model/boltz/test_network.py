"""Boltz-2's network: windows of atoms, samples that share what they can, positions wherever they lie, refusals."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from structdiff.errors import InputError
from structdiff.model.boltz.confidence import one_of
from structdiff.model.boltz.config import config_from_hyper_parameters
from structdiff.model.boltz.names import to_own_names
from structdiff.model.boltz.windows import attend_in_windows, key_penalty, keys_of
from tests.parity.boltz2_cases import draw_boltz_inputs, filled_network, hyper_parameters, noisy_positions


@pytest.fixture(scope="module")
def network():
    return filled_network(config_from_hyper_parameters(hyper_parameters()))


@pytest.fixture(scope="module")
def first():
    return one_of(draw_boltz_inputs(), 0)


@pytest.fixture(scope="module")
def condition(network, first):
    with torch.inference_mode():
        return network.denoiser.told(first, network.trunk.understood(first), first.residue_type.clamp(max=20))


def test_keys_lie_evenly_about_their_queries():
    atoms = torch.arange(1, 161)[None]
    keys = keys_of(atoms)
    assert keys.shape == (1, 5, 128)
    for window in range(5):
        places = torch.arange(32 * window - 48, 32 * window + 80)
        inside = (places >= 0) & (places < 160)
        assert torch.equal(keys[0, window], torch.where(inside, places + 1, 0))


def test_attention_in_windows_is_attention_over_their_keys_alone():
    generator = torch.Generator().manual_seed(3)
    q, k, v = (torch.randn(2, 160, 3, 8, generator=generator) for _ in range(3))
    bias = torch.randn(1, 5, 3, 32, 128, generator=generator)
    mask = torch.rand(1, 160, generator=generator) < 0.8
    found = attend_in_windows(q, k, v, (bias + key_penalty(mask)[:, :, None, None]).flatten(1, 2))
    for atom in (0, 31, 77, 159):
        window = atom // 32
        near = torch.arange(max(0, 32 * window - 48), min(160, 32 * window + 80))
        near = near[mask[0, near]]
        logits = torch.einsum("bhc,bkhc->bhk", q[:, atom], k[:, near]) / 8**0.5
        logits = logits + bias[:, window, :, atom % 32, near - 32 * window + 48]
        wanted = torch.einsum("bhk,bkhc->bhc", logits.softmax(-1), v[:, near])
        torch.testing.assert_close(found[:, atom], wanted)


@pytest.mark.parametrize("levels", [(12.0, 12.0, 12.0), (0.4, 12.0, 90.0)])
def test_samples_together_are_those_alone(network, condition, first, levels):
    denoiser, sigma = network.denoiser, torch.tensor(levels)
    noisy = torch.cat([noisy_positions(first)[0] * scale for scale in (1.0, 0.5, 2.0)])
    with torch.inference_mode():
        together = denoiser(condition.repeat(3), noisy, sigma).positions
        alone = [denoiser(condition, noisy[row : row + 1], sigma[row : row + 1]).positions for row in range(3)]
    assert together.std() > 1
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-4, atol=1e-4)


def test_where_the_whole_lies_changes_nothing_and_slots_without_an_atom_stay_empty(network, condition, first):
    atoms = first.atom_mask.shape[1]
    apart = dataclasses.replace(first, atom_slot=first.atom_slot.flip(1) + 7)
    moved = dataclasses.replace(condition, inputs=apart)
    noisy, level = torch.randn(1, atoms + 12, 3, generator=torch.Generator().manual_seed(1)), torch.tensor([2.0])
    far = torch.tensor([30.0, -20.0, 10.0])
    with torch.inference_mode():
        found = network.denoiser(moved, noisy, level).positions
        shifted = network.denoiser(moved, noisy + far, level).positions
    there = torch.zeros(atoms + 12, dtype=torch.bool)
    there[apart.atom_slot[0, first.atom_mask[0]]] = True
    assert torch.equal(found[0, ~there], torch.zeros(int((~there).sum()), 3))
    assert found[0, there].abs().max() > 0.1
    torch.testing.assert_close(shifted[0, there], found[0, there] + far, rtol=1e-4, atol=1e-4)


def test_what_no_network_of_boltz_has_is_refused():
    with pytest.raises(InputError, match=r"not a parameter of this network.*msa_module\.layers\.0\.surprise"):
        to_own_names({"s_norm.weight": torch.ones(4), "msa_module.layers.0.surprise.weight": torch.ones(4)})


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("token_level_confidence", False, "token_level_confidence"),
        ("use_templates_v2", False, "use_templates_v2"),
        ("atom_feature_dim", 389, "atom_feature_dim.*found 389.*allowed: 388"),
        ("atoms_per_window_keys", 64, "atoms_per_window_keys"),
        ("token_s", "wide", "token_s.*a whole number"),
        ("score_model_args", None, "score_model_args"),
    ],
)
def test_settings_that_cannot_be_honoured_are_refused(key, value, told):
    with pytest.raises(InputError, match=told):
        config_from_hyper_parameters(hyper_parameters() | {key: value})
