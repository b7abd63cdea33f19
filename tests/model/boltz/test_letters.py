"""Letters of open residues: where the atoms lie that a side chain has not."""

from __future__ import annotations

import torch

from structdiff.chemistry.residues import PROTEIN_THREE_TO_ONE, RESTYPE_INDEX
from structdiff.model.boltz.letters import letter_logits

BACKBONE = torch.tensor([[0.0, 0, 0], [1.5, 0, 0], [2.2, 1.3, 0], [1.6, 2.4, 0]])
#: Some of the table of BoltzGen's paper; benchmarks/parity_boltzgen.py compares all twenty with its own.
ON_N_AND_O = {"GLY": (0, 10), "ALA": (0, 9), "THR": (3, 4), "GLU": (2, 3), "TYR": (0, 2), "TRP": (0, 0)}


def residue(on_n: int, on_o: int, *, off: float = 0.0) -> torch.Tensor:
    """Fourteen atoms, of which so many lie on N and on O, but for a distance (Å)."""
    shift = torch.tensor([off, 0, 0])
    far = [torch.tensor([9.0, 3.0 * number, 0.0]) for number in range(10 - on_n - on_o)]
    return torch.stack([*BACKBONE, *far, *[BACKBONE[0] + shift] * on_n, *[BACKBONE[3] + shift] * on_o])


def read(*residues: torch.Tensor, open_: bool = True) -> torch.Tensor:
    return letter_logits(torch.stack(residues)[None], torch.full((1, len(residues)), open_))[0]


def test_each_composition_spells_its_amino_acid_nearly_surely():
    logits = read(*(residue(*counts) for counts in ON_N_AND_O.values()))
    shares = torch.softmax(logits, -1)
    for row, name in enumerate(ON_N_AND_O):
        assert shares[row, RESTYPE_INDEX[name]] > 0.999, name


def test_atoms_count_as_on_the_backbone_within_half_an_angstrom():
    near, away = read(residue(0, 9, off=0.45), residue(0, 9, off=0.55))
    assert near.argmax() == RESTYPE_INDEX["ALA"]
    assert away.argmax() == RESTYPE_INDEX["TRP"]  # none lies there


def test_what_spells_no_amino_acid_counts_for_the_nearest():
    logits = read(residue(6, 1))
    assert logits.argmax() == RESTYPE_INDEX["MET"]  # (6, 0), one atom off
    assert logits.max() < 0


def test_only_amino_acids_are_read_and_only_of_open_residues():
    unknown = read(residue(10, 0))[0]  # what BoltzGen writes for an unknown residue
    assert unknown.argmax() in [RESTYPE_INDEX[name] for name in PROTEIN_THREE_TO_ONE]
    assert not read(residue(0, 9), open_=False).any()
