"""pLDDT in an mmCIF text, of the model and of each residue (ModelCIF)."""

from __future__ import annotations

import gemmi
import numpy as np

from structdiff.chemistry.residues import is_standard
from structdiff.structure.mmcif_items import POLYMER_TYPES, label_places, write_loop
from structdiff.structure.tables import Structure


def write_quality(block: gemmi.cif.Block, structure: Structure, mean_plddt: float | None) -> None:
    """pLDDT of the model, a mean over tokens as in every other file, and of each residue (ModelCIF)."""
    atoms, residues = structure.atoms, structure.residues
    seen = atoms.resolved
    count = np.bincount(atoms.residue[seen], minlength=len(residues))
    total = np.bincount(atoms.residue[seen], weights=atoms.b_factor[seen], minlength=len(residues))
    rows = np.flatnonzero(count)
    mean = total[rows] / count[rows]
    metric = {"id": [1, 2], "mode": ["global", "local"], "name": ["pLDDT", "pLDDT"], "type": ["pLDDT", "pLDDT"]}
    write_loop(block, "ma_qa_metric", metric)
    if mean_plddt is None:
        mean_plddt = float(np.average(atoms.b_factor[seen], weights=_token_shares(structure, count)[seen]))
    overall = f"{mean_plddt:.2f}"
    whole = {"ordinal_id": [1], "model_id": [1], "metric_id": [1], "metric_value": [overall]}
    write_loop(block, "ma_qa_metric_global", whole)
    write_loop(
        block,
        "ma_qa_metric_local",
        {
            "ordinal_id": range(1, len(rows) + 1),
            "model_id": [1] * len(rows),
            "metric_id": [2] * len(rows),
            "label_asym_id": structure.chains.label_id[residues.chain[rows]],
            "label_comp_id": residues.name[rows],
            "label_seq_id": label_places(structure, rows),
            "metric_value": [f"{value:.2f}" for value in mean],
        },
    )


def _token_shares(structure: Structure, seen: np.ndarray) -> np.ndarray:
    """What share of a token each atom is: a standard residue of a polymer is one, an atom of anything else is one.

    seen (residue): number of atoms.
    """
    standard = np.array([is_standard(name) for name in structure.residues.name.tolist()])
    whole = standard & np.isin(structure.chains.kind, list(POLYMER_TYPES))[structure.residues.chain]
    return np.where(whole, 1 / np.maximum(seen, 1), 1.0)[structure.atoms.residue]
