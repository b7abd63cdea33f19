import math
from pathlib import Path

import numpy as np
import pytest
import torch

from structdiff.errors import InputError
from structdiff.evaluation.backbone import Backbone
from structdiff.evaluation.tm_score import tm_score
from structdiff.evaluation.trrosetta import judge_design
from structdiff.geometry.torsions import backbone_torsions, bond_angle
from structdiff.published_weights import is_present
from structdiff.structure.files import read_structure
from structdiff.trrosetta import network
from structdiff.trrosetta.folding import build_backbone, fold
from structdiff.trrosetta.geometry import classes_of, pair_geometry
from structdiff.trrosetta.network import CLASSES, Expectation, TrRosetta, expect, expect_each

DATA = Path(__file__).parent / "data"
needs_weights = pytest.mark.skipif(not is_present("trrosetta"), reason="structdiff weights fetch trrosetta")


def tensors(backbone: Backbone) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    p = torch.from_numpy(backbone.positions).float()
    return p[:, 0], p[:, 1], torch.from_numpy(backbone.cb_or_ideal).float()


def informed(backbone: Backbone) -> Expectation:
    """What a network would say that has seen the structure, not quite sharply."""
    found = classes_of(pair_geometry(*tensors(backbone)))
    logs = {}
    for name, count in CLASSES.items():
        away = (torch.arange(count) - found[name][..., None]).abs()
        if name in ("omega", "theta"):
            away = torch.minimum(away, 24 - away)
        near = -(away / 3.0).square()
        far = torch.where(torch.arange(count) == 0, 0.0, -8.0)
        near = torch.where(torch.arange(count) == 0, -8.0, near)
        logs[name] = torch.where((found[name] == 0)[..., None], far, near).log_softmax(-1)
    return Expectation(**logs)


def test_the_backbone_is_built_with_its_torsions_and_ideal_bonds():
    torsions = (2 * torch.rand(2, 11, 2, generator=torch.Generator().manual_seed(0)) - 1) * math.pi
    n, ca, c = build_backbone(torsions)
    angles, exists = backbone_torsions(n, ca, c, torch.ones(2, 11, dtype=torch.bool))
    for found, asked, there in (
        (angles[..., 0], torsions[..., 0], exists[..., 0]),
        (angles[..., 1], torsions[..., 1], exists[..., 1]),
    ):
        assert torch.cos(found - asked)[there].min() > 1 - 1e-4
    assert torch.cos(angles[:, :-1, 2]).max() < -1 + 1e-4
    assert torch.allclose((n[:, 1:] - c[:, :-1]).norm(dim=-1), torch.tensor(1.329), atol=1e-4)
    assert torch.allclose(bond_angle(n, ca, c), torch.tensor(math.radians(111.0)), atol=1e-4)


def test_geometry_does_not_turn_with_the_structure_and_sees_its_mirror_image(ubiquitin_backbone):
    n, ca, cb = tensors(ubiquitin_backbone)
    turn = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(1)))[0]
    turn = turn * torch.sign(torch.det(turn))
    here, turned = pair_geometry(n, ca, cb), pair_geometry(n @ turn.T, ca @ turn.T, cb @ turn.T)
    assert torch.allclose(here.phi, turned.phi, atol=1e-3)
    apart = ~torch.eye(len(n), dtype=torch.bool)
    assert torch.cos(here.omega - turned.omega)[apart].min() > 0.999
    mirrored = pair_geometry(
        n * torch.tensor([1.0, 1, -1]), ca * torch.tensor([1.0, 1, -1]), cb * torch.tensor([1.0, 1, -1])
    )
    assert torch.allclose(mirrored.theta[apart], -here.theta[apart], atol=1e-3)


def test_classes_are_15_degrees_and_half_an_angstrom_and_zero_when_far(ubiquitin_backbone):
    pairs = pair_geometry(*tensors(ubiquitin_backbone))
    found = classes_of(pairs)
    far = pairs.distance >= 20
    for name, count in CLASSES.items():
        assert (found[name] == 0).equal(far)
        assert int(found[name].max()) < count
    middle = 2.25 + 0.5 * (found["distance"] - 1)
    inside = ~far & (pairs.distance >= 2)
    assert (middle - pairs.distance)[inside].abs().max() <= 0.2501


def test_a_chain_folds_into_what_is_expected_of_it():
    backbone = Backbone.from_structure(read_structure(DATA / "1crn.pdb"))
    folded = fold(informed(backbone), starts=4)
    assert tm_score(folded.backbone[:, 1].numpy().astype(float), backbone.positions[:, 1]).score > 0.6


def test_the_network_distinguishes_the_two_residues_of_a_pair_in_theta_and_phi_alone():
    torch.manual_seed(0)
    with torch.no_grad():
        answers = TrRosetta()(torch.rand(1, 12, 42))
    for name in ("distance", "omega"):
        assert torch.allclose(answers[name], answers[name].transpose(1, 2), atol=1e-5)
    for name in ("theta", "phi"):
        assert not torch.allclose(answers[name], answers[name].transpose(1, 2), atol=1e-2)


def test_probabilities_of_the_networks_are_averaged_and_kept(monkeypatch):
    torch.manual_seed(0)
    networks = [TrRosetta().requires_grad_(False) for _ in range(2)]
    asked = []
    monkeypatch.setattr(network, "load_networks", lambda: asked.append(1) or networks)
    network.expect_each.cache_clear()
    try:
        each, together = expect_each("ACDEFGHIK"), expect("ACDEFGHIK")
    finally:
        network.expect_each.cache_clear()
    assert len(asked) == 1
    for name in CLASSES:
        probabilities = torch.stack([getattr(own, name).exp() for own in each])
        assert torch.allclose(probabilities.sum(-1), torch.ones(2, 9, 9), atol=1e-5)
        assert torch.allclose(getattr(together, name).exp(), probabilities.mean(0), atol=1e-6)


@pytest.mark.parametrize("sequence", ["", "ACDX", "acd"])
def test_other_letters_are_refused(sequence):
    with pytest.raises(InputError, match="twenty amino acids"):
        expect(sequence)


def test_what_cannot_be_judged_is_refused(ubiquitin_backbone):
    with pytest.raises(InputError, match="differ in length"):
        judge_design(ubiquitin_backbone, "ACD")
    gap = ubiquitin_backbone.positions.copy()
    gap[3, 0] = np.nan
    with pytest.raises(InputError, match="lacks atoms"):
        judge_design(Backbone.from_arrays(gap), "A" * len(gap))


@needs_weights
def test_the_published_networks_know_ubiquitin_by_its_sequence_and_not_by_its_letters(ubiquitin_backbone):
    from structdiff.chemistry.residues import PROTEIN_THREE_TO_ONE

    sequence = "".join(PROTEIN_THREE_TO_ONE[name] for name in ubiquitin_backbone.restype)
    own = judge_design(ubiquitin_backbone, sequence, refold=False)
    shuffled = "".join(np.random.default_rng(0).permutation(list(sequence)))
    other = judge_design(ubiquitin_backbone, shuffled, refold=False)
    assert own.log_likelihood > -2.9
    assert own.contact_precision > 0.8
    assert other.log_likelihood < -3.6
    assert other.contact_precision < 0.1
    assert own.sc_tm is None
