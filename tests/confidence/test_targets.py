"""What confidence is trained on: exact for identical structures, blind to turning, and like the evaluation's lDDT."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from structdiff.confidence.targets import (
    aligned_error,
    distance_error,
    error_bins,
    lddt_bins,
    token_lddt,
)
from structdiff.evaluation.lddt import lddt
from structdiff.features.build import build_features
from structdiff.features.token_frames import atom_of_token
from structdiff.geometry.rotations import random_rotation
from structdiff.structure.files import read_structure
from structdiff.structure.tables import ChainKind

DATA = Path(__file__).parents[1] / "data"


class Example:
    def __init__(self, file: str):
        features = build_features(read_structure(DATA / file), only_resolved=True)
        shape = (features.num_tokens, features.num_slots)
        token = features.token
        self.positions = features.atom.positions.unflatten(0, shape).double()
        self.mask = features.atom.mask.unflatten(0, shape)
        self.centre, self.representative, self.frame = token.centre, token.representative, token.frame
        self.exists = token.mask
        self.polymer = token.kind <= ChainKind.RNA
        self.nucleic = (token.kind == ChainKind.DNA) | (token.kind == ChainKind.RNA)

    def lddt(self, positions):
        return token_lddt(positions, self.positions, self.mask, self.centre, self.polymer, self.nucleic)

    def pae(self, positions):
        return aligned_error(positions, self.positions, self.mask, self.centre, self.frame)

    def pde(self, positions):
        return distance_error(positions, self.positions, self.mask, self.representative)


@pytest.fixture(scope="module", params=["1orc.pdb.gz", "1bna.pdb.gz"])
def example(request) -> Example:
    return Example(request.param)


def moved(positions):
    turn = random_rotation(generator=torch.Generator().manual_seed(1)).double()
    return positions @ turn.T + torch.tensor([30.0, -7.0, 2.0], dtype=torch.float64)


def perturbed(positions):
    return positions + 1.5 * torch.randn(
        positions.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64
    )


def test_the_same_structure_has_lddt_1_and_no_errors_however_it_lies(example):
    score, judged = example.lddt(moved(example.positions))
    assert judged.sum() >= 24
    torch.testing.assert_close(score[judged], torch.ones_like(score[judged]))
    for error, valid in (example.pae(moved(example.positions)), example.pde(moved(example.positions))):
        assert valid.sum() > 300
        assert error[valid].max() < 1e-5


def test_errors_do_not_change_when_the_prediction_turns(example):
    wrong = perturbed(example.positions)
    for target in (example.lddt, example.pae, example.pde):
        (here, valid), (there, also_valid) = target(wrong), target(moved(wrong))
        assert torch.equal(valid, also_valid)
        assert here[valid].std() > 0.01
        torch.testing.assert_close(here[valid], there[valid], atol=1e-4, rtol=1e-4)


def test_a_mirror_image_keeps_its_distances_but_not_its_places(example):
    mirrored = example.positions * torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64)
    error, valid = example.pde(mirrored)
    assert error[valid].max() < 1e-5
    error, valid = example.pae(mirrored)
    assert error[valid].mean() > 5


def test_rows_of_the_aligned_error_are_frames_and_columns_are_tokens():
    example = Example("1orc.pdb.gz")
    token = int(torch.nonzero(example.exists)[10])
    wrong = example.positions.clone()
    wrong[token] += torch.tensor([3.0, 4.0, 0.0], dtype=torch.float64)
    error, _ = example.pae(wrong)
    others = example.exists.clone()
    others[token] = False
    torch.testing.assert_close(error[others][:, token], torch.full_like(error[others][:, token], 5.0))
    torch.testing.assert_close(error[token][others], torch.full_like(error[token][others], 5.0))
    # Only a turned frame tells rows from columns: its centre stays, what it sees is wrong.
    turned = example.positions.clone()
    centre = atom_of_token(example.positions, example.centre)[token]
    half_turn = torch.diag(torch.tensor([-1.0, -1.0, 1.0], dtype=torch.float64))
    turned[token] = (turned[token] - centre) @ half_turn + centre
    error, _ = example.pae(turned)
    assert error[others][:, token].max() < 1e-6
    assert error[token][others].mean() > 5


def test_a_token_without_frame_aligns_nothing_and_is_judged(example):
    frame = example.frame.clone()
    first = int(torch.nonzero(example.exists)[0])
    frame[first] = -1
    _, valid = aligned_error(example.positions, example.positions, example.mask, example.centre, frame)
    assert not valid[first].any()
    assert valid[:, first].sum() == example.exists.sum() - 1


def test_lddt_of_centre_atoms_is_that_of_the_evaluation():
    example = Example("1orc.pdb.gz")
    only_centre = torch.zeros_like(example.mask)
    only_centre[torch.arange(len(example.centre)), example.centre] = example.exists
    wrong = perturbed(example.positions)
    score, judged = token_lddt(wrong, example.positions, only_centre, example.centre, example.polymer, example.nucleic)
    ours = [atom_of_token(each, example.centre)[judged].numpy() for each in (wrong, example.positions)]
    np.testing.assert_allclose(score[judged].numpy(), lddt(*ours).per_group, atol=1e-9)


def test_a_batch_gives_what_each_gives_alone(example):
    wrong = torch.stack([perturbed(example.positions), example.positions])
    both = [torch.stack([each, each]) for each in (example.positions, example.mask, example.centre, example.frame)]
    error, valid = aligned_error(wrong, *both)
    alone, alone_valid = example.pae(wrong[0])
    torch.testing.assert_close(error[0][valid[0]], alone[alone_valid])


def test_bins_have_the_edges_of_the_scores():
    edges = torch.tensor([0.0, 0.49, 0.51, 15.99, 16.01, 31.9, 500.0])
    assert error_bins(edges).tolist() == [0, 0, 1, 31, 32, 63, 63]
    assert lddt_bins(torch.tensor([0.019, 0.021, math.nextafter(1, 0), 1.0])).tolist() == [0, 1, 49, 49]
