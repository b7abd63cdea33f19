"""The molecules of a complex: polymer chains with their modified residues, ligands and ions."""

from __future__ import annotations

import itertools
import re
import string
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from structdiff.arguments import checked_names, settle_fields
from structdiff.chemistry.component_files import OWN_CODE
from structdiff.chemistry.components import DNA, PEPTIDE, RNA, Component, component, is_known
from structdiff.chemistry.residues import PROTEIN_ONE_TO_THREE, RESIDUE_ATOMS, RESTYPE_INDEX
from structdiff.errors import InputError

ChainKind = Literal["protein", "dna", "rna", "ligand"]
CHAIN_KINDS: tuple[ChainKind, ...] = ("protein", "dna", "rna", "ligand")

#: One-letter code to CCD code. U and O are selenocysteine and pyrrolysine; X and N stand for "unknown".
LETTERS: dict[str, dict[str, str]] = {
    "protein": {**PROTEIN_ONE_TO_THREE, "U": "SEC", "O": "PYL", "X": "UNK"},
    "dna": {"A": "DA", "C": "DC", "G": "DG", "T": "DT", "N": "DN"},
    "rna": {"A": "A", "C": "C", "G": "G", "U": "U", "N": "N"},
}
UNKNOWN_LETTER = {"protein": "X", "dna": "N", "rna": "N"}

_SMALLEST_RING = 3  # residues; two would be bonded to each other twice
_CHAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")
_CCD_CODE = re.compile(r"[A-Z0-9]{1,5}")
_TERMINAL_ATOMS = {"protein": ("OXT",), "dna": ("OP3",), "rna": ("OP3",)}
_AMBIGUOUS = {
    "B": "D or N", "Z": "E or Q", "J": "I or L", "R": "A or G", "Y": "C or T", "S": "C or G", "W": "A or T",
    "K": "G or T", "M": "A or C", "D": "A, G or T", "H": "A, C or T", "V": "A, C or G",
}  # fmt: skip
#: What components of chains are, by the dictionary's word for them.
_LINKED_KINDS = {"protein": PEPTIDE, "dna": DNA, "rna": RNA}
#: The atoms of a residue that are bonded to the residue before and to that after.
_JOINS = {"protein": ("N", "C"), "dna": ("P", "O3'"), "rna": ("P", "O3'")}


@checked_names
@dataclass(frozen=True, kw_only=True)
class Modification:
    """A residue of a polymer that is not a standard one: its place in the chain, counted from 1, and its CCD code."""

    position: int
    ccd: str

    def __post_init__(self) -> None:
        settle_fields(self)
        if self.position < 1:
            raise InputError("positions are counted from 1", key="modifications", found=self.position)
        # Any code that a component of one's own may have: only the chain knows which there are.
        own = (self.ccd.strip().upper(),) if OWN_CODE.fullmatch(self.ccd.strip().upper()) else ()
        object.__setattr__(self, "ccd", checked_ccd(self.ccd, "modifications", own))


#: What may be said of an alignment in place of its file: there is none; the sequence itself is all of it.
NO_ALIGNMENT, SEQUENCE_ALONE = "empty", "self"
MSA_WORDS = (NO_ALIGNMENT, SEQUENCE_ALONE)


@checked_names
@dataclass(frozen=True, kw_only=True)
class ChainSpec:
    """One molecule and the names of its copies: a protein, DNA or RNA chain, or a ligand or ion.

    A polymer has a ``sequence`` of one-letter codes, with ``modifications`` in places. A ligand is given by the CCD
    codes of its components (``ccd``), by ``smiles``, or by the path of an SDF file (``sdf``). ``msa`` names an
    alignment, by its path or as `structdiff.spec.alignment_source` tells; of several the rows of all are one. It is
    ``"self"`` for one of the sequence alone, ``"empty"`` for none at all, and nothing when nothing is said.
    ``paired_msa`` names those of ``msa`` whose rows belong to rows of other chains, by organism or row by row.
    ``description`` is a comment and takes no part in comparisons. ``own_codes`` are those of the complex's own
    components, which may have longer names, and of which what the dictionary says of such a code does not hold. Raises
    InputError for anything that cannot be a molecule.
    """

    ids: tuple[str, ...]
    kind: ChainKind
    sequence: str = ""
    modifications: tuple[Modification, ...] = ()
    ccd: tuple[str, ...] = ()
    smiles: str | None = None
    sdf: str | None = None
    msa: tuple[str, ...] = ()
    paired_msa: tuple[str, ...] = ()
    cyclic: bool = False
    description: str = field(default="", compare=False)
    own_codes: tuple[str, ...] = field(default=(), compare=False, repr=False)

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes of the components of a ligand, or of the modified residues."""
        return self.ccd or tuple(change.ccd for change in self.modifications)

    @property
    def has_alignment(self) -> bool:
        """Whether an alignment is given, and not merely said to be empty."""
        return self.msa not in ((), (NO_ALIGNMENT,))

    def __post_init__(self) -> None:
        settle_fields(self)
        if self.kind not in CHAIN_KINDS:
            raise InputError("unknown kind of molecule", key="kind", found=self.kind, allowed=CHAIN_KINDS,
                             suggest_from=CHAIN_KINDS)  # fmt: skip
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
        for name in ("sequence", "modifications", "msa", "paired_msa", "cyclic"):
            if getattr(self, name):
                raise InputError(f"ligand {self.ids[0]} cannot have {name!r}", key=name)
        object.__setattr__(self, "ccd", tuple(checked_ccd(code, "ccd", self.own_codes) for code in self.ccd))
        for code in self.ccd:
            if code not in self.own_codes and is_known(code) and not component(code).elements.all():
                raise InputError("this component has atoms of no known element", key="ccd", found=code)
        if self.smiles is not None and (not self.smiles.strip() or re.search(r"\s", self.smiles.strip())):
            raise InputError("a SMILES string has no blanks", key="smiles", found=self.smiles)

    def _check_polymer(self) -> None:
        for name in ("ccd", "smiles", "sdf"):
            if getattr(self, name):
                raise InputError(f"{self.kind} {self.ids[0]} cannot have {name!r}; that is for ligands", key=name)
        self._check_alignments()
        if not self.sequence:
            raise InputError(f"{self.kind} {self.ids[0]} has an empty sequence", key="sequence")
        letters = list(checked_sequence(self.sequence, self.kind))
        if self.cyclic and len(letters) < _SMALLEST_RING:
            raise InputError(
                f"{self.kind} {self.ids[0]} has too few residues to close a ring", key="cyclic", found=len(letters),
                allowed=f"at least {_SMALLEST_RING}; a smaller ring is a ligand, by its CCD code or SMILES",
            )  # fmt: skip
        kept: dict[int, Modification] = {}
        for change in sorted(self.modifications, key=lambda change: change.position):
            checked_ccd(change.ccd, "modifications", self.own_codes)
            if change.position > len(letters):
                raise InputError(
                    f"{self.kind} {self.ids[0]} has no residue at the position of {change.ccd}", key="modifications",
                    found=change.position, allowed=f"1 to {len(letters)}",
                )  # fmt: skip
            if change.position in kept:
                raise InputError("two modifications of one residue", key="modifications", found=change.position)
            if change.ccd in self.own_codes:
                kept[change.position] = change
                continue
            parent = parent_letter(change.ccd, self.kind)
            if LETTERS[self.kind].get(parent) == change.ccd:
                letters[change.position - 1] = parent  # a standard residue written by its CCD code
                continue
            if letters[change.position - 1] == UNKNOWN_LETTER[self.kind]:
                letters[change.position - 1] = parent
            if is_known(change.ccd):  # else it is none, which whoever builds the chain will see
                self.check_joins(change, component(change.ccd))
            kept[change.position] = change
        object.__setattr__(self, "sequence", "".join(letters))
        object.__setattr__(self, "modifications", tuple(kept.values()))

    def _check_alignments(self) -> None:
        if self.kind == "dna" and self.msa:
            raise InputError("DNA chains take no alignment", key="msa", found=", ".join(self.msa))
        if word := next((name for name in self.msa if name in MSA_WORDS and len(self.msa) > 1), None):
            raise InputError("this stands for the whole alignment, so that no other can be beside it", key="msa",
                             found=word)  # fmt: skip
        if twice := next((name for name, count in Counter(self.msa).items() if count > 1), None):
            raise InputError("the alignment stands here twice", key="msa", found=twice)
        files = [name for name in self.msa if name not in MSA_WORDS]
        if other := next((name for name in self.paired_msa if name not in files), None):
            raise InputError("this is none of the chain's alignments", key="paired_msa", found=other,
                             allowed=files or "none: there is no file under msa", suggest_from=files)  # fmt: skip

    def check_joins(self, change: Modification, whole: Component) -> None:
        """Raises InputError for a component that has not the atoms by which its neighbours would hold it."""
        length = len(self.sequence)
        enter, leave = _JOINS[self.kind]
        wanted = [enter] if change.position > 1 or self.cyclic else []
        wanted += [leave] if change.position < length or self.cyclic else []
        atoms = whole.atom_names.tolist()
        if missing := [name for name in wanted if name not in atoms]:
            raise InputError(
                f"{change.ccd} cannot stand in {self.kind} {self.ids[0]} at position {change.position}: its neighbours "
                f"would be bonded to {' and '.join(wanted)}, and it has no {' and no '.join(missing)}",
                key="modifications", found=change.ccd, allowed="a component that is part of such chains",
            )  # fmt: skip

    def __len__(self) -> int:
        """The number of residues: letters of a polymer, components of a ligand."""
        return len(self.sequence) if self.kind != "ligand" else max(1, len(self.ccd))


def atom_names(name: str, kind: str, own: Mapping[str, Component] | None = None) -> tuple[str, ...]:
    """The atoms of a component in a chain of a kind; none where there is no such component. own: the complex's own."""
    if kind != "ligand" and name in RESTYPE_INDEX:
        atoms = RESIDUE_ATOMS.get(name)
        return (*atoms, *_TERMINAL_ATOMS[kind]) if atoms else ()
    return tuple(component(name, own).atom_names.tolist()) if is_known(name, own) else ()


def checked_ccd(code: str, key: str | None = None, own: Collection[str] = ()) -> str:
    """A code of the dictionary, or one of ``own`` components, in capitals; raises InputError for what cannot be one.

    >>> checked_ccd("atp")
    'ATP'
    """
    capitals = code.strip().upper()
    if capitals not in own and not _CCD_CODE.fullmatch(capitals):
        raise InputError(
            "this is not a code of the Chemical Component Dictionary", key=key, found=code,
            allowed=", ".join(("1 to 5 letters or digits, such as ATP", *own)), suggest_from=own,
        )  # fmt: skip
    return capitals


def checked_sequence(sequence: str, kind: str) -> str:
    """A sequence in capitals; raises InputError that names the first wrong letter, its position and what to write.

    >>> checked_sequence("acgt", "dna")
    'ACGT'
    """
    allowed = LETTERS[kind]
    for position, given in enumerate(sequence, start=1):
        letter = given.upper()  # one for one: that of 'ß' is two letters, and no amino acids
        if letter not in allowed or not given.isascii():
            raise InputError(
                f"letter {given!r} at position {position} is not one of {kind}{_hint(letter, kind)}",
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
    if letter in ":/":
        return "; other programs part chains so: give each chain a record, or an entry, of its own"
    return ""


def parent_letter(ccd: str, kind: str, own: Mapping[str, Component] | None = None) -> str:
    """The standard residue that a modified one comes from, as a letter: M for MSE; X (protein) or N where unknown.

    own: components that the dictionary has not, or otherwise, by code.

    >>> parent_letter("MSE", "protein"), parent_letter("5MC", "rna"), parent_letter("DA", "dna")
    ('M', 'C', 'A')
    """
    for letter, name in LETTERS[kind].items():
        if name == ccd:
            return letter
    if own and ccd in own:
        letter = next((letter for letter, name in LETTERS[kind].items() if name == own[ccd].parent), None)
        letter = own[ccd].one_letter or letter
        fits = own[ccd].kind == _LINKED_KINDS[kind]
        return letter if letter is not None and fits and letter in LETTERS[kind] else UNKNOWN_LETTER[kind]
    from biotite.structure import info  # slow to import, and only modified residues need it

    letter, linkage = info.one_letter_code(ccd), (info.link_type(ccd) or "").upper()
    fits = "PEPTIDE" in linkage if kind == "protein" else "NA LINKING" in linkage
    return letter if letter is not None and fits and letter in LETTERS[kind] else UNKNOWN_LETTER[kind]


def chain_letters() -> Iterator[str]:
    """Names for chains that have none: A to Z, then AA, AB, ... without end."""
    for length in itertools.count(1):
        for letters in itertools.product(string.ascii_uppercase, repeat=length):
            yield "".join(letters)
