"""A denoiser that knows one frame alone, asked in many."""

from __future__ import annotations

import torch

from structdiff.diffusion.sampler import sample_generator
from structdiff.diffusion.turned import TurnedDenoiser
from structdiff.geometry.rotations import random_rotation, rotate

MASK = torch.tensor([[True] * 9 + [False], [True] * 10])
SIGMA = torch.full((2,), 3.0)


def points(seed: int) -> torch.Tensor:
    return 5 * torch.randn(2, 10, 3, generator=torch.Generator().manual_seed(seed)) * MASK[..., None]


def turned(denoise) -> TurnedDenoiser:
    return TurnedDenoiser(denoise, MASK, [sample_generator(1, 0), sample_generator(1, 1)])


def test_predictions_lie_as_what_they_were_made_from():
    """Of a network that always gives the same structure in the same place: it follows the noisy one wherever it is."""
    known = points(1)
    rotation = random_rotation(generator=torch.Generator().manual_seed(2)).expand(2, 3, 3)
    noisy = torch.where(MASK[..., None], rotate(rotation, known) + torch.tensor([40.0, 0, -7]), 0.0)
    found = turned(lambda positions, sigma, previous: known)(noisy, SIGMA, None)
    assert torch.allclose(found, noisy, atol=1e-4)


def test_every_evaluation_is_in_another_frame_and_the_last_answer_is_kept_back():
    seen = []

    def denoise(positions, sigma, previous):
        assert previous is None
        seen.append(positions)
        return positions

    asked, noisy = turned(denoise), points(3)
    for _ in range(2):
        assert torch.allclose(asked(noisy, SIGMA, points(4)), noisy, atol=1e-4)
    assert (seen[0] - seen[1]).abs().max() > 1
    assert not seen[0][0, 9].any()
    assert torch.allclose(torch.cdist(seen[0][1], seen[0][1]), torch.cdist(noisy[1], noisy[1]), atol=1e-3)


def test_a_sample_is_turned_alike_whatever_is_beside_it():
    seen = []
    alone = TurnedDenoiser(lambda x, *_: seen.append(x) or x, MASK[1:], [sample_generator(1, 1)])
    both = turned(lambda x, *_: seen.append(x) or x)
    both(points(5), SIGMA, None)
    alone(points(5)[1:], SIGMA[1:], None)
    assert torch.allclose(seen[0][1], seen[1][0], atol=1e-5)
