"""What is asked of a prediction: the molecules of a complex, their bonds, and what is known about their contacts."""

from __future__ import annotations

import itertools
import math
import re
import string
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from structdiff.chemistry.components import component, is_known
from structdiff.chemistry.nearest_neighbours import PAIRING
from structdiff.chemistry.residues import PROTEIN_ONE_TO_THREE, RESIDUE_ATOMS, RESTYPE_INDEX
from structdiff.errors import InputError
from structdiff.spec.base_pairs import BasePairsSpec
from structdiff.spec.file_name import check_file_name

ChainKind = Literal["protein", "dna", "rna", "ligand"]
CHAIN_KINDS: tuple[ChainKind, ...] = ("protein", "dna", "rna", "ligand")

#: One-letter code to CCD code. U and O are selenocysteine and pyrrolysine; X and N stand for "unknown".
LETTERS: dict[str, dict[str, str]] = {
    "protein": {**PROTEIN_ONE_TO_THREE, "U": "SEC", "O": "PYL", "X": "UNK"},
    "dna": {"A": "DA", "C": "DC", "G": "DG", "T": "DT", "N": "DN"},
    "rna": {"A": "A", "C": "C", "G": "G", "U": "U", "N": "N"},
}
UNKNOWN_LETTER = {"protein": "X", "dna": "N", "rna": "N"}
#: CCD codes that the wwPDB reserves for ligands which are not in the dictionary.
LIGAND_NAMES = ("LIG", "DRG", "INH", *(f"{number:02d}" for number in range(1, 100)))

_CHAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")
_CCD_CODE = re.compile(r"[A-Z0-9]{1,5}")
_TERMINAL_ATOMS = {"protein": ("OXT",), "dna": ("OP3",), "rna": ("OP3",)}
_NEAREST = 1.0  # Å; no bond between heavy atoms is shorter
_AMBIGUOUS = {
    "B": "D or N", "Z": "E or Q", "J": "I or L", "R": "A or G", "Y": "C or T", "S": "C or G", "W": "A or T",
    "K": "G or T", "M": "A or C", "D": "A, G or T", "H": "A, C or T", "V": "A, C or G",
}  # fmt: skip


#: The atoms of a residue that are bonded to the residue before and to that after.
_JOINS = {"protein": ("N", "C"), "dna": ("P", "O3'"), "rna": ("P", "O3'")}


@dataclass(frozen=True, kw_only=True)
class Modification:
    """A residue of a polymer that is not a standard one: its place in the chain, counted from 1, and its CCD code."""

    position: int
    ccd: str

    def __post_init__(self) -> None:
        if self.position < 1:
            raise InputError("positions are counted from 1", key="modifications", found=self.position)
        object.__setattr__(self, "ccd", checked_ccd(self.ccd, key="modifications"))


@dataclass(frozen=True, kw_only=True)
class ChainSpec:
    """One molecule and the names of its copies: a protein, DNA or RNA chain, or a ligand or ion.

    A polymer has a ``sequence`` of one-letter codes, with ``modifications`` in places. A ligand is given by the CCD
    codes of its components (``ccd``), by ``smiles``, or by the path of an SDF file (``sdf``). ``msa`` is the path of
    an alignment, ``"empty"`` for none at all, or None when nothing is said. ``description`` is a comment and takes no
    part in comparisons. Raises InputError for anything that cannot be a molecule.
    """

    ids: tuple[str, ...]
    kind: ChainKind
    sequence: str = ""
    modifications: tuple[Modification, ...] = ()
    ccd: tuple[str, ...] = ()
    smiles: str | None = None
    sdf: str | None = None
    msa: str | None = None
    cyclic: bool = False
    description: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if self.kind not in CHAIN_KINDS:
            raise InputError("unknown kind of molecule", found=self.kind, allowed=CHAIN_KINDS, suggest_from=CHAIN_KINDS)
        self._check_ids()
        if self.kind == "ligand":
            self._check_ligand()
        else:
            self._check_polymer()

    def _check_ids(self) -> None:
        if not self.ids:
            raise InputError("a chain needs a name", key="id")
        for name in self.ids:
            if not _CHAIN_NAME.fullmatch(name):
                raise InputError("this cannot be a chain's name", key="id", found=name, allowed="letters and digits")
        for name, count in Counter(self.ids).items():
            if count > 1:
                raise InputError("two copies of the chain have the same name", key="id", found=name)

    def _check_ligand(self) -> None:
        given = [name for name in ("ccd", "smiles", "sdf") if getattr(self, name)]
        if len(given) != 1:
            raise InputError(
                f"ligand {self.ids[0]} must be given in exactly one way", key=given[1] if given else None,
                found=" and ".join(given) or "none", allowed="ccd, smiles or sdf",
            )  # fmt: skip
        for name in ("sequence", "modifications", "msa", "cyclic"):
            if getattr(self, name):
                raise InputError(f"ligand {self.ids[0]} cannot have {name!r}", key=name)
        object.__setattr__(self, "ccd", tuple(checked_ccd(code, key="ccd") for code in self.ccd))
        if self.smiles is not None and (not self.smiles.strip() or re.search(r"\s", self.smiles.strip())):
            raise InputError("a SMILES string has no blanks", key="smiles", found=self.smiles)

    def _check_polymer(self) -> None:
        for name in ("ccd", "smiles", "sdf"):
            if getattr(self, name):
                raise InputError(f"{self.kind} {self.ids[0]} cannot have {name!r}; that is for ligands", key=name)
        if self.kind == "dna" and self.msa is not None:
            raise InputError("DNA chains take no alignment", key="msa", found=self.msa)
        if not self.sequence:
            raise InputError(f"{self.kind} {self.ids[0]} has an empty sequence", key="sequence")
        letters = list(checked_sequence(self.sequence, self.kind))
        kept: dict[int, Modification] = {}
        for change in sorted(self.modifications, key=lambda change: change.position):
            if change.position > len(letters):
                raise InputError(
                    f"{self.kind} {self.ids[0]} has no residue at the position of {change.ccd}", key="modifications",
                    found=change.position, allowed=f"1 to {len(letters)}",
                )  # fmt: skip
            if change.position in kept:
                raise InputError("two modifications of one residue", key="modifications", found=change.position)
            parent = parent_letter(change.ccd, self.kind)
            if LETTERS[self.kind].get(parent) == change.ccd:
                letters[change.position - 1] = parent  # a standard residue written by its CCD code
                continue
            if letters[change.position - 1] == UNKNOWN_LETTER[self.kind]:
                letters[change.position - 1] = parent
            self._check_joins(change, len(letters))
            kept[change.position] = change
        object.__setattr__(self, "sequence", "".join(letters))
        object.__setattr__(self, "modifications", tuple(kept.values()))

    def _check_joins(self, change: Modification, length: int) -> None:
        """Raises InputError for a component that has not the atoms by which its neighbours would hold it."""
        if not is_known(change.ccd):
            return  # one that comes with the file, or none: whoever builds the chain will see
        enter, leave = _JOINS[self.kind]
        wanted = [enter] if change.position > 1 or self.cyclic else []
        wanted += [leave] if change.position < length or self.cyclic else []
        atoms = component(change.ccd).atom_names.tolist()
        if missing := [name for name in wanted if name not in atoms]:
            raise InputError(
                f"{change.ccd} cannot stand in {self.kind} {self.ids[0]} at position {change.position}: its neighbours "
                f"would be bonded to {' and '.join(wanted)}, and it has no {' and no '.join(missing)}",
                key="modifications", found=change.ccd, allowed="a component that is part of such chains",
            )  # fmt: skip

    def __len__(self) -> int:
        """The number of residues: letters of a polymer, components of a ligand."""
        return len(self.sequence) if self.kind != "ligand" else max(1, len(self.ccd))


@dataclass(frozen=True, kw_only=True)
class Site:
    """A place in the complex: a residue of a chain, counted from 1, or one atom of it."""

    chain: str
    residue: int
    atom: str | None = None

    def __str__(self) -> str:
        return f"{self.chain}/{self.residue}" + (f"/{self.atom}" if self.atom else "")


@dataclass(frozen=True, kw_only=True)
class BondSpec:
    """A covalent bond between two atoms, beside those that the chains' own chemistry implies."""

    atom1: Site
    atom2: Site

    def __post_init__(self) -> None:
        if self.atom1.atom is None or self.atom2.atom is None:
            raise InputError("a bond joins atoms: name both", found=f"{self.atom1} and {self.atom2}")
        if self.atom1 == self.atom2:
            raise InputError("an atom cannot be bound to itself", found=str(self.atom1))


@dataclass(frozen=True, kw_only=True)
class ContactSpec:
    """Two residues or atoms of which some atoms come within ``max_distance`` (Å); ``force`` asks for enforcement."""

    token1: Site
    token2: Site
    max_distance: float = 6.0
    force: bool = False

    def __post_init__(self) -> None:
        _check_distance(self.max_distance)
        if self.token1 == self.token2:
            raise InputError("a contact joins two different places", found=str(self.token1))


@dataclass(frozen=True, kw_only=True)
class PocketSpec:
    """Residues that a chain (``binder``) lies against, within ``max_distance`` (Å); ``force`` asks for enforcement."""

    binder: str
    contacts: tuple[Site, ...]
    max_distance: float = 6.0
    force: bool = False

    def __post_init__(self) -> None:
        _check_distance(self.max_distance)
        if not self.contacts:
            raise InputError("a pocket needs at least one contact")
        for site in self.contacts:
            if site.chain == self.binder:
                raise InputError("the binder cannot be part of its own pocket", found=str(site))


@dataclass(frozen=True, kw_only=True)
class TemplateSpec:
    """A known structure to lean on: its file, which chains it serves (none: all proteins) and which of its chains.

    With ``force`` the backbone must stay within ``threshold`` (Å) of the template.
    """

    path: str
    chains: tuple[str, ...] = ()
    template_chains: tuple[str, ...] = ()
    force: bool = False
    threshold: float | None = None

    def __post_init__(self) -> None:
        if self.template_chains and len(self.template_chains) != len(self.chains):
            raise InputError(
                "chain_id and template_id must name equally many chains", key="template_id",
                found=f"{len(self.chains)} and {len(self.template_chains)}",
            )  # fmt: skip
        if self.force and self.threshold is None:
            raise InputError("a forced template needs a threshold in Å", key="force")
        if self.threshold is not None and not (self.threshold > 0 and math.isfinite(self.threshold)):
            raise InputError("the threshold must be above 0 Å", key="threshold", found=self.threshold)


ConstraintSpec = ContactSpec | PocketSpec


@dataclass(frozen=True, kw_only=True)
class ComplexSpec:
    """A complex to predict: its molecules, extra bonds, known contacts and base pairs, templates and random seeds.

    Raises InputError when names clash or a bond, constraint or template points at something that is not there.
    """

    name: str = "complex"
    chains: tuple[ChainSpec, ...]
    bonds: tuple[BondSpec, ...] = ()
    constraints: tuple[ConstraintSpec, ...] = ()
    base_pairs: tuple[BasePairsSpec, ...] = ()
    templates: tuple[TemplateSpec, ...] = ()
    seeds: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.chains:
            raise InputError("there are no chains", key="sequences")
        check_file_name(self.name)
        for name, count in Counter(self.chain_ids).items():
            if count > 1:
                raise InputError("two chains have the same name", key=f"chain {name}", found=name)
        for seed in self.seeds:
            if not 0 <= seed < 2**32:
                raise InputError("a seed is a whole number", key="seeds", found=seed, allowed="0 to 4294967295")
        for seed, count in Counter(self.seeds).items():
            if count > 1:
                message = "a seed is given more than once, which would give the same structures again"
                raise InputError(message, key="seeds", found=seed, allowed="each seed once")
        for key, sites in self._references():
            for site in sites:
                self._check_site(site, key)
        for place, template in enumerate(self.templates, start=1):
            for chain in template.chains:
                self._check_chain(chain, f"templates[{place}]")
        for place, pairs in enumerate(self.base_pairs, start=1):
            self._check_base_pairs(pairs, f"base_pairs[{place}]")
        named = Counter(chain for pairs in self.base_pairs for chain in pairs.chains)
        for chain, count in named.items():
            if count > 1:
                raise InputError("the base pairs of this chain are given twice", key="base_pairs", found=chain)

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
        taken = {code for each in self.chains for code in each.ccd}
        free = [code for code in LIGAND_NAMES if code not in taken]
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

    def _check_base_pairs(self, asked: BasePairsSpec, key: str) -> None:
        letters = ""
        for chain_id in asked.chains:
            self._check_chain(chain_id, key)
            if (chain := self.chain(chain_id)).kind not in ("dna", "rna"):
                raise InputError("base pairs are of DNA and RNA", key=key, found=f"{chain_id}, a {chain.kind}")
            letters += chain.sequence
        if len(letters) != len(asked.signs):
            named = " and ".join(asked.chains)
            raise InputError(f"one sign is needed for each nucleotide of {named}", key=key, found=str(len(asked.signs)),
                             allowed=str(len(letters)))  # fmt: skip
        for pair in asked.pairs():
            bases = "".join(letters[place] for place in pair)
            if bases.replace("T", "U") not in PAIRING:
                message = f"nucleotides {pair[0] + 1} and {pair[1] + 1} cannot pair as Watson and Crick say, or wobble"
                raise InputError(message, key=key, found="-".join(bases), allowed="A-U, A-T, G-C or G-U")

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
        known = _atom_names(name, chain.kind) if chain.kind != "ligand" or chain.ccd else ()
        if known and site.atom not in known:
            raise InputError(
                f"residue {site.residue} of chain {site.chain} ({name}) has no such atom", key=key, found=site.atom,
                allowed=known, suggest_from=known,
            )  # fmt: skip


def _atom_names(name: str, kind: str) -> tuple[str, ...]:
    """The atoms of a component in a chain of a kind; none where the component comes with the file, or not at all."""
    if kind != "ligand" and name in RESTYPE_INDEX:
        atoms = RESIDUE_ATOMS.get(name)
        return (*atoms, *_TERMINAL_ATOMS[kind]) if atoms else ()
    return tuple(component(name).atom_names.tolist()) if is_known(name) else ()


def _check_distance(distance: float) -> None:
    if not (distance > 0 and math.isfinite(distance)):
        raise InputError("a distance must be above 0 Å", key="max_distance", found=distance)
    if distance < _NEAREST:
        raise InputError("no two atoms come so near", key="max_distance", found=distance,
                         allowed=f"{_NEAREST:g} Å or more")  # fmt: skip


def checked_ccd(code: str, key: str | None = None) -> str:
    """A code of the Chemical Component Dictionary in capitals; raises InputError for what cannot be one.

    >>> checked_ccd("atp")
    'ATP'
    """
    if not _CCD_CODE.fullmatch(code.strip().upper()):
        raise InputError(
            "this is not a code of the Chemical Component Dictionary", key=key, found=code,
            allowed="1 to 5 letters or digits, such as ATP",
        )  # fmt: skip
    return code.strip().upper()


def checked_sequence(sequence: str, kind: str) -> str:
    """A sequence in capitals; raises InputError that names the first wrong letter, its position and what to write.

    >>> checked_sequence("acgt", "dna")
    'ACGT'
    """
    allowed = LETTERS[kind]
    for position, letter in enumerate(sequence.upper(), start=1):
        if letter not in allowed:
            raise InputError(
                f"letter {sequence[position - 1]!r} at position {position} is not one of {kind}{_hint(letter, kind)}",
                key="sequence", allowed="".join(allowed),
            )  # fmt: skip
    return sequence.upper()


def _hint(letter: str, kind: str) -> str:
    if kind == "rna" and letter == "T":
        return "; RNA has U where DNA has T: write U, or make the chain dna"
    if kind == "dna" and letter == "U":
        return "; DNA has T where RNA has U: write T, or make the chain rna"
    if letter in _AMBIGUOUS and (kind == "protein") == (letter in "BZJ"):
        return f"; it stands for {_AMBIGUOUS[letter]}: choose one, or write {UNKNOWN_LETTER[kind]} for unknown"
    if letter in "-.":
        return "; gaps belong into alignments: leave them out"
    if letter == "*":
        return "; a stop may stand only at the end"
    return ""


def parent_letter(ccd: str, kind: str) -> str:
    """The standard residue that a modified one comes from, as a letter: M for MSE; X (protein) or N where unknown.

    >>> parent_letter("MSE", "protein"), parent_letter("5MC", "rna"), parent_letter("DA", "dna")
    ('M', 'C', 'A')
    """
    for letter, name in LETTERS[kind].items():
        if name == ccd:
            return letter
    from biotite.structure import info  # slow to import, and only modified residues need it

    letter, linkage = info.one_letter_code(ccd), (info.link_type(ccd) or "").upper()
    fits = "PEPTIDE" in linkage if kind == "protein" else "NA LINKING" in linkage
    return letter if letter is not None and fits and letter in LETTERS[kind] else UNKNOWN_LETTER[kind]


def chain_letters() -> Iterator[str]:
    """Names for chains that have none: A to Z, then AA, AB, ... without end."""
    for length in itertools.count(1):
        for letters in itertools.product(string.ascii_uppercase, repeat=length):
            yield "".join(letters)
