"""The functional group at the tip of each side chain: what an active site's geometry is about.

The atoms whose places matter for catalysis and binding, after the choice of RFdiffusion2 (Ahern et al. 2025): the group
beyond the last rotatable bond, with the atom that holds it.
"""

from __future__ import annotations

#: Atoms of the functional group by residue; those of glycine are its backbone.
TIP_ATOMS: dict[str, tuple[str, ...]] = {
    name: tuple(atoms.split())
    for name, atoms in {
        "ALA": "CA CB", "ARG": "CD NE CZ NH1 NH2", "ASN": "CB CG OD1 ND2", "ASP": "CB CG OD1 OD2", "CYS": "CB SG",
        "GLN": "CG CD OE1 NE2", "GLU": "CG CD OE1 OE2", "GLY": "N CA C O", "HIS": "CB CG ND1 CD2 CE1 NE2",
        "ILE": "CB CG1 CG2 CD1", "LEU": "CB CG CD1 CD2", "LYS": "CD CE NZ", "MET": "CG SD CE",
        "PHE": "CB CG CD1 CD2 CE1 CE2 CZ", "PRO": "N CA CB CG CD", "SER": "CB OG", "THR": "CB OG1 CG2",
        "TRP": "CB CG CD1 CD2 NE1 CE2 CE3 CZ2 CZ3 CH2", "TYR": "CB CG CD1 CD2 CE1 CE2 CZ OH", "VAL": "CB CG1 CG2",
    }.items()
}  # fmt: skip
