import torch

from structdiff.trrosetta.folding import Descent, fold
from structdiff.trrosetta.network import CLASSES, Expectation


def test_folds_are_made_where_gradients_are_switched_off():
    expected = Expectation(**{name: torch.zeros(12, 12, count).log_softmax(-1) for name, count in CLASSES.items()})
    quick = Descent(stages=((4, 3), (12, 3)), rate=0.1)
    usual = fold(expected, descent=quick, starts=2)
    with torch.no_grad():
        assert torch.equal(fold(expected, descent=quick, starts=2).backbone, usual.backbone)
