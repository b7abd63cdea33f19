"""The standard residues: their restype numbers, one-letter codes and heavy atoms in order.

The numbering of restypes is that of Boltz-2's published checkpoints, so that their weights can be mapped key by key.
"""

from __future__ import annotations

PROTEIN_ONE_TO_THREE = {
    "A": "ALA", "R": "ARG", "N": "ASN", "D": "ASP", "C": "CYS", "Q": "GLN", "E": "GLU", "G": "GLY", "H": "HIS",
    "I": "ILE", "L": "LEU", "K": "LYS", "M": "MET", "F": "PHE", "P": "PRO", "S": "SER", "T": "THR", "W": "TRP",
    "Y": "TYR", "V": "VAL",
}  # fmt: skip
PROTEIN_THREE_TO_ONE = {three: one for one, three in PROTEIN_ONE_TO_THREE.items()}
RNA_NAMES = ("A", "G", "C", "U")
DNA_NAMES = ("DA", "DG", "DC", "DT")

RESTYPES = (
    "<pad>", "-", *PROTEIN_ONE_TO_THREE.values(), "UNK", *RNA_NAMES, "N", *DNA_NAMES, "DN",
)  # fmt: skip
RESTYPE_INDEX = {name: index for index, name in enumerate(RESTYPES)}
NUM_RESTYPES = len(RESTYPES)
GAP, UNK_PROTEIN, UNK_RNA, UNK_DNA = (RESTYPE_INDEX[name] for name in ("-", "UNK", "N", "DN"))

BACKBONE_ATOMS = ("N", "CA", "C", "O")

_SIDE_CHAINS = {
    "ALA": "CB", "ARG": "CB CG CD NE CZ NH1 NH2", "ASN": "CB CG OD1 ND2", "ASP": "CB CG OD1 OD2", "CYS": "CB SG",
    "GLN": "CB CG CD OE1 NE2", "GLU": "CB CG CD OE1 OE2", "GLY": "", "HIS": "CB CG ND1 CD2 CE1 NE2",
    "ILE": "CB CG1 CG2 CD1", "LEU": "CB CG CD1 CD2", "LYS": "CB CG CD CE NZ", "MET": "CB CG SD CE",
    "PHE": "CB CG CD1 CD2 CE1 CE2 CZ", "PRO": "CB CG CD", "SER": "CB OG", "THR": "CB OG1 CG2",
    "TRP": "CB CG CD1 CD2 NE1 CE2 CE3 CZ2 CZ3 CH2", "TYR": "CB CG CD1 CD2 CE1 CE2 CZ OH", "VAL": "CB CG1 CG2",
    "UNK": "",
}  # fmt: skip
_PHOSPHATE = "P OP1 OP2 O5' C5' C4' O4' C3' O3' C2'"
_RNA_SUGAR = f"{_PHOSPHATE} O2' C1'"
_DNA_SUGAR = f"{_PHOSPHATE} C1'"
_BASES = {
    "A": "N9 C8 N7 C5 C6 N6 N1 C2 N3 C4", "G": "N9 C8 N7 C5 C6 O6 N1 C2 N2 N3 C4",
    "C": "N1 C2 O2 N3 C4 N4 C5 C6", "U": "N1 C2 O2 N3 C4 O4 C5 C6", "T": "N1 C2 O2 N3 C4 O4 C5 C7 C6", "N": "",
}  # fmt: skip

#: Heavy atoms of each standard residue inside a chain, in the order of the CCD (no OXT, no OP3).
RESIDUE_ATOMS: dict[str, tuple[str, ...]] = {
    **{name: (*BACKBONE_ATOMS, *side.split()) for name, side in _SIDE_CHAINS.items()},
    **{name: (*_RNA_SUGAR.split(), *_BASES[name].split()) for name in (*RNA_NAMES, "N")},
    **{name: (*_DNA_SUGAR.split(), *_BASES[name[1]].split()) for name in (*DNA_NAMES, "DN")},
}

#: The atom that stands for a residue's place (the token centre of AlphaFold 3).
CENTRE_ATOM = {name: "CA" if name in PROTEIN_THREE_TO_ONE or name == "UNK" else "C1'" for name in RESIDUE_ATOMS}
#: The atom whose distances the distogram describes: CB (CA in glycine), C4 of purines, C2 of pyrimidines.
REPRESENTATIVE_ATOM = {
    **dict.fromkeys(PROTEIN_THREE_TO_ONE, "CB"), "GLY": "CA", "UNK": "CA",
    **dict.fromkeys(("A", "G", "DA", "DG"), "C4"), **dict.fromkeys(("C", "U", "DC", "DT"), "C2"),
    **dict.fromkeys(("N", "DN"), "C1'"),
}  # fmt: skip


def is_standard(name: str) -> bool:
    """Whether a residue is one of the standard ones, with a token of its own.

    >>> is_standard("ALA"), is_standard("MSE"), is_standard("DT")
    (True, False, True)
    """
    return name in RESIDUE_ATOMS
