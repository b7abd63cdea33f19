"""From a complex as it is asked for to its molecules."""

from __future__ import annotations

import warnings

from structdiff.chemistry.bundled import bundled_codes
from structdiff.chemistry.ccd import is_obsolete, replaced_by
from structdiff.chemistry.components import Component, component_from_sdf, component_from_smiles, is_known
from structdiff.spec.chain import UNKNOWN_LETTER, ChainSpec, parent_letter
from structdiff.spec.complex import ComplexSpec, Site
from structdiff.spec.own_components import read_components
from structdiff.structure.bond_valence import atoms_that_leave, kept_double_bonds
from structdiff.structure.build import AtomAddress, ChainSequence, build_structure
from structdiff.structure.tables import ChainKind, Structure


class DoubtfulComponentWarning(UserWarning):
    """A component is known, but perhaps not the one that was meant."""


_KINDS = {"protein": ChainKind.PROTEIN, "dna": ChainKind.DNA, "rna": ChainKind.RNA, "ligand": ChainKind.LIGAND}


def build_complex(spec: ComplexSpec) -> Structure:
    """All molecules of a complex, every heavy atom listed and none placed yet.

    Chain ids are those of the request, residues count from 1. Raises InputError for components that do not exist and
    bonds whose atoms are not there or have no room.
    """
    _tell_doubtful(spec)
    _tell_pieces(spec)
    components = dict(spec.own_components)
    chains = []
    for chain in spec.chains:
        for name in chain.ids:
            residues = spec.component_names(name)
            if chain.kind == "ligand" and not chain.ccd and residues[0] not in components:
                components[residues[0]] = _own_component(chain, residues[0])
            chains.append(ChainSequence(name=name, kind=_KINDS[chain.kind], residues=residues, cyclic=chain.cyclic))
    bonds = [(_address(bond.atom1), _address(bond.atom2)) for bond in spec.bonds]
    leaving = atoms_that_leave(chains, bonds, components)
    for name, atom, other in kept_double_bonds(chains, bonds, components):
        _warn(f"chain {name}: {atom} is bonded in place of a hydrogen and keeps its double bond to {other}; a ligand "
              "that adds there (an acrylamide) is to be given as it is when it is bound")  # fmt: skip
    return build_structure(chains, bonds=bonds, leaving=leaving, components=components, name=spec.name)


def _tell_doubtful(spec: ComplexSpec) -> None:
    """Warns of obsolete codes, and of modifications that belong to another residue than the sequence has there."""
    own = spec.own_components
    for source, codes in used_components(spec).items():
        for code in filter(is_known, codes):
            _warn(f"{code} is the component of {source}, not the one that the CCD calls so")
    for chain in spec.chains:
        for code in dict.fromkeys(chain.codes):
            # Those of the package need no dictionary.
            if code not in own and code not in bundled_codes() and is_obsolete(code):
                instead = f": {replaced_by(code)} has replaced it" if replaced_by(code) else ""
                _warn(f"chain {','.join(chain.ids)}: the CCD code {code} is obsolete{instead}")
        for change in chain.modifications:
            parent, letter = parent_letter(change.ccd, chain.kind, own), chain.sequence[change.position - 1]
            if letter != parent != UNKNOWN_LETTER[chain.kind]:
                _warn(
                    f"chain {','.join(chain.ids)}: {change.ccd} at position {change.position} is a modified {parent}, "
                    f"and the sequence has {letter} there (positions count from 1 along the sequence)"
                )


def used_components(spec: ComplexSpec) -> dict[str, list[str]]:
    """The codes of the complex's own components that its chains have, by the source that defines them."""
    codes = dict.fromkeys(code for chain in spec.chains for code in chain.codes)
    defined = {source: read_components([source]) for source in spec.components}
    used = {source: [code for code in codes if code in own] for source, own in defined.items()}
    return {source: own for source, own in used.items() if own}


def _tell_pieces(spec: ComplexSpec) -> None:
    """Warns of components of one ligand that no bond joins, directly or by way of others: they would drift apart."""
    for chain in spec.chains:
        for name in chain.ids if chain.kind == "ligand" and len(chain.ccd) > 1 else ():
            pieces = _pieces(spec, name, len(chain.ccd))
            if len(pieces) > 1:
                first, alone = 1, min(pieces[1])
                named = [f"{chain.ccd[place - 1]} (component {place})" for place in (alone, first)]
                _warn(f"ligand {name}: no bond joins {' to '.join(named)}; name it, as atom1: [{name}, {first}, ATOM], "
                      f"atom2: [{name}, {alone}, ATOM] does, or make that a ligand of its own")  # fmt: skip


def _pieces(spec: ComplexSpec, ligand: str, count: int) -> list[set[int]]:
    """The components (from 1) of a ligand in groups that bonds join, also by way of other chains, which hold together.

    That of the first component comes first.
    """
    ligands = {name for chain in spec.chains if chain.kind == "ligand" for name in chain.ids}
    sites = [(site.chain, site.residue if site.chain in ligands else 0)
             for bond in spec.bonds for site in (bond.atom1, bond.atom2)]  # fmt: skip
    nodes = list(dict.fromkeys([*((ligand, place) for place in range(1, count + 1)), *sites]))
    group = {node: {node} for node in nodes}
    for one, other in zip(sites[::2], sites[1::2], strict=True):
        joined = group[one] | group[other]
        group |= dict.fromkeys(joined, joined)
    found: list[set[int]] = []
    for place in range(1, count + 1):
        piece = {each for name, each in group[ligand, place] if name == ligand}
        if piece not in found:
            found.append(piece)
    return found


def _warn(message: str) -> None:
    warnings.warn(message, DoubtfulComponentWarning, stacklevel=4)


def _address(site: Site) -> AtomAddress:
    return site.chain, site.residue, str(site.atom)


def _own_component(chain: ChainSpec, name: str) -> Component:
    called = f"ligand {','.join(chain.ids)}"  # as the user knows it; name is a code that was given out
    if chain.smiles is not None:
        return component_from_smiles(chain.smiles.strip(), name, called)
    return component_from_sdf(str(chain.sdf), name, called)
