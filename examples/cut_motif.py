"""Cuts a stretch of one chain out of a structure file: how 5tpn_site_v.pdb was made.

python examples/cut_motif.py 5TPN.pdb A 150 194 examples/5tpn_site_v.pdb
"""

from __future__ import annotations

import sys
from pathlib import Path

import gemmi


def cut(source: Path, chain: str, first: int, last: int, target: Path) -> int:
    """Writes residues first to last of a chain, without hydrogens; returns how many there were."""
    structure = gemmi.read_structure(str(source))
    structure.remove_alternative_conformations()
    structure.remove_hydrogens()
    kept = gemmi.Chain(chain)
    for residue in structure[0][chain]:
        if first <= residue.seqid.num <= last:
            kept.add_residue(residue)
    cut_out = gemmi.Structure()
    cut_out.name = source.stem.upper()
    cut_out.add_model(gemmi.Model(1)).add_chain(kept)
    cut_out.setup_entities()
    cut_out.assign_serial_numbers()
    remark = f"REMARK   1 RESIDUES {first} TO {last} OF CHAIN {chain} OF PDB ENTRY {cut_out.name} (CC0 1.0)\n"
    target.write_text(remark + cut_out.make_pdb_string(gemmi.PdbWriteOptions(minimal=True, seqres_records=False)))
    return len(kept)


if __name__ == "__main__":
    source, chain, first, last, target = sys.argv[1:]
    print(cut(Path(source), chain, int(first), int(last), Path(target)), "residues")
