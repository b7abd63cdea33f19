"""The atoms around residues."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from structdiff.inverse_folding.context import nearby_atoms


class Largest(TorchDispatchMode):
    """Remembers the number of values of the largest tensor that is made."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        if isinstance(made, Tensor) and 0 not in made.stride():
            self.count = max(self.count, made.numel())
        return made


def test_the_nearest_atoms_need_no_table_of_all_distances() -> None:
    """Of a ribosome it would take some fifteen gigabytes."""
    generator = torch.Generator().manual_seed(0)
    cb, atoms = torch.randn(300, 3, generator=generator), torch.randn(2000, 3, generator=generator)
    elements = torch.randint(6, 9, (2000,), generator=generator)
    with Largest() as largest:
        found = nearby_atoms(cb, atoms, elements, 25)
    assert largest.count < 300 * 2000
    nearest = (cb[:, None] - atoms).square().sum(-1).argsort(-1)[:, :25]
    assert (found.elements == elements[nearest]).all()
    assert (found.positions == atoms[nearest]).all()
    assert (found.mask == 1).all()
