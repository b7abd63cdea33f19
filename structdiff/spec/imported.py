"""What an import gives: a design in our words; and what it must know of the input structure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from structdiff.spec.segments import ResidueId

#: How the name of a motif's file ends that is put together from parts; it begins as that of the design does.
MOTIF_FILE = "_motif.cif"


@dataclass(frozen=True, kw_only=True)
class KnownStructure:
    """What a mapping must know of the input structure: its residues in order, and their CA positions (Å)."""

    residues: tuple[ResidueId, ...]
    positions: np.ndarray


@dataclass(frozen=True, kw_only=True)
class KnownResidue:
    """A residue of a file by its author's number. letter: its amino acid, "" for what is none of the twenty.

    centre: its CA, C1' or first atom (Å), None where it was not seen. seen: something of it was.
    """

    id: ResidueId
    letter: str
    seen: bool
    centre: tuple[float, float, float] | None


@dataclass(frozen=True, kw_only=True)
class KnownChain:
    """A chain of a file with all residues of its sequence, seen or not.

    name: what programs call it that go by mmCIF's own labels (``label_asym_id``), whose numbers are places from 1 in
    ``residues``. kind: protein, dna, rna or ligand.
    """

    name: str
    kind: str
    residues: tuple[KnownResidue, ...]


#: Reads the chains of a structure's file; raises InputError.
ReadChains = Callable[[Path], tuple[KnownChain, ...]]


@dataclass(frozen=True, kw_only=True)
class MotifPart:
    """One of the things that a motif's file is put together from: a structure, or a ligand on its own.

    renamed: its chains by their author's names, and what they are called in the whole. chain: of the ligand, whose
    residue is 1.
    """

    path: Path | None = None
    renamed: dict[str, str] = field(default_factory=dict)
    ccd: str = ""
    smiles: str = ""
    chain: str = ""


@dataclass(kw_only=True)
class Imported:
    """A design as plain data of our YAML schema; notes: what is done otherwise; options: of ``structdiff design``.

    parts: of a file that is to be written and becomes the motif, where the source has it in several pieces.
    """

    data: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    options: dict[str, str] = field(default_factory=dict)
    parts: tuple[MotifPart, ...] = ()
