"""How residues are joined in a polymer: lengths and angles of the links, and of the backbones between them.

Peptides: Engh & Huber 1991, Acta Cryst. A47, 392. Nucleic acids: Parkinson et al. 1996, Acta Cryst. D52, 57 (averages
over sugar puckers). The dictionary's ideal conformers are of free acids, whose C=O and P-O bonds differ from these.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

#: An atom beside a link: 0 for the residue before it, 1 for the residue after it, and the atom's name.
LinkAtom = tuple[int, str]


@dataclass(frozen=True, kw_only=True)
class Linkage:
    """The bond from one residue of a polymer to the next.

    length: Å. angles: three atoms, the middle one the vertex, and the angle in radians. planar: atoms that lie in one
    plane. torsion: four atoms and their dihedral angle in radians, where the link fixes one.
    """

    leave: str
    enter: str
    length: float
    angles: tuple[tuple[LinkAtom, LinkAtom, LinkAtom, float], ...]
    planar: tuple[LinkAtom, ...] = ()
    torsion: tuple[LinkAtom, LinkAtom, LinkAtom, LinkAtom, float] | None = None


def _peptide(length: float, ca_c_n: float, o_c_n: float, c_n_ca: float, c_n_cd: float | None = None) -> Linkage:
    angles = [
        ((0, "CA"), (0, "C"), (1, "N"), math.radians(ca_c_n)),
        ((0, "O"), (0, "C"), (1, "N"), math.radians(o_c_n)),
        ((0, "C"), (1, "N"), (1, "CA"), math.radians(c_n_ca)),
    ]
    planar = [(0, "CA"), (0, "C"), (0, "O"), (1, "N"), (1, "CA")]
    if c_n_cd is not None:
        angles.append(((0, "C"), (1, "N"), (1, "CD"), math.radians(c_n_cd)))
        planar.append((1, "CD"))
    return Linkage(
        leave="C",
        enter="N",
        length=length,
        angles=tuple(angles),
        planar=tuple(planar),
        torsion=((0, "CA"), (0, "C"), (1, "N"), (1, "CA"), math.pi),
    )


PEPTIDE_LINK = _peptide(1.329, 116.2, 123.0, 121.7)
#: The link into a glycine and into a proline.
PEPTIDE_LINK_TO_GLY = _peptide(1.329, 116.2, 123.0, 120.6)
PEPTIDE_LINK_TO_PRO = _peptide(1.341, 116.9, 122.0, 122.6, 125.0)

PHOSPHODIESTER_LINK = Linkage(
    leave="O3'",
    enter="P",
    length=1.607,
    angles=(
        ((0, "C3'"), (0, "O3'"), (1, "P"), math.radians(119.7)),
        ((0, "O3'"), (1, "P"), (1, "O5'"), math.radians(104.0)),
        ((0, "O3'"), (1, "P"), (1, "OP1"), math.radians(107.4)),
        ((0, "O3'"), (1, "P"), (1, "OP2"), math.radians(107.4)),
    ),
)


def polymer_linkage(kind: str, next_residue: str) -> Linkage | None:
    """The link into a residue of a peptide, dna or rna chain; None for any other kind."""
    if kind == "peptide":
        special = {"GLY": PEPTIDE_LINK_TO_GLY, "PRO": PEPTIDE_LINK_TO_PRO}
        return special.get(next_residue, PEPTIDE_LINK)
    return PHOSPHODIESTER_LINK if kind in ("dna", "rna") else None


_PHOSPHATE_LENGTHS = {("P", "OP1"): 1.485, ("P", "OP2"): 1.485, ("P", "O5'"): 1.593, ("O5'", "C5'"): 1.440}
_PHOSPHATE_ANGLES = {
    ("OP1", "P", "OP2"): 119.6,
    ("O5'", "P", "OP1"): 108.1,
    ("O5'", "P", "OP2"): 108.3,
    ("P", "O5'", "C5'"): 120.9,
}
_BETA_BRANCHED_LENGTHS = {("CA", "CB"): 1.540}
_BETA_BRANCHED_ANGLES = {("N", "CA", "CB"): 111.5, ("C", "CA", "CB"): 109.1}

#: Bond lengths (Å) inside a residue of a chain, by kind: peptide backbones, phosphates.
BACKBONE_LENGTHS: Mapping[str, Mapping[tuple[str, str], float]] = {
    "peptide": {("N", "CA"): 1.458, ("CA", "C"): 1.525, ("C", "O"): 1.231, ("CA", "CB"): 1.530},
    "dna": _PHOSPHATE_LENGTHS,
    "rna": _PHOSPHATE_LENGTHS,
}
#: Bond angles (degrees) inside a residue of a chain, by kind.
BACKBONE_ANGLES: Mapping[str, Mapping[tuple[str, str, str], float]] = {
    "peptide": {("N", "CA", "C"): 111.2, ("CA", "C", "O"): 120.8, ("N", "CA", "CB"): 110.5, ("C", "CA", "CB"): 110.1},
    "dna": _PHOSPHATE_ANGLES,
    "rna": _PHOSPHATE_ANGLES,
}
#: What single residues have instead.
RESIDUE_LENGTHS: Mapping[str, Mapping[tuple[str, str], float]] = {
    "GLY": {("N", "CA"): 1.451, ("CA", "C"): 1.516},
    "PRO": {("N", "CA"): 1.466},
    "ALA": {("CA", "CB"): 1.521},
    "ILE": _BETA_BRANCHED_LENGTHS,
    "THR": _BETA_BRANCHED_LENGTHS,
    "VAL": _BETA_BRANCHED_LENGTHS,
}
RESIDUE_ANGLES: Mapping[str, Mapping[tuple[str, str, str], float]] = {
    "GLY": {("N", "CA", "C"): 112.5},
    "PRO": {("N", "CA", "C"): 111.8, ("N", "CA", "CB"): 103.0},
    "ALA": {("N", "CA", "CB"): 110.4, ("C", "CA", "CB"): 110.5},
    "ILE": _BETA_BRANCHED_ANGLES,
    "THR": _BETA_BRANCHED_ANGLES,
    "VAL": _BETA_BRANCHED_ANGLES,
}
