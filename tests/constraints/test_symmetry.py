"""Copies of a symmetric assembly: drawn as one, kept apart, relaxed together."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from structdiff.constraints.relaxation import relax
from structdiff.constraints.stereochemistry import Stereochemistry
from structdiff.constraints.symmetry import PlacedMotif, SymmetricCopies, SymmetricDenoiser, context_chains
from structdiff.constraints.symmetry_contacts import ImageContacts, Images, clearing_shift
from structdiff.constraints.symmetry_pose import AssemblyPose, CopyClearance
from structdiff.diffusion.sampler import SamplingConfig, sample, sample_generator
from structdiff.features.build import build_features
from structdiff.features.collate import collate
from structdiff.features.copies import side_by_side
from structdiff.geometry.point_groups import helix, point_group
from structdiff.structure.build import ChainSequence, build_structure
from structdiff.structure.tables import ChainKind

RESIDUES = 12


def unit(seed: int = 0, residues: int = RESIDUES, radius: float = 12.0):
    """A chain of alanines at random, near the x axis, with its features as a batch of one."""
    structure = build_structure([ChainSequence(name="A", kind=ChainKind.PROTEIN, residues=("ALA",) * residues)])
    random = np.random.default_rng(seed)
    centres = np.cumsum(random.normal(size=(residues, 3)) * 2.2, 0)
    centres += [radius, 0, 0] - centres.mean(0)
    positions = centres[structure.atoms.residue] + random.normal(size=(len(structure.atoms), 3))
    structure = structure.with_positions(positions)
    return structure, collate([build_features(structure)])


def nothing_held(units):
    return torch.zeros_like(units.atom.mask)


@pytest.mark.parametrize("name", ["C2", "C3", "C7", "D3", "T", "I"])
def test_the_nearest_copies_are_those_that_are_nearest(name):
    group, (_, units) = point_group(name), unit()
    copies = SymmetricCopies(group, min(4, len(group) - 1), units)
    centres = copies.centres(units.atom.positions)[0].double().numpy()
    every = group.apply(centres)[1:]
    shortest = np.linalg.norm(every[:, :, None] - centres[None, None], axis=-1).min((1, 2))
    chosen = copies.nearest(units.atom.positions)[0].numpy()
    assert np.allclose(np.sort(shortest)[: len(chosen)], shortest[chosen], atol=1e-3)
    assert context_chains(group, chosen.tolist()) == [0, *(chosen + 1)]


def test_what_the_network_is_shown_are_the_copies_themselves():
    group, (_, units) = point_group("D2"), unit()
    copies = SymmetricCopies(group, 3, units)
    shown = copies.beside(units.atom.positions, torch.tensor([[2, 0, 1]]))[0].double().numpy()
    whole = group.apply(units.atom.positions[0].double().numpy())
    assert np.allclose(shown, np.concatenate(whole[[0, 3, 1, 2]]), atol=1e-4)
    features = side_by_side(build_features(unit()[0]), 4)
    assert features.atom.mask.shape[0] == len(shown)
    assert features.token.asym_id.unique().tolist() == [0, 1, 2, 3]
    assert features.token.sym_id.unique().tolist() == [0, 1, 2, 3]
    assert features.token.entity_id.unique().tolist() == [0]


def test_units_of_different_length_are_not_mixed_up():
    group = point_group("C3")
    items = [build_features(unit(seed, residues)[0]) for seed, residues in ((1, 5), (2, 9))]
    units, both = collate(items), collate([side_by_side(item, 3) for item in items])
    copies = SymmetricCopies(group, 2, units)
    shown = copies.beside(units.atom.positions, copies.nearest(units.atom.positions))
    assert torch.equal((shown != 0).any(-1) | ~both.atom.mask, torch.ones_like(both.atom.mask))
    for row, item in enumerate(items):
        alone = collate([item])
        single = SymmetricCopies(group, 2, alone)
        own = single.beside(alone.atom.positions, single.nearest(alone.atom.positions))[0]
        assert torch.allclose(shown[row][: len(own)], own, atol=1e-5)


@pytest.mark.parametrize(("name", "seen"), [("C3", 2), ("D3", 4), ("O", 4)])
def test_a_denoiser_that_knows_the_assembly_leads_to_it(name, seen):
    """The truth is known up to where it lies: each answer is laid where the middle of what is shown lies."""
    group, (_, units) = point_group(name), unit(seed=3)
    copies = SymmetricCopies(group, seen, units)
    truth = copies.beside(units.atom.positions, copies.nearest(units.atom.positions))

    def denoise(positions, sigma, previous):
        weight = (truth != 0).any(-1, keepdim=True)
        there, here = ((x * weight).sum(1, keepdim=True) / weight.sum(1, keepdim=True) for x in (truth, positions))
        return (truth - there + here) * weight

    found = sample(
        SymmetricDenoiser(denoise, copies), units.atom.mask, generators=[sample_generator(1, 0)],
        config=SamplingConfig(steps=60, solver="euler", sigma_max=300.0, centre=False),
    )  # fmt: skip
    middle = copies.centres(found)[0].mean(0)
    assert float((copies.unmoved @ middle).norm()) < 1e-3
    if name == "C3":  # all copies are shown: their middle is the axis, so the unit must be where the truth is
        expected = units.atom.positions - (copies.unmoved @ copies.centres(units.atom.positions)[0].mean(0))
        assert torch.allclose(found, expected, atol=1e-2)


@pytest.mark.parametrize("name", ["C4", "D2", "T"])
def test_entangled_copies_are_parted_and_stray_ones_brought_back(name):
    group = point_group(name)
    for radius in (1.0, 60.0):
        _, units = unit(seed=5, residues=20, radius=radius)
        copies = SymmetricCopies(group, min(4, len(group) - 1), units)
        positions = units.atom.positions
        for _ in range(12):
            positions = AssemblyPose(copies, nothing_held(units)).project(positions, 1.0)
        near = copies.distances(positions)[0]
        assert float(near.min()) > 3.5
        assert group.joined((near < 8.5).numpy())
        # A unit moves as one piece.
        exact = "donot_use_mm_for_euclid_dist"
        shape = [torch.cdist(each[0], each[0], compute_mode=exact) for each in (units.atom.positions, positions)]
        mask = units.atom.mask[0]
        assert torch.allclose(shape[0][mask][:, mask], shape[1][mask][:, mask], atol=1e-2)


def test_held_side_chains_keep_clear_of_copies():
    group = point_group("C3")
    _, units = unit(seed=5, residues=20, radius=14.0)
    copies = SymmetricCopies(group, 2, units)
    held = nothing_held(units)
    places = torch.nonzero(units.atom.mask[0])[:, 0]
    tip = places[-1] if places[-1] not in copies.centre[0] else places[-2]
    held[0, tip] = True
    begun = units.atom.positions.clone()
    begun[0, tip] += torch.tensor([-10.0, 0.0, 0.0])  # a long side chain, which points at the axis

    def nearest(mask) -> float:
        positions = begun
        for _ in range(12):
            positions = AssemblyPose(copies, mask).project(positions, 0.3)
        everything = torch.cat([copies.centres(positions)[0], positions[0, tip][None]])
        image = everything @ copies.rotations[0].T + copies.translations[0]
        return float((image - positions[0, tip]).norm(dim=-1).min())

    assert nearest(nothing_held(units)) < 2.5
    assert nearest(held) > 3.0


def test_nothing_is_moved_while_there_is_no_surface():
    _, units = unit(radius=1.0)
    copies = SymmetricCopies(point_group("C3"), 2, units)
    pose = AssemblyPose(copies, nothing_held(units))
    assert torch.equal(pose.project(units.atom.positions, 100.0), units.atom.positions)


def test_a_placed_motif_is_brought_to_its_place_and_the_rest_makes_room():
    _, units = unit(seed=2, radius=2.0)
    held = torch.zeros_like(units.atom.mask)
    held[:, : 3 * units.num_slots] = units.atom.mask[:, : 3 * units.num_slots]
    turned = units.atom.positions @ torch.from_numpy(point_group("T").rotations[5]).float().T + 7.0
    found = PlacedMotif(units.atom.positions, held).project(turned * units.atom.mask[..., None], 1.0)
    assert torch.allclose(found[units.atom.mask], units.atom.positions[units.atom.mask], atol=1e-4)
    copies = SymmetricCopies(point_group("C3"), 2, units)
    before = copies.distances(found)[0].min()
    roomy = CopyClearance(copies, held).project(found, 1.0)
    assert torch.equal(roomy[held], found[held])
    assert float(copies.distances(roomy)[0].min()) >= float(before)


@pytest.mark.parametrize("group", [point_group("C3"), point_group("D2"), helix(5, rise=6.0, twist=1.0)],
                         ids=lambda group: group.name)  # fmt: skip
def test_slopes_of_contacts_between_copies(group):
    structure, _ = unit(seed=4, residues=6, radius=3.0)
    model = Stereochemistry.from_structure(structure)
    contacts = ImageContacts(model.repulsion, Images.of(group))
    sites = structure.atoms.positions.astype(np.float64)
    energy, gradient = contacts.energy(sites, 100.0)
    assert energy > 0
    random = np.random.default_rng(0)
    for _ in range(3):
        step = random.normal(size=sites.shape) * 1e-5
        up, down = (
            ImageContacts(model.repulsion, Images.of(group)).energy(sites + s * step, 100.0)[0] for s in (1, -1)
        )
        assert (up - down) / 2 == pytest.approx(float(np.vdot(gradient, step)), rel=1e-3, abs=1e-9)


def test_relaxation_keeps_copies_apart_and_the_group():
    group = point_group("C2")
    structure, _ = unit(seed=6, residues=6, radius=1.5)
    start = torch.from_numpy(structure.atoms.positions)[None]
    images = Images.of(group)
    alone = relax(structure, start).positions[0].double().numpy()
    together = relax(structure, start, images=images).positions[0].double().numpy()

    def nearest(positions: np.ndarray) -> float:
        image = group.apply(positions)[1]
        return float(np.linalg.norm(positions[:, None] - image[None], axis=-1).min())

    assert nearest(together) > nearest(alone) + 0.3
    # The same again, from a start that the group has turned, is the same turned.
    other = torch.from_numpy(group.apply(structure.atoms.positions)[1]).float()[None]
    turned = relax(structure, other, images=images).positions[0].double().numpy()
    assert np.abs(group.apply(together)[1] - turned).max() < 0.05


def test_images_about_another_origin_are_the_same_copies():
    structure, _ = unit()
    positions = structure.atoms.positions.astype(np.float64)
    centre = positions.mean(0)
    images = Images.of(point_group("D3"))
    moved = images.about(centre)
    plain = np.einsum("kij,aj->kai", images.rotations, positions) + images.translations[:, None]
    shifted = np.einsum("kij,aj->kai", moved.rotations, positions - centre) + moved.translations[:, None]
    assert np.allclose(plain - centre, shifted)
    far = dataclasses.replace(images, translations=images.translations + [[0, 0, 500.0]])
    assert len(far.near(positions).rotations) == 0


@pytest.mark.parametrize("name", ["C3", "D2"])
def test_a_finished_unit_is_moved_off_its_copies_or_not_at_all(name):
    group = point_group(name)
    structure, _ = unit(seed=8, residues=8, radius=3.0)
    positions = structure.atoms.positions.astype(np.float64)
    shift = clearing_shift(positions, group)
    assert np.linalg.norm(shift) > 0.1
    assert np.allclose(group.unmoved @ shift, 0)
    moved = positions + shift
    assert min(np.linalg.norm(moved[:, None] - image[None], axis=-1).min() for image in group.apply(moved)[1:]) >= 2.99
    assert not clearing_shift(moved, group).any()
