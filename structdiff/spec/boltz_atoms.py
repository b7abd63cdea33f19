"""Atoms of SMILES strings, which Boltz numbers otherwise than structdiff: one name may be two atoms."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping

from structdiff.chemistry.components import ranked_smiles_atoms
from structdiff.errors import InputError
from structdiff.spec.base_pairs import BasePairsSpec
from structdiff.spec.chain import ChainSpec
from structdiff.spec.complex import BondSpec, ConstraintSpec, ContactSpec, PocketSpec, Site
from structdiff.spec.document import Node


class AtomNameWarning(UserWarning):
    """A name is that of another atom in the program that the file may be written for."""


def check_smiles_atoms(
    asked: BondSpec | BasePairsSpec | ConstraintSpec, chains: Mapping[str, ChainSpec], node: Node, *, of_boltz: bool
) -> None:
    """Raises InputError for the name of an atom of a SMILES string that it has in Boltz alone, with its name here.

    of_boltz: the file may be Boltz's; then names that are those of other atoms there are warned of.
    """
    for site in _sites(asked):
        smiles = chains[site.chain].smiles if site.chain in chains else None
        if smiles is None or site.atom is None:
            continue
        try:
            here = ranked_smiles_atoms(smiles.strip(), f"ligand {site.chain}")
        except InputError:
            continue  # of what is no molecule whoever builds it tells
        meant = here.get(site.atom, site.atom)
        if site.atom not in here.values() and meant != site.atom:
            node.fail(f"ligand {site.chain} has no such atom; Boltz, which numbers atoms of SMILES otherwise, calls "
                      f"{meant} so", found=site.atom, allowed=list(here.values()))  # fmt: skip
        if of_boltz and meant != site.atom:
            warnings.warn(
                f"{node.path}:{node.line}: {site.atom} of ligand {site.chain} is as structdiff numbers the atoms of "
                f"SMILES strings; what Boltz calls {site.atom} is {meant} here",
                AtomNameWarning,
                stacklevel=2,
            )


def _sites(asked: BondSpec | BasePairsSpec | ConstraintSpec) -> Iterator[Site]:
    if isinstance(asked, BondSpec):
        yield from (asked.atom1, asked.atom2)
    elif isinstance(asked, ContactSpec):
        yield from (asked.token1, asked.token2)
    elif isinstance(asked, PocketSpec):
        yield from asked.contacts
