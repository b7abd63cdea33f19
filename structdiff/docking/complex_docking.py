"""Docking of a predicted complex, once it is drawn: chains of known structure first, then free ligands and ions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from structdiff.docking.chain_placement import ChainDocking, DockedChains
from structdiff.docking.placement import DockedLigand, LigandDocking
from structdiff.docking.work import OnPart, Part, nobody
from structdiff.features.requests import Proximity
from structdiff.structure.tables import Structure
from structdiff.typing import Bool, Float, Int


@dataclass(frozen=True, kw_only=True)
class Docked:
    """What is known of the chains and of the ligands that were docked."""

    chains: tuple[DockedChains, ...] = ()
    ligands: tuple[DockedLigand, ...] = ()


#: Of a structure in which nothing was docked.
UNDOCKED = Docked()


@dataclass(frozen=True, kw_only=True, eq=False)
class ComplexDocking:
    """What of a complex is docked."""

    chains: ChainDocking | None
    ligands: LigandDocking | None

    @classmethod
    def of(
        cls, structure: Structure, piece: Int[np.ndarray, " chain"], known: Bool[np.ndarray, " atom"],
        held: Bool[np.ndarray, " atom"], asked: Sequence[Proximity] = (),
    ) -> ComplexDocking | None:  # fmt: skip
        """The docking of a complex; None where there is nothing to dock.

        piece: the rigid piece that each chain is part of. known: atoms that are held, or told of, by anything; held:
        those that templates give their places.
        """
        chains = ChainDocking.of(structure, piece, held, asked)
        ligands = LigandDocking.of(structure, known, asked)
        return None if chains is None and ligands is None else cls(chains=chains, ligands=ligands)

    def parts(self, *, judged: bool = False) -> list[Part]:
        """The work that there is, as far as it is known before. judged: GNINA's networks choose ligands' poses."""
        chains = [] if self.chains is None else self.chains.parts()
        return [*chains, *([] if self.ligands is None else self.ligands.parts(judged=judged))]

    def placed(
        self,
        positions: Float[Tensor, "atom 3"],
        generator: torch.Generator,
        on_part: OnPart = nobody,
        sample: int = 0,
        *,
        judged: bool = False,
    ) -> tuple[Float[Tensor, "atom 3"], Docked]:
        """Positions (Å) of all atoms with everything where it is best off, on the CPU; and what is known of that.

        on_part: told of each part of the work when it is done. sample: the number of the structure, from 0: chains that
        are the same in all samples are docked otherwise in each. judged: GNINA's networks choose ligands' poses.
        """
        chains, ligands = (), ()
        if self.chains is not None:
            positions, chains = self.chains.placed(positions, generator, on_part, sample)
        if self.ligands is not None:
            positions, ligands = self.ligands.placed(positions, generator, on_part, judged=judged)
        return positions, Docked(chains=chains, ligands=ligands)
