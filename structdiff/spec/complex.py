"""What is asked of a prediction: the molecules of a complex, their bonds, and what is known about their contacts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from structdiff.arguments import check_seed, checked_names, settle_fields
from structdiff.chemistry.components import FREE_CODES, Component
from structdiff.errors import InputError
from structdiff.spec.affinity import check_affinity
from structdiff.spec.base_pairs import BasePairsSpec
from structdiff.spec.chain import LETTERS, UNKNOWN_LETTER, ChainSpec, atom_names, parent_letter
from structdiff.spec.file_name import check_file_name
from structdiff.spec.own_components import read_components
from structdiff.spec.template import TemplateSpec

_NEAREST = 1.0  # Å; no bond between heavy atoms is shorter
_FARTHEST = 30.0  # Å; what networks are told of contacts ends there
_RANGE = f"{_NEAREST:g} to {_FARTHEST:g} Å"


@checked_names
@dataclass(frozen=True, kw_only=True)
class Site:
    """A place in the complex: a residue of a chain, counted from 1, or one atom of it.

    Wherever one is wanted ("A", 3) and ("A", 3, "CB") will do, as in a file.
    """

    chain: str
    residue: int
    atom: str | None = None

    def __post_init__(self) -> None:
        settle_fields(self)

    def __str__(self) -> str:
        return f"{self.chain}/{self.residue}" + (f"/{self.atom}" if self.atom else "")


def _site(value: Any, key: str) -> Any:
    """The place that a tuple or list of Python stands for; anything else is left to what checks it."""
    if not isinstance(value, list | tuple):
        return value
    if len(value) not in (2, 3):
        raise InputError("a place is (chain, residue) or (chain, residue, atom)", key=key, found=value,
                         allowed='("A", 3) or ("A", 3, "CB")')  # fmt: skip
    try:
        return Site(chain=value[0], residue=value[1], atom=value[2] if len(value) == 3 else None)
    except InputError as error:
        raise InputError(f"{key}.{error}") from None


def _settle_sites(made: BondSpec | ContactSpec, *keys: str) -> None:
    for key in keys:
        object.__setattr__(made, key, _site(getattr(made, key), key))


@checked_names
@dataclass(frozen=True, kw_only=True)
class BondSpec:
    """A covalent bond between two atoms, beside those that the chains' own chemistry implies."""

    atom1: Site
    atom2: Site

    def __post_init__(self) -> None:
        _settle_sites(self, "atom1", "atom2")
        settle_fields(self)
        if self.atom1.atom is None or self.atom2.atom is None:
            raise InputError("a bond joins atoms: name both", found=f"{self.atom1} and {self.atom2}")
        if self.atom1 == self.atom2:
            raise InputError("an atom cannot be bound to itself", found=str(self.atom1))


@checked_names
@dataclass(frozen=True, kw_only=True)
class ContactSpec:
    """Two residues or atoms of which some atoms come within ``max_distance`` (Å).

    ``force`` is kept for programs that follow a constraint only then; ours follows all.
    """

    token1: Site
    token2: Site
    max_distance: float = 6.0
    force: bool = False

    def __post_init__(self) -> None:
        _settle_sites(self, "token1", "token2")
        settle_fields(self)
        _check_distance(self.max_distance)
        token1, token2 = self.token1, self.token2
        same = (token1.chain, token1.residue) == (token2.chain, token2.residue)
        if same and (token1.atom == token2.atom or None in (token1.atom, token2.atom)):
            raise InputError("a contact joins two different places", found=f"{token1} and {token2}")


@checked_names
@dataclass(frozen=True, kw_only=True)
class PocketSpec:
    """Residues that a chain (``binder``) lies against, within ``max_distance`` (Å); ``force`` as in contacts."""

    binder: str
    contacts: tuple[Site, ...]
    max_distance: float = 6.0
    force: bool = False

    def __post_init__(self) -> None:
        one = isinstance(self.contacts, list | tuple) and len(self.contacts) > 0 and isinstance(self.contacts[0], str)
        if one or isinstance(self.contacts, Site):
            object.__setattr__(self, "contacts", (self.contacts,))
        if isinstance(self.contacts, list | tuple):
            object.__setattr__(self, "contacts", tuple(_site(each, "contacts") for each in self.contacts))
        settle_fields(self)
        _check_distance(self.max_distance)
        if not self.contacts:
            raise InputError("a pocket needs at least one contact")
        for site in self.contacts:
            if site.chain == self.binder:
                raise InputError("the binder cannot be part of its own pocket", found=str(site))


ConstraintSpec = ContactSpec | PocketSpec


@checked_names
@dataclass(frozen=True, kw_only=True)
class ComplexSpec:
    """A complex to predict: its molecules, extra bonds, known contacts and base pairs, templates and random seeds.

    components: mmCIF files, or texts inside JSON (`structdiff.spec.text_source`), that define components by code; they
    go before those of the dictionary. affinity: the ligand of which is asked how strongly it binds. Raises InputError
    when names clash or a bond, constraint or template points at something that is not there.
    """

    name: str = "complex"
    chains: tuple[ChainSpec, ...]
    bonds: tuple[BondSpec, ...] = ()
    constraints: tuple[ConstraintSpec, ...] = ()
    base_pairs: tuple[BasePairsSpec, ...] = ()
    templates: tuple[TemplateSpec, ...] = ()
    seeds: tuple[int, ...] = ()
    components: tuple[str, ...] = ()
    affinity: str | None = None

    def __post_init__(self) -> None:
        settle_fields(self)
        if not self.chains:
            raise InputError("there are no chains", key="sequences")
        if self.components:
            object.__setattr__(self, "chains", tuple(map(self._with_own_components, self.chains)))
        check_file_name(self.name)
        for name, count in Counter(self.chain_ids).items():
            if count > 1:
                raise InputError("two chains have the same name", key=f"chain {name}", found=name)
        for seed in self.seeds:
            check_seed(seed, "seeds")
        for seed, count in Counter(self.seeds).items():
            if count > 1:
                message = "a seed is given more than once, which would give the same structures again"
                raise InputError(message, key="seeds", found=seed, allowed="each seed once")
        for key, sites in self._references():
            for site in sites:
                self._check_site(site, key)
        self._check_asked_once()
        for place, template in enumerate(self.templates, start=1):
            self._check_template(template, f"templates[{place}]")
        for place, pairs in enumerate(self.base_pairs, start=1):
            self._check_base_pairs(pairs, f"base_pairs[{place}]")
        named = Counter(chain for pairs in self.base_pairs for chain in pairs.chains)
        for chain, count in named.items():
            if count > 1:
                raise InputError("the base pairs of this chain are given twice", key="base_pairs", found=chain)
        if self.affinity is not None:
            check_affinity(self, self.affinity)

    @cached_property
    def own_components(self) -> dict[str, Component]:
        """The components that the input defines, by code."""
        return read_components(self.components)

    def _with_own_components(self, chain: ChainSpec) -> ChainSpec:
        """A chain with the letters of residues that only the input's own components tell of; raises InputError."""
        own, letters = self.own_components, list(chain.sequence)
        chain = replace(chain, own_codes=tuple(own))
        for change in chain.modifications:
            if change.ccd in own:
                try:
                    chain.check_joins(change, own[change.ccd])
                except InputError as error:
                    raise InputError(str(error), key=f"chain {chain.ids[0]}") from None
                if letters[change.position - 1] == UNKNOWN_LETTER[chain.kind]:
                    letters[change.position - 1] = parent_letter(change.ccd, chain.kind, own)
        return replace(chain, sequence="".join(letters))

    @property
    def chain_ids(self) -> tuple[str, ...]:
        """The names of all chains, copies included, in order."""
        return tuple(name for chain in self.chains for name in chain.ids)

    def chain(self, chain_id: str) -> ChainSpec:
        """The molecule behind a chain's name; raises InputError for a name that is not there."""
        self._check_chain(chain_id, None)
        return next(chain for chain in self.chains if chain_id in chain.ids)

    def component_names(self, chain_id: str) -> tuple[str, ...]:
        """The CCD code of each residue of a chain: ALA, DA, A, MSE, ATP.

        A ligand from SMILES or SDF gets one of the codes that the wwPDB keeps free for this (LIG, DRG, INH, 01 to 99);
        equal ligands get equal codes.
        """
        chain = self.chain(chain_id)
        if chain.kind != "ligand":
            names = [LETTERS[chain.kind][letter] for letter in chain.sequence]
            for change in chain.modifications:
                names[change.position - 1] = change.ccd
            return tuple(names)
        if chain.ccd:
            return chain.ccd
        own = list(dict.fromkeys((each.smiles, each.sdf) for each in self.chains if each.smiles or each.sdf))
        taken = {code for each in self.chains for code in each.ccd} | set(self.own_components)
        free = [code for code in FREE_CODES if code not in taken]
        place = own.index((chain.smiles, chain.sdf))
        if place >= len(free):
            raise InputError("too many different ligands without a CCD code", found=len(own), allowed=str(len(free)))
        return (free[place],)

    def _references(self) -> Iterator[tuple[str, tuple[Site, ...]]]:
        for place, bond in enumerate(self.bonds, start=1):
            yield f"bonds[{place}]", (bond.atom1, bond.atom2)
        for place, constraint in enumerate(self.constraints, start=1):
            key = f"constraints[{place}]"
            if isinstance(constraint, PocketSpec):
                self._check_chain(constraint.binder, key)
                yield key, constraint.contacts
            else:
                yield key, (constraint.token1, constraint.token2)

    def _check_asked_once(self) -> None:
        """Raises InputError for two places whose distance is asked for twice: one of both would be told to none."""
        asked: set[tuple[str, ...]] = set()
        for place, each in enumerate(self.constraints, start=1):
            if isinstance(each, PocketSpec):
                pairs = [(f"pocket {each.binder}", str(site)) for site in each.contacts]
            else:
                pairs = [("contact", *sorted((str(each.token1), str(each.token2))))]
            for pair in pairs:
                if pair in asked:
                    raise InputError("this is asked for twice", key=f"constraints[{place}]", found=" - ".join(pair))
                asked.add(pair)

    def _check_base_pairs(self, asked: BasePairsSpec, key: str) -> None:
        letters = ""
        for chain_id in asked.chains:
            self._check_chain(chain_id, key)
            if (chain := self.chain(chain_id)).kind not in ("dna", "rna"):
                raise InputError("base pairs are of DNA and RNA", key=key, found=f"{chain_id}, a {chain.kind}")
            letters += chain.sequence
        asked.check_letters(letters, key)

    def _check_template(self, template: TemplateSpec, key: str) -> None:
        for chain in template.chains:
            self._check_chain(chain, key)
            if (kind := self.chain(chain).kind) != "protein":
                raise InputError("templates are of proteins", key=key, found=f"{chain}, a {kind}")
        for number, _ in template.residues:
            if number > (length := len(self.chain(template.chains[0]))):
                raise InputError(f"chain {template.chains[0]} has no such residue", key=key, found=number,
                                 allowed=f"1 to {length}")  # fmt: skip

    def _check_chain(self, chain_id: str, key: str | None) -> None:
        if chain_id not in self.chain_ids:
            raise InputError(
                "there is no such chain", key=key, found=chain_id, allowed=self.chain_ids, suggest_from=self.chain_ids
            )

    def _check_site(self, site: Site, key: str) -> None:
        self._check_chain(site.chain, key)
        chain = self.chain(site.chain)
        if not 1 <= site.residue <= len(chain):
            raise InputError(
                f"chain {site.chain} has no such residue", key=key, found=site.residue, allowed=f"1 to {len(chain)}"
            )
        if site.atom is None:
            return
        name = self.component_names(site.chain)[site.residue - 1]
        known = atom_names(name, chain.kind, self.own_components) if chain.kind != "ligand" or chain.ccd else ()
        if known and site.atom not in known:
            raise InputError(
                f"residue {site.residue} of chain {site.chain} ({name}) has no such atom", key=key, found=site.atom,
                allowed=known, suggest_from=known,
            )  # fmt: skip


def _check_distance(distance: float) -> None:
    if not (distance > 0 and math.isfinite(distance)):
        raise InputError("a distance must be above 0 Å", key="max_distance", found=distance)
    if distance < _NEAREST:
        raise InputError("no two atoms come so near", key="max_distance", found=distance, allowed=_RANGE)
    if distance > _FARTHEST:
        raise InputError("what is so far apart is no contact", key="max_distance", found=distance, allowed=_RANGE)
