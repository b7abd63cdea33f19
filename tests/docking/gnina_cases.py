"""Poses that GNINA's networks judge, here and in the published packages (benchmarks/parity_gnina.py)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from structdiff.structure.tables import Structure
from structdiff.typing import Bool, Float, Int
from tests.docking.examples import chromophore, streptavidin

GOLDEN = Path(__file__).parents[1] / "golden" / "gnina" / "outputs.json"


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """Poses (Å) of a ligand (rows of its atoms) in a structure, of which receptor says what it lies at."""

    name: str
    structure: Structure
    receptor: Bool[np.ndarray, " atom"]
    ligand: Int[np.ndarray, " ligand_atom"]
    poses: Float[torch.Tensor, "pose ligand_atom 3"]


def _case(name: str, structure: Structure, ligand: np.ndarray) -> Case:
    """The pose of the crystal, and others shifted ever further."""
    own = torch.from_numpy(structure.atoms.positions[ligand]).double()
    shifts = torch.tensor([[0.0, 0, 0], [0.7, 0, 0], [0, 2.0, 0], [0, 0, 4.0]], dtype=torch.float64)
    receptor = np.ones(len(structure.atoms), bool)
    receptor[ligand] = False
    return Case(
        name=name, structure=structure, receptor=receptor, ligand=ligand, poses=own[None] + shifts[:, None],
    )  # fmt: skip


CASES: dict[str, Callable[[], Case]] = {
    "biotin": lambda: _case("biotin", *streptavidin()),
    "chromophore": lambda: _case("chromophore", *chromophore()),
}
