import numpy as np
import pytest
import torch

from structdiff.constraints.fold_sketch import FoldSketch
from structdiff.geometry.rotations import random_rotation
from structdiff.geometry.superposition import superposed_rmsd
from structdiff.spec.ideal_folds import draw_ideal_fold


@pytest.fixture
def sketch():
    fold = draw_ideal_fold(64, np.random.default_rng(3))
    assert fold is not None
    rows, first = [], fold.loops[0]
    for element, loop in zip(fold.elements, fold.loops[1:], strict=True):
        rows.append(np.arange(first, first + element.length))
        first += element.length + loop
    places = [element.alphas() for element in fold.elements]
    return FoldSketch(list(zip(rows, places, strict=True)), torch.arange(64)), np.concatenate(rows), places


def scattered(rows: np.ndarray, places: list[np.ndarray], seed: int = 0) -> torch.Tensor:
    """One atom a residue: elements in shape, each turned and shifted at random; loops anywhere."""
    generator = torch.Generator().manual_seed(seed)
    positions = 10 * torch.randn(1, 64, 3, generator=generator)
    first = 0
    for each in places:
        turn = random_rotation(generator=generator)
        own = torch.from_numpy(each).float() @ turn.T + 8 * torch.randn(3, generator=generator)
        positions[0, rows[first : first + len(each)]] = own
        first += len(each)
    return positions


def test_elements_come_to_stand_as_in_the_sketch_while_noise_is_high(sketch):
    hold, rows, places = sketch
    laid = hold.project(scattered(rows, places), 20.0)
    goal = torch.from_numpy(np.concatenate(places)).float()[None]
    assert float(superposed_rmsd(laid[:, rows], goal)) < 1e-3


def test_elements_keep_their_own_shape(sketch):
    hold, rows, places = sketch
    given = scattered(rows, places) + 0.3 * torch.randn(1, 64, 3, generator=torch.Generator().manual_seed(1))
    laid = hold.project(given, 20.0)
    own = rows[: len(places[0])]
    torch.testing.assert_close(torch.cdist(laid[:, own], laid[:, own]), torch.cdist(given[:, own], given[:, own]),
                               atol=1e-3, rtol=0)  # fmt: skip


def test_nothing_moves_at_low_noise_and_less_in_between(sketch):
    hold, rows, places = sketch
    given = scattered(rows, places)
    assert torch.equal(hold.project(given, 1.9), given)
    moves = [float((hold.project(given, sigma) - given).norm()) for sigma in (3.0, 5.0, 8.0, 50.0)]
    assert moves[0] < moves[1] < moves[2]
    assert moves[2] == pytest.approx(moves[3])


def test_a_turned_prediction_is_turned_in_the_end(sketch):
    hold, rows, places = sketch
    given = scattered(rows, places)
    turn = random_rotation(generator=torch.Generator().manual_seed(4))
    shift = torch.tensor([5.0, -3.0, 2.0])
    torch.testing.assert_close(hold.project(given @ turn.T + shift, 20.0), hold.project(given, 20.0) @ turn.T + shift,
                               atol=2e-3, rtol=0)  # fmt: skip


def test_a_sample_does_not_depend_on_the_others(sketch):
    hold, rows, places = sketch
    both = torch.cat([scattered(rows, places, seed) for seed in (0, 1)])
    torch.testing.assert_close(hold.project(both, 20.0)[1:], hold.project(both[1:], 20.0), atol=1e-4, rtol=0)


def test_the_mirror_image_is_not_taken(sketch):
    hold, rows, places = sketch
    goal = torch.from_numpy(np.concatenate(places)).float()[None]
    mirrored = scattered(rows, places)
    mirrored[:, rows] = goal * torch.tensor([-1.0, 1.0, 1.0])
    laid = hold.project(mirrored, 20.0)[:, rows]
    ends = np.cumsum([len(each) for each in places])[:-1]
    middles = [torch.stack([part.mean(1) for part in x.tensor_split(ends.tolist(), 1)], 1) for x in (laid, goal)]
    assert float(superposed_rmsd(*middles)) < 0.5
