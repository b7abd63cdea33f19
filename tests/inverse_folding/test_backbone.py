"""What the networks are told of a structure's backbone."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from structdiff.errors import InputError
from structdiff.inverse_folding import design_sequences
from structdiff.inverse_folding.backbone import protein_backbone
from structdiff.structure.tables import Structure


def renumbered(structure: Structure, **columns: np.ndarray) -> Structure:
    return dataclasses.replace(structure, residues=dataclasses.replace(structure.residues, **columns))


def test_a_missing_loop_is_as_long_as_the_numbers_say(cro: Structure) -> None:
    """A file without the full sequence (SEQRES) numbers what it has through; loops that miss are still as long."""
    numbers = cro.residues.author_seq_id
    cut = cro.select(~((numbers >= 30) & (numbers <= 35))[cro.atoms.residue])
    known = protein_backbone(cut).residue_index
    place = np.arange(1, len(cut.residues) + 1, dtype=np.int32)
    unknown = renumbered(cut, label_seq_id=place)
    assert np.diff(known).max() == 7
    assert (np.diff(protein_backbone(unknown).residue_index) == np.diff(known)).all()
    # Numbers that jump where the chain goes on (schemes of antibodies) say nothing.
    jumping = cro.residues.author_seq_id + 50 * (np.arange(71) > 40)
    same = protein_backbone(renumbered(cro, author_seq_id=jumping.astype(np.int32))).residue_index
    assert (same == protein_backbone(cro).residue_index).all()


def test_of_a_chain_of_ca_alone_the_network_for_it_is_named(cro: Structure) -> None:
    only_ca = cro.with_positions(cro.atoms.positions, resolved=cro.atoms.resolved & (cro.atoms.name == "CA"))
    with pytest.raises(InputError, match=r"proteinmpnn_ca without side chains \(--no-pack\), for CA alone"):
        design_sequences(only_ca)
    with pytest.raises(InputError, match=r"proteinmpnn_ca without side chains \(--no-pack\), for CA alone"):
        design_sequences(only_ca, model="proteinmpnn_ca", num_sequences=1, pack=True)
