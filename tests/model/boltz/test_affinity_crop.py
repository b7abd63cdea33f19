"""What is seen about a ligand: the nearest stretches, short chains whole, modified residues with all of their atoms."""

from __future__ import annotations

import numpy as np
import pytest

from structdiff.features.tokens import tokenise
from structdiff.model.boltz.affinity_crop import MOST_ATOMS, MOST_RESIDUES, affinity_crop, all_is_seen, boltz_tokens
from structdiff.spec.chain import ChainSpec, Modification
from structdiff.spec.complex import ComplexSpec
from structdiff.structure.complex import build_complex

SEQUENCE = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQAPILSRVGDGTQDNLSGAEKAVQVKVKALPDAQFEVV"


def built(*chains, ligand="CCO"):
    """A complex whose residues lie on a line, 4 Å apart, and its ligand, the last chain, at the tenth of them."""
    structure = build_complex(ComplexSpec(chains=(*chains, ChainSpec(ids=("L",), kind="ligand", smiles=ligand))))
    positions = np.zeros((len(structure.atoms), 3), np.float32)
    positions[:, 0] = 4.0 * structure.atoms.residue
    own = structure.atom_chain == len(structure.chains) - 1
    positions[own] = np.array([[40.0, 5.0, 0.0]]) + 0.1 * np.arange(own.sum())[:, None]
    return structure.with_positions(positions), tokenise(structure)


def seen(structure, tokens):
    return affinity_crop(tokens, structure, len(structure.chains) - 1)


def protein(name, length, **more):
    return ChainSpec(ids=(name,), kind="protein", sequence=(SEQUENCE * 6)[:length], **more)


def test_all_of_a_small_complex_is_seen():
    structure, tokens = built(protein("A", 60), ChainSpec(ids=("D",), kind="dna", sequence="GATC"))
    assert seen(structure, tokens).all()
    assert all_is_seen(tokens, structure)


def test_of_long_chains_the_nearest_stretches_are_seen():
    structure, tokens = built(protein("A", 400))
    found = seen(structure, tokens)
    residues = np.flatnonzero(found[:400])
    assert not all_is_seen(tokens, structure)
    assert len(residues) == MOST_RESIDUES
    assert residues.tolist() == list(range(MOST_RESIDUES))  # a line from the ligand's end on
    assert found[400:].all()


def test_a_short_chain_is_seen_whole_or_not_at_all():
    structure, tokens = built(protein("A", 196), protein("B", 9))
    found = seen(structure, tokens)
    assert found[:196].all()
    assert not found[196:205].any()
    structure, tokens = built(protein("A", 191), protein("B", 9))
    assert seen(structure, tokens).all()


def test_a_modified_residue_counts_once_and_is_seen_with_all_atoms():
    modified = tuple(Modification(position=place, ccd="SEP") for place in (3, 50, 180))
    sequence = "".join("S" if place in (3, 50, 180) else "A" for place in range(1, 201))
    chain = ChainSpec(ids=("A",), kind="protein", sequence=sequence, modifications=modified)
    structure, tokens = built(chain)
    hosts = boltz_tokens(tokens, structure)
    assert len(hosts) == 200 + 3
    assert len(tokens) > len(hosts) + 20
    assert seen(structure, tokens).all()


def test_many_atoms_end_it_too():
    structure, tokens = built(protein("A", 150), ChainSpec(ids=("D",), kind="dna", sequence="G" * 60))
    found = seen(structure, tokens)
    atoms = (tokens.atoms[found] >= 0).sum()
    assert MOST_ATOMS - 250 < atoms <= MOST_ATOMS
    assert found.sum() < MOST_RESIDUES
    assert not all_is_seen(tokens, structure)


@pytest.mark.parametrize("name", ["A", "B"])
def test_positions_decide(name):
    structure, tokens = built(protein("A", 300), protein("B", 300))
    positions = structure.atoms.positions.copy()
    ligand = structure.atom_chain == 2
    chain = structure.chains.name.tolist().index(name)
    positions[ligand] = positions[structure.atom_chain == chain].mean(0) + 0.1 * np.arange(ligand.sum())[:, None]
    found = seen(structure.with_positions(positions), tokens)
    assert found[tokens.chain == chain].sum() == MOST_RESIDUES
    assert not found[tokens.chain == 1 - chain].any()
