import torch

from structdiff.geometry.superposition import superposed_rmsd
from structdiff.trrosetta.folding import Descent, Held, build_backbone, fold
from structdiff.trrosetta.network import CLASSES, Expectation


def test_folds_are_made_where_gradients_are_switched_off():
    expected = Expectation(**{name: torch.zeros(12, 12, count).log_softmax(-1) for name, count in CLASSES.items()})
    quick = Descent(stages=((4, 3), (12, 3)), rate=0.1)
    usual = fold(expected, descent=quick, starts=2)
    with torch.no_grad():
        assert torch.equal(fold(expected, descent=quick, starts=2).backbone, usual.backbone)


def test_what_is_held_keeps_its_shape():
    expected = Expectation(**{name: torch.zeros(16, 16, count).log_softmax(-1) for name, count in CLASSES.items()})
    generator = torch.Generator().manual_seed(0)
    torsions = torch.deg2rad(torch.tensor([-63.0, -43.0]) + 10 * torch.randn(1, 7, 2, generator=generator))
    shape = torch.stack(build_backbone(torsions), 2)[0]
    held = Held(places=(torch.arange(16) >= 5) & (torch.arange(16) < 12), backbone=shape)
    quick = Descent(stages=((16, 60),), rate=0.1)
    free = fold(expected, descent=quick, starts=2).backbone[held.places]
    kept = fold(expected, descent=quick, starts=2, held=held).backbone[held.places]
    assert superposed_rmsd(kept.flatten(0, 1), shape.flatten(0, 1)) < 0.3
    assert superposed_rmsd(free.flatten(0, 1), shape.flatten(0, 1)) > 1.0
