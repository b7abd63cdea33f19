import numpy as np
import pytest
import torch
from e3nn import o3

from structdiff.constraints.combined import Combined
from structdiff.constraints.contact import Contact, Contacts
from structdiff.constraints.motif import MotifHold
from structdiff.features.build import build_features
from structdiff.features.collate import collate
from structdiff.features.condition import Condition
from structdiff.geometry.superposition import superposed_rmsd
from tests.features.examples import placed, protein


def held_batch(groups: list[int]):
    structure = placed([protein("ALA", "GLY", "SER", "LEU", "VAL", "THR")])
    group = np.array(groups, np.int32)
    condition = Condition.unknown(6).replace(motif_group=group, structure_fixed=group > 0)
    return collate([build_features(structure, condition)])


def test_a_held_group_keeps_its_exact_shape():
    batch = held_batch([0, 1, 1, 1, 0, 0])
    hold = MotifHold.from_features(batch)
    drawn = torch.randn_like(batch.atom.positions) * 10
    out = hold.project(drawn, 1.0)
    held = batch.condition.motif_mask
    assert superposed_rmsd(out, batch.condition.motif_positions, mask=held).max() < 1e-4
    assert torch.equal(out[~batch.atom.mask], drawn[~batch.atom.mask])


def test_neighbours_go_along_with_a_motif_and_distant_residues_do_not():
    batch = held_batch([0, 1, 1, 1, 0, 0])
    hold = MotifHold.from_features(batch)
    tokens = torch.arange(6).repeat_interleave(batch.num_slots)
    line = torch.stack([tokens * 4.0, torch.zeros(len(tokens)), torch.zeros(len(tokens))], -1)[None]
    line[:, tokens == 5] += torch.tensor([60.0, 0, 0])
    shift = hold.project(line, 1.0) - line
    next_to, far, held = (shift[0, (tokens == t) & batch.atom.mask[0]] for t in (4, 5, 3))
    assert far.norm(dim=-1).max() < 1e-3
    assert next_to.norm(dim=-1).max() > 0
    # The whole residue moves as one, in the direction of the motif beside it.
    assert torch.allclose(next_to, next_to[:1].expand_as(next_to))
    assert torch.nn.functional.cosine_similarity(next_to[0], held.mean(0), dim=0) > 0


def test_groups_are_free_of_one_another():
    batch = held_batch([1, 1, 1, 2, 2, 2])
    hold = MotifHold.from_features(batch)
    turn = o3.rand_matrix()
    first = (batch.condition.motif_group == 1).repeat_interleave(batch.num_slots, 1)
    wanted = torch.where(first[..., None], batch.atom.positions @ turn.T + 30, batch.atom.positions)
    out = hold.project(wanted, 1.0)
    mask = batch.condition.motif_mask[..., None]
    assert torch.allclose(out * mask, wanted * mask, atol=1e-3)


def test_a_mirrored_prediction_does_not_turn_the_motif_over():
    batch = held_batch([1] * 6)
    mirrored = batch.atom.positions * torch.tensor([1.0, 1.0, -1.0])
    out = MotifHold.from_features(batch).project(mirrored, 1.0)
    assert superposed_rmsd(out, batch.atom.positions, mask=batch.condition.motif_mask).max() < 1e-4


def test_without_a_motif_nothing_is_held():
    batch = held_batch([0] * 6)
    drawn = torch.randn_like(batch.atom.positions)
    assert torch.equal(MotifHold.from_features(batch).project(drawn, 1.0), drawn)


def contacts_of(contact, positions):
    return Contacts([[contact]], torch.ones(positions.shape[:2], dtype=torch.bool))


@pytest.mark.parametrize("avoid", [False, True])
def test_enforcing_meets_the_bound_and_keeps_neighbours_together(avoid):
    line = torch.arange(40.0)[:, None] * torch.tensor([3.8, 0.0, 0.0])
    gap = 2.0 if avoid else 20.0
    positions = torch.cat([line, line.flip(0) * torch.tensor([1.0, 0, 0]) + torch.tensor([0.0, gap, 0.0])])[None]
    contact = Contact(name="c", first=torch.tensor([20]), second=torch.tensor([59]), bound=6.0, avoid=avoid)
    out = contacts_of(contact, positions).project(positions, 1.0)
    reached = float(contact.distance(out))
    assert reached >= 6.0 if avoid else reached <= 6.0
    steps = (out[0, 1:40] - out[0, :39]).norm(dim=-1)
    assert steps.max() < 3.8 + 1.5
    assert (out - positions)[0, 0].norm() < 0.1  # far away nothing moves


@pytest.mark.parametrize("avoid", [False, True])
def test_a_contact_pulls_or_pushes_the_nearest_atoms(avoid):
    start = 12.0 if not avoid else 3.0
    positions = torch.tensor([[[0.0, 0, 0], [start, 0, 0], [40.0, 0, 0]]], requires_grad=True)
    contact = Contact(name="c", first=torch.tensor([0]), second=torch.tensor([1, 2]), bound=8.0, avoid=avoid)
    energy = contacts_of(contact, positions).energy(positions)
    (gradient,) = torch.autograd.grad(energy.sum(), positions)
    assert energy > 1
    assert (gradient[0, 1, 0] > 0) != avoid  # downhill is nearer for a contact, farther for avoidance
    assert gradient[0, 2].abs().max() < 1e-3 * gradient[0, 1].abs().max()
    assert contact.distance(positions.detach()) == pytest.approx(start)


def test_a_met_contact_costs_nothing():
    positions = torch.tensor([[[0.0, 0, 0], [6.0, 0, 0]]])
    contact = Contact(name="c", first=torch.tensor([0]), second=torch.tensor([1]), bound=8.0)
    assert contacts_of(contact, positions).energy(positions) == 0


def test_a_set_of_constraints_is_a_constraint():
    batch = held_batch([0, 1, 1, 1, 0, 0])
    contact = Contact(name="c", first=torch.tensor([0]), second=torch.tensor([40]), bound=1.0)
    contacts = Contacts([[contact]], batch.atom.mask)
    both = Combined([contacts, MotifHold.from_features(batch)])
    drawn = torch.randn_like(batch.atom.positions) * 10
    alone = MotifHold.from_features(batch).project(contacts.project(drawn, 0.0), 0.0)
    assert torch.equal(both.project(drawn, 0.0), alone)
    assert not torch.equal(alone, MotifHold.from_features(batch).project(drawn, 0.0))
    assert both.energy(drawn) == contacts.energy(drawn) > 0
