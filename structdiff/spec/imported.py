"""What an import gives: a design in our words; and what it must know of the input structure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from structdiff.spec.segments import ResidueId


@dataclass(frozen=True, kw_only=True)
class KnownStructure:
    """What a mapping must know of the input structure: its residues in order, and their CA positions (Å)."""

    residues: tuple[ResidueId, ...]
    positions: np.ndarray


@dataclass(kw_only=True)
class Imported:
    """A design as plain data of our YAML schema; notes: what is done otherwise; options: of ``structdiff design``."""

    data: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    options: dict[str, str] = field(default_factory=dict)
