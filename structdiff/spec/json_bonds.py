"""Bonds in JSON as AlphaFold 3 and OpenFold 3 write them: two atoms, each as [chain, residue, atom name]."""

from __future__ import annotations

from structdiff.spec.complex import BondSpec, Site
from structdiff.spec.document import Node

_ENDS = ("atom1", "atom2")


def parse_bond(node: Node) -> BondSpec:
    """A bond of a list of two atoms, or of a mapping of ``atom1`` and ``atom2``. Raises InputError."""
    if isinstance(node.value, dict):
        fields = node.fields(_ENDS, required=_ENDS)
        ends = [fields[name] for name in _ENDS]
    else:
        ends = node.items()
    if len(ends) != 2:
        node.fail("a bond joins two atoms", found=f"{len(ends)}")
    with node.located():
        return BondSpec(atom1=_parse_atom(ends[0]), atom2=_parse_atom(ends[1]))


def _parse_atom(node: Node) -> Site:
    parts = node.items()
    if len(parts) != 3:
        node.fail("an atom is [chain, residue, atom name]", found=f"{len(parts)} parts")
    return Site(chain=parts[0].text(), residue=parts[1].integer(), atom=parts[2].text())
