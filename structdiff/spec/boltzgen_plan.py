"""The chains that a specification of BoltzGen asks for, residue by residue, before they are written as a design."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field

from structdiff.spec.document import Node
from structdiff.spec.imported import KnownResidue


@dataclass(kw_only=True)
class Item:
    """One residue of a chain, or so many as ``least`` to ``most`` say.

    letter: of a residue that BoltzGen is given as an amino acid without a structure. allowed: amino acids that it may
    be, "" for all. known: the residue of a file that is kept, at ``place`` (from 0) of its chain there; ``redesign``:
    with another amino acid. group: pieces of one group keep their pose, 0: BoltzGen sees no structure. binding: U, B
    (to be bound) or N; fold: U, L, H or S. missing: what its file calls
    it, where that has no coordinates of it.
    """

    least: int = 1
    most: int = 1
    letter: str = ""
    allowed: str = ""
    known: KnownResidue | None = None
    place: int = 0
    redesign: bool = False
    group: int = 0
    binding: str = "U"
    fold: str = "U"
    missing: str = ""

    @property
    def is_new(self) -> bool:
        """Whether structdiff makes it, and the file gives nothing of it."""
        return self.known is None


@dataclass(kw_only=True)
class Part:
    """What one entity gives to a chain. id: what the specification calls it; source: the file's path, "" for none."""

    id: str
    items: list[Item]
    node: Node
    source: str = ""
    inserted: bool = False

    def numbered(self) -> list[Item]:
        """The residues that the specification's numbers, from 1, stand for; of a range those that are always there."""
        return [item for item in self.items if item.most == 1 and item.least == 1]


@dataclass(kw_only=True)
class Chain:
    """A chain of the complex. id: what the specification calls it; kind: protein, dna, rna or ligand.

    twins: the number of the group of chains whose sequences are alike, 0 for none. ccd, smiles: of a free ligand.
    """

    id: str
    kind: str
    parts: list[Part]
    cyclic: bool = False
    twins: int = 0
    ccd: str = ""
    smiles: str = ""

    @property
    def items(self) -> list[Item]:
        """Its residues in order."""
        return [item for part in self.parts for item in part.items]

    @property
    def is_designed(self) -> bool:
        """Whether it holds new residues: amino acids alone, which a file has no coordinates for, are none."""
        return any(item.is_new and not item.missing for item in self.items)

    def place_of(self, wanted: Item) -> int | None:
        """The place of a residue: from 1 along the chain, or -1 backwards from its end; None where lengths decide."""
        for sign, items in ((1, self.items), (-1, self.items[::-1])):
            before = 0
            for item in items:
                if item is wanted:
                    return sign * (before + 1)
                if item.least != item.most:
                    break
                before += item.least
        return None


@dataclass(kw_only=True)
class Plan:
    """All chains, what BoltzGen's constraints ask of them, and what is to be told."""

    chains: list[Chain] = field(default_factory=list)
    bonds: list[Node] = field(default_factory=list)
    total: tuple[int, int] | None = None
    notes: list[str] = field(default_factory=list)

    def named(self, name: str, node: Node) -> Chain:
        """The one chain of a name; raises InputError where there is none, or BoltzGen renames one of several."""
        found = [chain for chain in self.chains if chain.id == name]
        if not found:
            node.fail("no chain has this name", found=name, allowed=[chain.id for chain in self.chains])
        if len(found) > 1:
            node.fail("several chains have this name", found=name, allowed="names that tell them apart")
        return found[0]

    def polymers(self) -> Iterator[Chain]:
        """The chains that are no ligands."""
        return (chain for chain in self.chains if chain.kind != "ligand")

    def tell(self, note: str) -> None:
        """Adds a note, once."""
        if note not in self.notes:
            self.notes.append(note)


def copied(items: list[Item]) -> list[Item]:
    """The same residues for another chain."""
    return [dataclasses.replace(item) for item in items]
