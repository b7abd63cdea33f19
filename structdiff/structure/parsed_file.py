"""What is known of a file once its format is read, before there are tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import gemmi

from structdiff.chemistry.components import Component
from structdiff.structure.observed_components import ComponentBond


@dataclass(kw_only=True)
class ParsedFile:
    """What a format's reader hands on: gemmi's structure and what gemmi does not keep.

    components: those that the file defines. component_bonds: what it tells of bonds inside components, by their code.
    numbering: author number and insertion code of a residue, by label chain id and place, also of residues that were
    not seen. labelled: the label chain ids are the file's own. confident: the file says that its B-factors are a
    prediction's confidence.
    """

    structure: gemmi.Structure
    name: str
    labelled: bool
    confident: bool = False
    components: dict[str, Component] = field(default_factory=dict)
    component_bonds: Mapping[str, Sequence[ComponentBond]] = field(default_factory=dict)
    numbering: Mapping[str, Mapping[int, tuple[int, str]]] = field(default_factory=dict)
    metadata: dict[str, object] = field(default_factory=dict)
