import math

import numpy as np
import pytest
import torch
from e3nn import o3

from structdiff.features.build import build_features
from structdiff.features.collate import collate
from structdiff.features.condition import Condition
from structdiff.model.network import StructureNetwork, tiny
from tests.features.examples import mixed, placed, protein


def batch_of(*structures, condition=None):
    features = collate([build_features(structure, condition) for structure in structures])
    return features.map(lambda x: x.double() if x.is_floating_point() else x)


def denoised(network, batch, positions, sigma, previous=None):
    with torch.no_grad():
        condition = network.denoiser.condition(batch, network.trunk(batch))
        return network.denoiser(condition, positions, sigma, previous).positions


def noisy(batch, sigma: float, seed: int = 0):
    noise = torch.randn(batch.atom.positions.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (batch.atom.positions + sigma * noise) * batch.atom.mask[..., None]


@pytest.mark.parametrize("sigma", [0.05, 2.0, 160.0])
def test_rotating_and_shifting_the_input_moves_the_output_with_it(network, sigma):
    batch = batch_of(mixed())
    rotation = o3.rand_matrix(dtype=torch.float64)
    vector = o3.Irreps("1x1o").D_from_matrix(rotation)
    positions, previous = noisy(batch, sigma), noisy(batch, 1.0, seed=1)
    level = torch.full((1,), sigma, dtype=torch.float64)
    mask = batch.atom.mask[..., None]
    moved = ((positions @ vector.T) + 7.0) * mask
    out = denoised(network, batch, positions, level, previous)
    out_moved = denoised(network, batch, moved, level, (previous @ vector.T) * mask)
    assert torch.allclose(((out @ vector.T) + 7.0) * mask, out_moved, atol=1e-6 * max(1.0, sigma))


def test_a_mirror_image_is_not_treated_alike(network):
    batch = batch_of(placed([protein("ALA", "TRP", "SER", "LEU")]))
    mirror = torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64)
    positions, level = noisy(batch, 2.0), torch.full((1,), 2.0, dtype=torch.float64)
    out = denoised(network, batch, positions, level)
    mirrored = denoised(network, batch, positions * mirror, level)
    assert (out * mirror - mirrored).abs().max() > 0.01  # rounding is at 1e-9


def test_batch_mates_and_padding_change_nothing(network):
    first, second = placed([protein("ALA", "GLY")]), mixed()
    alone, together = batch_of(first), batch_of(first, second)
    level = torch.tensor([3.0, 5.0], dtype=torch.float64)
    positions = noisy(together, 3.0)
    slots = alone.num_slots
    own = positions[:1].unflatten(1, (-1, together.num_slots))[:, :2, :slots].flatten(1, 2)
    out = denoised(network, together, positions, level)[:1].unflatten(1, (-1, together.num_slots))
    assert torch.allclose(out[:, :2, :slots].flatten(1, 2), denoised(network, alone, own, level[:1]), atol=1e-9)
    assert out[:, 2:].abs().max() == 0


def test_at_tiny_noise_the_input_comes_back(network):
    batch = batch_of(mixed())
    positions = noisy(batch, 1e-4)
    out = denoised(network, batch, positions, torch.full((1,), 1e-4, dtype=torch.float64))
    assert (out - positions).abs().max() < 1e-2


@pytest.mark.parametrize(
    ("channel", "value"),
    [
        ("hotspot", 1), ("keep_away", 1), ("secondary_structure", 2), ("burial", 3), ("sequence_known", 0),
        ("motif_group", 1), ("contact_bound", 8.0), ("fold_adjacency", 2),
    ],
)  # fmt: skip
def test_every_condition_reaches_the_output(network, channel, value):
    structure = placed([protein("ALA", "TRP", "SER", "LEU")])
    plain = Condition.unknown(4)
    changed = np.array(getattr(plain, channel))
    changed[..., 1:3] = value
    told = plain.replace(**{channel: changed})
    level = torch.full((1,), 4.0, dtype=torch.float64)
    without, with_it = batch_of(structure, condition=plain), batch_of(structure, condition=told)
    positions = noisy(without, 4.0)
    out, other = (denoised(network, batch, positions, level) for batch in (without, with_it))
    assert (out - other)[0, :4].abs().max() > 1e-6


def test_motif_groups_are_told_by_shape_and_hand_but_not_by_pose(network):
    structure = placed([protein("ALA", "TRP", "SER", "LEU", "VAL")])
    held = Condition.unknown(5).replace(motif_group=np.ones(5, np.int32), structure_fixed=np.ones(5, bool))
    turn = o3.rand_matrix(dtype=torch.float64).float().numpy()
    with torch.no_grad():
        z = network.trunk(batch_of(structure, condition=held)).z_trunk
        moved = structure.with_positions(structure.atoms.positions @ turn.T + 11)
        assert torch.allclose(z, network.trunk(batch_of(moved, condition=held)).z_trunk, atol=1e-4)
        mirrored = structure.with_positions(structure.atoms.positions * np.array([1, 1, -1]))
        assert (z - network.trunk(batch_of(mirrored, condition=held)).z_trunk).abs().max() > 1e-3
        apart = held.replace(motif_group=np.array([1, 1, 1, 2, 2], np.int32))
        first = network.trunk(batch_of(structure, condition=apart)).z_trunk
        shifted = np.array(structure.atoms.positions)
        shifted[structure.atoms.residue >= 3] += 9.0
        second = network.trunk(batch_of(structure.with_positions(shifted), condition=apart)).z_trunk
        assert torch.allclose(first, second, atol=1e-4)


def test_cyclic_chains_have_no_ends(network):
    residues = ("ALA",) * 6
    ring, chain = (batch_of(placed([protein(*residues, cyclic=cyclic)])) for cyclic in (True, False))
    with torch.no_grad():
        round_, line = (network.trunk.pair_embedder.relative_position(batch.token) for batch in (ring, chain))
    # Going on by one residue is the same everywhere in a ring, from the last to the first too, and rolls all pairs.
    assert torch.allclose(torch.roll(round_, (1, 1), (1, 2)), round_)
    assert torch.allclose(round_[0, 5, 0], round_[0, 2, 3])
    assert not torch.allclose(line[0, 5, 0], line[0, 2, 3])


def test_bf16_autocast_stays_near_float32():
    torch.manual_seed(1)
    network = StructureNetwork(tiny()).eval()
    batch = collate([build_features(mixed())])
    level = torch.full((1,), 3.0)
    positions = noisy(batch.map(lambda x: x.double() if x.is_floating_point() else x), 3.0).float()
    exact = denoised(network, batch, positions, level)
    with torch.autocast("cpu", torch.bfloat16):
        rough = denoised(network, batch, positions, level)
    assert rough.isfinite().all()
    assert math.sqrt(float((exact - rough).square().mean())) < 0.1 * 3.0  # a tenth of the noise
