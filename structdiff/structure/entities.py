"""Which residues of a file's chains are of polymers, and which are ligands that stand among them."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator

import gemmi

from structdiff.chemistry.components import OTHER, component, is_known

_LINK = 1.8  # Å; a cap or a residue that no dictionary knows is bonded to the backbone of the one beside it
_LEAVING, _ENTERING = ("C", "O3'"), ("N", "P")
_OF_CHAINS = (gemmi.EntityType.Polymer, gemmi.EntityType.Unknown)
_BACKBONES = ({"N", "CA", "C"}, {"C3'", "C4'"})
_TRACES = ({"CA"}, {"P"}, {"C4'"})  # of models that have one atom in each residue


def set_up_entities(structure: gemmi.Structure) -> bool:
    """Gives a structure entities and label chain ids where its file has none; was anything taken out of a chain?

    Without TER, and where a chain goes on after a ligand, gemmi takes all that stands before the last amino acid or
    nucleotide of a chain for residues of it, or, with many ions, none. Ligands have labels of
    their own here, waters one.
    """
    listed = {name for entity in structure.entities for name in entity.full_sequence}
    apart = 0
    for chain in (chain for model in structure for chain in model):
        for residue in list(_ligands(list(chain), listed)):
            residue.entity_type = gemmi.EntityType.NonPolymer
        shared = {residue.subchain for residue in chain if residue.entity_type in _OF_CHAINS}
        for residue in chain:
            if residue.subchain in shared and residue.entity_type not in _OF_CHAINS:
                apart += 1
                is_water = residue.entity_type == gemmi.EntityType.Water
                residue.subchain = f"~w{chain.name}" if is_water else f"~{apart}"
    structure.setup_entities()
    return apart > 0


def _ligands(residues: list[gemmi.Residue], listed: Container[str]) -> Iterator[gemmi.Residue]:
    """Those that may be taken for residues of a polymer and are none. listed: what full sequences hold."""
    neighbours = zip([None, *residues[:-1]], residues, [*residues[1:], None], strict=True)
    for before, residue, after in neighbours:
        is_open = residue.entity_type in _OF_CHAINS and residue.name not in listed and not residue.is_water()
        if not is_open or _is_of_polymers(residue):
            continue
        if not (_touches(before, _LEAVING, residue) or _touches(after, _ENTERING, residue)):
            yield residue


def _is_of_polymers(residue: gemmi.Residue) -> bool:
    if is_known(residue.name):
        return component(residue.name).kind != OTHER
    names = {atom.name for atom in residue}
    return names in _TRACES or any(names >= backbone for backbone in _BACKBONES)


def _touches(neighbour: gemmi.Residue | None, names: Iterable[str], residue: gemmi.Residue) -> bool:
    """Whether an atom of these names of the residue beside it is bonded to any of a residue."""
    ends = [atom for atom in neighbour or () if atom.name in names]
    return any(atom.pos.dist(end.pos) < _LINK for end in ends for atom in residue)
