"""Residues by chain and number, and stretches of a design: new ones, and those of a known structure."""

from __future__ import annotations

from dataclasses import dataclass, field

#: What a chain may be called where a colon ends its name, as a pattern: all but the marks of the grammar itself.
CHAIN_NAME = r"[^\s/,:@=*\[\]'\"]+"
#: Stands, as the only stretch of a chain, for all chains of a structure, each as a chain of the design.
EVERY_CHAIN = "*"


def chain_prefix(chain: str) -> str:
    """A chain's name as it stands before a number: with a colon, unless it is of letters alone.

    >>> chain_prefix("B"), chain_prefix("A-2")
    ('B', 'A-2:')
    """
    return chain if chain.isascii() and chain.isalpha() else f"{chain}:"


@dataclass(frozen=True, kw_only=True, order=True)
class ResidueId:
    """A residue of a file as its author numbered it: chain, number, insertion code.

    ``with_insertions``: it stands for those of its number with insertion codes too, being inside a stretch. ``bonded``:
    the file bonds it to the residue before it, so that nothing is missing there whatever the numbers (of antibodies).
    """

    chain: str
    number: int
    insertion_code: str = ""
    with_insertions: bool = field(default=False, compare=False, repr=False)
    bonded: bool = field(default=False, compare=False, repr=False)

    def __str__(self) -> str:
        return f"{chain_prefix(self.chain)}{self.number}{self.insertion_code}"


@dataclass(frozen=True, kw_only=True)
class FreeSegment:
    """New residues to design: at least ``minimum`` and at most ``maximum`` of them.

    ``instead_of`` are the residues of a known structure whose place they take, where they take any.
    """

    minimum: int
    maximum: int
    instead_of: tuple[ResidueId, ...] = ()

    def __str__(self) -> str:
        return str(self.minimum) if self.minimum == self.maximum else f"{self.minimum}-{self.maximum}"


@dataclass(frozen=True, kw_only=True)
class FixedSegment:
    """A stretch of a known structure, both ends included; without ends it is the whole chain.

    ``residues`` are the residues that the stretch stands for: empty until `Contigs.resolve` has seen the structure
    where only that can tell (whole chains, insertion codes); ``is_read`` says that they are the structure's, which may
    have residues with insertion codes between those that are numbered. ``group`` is the motif group, counted from 1.
    """

    chain: str
    start: int | None = None
    stop: int | None = None
    start_insertion_code: str = ""
    stop_insertion_code: str = ""
    group: int = 1
    residues: tuple[ResidueId, ...] = ()
    is_read: bool = field(default=False, compare=False, repr=False)

    @property
    def name(self) -> str:
        """The stretch as it is written in a contig string, without its group."""
        if self.start is None:
            return chain_prefix(self.chain) if self.chain != EVERY_CHAIN else EVERY_CHAIN
        first = f"{chain_prefix(self.chain)}{self.start}{self.start_insertion_code}"
        last = f"{self.stop}{self.stop_insertion_code}"
        return first if self.is_single else f"{first}-{last}"

    @property
    def is_single(self) -> bool:
        """Whether it names one residue."""
        return self.start is not None and (self.start, self.start_insertion_code) == (
            self.stop, self.stop_insertion_code
        )  # fmt: skip

    def __str__(self) -> str:
        return self.name if self.group == 1 else f"{self.name}@{self.group}"


Segment = FreeSegment | FixedSegment
