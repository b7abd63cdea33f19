"""Where CB is by three CA atoms alone: fits the coefficients of ``structdiff.geometry.virtual_cb.trace_cb``.

    python benchmarks/trace_cb.py DATA [--chains 300]

DATA is a set made by ``structdiff prepare``. The coefficients are fitted to residues of its training split whose
neighbours are bonded (CA 3.6 to 4.0 Å apart) and judged by its test split: distance of CB from where they place it, and
beside it that of the backbone's own virtual CB.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from structdiff.geometry.virtual_cb import trace_axes, trace_cb, virtual_cb
from structdiff.structure.tables import ChainKind
from structdiff.training.dataset import StructureSet


def residues(structures: StructureSet, count: int) -> tuple[torch.Tensor, ...]:
    """Positions [residue, 3] (Å) of CA before, N, CA, C, CB and CA after, of that many entries."""
    found = []
    rows = np.random.default_rng(0).permutation(np.flatnonzero(structures.atoms_kind == "all"))[:count]
    for index in rows.tolist():
        structure = structures.structure(index)
        atoms, own = structure.atoms, structure.residues
        place = {(int(r), str(n)): k for k, (r, n) in enumerate(zip(atoms.residue, atoms.name, strict=True))
                 if atoms.resolved[k]}  # fmt: skip
        for row in range(1, len(own) - 1):
            same = own.chain[row - 1] == own.chain[row] == own.chain[row + 1]
            if not same or structure.chains.kind[own.chain[row]] != ChainKind.PROTEIN:
                continue
            wanted = [(row - 1, "CA"), *((row, name) for name in ("N", "CA", "C", "CB")), (row + 1, "CA")]
            if all(key in place for key in wanted):
                found.append(atoms.positions[[place[key] for key in wanted]])
    positions = np.stack(found).astype(np.float64)
    steps = np.linalg.norm(positions[:, [2, 5]] - positions[:, [0, 2]], axis=-1)
    return torch.from_numpy(positions[((steps > 3.6) & (steps < 4.0)).all(1)]).unbind(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="a training set")
    parser.add_argument("--chains", type=int, default=300, help="entries of each split (default 300)")
    chosen = parser.parse_args()
    before, _, ca, _, cb, after = residues(StructureSet(chosen.data, "train"), chosen.chains)
    axes = trace_axes(before, ca, after)
    fitted = torch.linalg.lstsq(axes.flatten(0, 1), (cb - ca).flatten()[:, None]).solution[:, 0]
    print(f"fitted to {len(ca)} residues:", ", ".join(f"{value:.4f}" for value in fitted.tolist()))
    before, n, ca, c, cb, after = residues(StructureSet(chosen.data, "test"), chosen.chains)
    for name, placed in (("three CA", trace_cb(before, ca, after)), ("backbone", virtual_cb(n, ca, c))):
        off = torch.linalg.vector_norm(placed - cb, dim=-1)
        print(
            f"by the {name}, {len(off)} residues: {off.mean():.2f} Å off in the mean, {off.quantile(0.95):.2f} at 95 %"
        )


if __name__ == "__main__":
    main()
