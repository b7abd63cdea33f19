"""What categories of an mmCIF text share: loops of quoted values, names of kinds and orders, places in chains."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import gemmi
import numpy as np

from structdiff.structure.tables import ChainKind, Structure

ORDER_NAMES = ("", "sing", "doub", "trip")
POLYMER_TYPES = {
    ChainKind.PROTEIN: "polypeptide(L)",
    ChainKind.DNA: "polydeoxyribonucleotide",
    ChainKind.RNA: "polyribonucleotide",
}


def write_loop(block: gemmi.cif.Block, category: str, columns: Mapping[str, Sequence[object] | np.ndarray]) -> None:
    """One category as a loop; values are quoted, empty ones become a question mark."""
    length = len(next(iter(columns.values())))
    if length == 0:
        return
    loop = block.init_loop(f"_{category}.", list(columns))
    loop.set_all_values([_quoted(values) for values in columns.values()])


def _quoted(values: Iterable[object]) -> list[str]:
    cells = [str(value) for value in values]
    quoted = {cell: gemmi.cif.quote(cell) if cell not in ("", ".", "?") else (cell or "?") for cell in set(cells)}
    return [quoted[cell] for cell in cells]


def label_places(structure: Structure, residue: np.ndarray) -> list[str]:
    """Places in the full sequence; a ligand has none."""
    polymer = np.isin(structure.chains.kind, list(POLYMER_TYPES))[structure.residues.chain[residue]]
    places = structure.residues.label_seq_id[residue].tolist()
    return [str(place) if is_polymer else "." for place, is_polymer in zip(places, polymer.tolist(), strict=True)]
