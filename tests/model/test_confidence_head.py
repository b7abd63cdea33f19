"""The confidence head looks at the structure: at its shape, wherever it lies, and at nothing else."""

from __future__ import annotations

import torch
from e3nn import o3

from tests.features.examples import mixed, placed, protein
from tests.model.test_denoiser import batch_of


def chain(*names: str):
    return placed([protein(*names)])


def positions_of(batch, spread: float = 1.0):
    noise = torch.randn(batch.atom.positions.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    moved = (batch.atom.positions + spread * noise) * batch.atom.mask[..., None]
    return moved.unflatten(1, (batch.num_tokens, batch.num_slots))


def said(network, batch, positions):
    with torch.no_grad():
        return network.confidence(batch, network.trunk(batch), positions)


def test_where_a_structure_lies_changes_nothing_and_its_hand_does(network):
    batch = batch_of(mixed())
    positions = positions_of(batch)
    turn = o3.rand_matrix(dtype=torch.float64)
    here, moved = said(network, batch, positions), said(network, batch, positions @ turn.T + 5.0)
    mirrored = said(network, batch, positions * torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64))
    for name in ("plddt", "pae", "pde"):
        assert torch.allclose(getattr(here, name), getattr(moved, name), atol=1e-8)
        assert (getattr(here, name) - getattr(mirrored, name)).abs().max() > 1e-3
    assert torch.allclose(here.pde, here.pde.transpose(1, 2))


def test_one_moved_residue_is_noticed_by_its_neighbours_in_space_most(network):
    batch = batch_of(chain(*["ALA"] * 12))
    positions = positions_of(batch, 0.0)
    positions[:, :, :, 0] += 8.0 * torch.arange(12, dtype=torch.float64)[:, None]  # stretched out
    pushed = positions.clone()
    pushed[:, 2] += 1.0
    change = (said(network, batch, positions).plddt - said(network, batch, pushed).plddt).abs().amax(-1)[0]
    assert change[2] > 1e-2
    assert change[2] > change[8:].max()


def test_batch_mates_and_padding_change_nothing(network):
    first = chain("ALA", "GLY", "SER", "TRP")
    alone, together = batch_of(first), batch_of(first, mixed())
    positions = positions_of(together)
    own = positions[:1, : alone.num_tokens, : alone.num_slots]
    here, there = said(network, alone, own), said(network, together, positions)
    count = alone.num_tokens
    assert torch.allclose(here.plddt[0], there.plddt[0, :count], atol=1e-9)
    assert torch.allclose(here.pae[0], there.pae[0, :count, :count], atol=1e-9)


def test_the_trunk_learns_nothing_through_it(network):
    batch = batch_of(chain("ALA", "GLY", "SER"))
    logits = network.confidence(batch, network.trunk(batch), positions_of(batch))
    (logits.plddt.sum() + logits.pae.sum() + logits.pde.sum()).backward()
    named = dict(network.named_parameters())
    assert all(named[name].grad is None for name in named if not name.startswith("confidence."))
    assert all(named[name].grad is not None for name in named if name.startswith("confidence."))
    network.zero_grad()
