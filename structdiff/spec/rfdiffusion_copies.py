"""Contigs of RFdiffusion's symmetric designs, which name every copy, as those of one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from structdiff.errors import InputError
from structdiff.spec.contig_grammar import parse_contigs
from structdiff.spec.contigs import Contigs
from structdiff.spec.imported import KnownStructure
from structdiff.spec.segments import FixedSegment, FreeSegment
from structdiff.spec.symmetry import Symmetry


def of_one_copy(
    contigs: Contigs, symmetry: Symmetry, structure: Callable[[], KnownStructure] | None
) -> tuple[Contigs, bool]:
    """RFdiffusion's contigs name all copies; and whether they hold a motif, which then lies at the axes."""
    order = len(symmetry.operators)
    if len(contigs.chains) == 1 and not contigs.fixed:
        low, high = contigs.length_range()
        if low % order or high % order:
            raise InputError(f"the length is that of all {order} copies, and is shared out equally",
                             key="contigmap.contigs", found=str(contigs), allowed=f"multiples of {order}")  # fmt: skip
        return parse_contigs(f"{low // order}-{high // order}"), False
    shapes = {tuple(_shape(segment) for segment in row) for row in contigs.chains}
    if len(contigs.chains) != order or len(shapes) != 1:
        raise InputError(f"expected the same stretches for each of {order} copies", key="contigmap.contigs",
                         found=str(contigs))  # fmt: skip
    if contigs.fixed:
        _check_copies(contigs, symmetry, structure)
    return Contigs(chains=contigs.chains[:1]), bool(contigs.fixed)


def _shape(segment: FreeSegment | FixedSegment) -> tuple[int, int, bool]:
    if isinstance(segment, FreeSegment):
        return segment.minimum, segment.maximum, False
    return len(segment.residues), len(segment.residues), True


def _check_copies(contigs: Contigs, symmetry: Symmetry, structure: Callable[[], KnownStructure] | None) -> None:
    """The motif of each copy must be that of the first, turned by an operator of our frame."""
    if structure is None:
        return
    known = structure()
    place = {residue: row for row, residue in enumerate(known.residues)}
    rows = [
        [place[residue] for segment in row if isinstance(segment, FixedSegment) for residue in segment.residues]
        for row in contigs.chains
        if all(residue in place for s in row if isinstance(s, FixedSegment) for residue in s.residues)
    ]
    if len(rows) != len(contigs.chains):
        raise InputError("the input structure lacks residues of the contigs", key="contigmap.contigs",
                         found=str(contigs))  # fmt: skip
    images = symmetry.operators.apply(known.positions[rows[0]])
    for row, chain in zip(rows, contigs.chains, strict=True):
        away = np.sqrt(np.square(images - known.positions[row]).sum(-1).mean(-1)).min()
        if away > 1.0:
            raise InputError(f"the motif is not where {symmetry.group} would have it in our frame (Å RMSD)",
                             key="contigmap.contigs", found=f"{'/'.join(map(str, chain))}: {away:.1f}",
                             allowed="main axis along z, through the origin")  # fmt: skip
