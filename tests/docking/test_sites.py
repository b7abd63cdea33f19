"""Where on a receptor a ligand may lie."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from structdiff.docking import sites
from structdiff.docking.sites import binding_sites
from structdiff.evaluation.ligand_atom_types import AtomTypes
from tests.docking.examples import streptavidin


@pytest.fixture(scope="module")
def case():
    structure, rows = streptavidin()
    types, others = AtomTypes.of(structure), np.setdiff1d(np.arange(len(structure.atoms)), rows)
    positions = structure.atoms.positions.astype(np.float64)
    return types.rows(rows), positions[rows], positions[others], types.rows(others)


def test_a_pocket_is_among_the_best(case):
    own, pose, receptor, types = case
    found = binding_sites(own, 3.0, receptor, types, 6)
    assert len(found) == 6
    assert [each.worth for each in found] == sorted(each.worth for each in found)
    assert all(each.worth < 0 for each in found)
    middle = torch.from_numpy(pose.mean(0)).float()
    assert min(float((each.places - middle).norm(dim=-1).min()) for each in found) < 2.0
    bests = torch.stack([each.places.mean(0) for each in found])
    assert torch.pdist(bests).min() > 3.0


def test_only_near_what_is_told(case):
    own, pose, receptor, types = case
    near = pose[:2]
    found = binding_sites(own, 3.0, receptor, types, 4, near, 5.0)
    assert 1 <= len(found) <= 4
    for each in found:
        assert torch.cdist(each.places.double(), torch.from_numpy(near)).amin(1).max() <= 5.0 + 1e-4


def test_no_site_where_there_is_no_room_and_where_there_is_nothing(case):
    own, _, receptor, types = case
    assert binding_sites(own, 3.0, receptor, types, 4, receptor[:1], 0.5) == []
    assert binding_sites(own, 3.0, receptor, types, 4, receptor[:1] + 500.0, 6.0) == []


def test_parts_change_nothing(case, monkeypatch):
    own, _, receptor, types = case
    whole = binding_sites(own, 3.0, receptor, types, 6)
    monkeypatch.setattr(sites, "_PART", 17)
    for one, other in zip(binding_sites(own, 3.0, receptor, types, 6), whole, strict=True):
        assert one.worth == pytest.approx(other.worth, abs=1e-5)
        assert torch.allclose(one.places.mean(0), other.places.mean(0), atol=0.5)


def test_a_receptor_that_was_drawn_all_apart(case):
    """Its box has 10^9 points, most of them near nothing."""
    own, _, receptor, types = case
    apart = receptor.copy()
    apart[:300] += 4000.0
    began = time.perf_counter()
    assert len(binding_sites(own, 3.0, apart, types, 6)) == 6
    assert time.perf_counter() - began < 30
