import numpy as np
import pytest
import torch

from structdiff.trrosetta.reliability import reliability

COUNT = 30


@pytest.fixture
def coil() -> torch.Tensor:
    """CB atoms (Å) along a helix."""
    place = torch.arange(COUNT).float()
    turn = np.radians(100.0) * place
    return torch.stack([3.3 * turn.cos(), 3.3 * turn.sin(), 1.5 * place], -1)


def told(places: torch.Tensor, spread: float) -> torch.Tensor:
    """Log probabilities of distances around those of a structure, blurred by so many Å."""
    apart = torch.cdist(places, places)
    middles = 2.25 + 0.5 * torch.arange(36)
    near = -0.5 * ((middles - apart[..., None]) / spread).square()
    far = torch.where(apart > 20.0, 50.0, -50.0)
    return torch.cat([far[..., None], near], -1).log_softmax(-1)


def test_what_is_surer_is_judged_better_and_a_wrong_structure_worse(coil):
    sharp, blurred = (reliability(told(coil, spread), coil) for spread in (0.3, 3.0))
    moved = coil.clone()
    moved[20:] += torch.tensor([8.0, 0.0, 0.0])
    wrong = reliability(told(coil, 0.3), moved)
    assert sharp.lddt.min() > 0.85
    assert blurred.lddt.max() < sharp.lddt.min()
    assert wrong.lddt[18:22].max() < sharp.lddt.min() - 0.15
    assert wrong.lddt[:8].min() > 0.85
    assert sharp.aligned_error.mean() < blurred.aligned_error.mean() < 30.0
    assert wrong.distance_error[15, 22] > sharp.distance_error[15, 22] + 2.0


def test_errors_add_up_along_the_chain_and_nobody_knows_where_no_way_leads(coil):
    found = reliability(told(coil, 0.5), coil)
    assert found.aligned_error.diagonal().tolist() == [0.0] * COUNT
    assert torch.allclose(found.aligned_error, found.aligned_error.T)
    far = torch.cdist(coil, coil) > 20.0
    assert far[0, 29]
    assert found.distance_error[0, 29] < 0.1  # nothing says that it is anywhere else, and nothing where it is
    assert found.aligned_error[0, 29] > 4.0 * found.distance_error[0, 29]
    assert found.aligned_error[far].min() > 1.0
    apart = torch.cat([coil, coil + torch.tensor([200.0, 0.0, 0.0])])
    assert reliability(told(apart, 0.5), apart).aligned_error[0, COUNT].item() == pytest.approx(30.0)


def test_a_turn_of_the_structure_changes_nothing(coil):
    turn = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(0)))[0]
    one, other = (reliability(told(coil, 1.0), places) for places in (coil, coil @ turn.T))
    assert torch.allclose(one.lddt, other.lddt, atol=1e-4)
