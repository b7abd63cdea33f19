"""The layout of one design: which of its residues are new and which come from where."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np

from structdiff.errors import InputError
from structdiff.spec.chain import chain_letters
from structdiff.spec.contig_grammar import parse_residues
from structdiff.spec.contigs import Contigs, is_fixed, kept_chain
from structdiff.spec.layout_picture import chains_in_words, drawn_chains
from structdiff.spec.layout_residue import LayoutResidue
from structdiff.spec.lengths import LengthRange
from structdiff.spec.segments import FixedSegment, FreeSegment, ResidueId, Segment


@dataclass(frozen=True, kw_only=True, repr=False)
class Layout:
    """The residues of one design in order, chain after chain."""

    residues: tuple[LayoutResidue, ...]

    def __len__(self) -> int:
        return len(self.residues)

    def __repr__(self) -> str:
        return f"<Layout: {chains_in_words(self.chains)}>"

    def __str__(self) -> str:
        """The picture of 80 columns; raises InputError as `draw` does."""
        return self.draw()

    @property
    def chains(self) -> dict[str, tuple[LayoutResidue, ...]]:
        """The residues of each chain."""
        return {name: tuple(row) for name, row in groupby(self.residues, key=lambda residue: residue.chain)}

    @property
    def designed_length(self) -> int:
        """The number of residues in chains that hold new ones; the contigs' total length counts these."""
        return sum(not residue.chain_is_fixed for residue in self.residues)

    def indices(self, residues: Iterable[ResidueId], key: str) -> tuple[int, ...]:
        """The places in the design (from 0) of residues named as in the motif; raises InputError under ``key``."""
        places = {residue.origin: place for place, residue in enumerate(self.residues) if residue.origin is not None}
        for residue in residues:
            if residue not in places:
                raise InputError("the residue is not part of the contigs", key=key, found=str(residue),
                                 allowed="residues of the motif that the contigs keep")  # fmt: skip
        return tuple(places[residue] for residue in residues)

    def keeping_types(self, chosen: Callable[[ResidueId], bool]) -> Layout:
        """The same layout in which new residues that take the place of chosen ones keep their types."""
        return Layout(
            residues=tuple(
                replace(each, keeps_type=True) if each.instead_of is not None and chosen(each.instead_of) else each
                for each in self.residues
            )
        )

    def with_whole_target(self, contigs: Contigs) -> Layout:
        """The same layout with chains that are taken over as contigs have them, which were not cropped."""
        drawn, found = self.chains, []
        for name, chain in zip(contigs.chain_ids, contigs.chains, strict=True):
            found += _placed(name, chain, iter(())) if is_fixed(chain) else drawn[name]
        more = [residue for name, chain in drawn.items() if name not in contigs.chain_ids for residue in chain]
        return Layout(residues=(*found, *more))

    def residue_map(self, not_drawn: Collection[ResidueId] = ()) -> dict[str, Any]:
        """The map between design and motif, ready for JSON: each residue from the motif with both its names.

        not_drawn: residues of the design, by their own names, that the network did not see.
        """
        rows = [
            {"design": _named(residue.id), "motif": _named(residue.origin), "group": residue.group}
            | ({"drawn": False} if residue.id in not_drawn else {})
            for residue in self.residues
            if residue.origin is not None
        ]
        chains = [
            {
                "chain": name,
                "length": len(row),
                "new": sum(residue.origin is None for residue in row),
                "kept": row[0].chain_is_fixed,
            }
            for name, row in self.chains.items()
        ]
        return {"chains": chains, "residues": rows}

    def draw(self, width: int = 80) -> str:
        """A picture of the layout for a terminal: a bar for each chain, its stretches below, a legend last.

        ``width`` is the number of columns; raises InputError for fewer than 40.
        """
        return drawn_chains(self.chains, width)


def sample_layout(
    contigs: Contigs,
    rng: np.random.Generator,
    length: LengthRange | None = None,
    chain_lengths: Sequence[int] | None = None,
) -> Layout:
    """Draws one layout: the lengths of the free stretches, and from them every residue's place and origin.

    ``length`` bounds the total of the designed chains (least, most); ``chain_lengths`` instead gives the length of
    each designed chain in order. Raises InputError when it cannot be reached, with
    the possible range, and when a stretch is known only once the structure has been read (`Contigs.resolve`).
    """
    for segment in contigs.fixed:
        if not segment.residues:
            raise InputError(f"what {segment.name} holds is known only once the motif is read", key="contigs")
    lengths = iter(
        contigs.sample_lengths(rng, length) if chain_lengths is None else _fill_chains(contigs, rng, chain_lengths)
    )
    residues: list[LayoutResidue] = []
    for name, chain in zip(contigs.chain_ids, contigs.chains, strict=True):
        residues += _placed(name, chain, lengths)
    if not residues:
        raise InputError("the design has no residues", key="contigs", found=str(contigs))
    return Layout(residues=tuple(residues))


def _placed(name: str, chain: Sequence[Segment], lengths: Iterator[int]) -> list[LayoutResidue]:
    """The residues of one chain. lengths: those of its free stretches, which are taken from it."""
    origins: list[tuple[ResidueId | None, int, ResidueId | None]] = []
    for segment in chain:
        if isinstance(segment, FreeSegment):
            count = next(lengths)
            instead = segment.instead_of if len(segment.instead_of) == count else (None,) * count
            origins.extend((None, 0, each) for each in instead)
        elif isinstance(segment, FixedSegment):
            origins.extend((residue, segment.group, None) for residue in segment.residues)
    keeps_numbers, whole, found = kept_chain(chain) == name, is_fixed(chain), []
    for place, (origin, group, instead_of) in enumerate(origins, start=1):
        kept = origin or instead_of if keeps_numbers else None
        found.append(
            LayoutResidue(
                chain=name, number=kept.number if kept else place, origin=origin, group=group,
                insertion_code=kept.insertion_code if kept else "", chain_is_fixed=whole, instead_of=instead_of,
            )
        )  # fmt: skip
    return found


def with_ligands(layout: Layout, ligands: Sequence[str], taken: Iterable[str] = ()) -> Layout:
    """The same layout with ligands of the motif, each a chain of its own, held with motif group 1.

    taken: names that none of them may have.

    Raises InputError for names that stand for a component: which residues these are is known once the motif is read.
    """
    taken = {*layout.chains, *taken}
    free = (name for name in chain_letters() if name not in taken)
    added = [
        LayoutResidue(chain=next(free), number=residue.number, insertion_code=residue.insertion_code, origin=residue,
                      group=1, chain_is_fixed=True)
        for residue in parse_residues(",".join(ligands), "ligands")
    ]  # fmt: skip
    return Layout(residues=(*layout.residues, *added))


def _fill_chains(contigs: Contigs, rng: np.random.Generator, chain_lengths: Sequence[int]) -> list[int]:
    designed = [chain for chain in contigs.chains if not is_fixed(chain)]
    if len(designed) != len(chain_lengths):
        raise InputError("a length is needed for each designed chain", key="length", found=list(chain_lengths),
                         allowed=f"{len(designed)} lengths")  # fmt: skip
    return [
        free
        for chain, total in zip(designed, chain_lengths, strict=True)
        for free in Contigs(chains=(chain,)).sample_lengths(rng, (total, total))
    ]


def _named(residue: ResidueId) -> dict[str, Any]:
    return {"chain": residue.chain, "number": residue.number, "insertion_code": residue.insertion_code}
