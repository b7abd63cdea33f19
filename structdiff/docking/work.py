"""Parts of docking's work, by which progress is told and time is estimated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class SiteSearch:
    """A ligand of so many atoms is tried at one site, each pose changed so many times."""

    atoms: int
    rounds: int


@dataclass(frozen=True, kw_only=True)
class ChainSearch:
    """A body of so many residues is tried against so many others."""

    residues: int
    others: int


@dataclass(frozen=True, kw_only=True)
class PoseJudging:
    """So many poses of a ligand are judged by networks."""

    poses: int


Part = SiteSearch | ChainSearch | PoseJudging
OnPart = Callable[[Part], None]


def nobody(part: Part) -> None:
    """Listens to nothing."""
