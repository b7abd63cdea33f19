"""Complexes whose chains are held, as predictions of docked structures have them, and chains in wrong places."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from structdiff.constraints.motif import MotifHold
from structdiff.diffusion.sampler import SamplingConfig
from structdiff.errors import InputError
from structdiff.features.condition import HOTSPOT
from structdiff.geometry.superposition import superposition
from structdiff.model.network import StructureNetwork, tiny
from structdiff.structure.tables import ChainKind
from structdiff.training.batches import BatchConfig
from structdiff.training.confidence_examples import Source, draw_batch
from structdiff.training.confidence_validation import interface_agreement, judge_interfaces, validate_confidence
from structdiff.training.dataset import StructureSet
from structdiff.training.held_chains import HeldChains, held_chains, interfaces

CROPS = BatchConfig(crops=((48, 2, 1.0),))
QUICK = SamplingConfig(steps=2, solver="dpm-solver-2m")


@pytest.fixture(scope="module")
def touching(structures):
    """Small structures whose chains touch, with atoms that were seen alone."""
    found = []
    for index in np.flatnonzero(structures.several_chains & ~structures.nucleic).tolist():
        structure = structures.structure(index)
        structure = structure.select(structure.atoms.resolved)
        if len(structure.residues) < 250 and interfaces(structure):
            found.append(structure)
    assert found
    return found


def test_interfaces_are_where_residues_of_two_chains_come_near(touching):
    for structure in touching:
        kind = structure.chains.kind
        for each in interfaces(structure):
            assert ChainKind.PROTEIN in (kind[each.first], kind[each.second])
            for row, own in zip((each.first, each.second), each.pairs.T, strict=True):
                assert (structure.residues.chain[own] == row).all()
            one, other = (structure.atoms.positions[structure.residue_atoms(row)] for row in each.pairs[0].tolist())
            assert cdist(one, other).min() <= 5.0


def test_what_is_told_of_chains_is_drawn(touching):
    draws = [held_chains(touching[0], np.random.default_rng(seed)) for seed in range(12)]
    fixed = [bool(each.features.condition.structure_fixed.any()) for each in draws]
    assert 0 < sum(fixed) < 12
    told = [[each for each in draw.constraints[0].atoms.contacts if each.name == "contact"] for draw in draws]
    assert 0 < sum(map(bool, told)) < 12
    ligand = (touching[0].chains.kind == ChainKind.LIGAND)[touching[0].atom_chain]
    for draw, contacts in zip(draws, told, strict=True):
        # Of pockets the network is told their residues, of other contacts which pairs are near.
        pockets = {int(touching[0].atoms.residue[each.first[0]]) for each in contacts if ligand[each.second[0]]}
        marked = draw.features.condition.hotspot == HOTSPOT
        assert {int(row) for row in draw.features.token.residue_index[marked]} == {
            int(touching[0].residues.label_seq_id[row]) for row in pockets
        }


def test_wrong_poses_keep_chains_as_they_are_and_lay_them_elsewhere(touching):
    structure = touching[0]
    item = held_chains(structure, np.random.default_rng(3), wrong=4)
    assert item.wrong.shape == (4, len(structure.atoms), 3)
    truth = torch.from_numpy(structure.atoms.positions)
    chains = [torch.from_numpy(np.flatnonzero(structure.atom_chain == row)) for row in range(len(structure.chains))]
    for pose in item.wrong:
        for rows in chains:
            laid = superposition(truth[rows][None], pose[rows][None]).apply(truth[rows][None])[0]
            assert float((laid - pose[rows]).norm(dim=-1).max()) < 0.01
    whole = superposition(truth[None].expand(4, -1, -1), item.wrong).apply(truth[None].expand(4, -1, -1))
    off = (whole - item.wrong).square().sum(-1).mean(-1).sqrt()
    assert float(off.max()) > 3.0
    alphas = structure.atoms.name == "CA"
    for one, other in combinations(range(len(chains)), 2):
        ends = [torch.from_numpy(np.flatnonzero(alphas & (structure.atom_chain == row))) for row in (one, other)]
        if all(len(rows) for rows in ends):
            assert float(torch.cdist(item.wrong[:, ends[0]], item.wrong[:, ends[1]]).min()) > 3.0


def test_batches_depend_on_seed_and_number_alone(structures):
    one, other = (HeldChains(structures, CROPS, seed=3, wrong=1) for _ in range(2))
    other.batch(0)
    first, second = one.batch(5), other.batch(5)
    assert torch.equal(first.features.atom.positions, second.features.atom.positions)
    assert torch.equal(first.wrong, second.wrong)
    assert not torch.equal(first.wrong, one.batch(6).wrong)


def test_drawn_chains_are_held_and_their_interfaces_judged(structures):
    torch.manual_seed(0)
    network = StructureNetwork(tiny()).eval()
    chains = HeldChains(structures, CROPS, seed=3, wrong=2)
    batch = next(each for each in map(chains.batch, range(9)) if bool(each.features.condition.structure_fixed.any()))
    source = Source(samplings=(QUICK,), truth=True)
    item = draw_batch(network, batch, source, seed=0, number=1)
    assert item.positions.shape[1] == 1 + 2 + 1
    assert torch.equal(item.positions[:, 1:3], batch.wrong)
    drawn = item.positions[:, 0].flatten(1, 2)
    hold = MotifHold.from_features(batch.features)
    assert float((hold.project(drawn, 0.0) - drawn).norm(dim=-1).max()) < 0.01
    truths = [known for _, known in judge_interfaces(network, item, 3)]
    assert min(truths) > 0.95
    assert all(
        known <= true + 1e-6 for (_, known), true in zip(judge_interfaces(network, item, 1), truths, strict=True)
    )


def test_agreement_of_interfaces():
    figures = interface_agreement([(0.1, 0.2), (0.3, 0.5), (0.8, 0.9)])
    assert figures["spearman_iptm"] == 1.0
    assert figures["mean_absolute_error_iptm"] == pytest.approx(0.4 / 3)
    assert figures["structures"] == 3


def test_validation_tells_of_complexes(data):
    torch.manual_seed(0)
    figures = validate_confidence(
        StructureNetwork(tiny()), StructureSet(data, "train"), batches=1, recommended=QUICK, config=CROPS,
        complexes=CROPS,
    )  # fmt: skip
    assert figures["chains"]["structures"] > 0


def test_a_set_without_chains_that_touch_is_an_error(structures, monkeypatch):
    monkeypatch.setattr(structures, "several_chains", np.zeros(len(structures), bool))
    with pytest.raises(InputError, match="chains that touch"):
        HeldChains(structures, CROPS, seed=0)
