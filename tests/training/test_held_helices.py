"""Structures with nucleic acids as predictions have them: helices of the energies' pairs, held, beside the truth."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from structdiff.constraints.chain_poses import ChainPoses
from structdiff.constraints.motif import MotifHold
from structdiff.diffusion.sampler import SamplingConfig
from structdiff.errors import InputError
from structdiff.model.network import StructureNetwork, tiny
from structdiff.structure.base_pairs import base_letters
from structdiff.structure.tables import ChainKind
from structdiff.training.batches import BatchConfig
from structdiff.training.confidence_examples import Source, draw_batch
from structdiff.training.confidence_validation import validate_confidence
from structdiff.training.dataset import StructureSet
from structdiff.training.held_helices import HeldHelices, energy_pairs, held_example

CROPS = BatchConfig(crops=((48, 2, 1.0),))
QUICK = SamplingConfig(steps=2, solver="dpm-solver-2m")


@pytest.fixture(scope="module")
def paired(structures):
    """A structure in which energies find pairs, and these."""
    for index in np.flatnonzero(structures.nucleic).tolist():
        structure = structures.structure(index)
        if len(pairs := energy_pairs(structure)):
            return structure, pairs
    raise AssertionError("no entry of the collection pairs")


def test_pairs_of_energies_are_those_of_bases_that_pair(paired):
    structure, pairs = paired
    letters = base_letters(structure)
    fitting = {"AT", "AU", "CG", "GU", "GT"}
    assert all("".join(sorted((letters[i], letters[j]))) in fitting for i, j in pairs.tolist())


def test_helices_are_held_and_the_experiment_is_the_target(paired):
    structure, pairs = paired
    item = held_example(structure, pairs, 64, np.random.default_rng(0))
    features, condition = item.features, item.features.condition
    held = condition.structure_fixed
    assert held.any()
    kind = features.token.kind[held]
    assert bool(((kind == ChainKind.DNA) | (kind == ChainKind.RNA)).all())
    assert not bool((condition.motif_mask & ~features.atom.resolved).any())
    # Atoms are where the experiment has them, those of the motif where an ideal helix has them.
    there = {tuple(np.round(place, 2)) for place in structure.atoms.positions[structure.atoms.resolved].tolist()}
    own = features.atom.positions[features.atom.mask].double().numpy()
    assert all(tuple(np.round(place, 2)) in there for place in own.tolist())
    ideal = condition.motif_positions[condition.motif_mask]
    assert float((ideal - features.atom.positions[condition.motif_mask]).norm(dim=-1).min()) > 0.5


def test_without_pairs_nothing_is_held(paired):
    structure, pairs = paired
    item = held_example(structure, pairs[:0], 64, np.random.default_rng(0))
    assert not bool(item.features.condition.structure_fixed.any())
    assert [type(each) for each in item.constraints] == [ChainPoses]


def test_batches_depend_on_seed_and_number_alone(structures):
    one, other = (HeldHelices(structures, CROPS, seed=3) for _ in range(2))
    other.batch(0)
    first, second = one.batch(5), other.batch(5)
    assert torch.equal(first.features.atom.positions, second.features.atom.positions)
    assert torch.equal(first.features.condition.motif_positions, second.features.condition.motif_positions)
    assert not torch.equal(first.features.atom.positions, one.batch(6).features.atom.positions)


def test_what_keeps_helices_apart_sees_the_atoms_of_its_own_structure(structures):
    batch = HeldHelices(structures, CROPS, seed=3, natural=True).batch(1)
    seen = batch.constraint(1)
    assert any(len(own) == 2 for own in batch.constraints)
    for row, (rows, mask) in enumerate(zip(seen.rows, batch.features.atom.mask, strict=True)):
        assert sorted(rows.tolist()) == torch.nonzero(mask)[:, 0].tolist()
        count = len(batch.features.atom.element[row, rows])
        assert [len(each) for each in _rows_of(batch.constraints[row])] == [count] * len(batch.constraints[row])


def _rows_of(constraints):
    """What each constraint knows of its atoms, one row an atom."""
    return [each.atoms.piece if isinstance(each, ChainPoses) else each.residue for each in constraints]


def test_drawn_structures_hold_the_helices_and_are_compared_with_the_experiment(structures):
    torch.manual_seed(0)
    network = StructureNetwork(tiny()).eval()
    batch = HeldHelices(structures, CROPS, seed=3, natural=True).batch(1)
    source = Source(samplings=(QUICK,), truth=True)
    item = draw_batch(network, batch, source, seed=0, number=1)
    drawn, true = item.positions[:, 0].flatten(1, 2), item.positions[:, 1].flatten(1, 2)
    assert torch.equal(true, batch.features.atom.positions)
    hold = MotifHold.from_features(batch.features)
    assert hold.groups.shape[1] > 0
    assert float((hold.project(drawn, 0.0) - drawn).norm(dim=-1).max()) < 0.01
    mask = item.truth.plddt_mask
    assert float(item.truth.lddt[:, 1][mask[:, 1]].min()) > 0.99
    assert float(item.truth.lddt[:, 0][mask[:, 0]].mean()) < 0.9


def test_validation_tells_of_nucleic_acids(data):
    torch.manual_seed(0)
    figures = validate_confidence(
        StructureNetwork(tiny()), StructureSet(data, "train"), batches=1, recommended=QUICK, config=CROPS
    )
    assert figures["nucleic"]["structures"] > 0


def test_a_set_without_nucleic_acids_is_an_error(structures, monkeypatch):
    monkeypatch.setattr(structures, "nucleic", np.zeros(len(structures), bool))
    with pytest.raises(InputError, match="DNA or RNA"):
        HeldHelices(structures, CROPS, seed=0)
