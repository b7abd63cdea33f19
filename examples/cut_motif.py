"""Cuts a stretch of one chain out of a structure file: how 5tpn_site_v.pdb was made.

python examples/cut_motif.py 5TPN.pdb A 150 194 examples/5tpn_site_v.pdb
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import gemmi


def cut(source: Path, chain: str, first: int, last: int, target: Path) -> int:
    """Writes residues first to last of a chain, without hydrogens; returns how many there were.

    Raises ValueError where there are none, OSError for files that cannot be read or written.
    """
    structure = gemmi.read_structure(str(source))
    structure.remove_alternative_conformations()
    structure.remove_hydrogens()
    kept = gemmi.Chain(chain)
    for residue in structure[0][chain]:
        if first <= residue.seqid.num <= last:
            kept.add_residue(residue)
    if not len(kept):
        raise ValueError(f"{source}: chain {chain} has no residues {first} to {last}")
    cut_out = gemmi.Structure()
    cut_out.name = source.stem.upper()
    cut_out.add_model(gemmi.Model(1)).add_chain(kept)
    cut_out.setup_entities()
    cut_out.assign_serial_numbers()
    remark = f"REMARK   1 RESIDUES {first} TO {last} OF CHAIN {chain} OF PDB ENTRY {cut_out.name} (CC0 1.0)\n"
    target.write_text(remark + cut_out.make_pdb_string(gemmi.PdbWriteOptions(minimal=True, seqres_records=False)))
    return len(kept)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="PDB or mmCIF file")
    parser.add_argument("chain")
    parser.add_argument("first", type=int, help="number of the first residue")
    parser.add_argument("last", type=int, help="number of the last residue")
    parser.add_argument("target", type=Path, help="PDB file to write")
    asked = parser.parse_args()
    try:
        print(cut(asked.source, asked.chain, asked.first, asked.last, asked.target), "residues")
    except (OSError, RuntimeError, ValueError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
