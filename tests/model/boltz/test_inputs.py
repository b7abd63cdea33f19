"""Boltz-2's inputs are those of its own featuriser (numbers from benchmarks/parity_boltz2_inputs.py)."""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from structdiff.errors import InputError
from structdiff.features.build import build_features
from structdiff.features.collate import collate
from structdiff.features.condition import Condition
from structdiff.features.schema import Features
from structdiff.features.tokens import tokenise
from structdiff.model.boltz.inputs import BoltzInputs, boltz_inputs
from structdiff.model.boltz.merging import host_tokens
from structdiff.structure.build import ChainSequence
from structdiff.structure.tables import ChainKind, Structure
from tests.features.examples import mixed, placed, protein
from tests.parity.boltz_input_cases import CASES, EQUALITY, EXACT, MEANT, compared, inputs_of, taken, write_case

GOLDEN = Path(__file__).parents[2] / "golden" / "boltz" / "inputs.npz"
WITHIN_RESIDUE = ("reference_positions", "reference_space")


@pytest.mark.parametrize("case", CASES)
def test_inputs_are_those_of_boltz(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with np.load(GOLDEN, allow_pickle=False) as golden:
        expected = {key.partition(".")[2]: torch.from_numpy(golden[key]) for key in golden.files
                    if key.startswith(f"{case}.")}  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of open stereo, and of keys that Boltz alone makes use of
        inputs = inputs_of(write_case(case, tmp_path))[0]
    tokens, atoms = expected["tokens"].long(), expected["atoms"].long()
    assert int(inputs.token_mask.sum()) == len(tokens)
    assert int(inputs.atom_mask.sum()) == len(atoms)
    for name in (*EXACT, *EQUALITY):
        if (case, name) not in MEANT:
            mine = compared(name, taken(name, vars(inputs)[name][0], tokens, atoms))
            torch.testing.assert_close(mine.double(), compared(name, expected[name]).double(), atol=1e-5, rtol=1e-5,
                                       msg=lambda text, name=name: f"{name}: {text}")  # fmt: skip


def features_of(structure: Structure, condition: Condition | None = None) -> Features:
    return build_features(structure, condition, conformers=True)


def inputs_of_structure(structure: Structure, **sizes: int) -> BoltzInputs:
    return boltz_inputs(collate([features_of(structure)], **sizes))


def test_a_batch_holds_each_of_its_structures():
    peptide = placed([protein("GLY", "SEP", "TRP")], seed=1)
    both = boltz_inputs(collate([features_of(mixed()), features_of(peptide)]))
    for row, structure in enumerate((mixed(), peptide)):
        alone = inputs_of_structure(structure)
        tokens, atoms = alone.token_mask.shape[1], alone.atom_mask.shape[1]
        assert both.design is None
        for field in dataclasses.fields(BoltzInputs):
            if field.name == "design":
                continue
            one, own = getattr(both, field.name)[row], getattr(alone, field.name)[0]
            if field.name == "atom_slot":  # slots are more in a batch
                continue
            cut = one[tuple(slice(size) for size in own.shape)]
            torch.testing.assert_close(cut, own, msg=lambda text, field=field: f"{field.name}: {text}")
            assert field.name == "profile" or one.double().sum() == pytest.approx(own.double().sum().item(), abs=1e-4)
        assert not both.token_mask[row, tokens:].any()
        assert not both.atom_mask[row, atoms:].any()


def test_atoms_stand_close_together_and_keep_their_slots():
    features = collate([features_of(mixed())], num_slots=40)
    inputs = boltz_inputs(features)
    assert inputs.atom_mask.shape[1] == 128
    count = int(features.atom.mask.sum())
    assert inputs.atom_mask[0].tolist() == [True] * count + [False] * (128 - count)
    assert inputs.atom_slot[0, :count].tolist() == features.atom.mask[0].nonzero()[:, 0].tolist()


def test_a_modified_residue_is_one_token():
    structure = placed([protein("GLY", "SEP", "SER", "SEP")])
    features = collate([features_of(structure)])
    inputs, host = boltz_inputs(features), host_tokens(features.token)
    size = int((features.token.residue_index == 2).sum())
    assert host[0].tolist() == [0] + [1] * size + [1 + size] + [2 + size] * size
    assert inputs.token_mask[0].nonzero()[:, 0].tolist() == [0, 1, 1 + size, 2 + size]
    assert inputs.modified[0, inputs.token_mask[0]].tolist() == [0, 1, 0, 1]
    assert torch.equal(inputs.atom_token[inputs.atom_mask].bincount()[1], torch.tensor(size))
    assert inputs.token_bonds[0].nonzero().tolist() == [[1, 1], [2 + size, 2 + size]]


def test_selenomethionine_is_methionine():
    changed = inputs_of_structure(placed([protein("GLY", "MSE", "SER")]))
    natural = inputs_of_structure(placed([protein("GLY", "MET", "SER")]))
    for name in ("residue_type", "modified", "representative"):
        mine = getattr(changed, name)[changed.token_mask]
        assert mine.tolist() == getattr(natural, name)[natural.token_mask].tolist(), name
    for name in ("reference_name", "reference_element", "backbone", "reference_space"):
        assert torch.equal(getattr(changed, name), getattr(natural, name)), name
    assert changed.token_bonds.sum() == 0
    assert torch.equal(changed.msa[:, :, changed.token_mask[0]], natural.msa)


def test_an_amino_acid_with_selenium_elsewhere_is_none():
    inputs = inputs_of_structure(placed([protein("GLY", "SEC", "SER")]))
    assert (inputs.reference_element == 34).sum() == 1
    assert inputs.modified.sum() == 1


def test_conformers_have_their_middle_at_the_origin():
    inputs = inputs_of_structure(mixed())
    for space in range(int(inputs.reference_space.max()) + 1):
        own = inputs.reference_positions[(inputs.reference_space == space) & inputs.atom_mask]
        assert own.mean(0).abs().max() < 1e-5
    glycine = inputs.reference_positions[0, :4]
    assert torch.linalg.vector_norm(glycine[0] - glycine[1]) == pytest.approx(1.46, abs=0.03)  # N-CA


def test_contacts_are_no_nearer_and_no_farther_than_boltz_was_trained_on():
    structure = placed([protein("GLY", "ALA", "SER")])
    bound = np.zeros((3, 3), np.float32)
    bound[0, 1] = bound[1, 0] = 2.5
    bound[0, 2] = bound[2, 0] = 30
    inputs = boltz_inputs(collate([features_of(structure, Condition.unknown(3).replace(contact_bound=bound))]))
    assert inputs.contact_threshold[0].tolist() == [[0, 4, 20], [4, 0, 0], [20, 0, 0]]
    assert inputs.contact_type[0].tolist() == [[1, 4, 4], [4, 1, 1], [4, 1, 1]]


def test_pockets_know_their_sides_and_contacts_come_first():
    structure = placed([protein("GLY", "ALA"), ChainSequence(name="L", kind=ChainKind.LIGAND, residues=("ZN",))])
    pocket, contact = np.zeros((3, 3), np.float32), np.zeros((3, 3), np.float32)
    pocket[:2, 2] = 6
    contact[1, 2] = contact[2, 1] = 8
    condition = Condition.unknown(3).replace(pocket_bound=pocket, contact_bound=contact)
    inputs = boltz_inputs(collate([features_of(structure, condition)]))
    assert inputs.contact_type[0].tolist() == [[1, 1, 2], [1, 1, 4], [3, 4, 1]]
    assert inputs.contact_threshold[0].tolist() == [[0, 0, 6], [0, 0, 8], [6, 8, 0]]


def test_groups_of_one_chain_are_seen_apart():
    structure = placed([protein("GLY", "ALA", "SER", "TRP"), protein("ALA", name="B")])
    condition = Condition.unknown(5).replace(motif_group=np.array([2, 0, 3, 3, 0], np.int32))
    inputs = boltz_inputs(collate([features_of(structure, condition)]))
    assert inputs.template_visibility[0, 0].tolist() == [2, 2, 3, 3, -2]
    assert inputs.template_mask[0, 0].tolist() == [1, 0, 1, 1, 0]
    assert inputs.template_frame_mask[0, 0].tolist() == [1, 0, 1, 1, 0]
    rotation = inputs.template_frame_rotation[0, 0, 2]
    torch.testing.assert_close(rotation.T @ rotation, torch.eye(3), atol=1e-5, rtol=0)
    c, ca = structure.atoms.positions[[11, 10]]  # of serine, after four and five atoms
    towards = rotation[:, 0].numpy()
    assert towards @ (c - ca) == pytest.approx(np.linalg.norm(c - ca), rel=1e-5)


def test_designs_are_refused():
    structure = placed([protein("GLY", "ALA", "SER")])
    unknown = Condition.unknown(3, sequence_known=False)
    with pytest.raises(InputError, match=r"structures of known sequences; design with .*3 residues"):
        boltz_inputs(collate([features_of(structure, unknown)]))


def test_a_cyclic_chain_has_its_period_and_no_bond():
    structure = placed([protein(*["GLY"] * 5, cyclic=True)])
    assert features_of(structure).pair.token_bonds.any()
    inputs = inputs_of_structure(structure)
    assert inputs.cyclic_period[0].tolist() == [5.0] * 5
    assert not inputs.token_bonds.any()


def test_tokens_of_ligands_are_as_many_as_there():
    structure = placed([ChainSequence(name="L", kind=ChainKind.LIGAND, residues=("GTP",))])
    inputs = inputs_of_structure(structure)
    assert len(tokenise(structure)) == int(inputs.token_mask.sum()) == 32
    kinds = inputs.bond_type.triu().flatten().bincount(minlength=7).tolist()
    assert kinds[5] == 10  # both rings of guanine, which share a bond
    assert kinds[4] == kinds[6] == kinds[1] == 0
