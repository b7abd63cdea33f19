"""Which amino acids the torsions of a backbone speak for: glycine, proline, or any other."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from structdiff.chemistry.ramachandran_density import BEFORE_PROLINE, CLASSES, GENERAL, GLYCINE, PROLINE, log_density
from structdiff.constraints.torsion_preference import TorsionPreference
from structdiff.structure.tables import Structure
from structdiff.typing import Float

_LARGEST = 6.0  # nats that torsions may speak for or against an amino acid


def glycine_and_proline(structure: Structure) -> Float[np.ndarray, "residue 2"]:
    """Log odds (nats) that its torsions give for each residue being a glycine, and a proline; 0 where there are none.

    By Bayes: log of the density of phi and psi (Lovell et al. 2003) in the class of the amino acid over that in the
    class of most; for proline the same of the residue before it, which then stands before a proline.
    """
    odds = np.zeros((len(structure.residues), len(CLASSES)))
    preference = TorsionPreference.from_structure(structure)
    if not len(preference.atoms):
        return odds[:, [GLYCINE, PROLINE]]
    positions = torch.from_numpy(structure.atoms.positions.astype(np.float64))[None]
    table = torch.from_numpy(np.array(log_density()))
    found = [
        dataclasses.replace(preference, kind=torch.full_like(preference.kind, each), table=table).energy(positions)[0]
        for each in range(len(CLASSES))
    ]
    logs = torch.stack(found, -1).numpy()
    rows = structure.atoms.residue[preference.atoms[:, 2].numpy()]
    odds[rows] = np.clip(logs - logs[:, [GENERAL]], -_LARGEST, _LARGEST)
    after = structure.atoms.residue[preference.atoms[:, 4].numpy()]
    proline = odds[:, PROLINE].copy()
    proline[after] += odds[rows, BEFORE_PROLINE]
    return np.stack([odds[:, GLYCINE], proline], -1)
