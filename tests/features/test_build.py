import numpy as np
import torch

from structdiff.features.build import build_features
from structdiff.features.collate import collate
from structdiff.features.condition import Condition
from structdiff.features.guidance import CONDITIONS, keep_conditions, present_conditions
from structdiff.features.tokens import tokenise
from tests.features.examples import mixed, placed, protein


def test_positions_come_back_from_their_slots():
    structure = mixed()
    tokens = tokenise(structure)
    features = build_features(structure, tokens=tokens)
    by_slot = features.atom.positions.unflatten(0, tokens.atoms.shape).numpy()
    assert np.array_equal(by_slot[tokens.atoms >= 0], structure.atoms.positions[tokens.atoms[tokens.atoms >= 0]])
    assert not features.atom.mask.numpy()[(tokens.atoms < 0).ravel()].any()


def test_a_hidden_residue_keeps_its_backbone_and_nothing_else_of_its_type():
    structure = placed([protein("TRP", "LEU", "GLY")])
    condition = Condition.unknown(3).replace(sequence_known=np.array([False, True, True]))
    features = build_features(structure, condition)
    shown = features.atom.mask.unflatten(0, (3, features.num_slots)).sum(1)
    assert shown.tolist() == [4, 8, 4]
    other = build_features(placed([protein("ARG", "LEU", "GLY")]), condition)
    assert torch.equal(features.token.restype, other.token.restype)
    hidden, hidden_other = (f.atom.name.unflatten(0, (3, -1))[0, :4] for f in (features, other))
    assert torch.equal(hidden, hidden_other)
    assert not torch.equal(features.token.true_restype, other.token.true_restype)


def test_bonds_of_ligands_and_links_are_told_and_peptide_bonds_are_not():
    structure = mixed()
    tokens = tokenise(structure)
    bonds = build_features(structure, tokens=tokens).pair.token_bonds
    assert torch.equal(bonds, bonds.T)
    names = structure.residues.name[tokens.residue]
    glycerol = np.flatnonzero(names == "GOL")
    assert (bonds[np.ix_(glycerol, glycerol)] > 0).sum() == 2 * 5  # C3H8O3: five bonds between heavy atoms
    gly, ala = (int(np.flatnonzero(names == name)[0]) for name in ("GLY", "ALA"))
    assert bonds[gly, ala] == 0
    selenomethionine = np.flatnonzero(names == "MSE")
    assert (bonds[ala, selenomethionine] > 0).sum() == 1  # C-N: a modified residue's link is no matter of course


def test_reference_distances_hold_inside_one_component_only():
    structure = mixed()
    tokens = tokenise(structure)
    distance = build_features(structure, tokens=tokens).pair.ref_distance
    names = structure.residues.name[tokens.residue]
    inside = names[:, None] == names[None]
    assert (distance.numpy()[~inside] == 0).all()
    bonds = build_features(structure, tokens=tokens).pair.token_bonds
    glycerol = np.flatnonzero(names == "GOL")
    bonded = distance[np.ix_(glycerol, glycerol)][bonds[np.ix_(glycerol, glycerol)] > 0]
    assert ((bonded > 1.3) & (bonded < 1.6)).all()


def test_unresolved_atoms_leave_when_training():
    structure = placed([protein("ALA", "SER")])
    resolved = np.ones(len(structure.atoms), bool)
    resolved[structure.atoms.name == "OG"] = False
    resolved[(structure.atoms.residue == 0) & (structure.atoms.name == "CA")] = False
    structure = structure.with_positions(structure.atoms.positions, resolved=resolved)
    features = build_features(structure, only_resolved=True)
    assert features.token.mask.tolist() == [False, True]
    assert features.atom.mask.sum() == 5  # serine without OG; alanine has no centre
    assert build_features(structure).atom.mask.sum() == 11


def test_padding_is_masked_and_moves_nothing():
    small, large = build_features(placed([protein("GLY", "TRP")])), build_features(mixed())
    batch = collate([small, large])
    assert batch.token.mask.sum(1).tolist() == [2, large.num_tokens]
    slots = batch.num_slots
    back = batch.atom.positions[0].unflatten(0, (-1, slots))[:2, : small.num_slots]
    assert torch.equal(back.flatten(0, 1), small.atom.positions)
    assert not batch.atom.mask[0].unflatten(0, (-1, slots))[2:].any()
    assert torch.equal(batch.pair.ref_distance[1], large.pair.ref_distance)


def test_motif_positions_are_those_of_the_groups_only():
    structure = placed([protein("ALA", "GLY", "SER", "LEU")])
    condition = Condition.unknown(4).replace(
        motif_group=np.array([0, 1, 1, 0]), structure_fixed=np.array([0, 1, 1, 0], bool)
    )
    features = build_features(structure, condition)
    held = features.condition.motif_mask.unflatten(0, (4, -1)).sum(1)
    assert held.tolist() == [0, 4, 6, 0]
    assert (features.condition.motif_positions[~features.condition.motif_mask] == 0).all()


def test_every_condition_can_be_taken_away_again():
    condition = Condition.unknown(4).replace(
        motif_group=np.array([1, 1, 0, 0]),
        structure_fixed=np.array([1, 1, 0, 0], bool),
        hotspot=np.array([1, 0, 0, 0]),
        secondary_structure=np.array([1, 2, 3, 0]),
        burial=np.array([0, 0, 1, 2]),
        contact_bound=np.full((4, 4), 8.0),
        fold_adjacency=np.ones((4, 4)),
    )
    batch = collate([build_features(placed([protein("ALA", "GLY", "SER", "LEU")]), condition)])
    assert present_conditions(batch) == list(CONDITIONS)
    assert present_conditions(keep_conditions(batch, ())) == []
    for name in CONDITIONS:
        assert present_conditions(keep_conditions(batch, (name,))) == [name]
