"""Side chains: rigid pieces, what is turned and what stays, draws from von Mises mixtures."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from structdiff.errors import InputError
from structdiff.geometry.frames import backbone_frames
from structdiff.geometry.torsions import torsion
from structdiff.inverse_folding import design_sequences, pack_side_chains, rows_in
from structdiff.inverse_folding.alphabet import NUM_AMINO_ACIDS, residue_name
from structdiff.inverse_folding.backbone import protein_backbone
from structdiff.inverse_folding.packer import TorsionDistribution
from structdiff.inverse_folding.packing import PackingConfig, log_density, most_likely_draw, slot_positions
from structdiff.inverse_folding.rigid_groups import SLOT_ATOMS, atoms_exist, chis_exist, measure_chis, place_atoms
from structdiff.structure.tables import Structure


def test_the_pieces_hold_all_atoms() -> None:
    from structdiff.chemistry.residues import RESIDUE_ATOMS

    for letter in range(NUM_AMINO_ACIDS):
        name = residue_name(letter)
        assert sorted(SLOT_ATOMS[name]) == sorted(RESIDUE_ATOMS[name])
        assert int(atoms_exist(torch.tensor([letter])).sum()) == len(SLOT_ATOMS[name])


def test_torsions_are_measured_as_they_were_set() -> None:
    letters = torch.arange(NUM_AMINO_ACIDS)
    n, ca, c = torch.tensor([[-0.53, 1.36, 0.0], [0, 0, 0], [1.53, 0, 0]])[:, None].expand(3, NUM_AMINO_ACIDS, 3)
    wanted = torch.rand(NUM_AMINO_ACIDS, 5, generator=torch.Generator().manual_seed(0)) * 6 - 3
    positions = place_atoms(backbone_frames(n, ca, c), letters, wanted)
    exist = chis_exist(letters)
    found = measure_chis(letters, positions)
    # Rings and groups of the table are planar to three digits.
    np.testing.assert_allclose(found[exist], wanted[:, 1:][exist], atol=5e-3)
    assert (found[~exist] == 0).all()
    psi = torsion(n, ca, c, positions[:, 3])
    np.testing.assert_allclose(torch.remainder(psi - wanted[:, 0] + 1, 2 * torch.pi), 1, atol=5e-3)
    assert int(exist.sum()) == 39


def test_measured_torsions_bring_natural_side_chains_back(polymerase: Structure) -> None:
    backbone = protein_backbone(polymerase)
    letters, seen = torch.from_numpy(backbone.letters), torch.from_numpy(backbone.positions)
    truth = slot_positions(polymerase, backbone)
    whole = ~np.isnan(truth).any(axis=(1, 2))
    chis = measure_chis(letters, torch.from_numpy(np.nan_to_num(truth)))
    psi = torsion(*seen.unbind(1))[:, None]
    placed = place_atoms(backbone_frames(*seen[:, :3].unbind(1)), letters, torch.cat([psi, chis], 1)).numpy()
    off = np.linalg.norm(placed - truth, axis=-1)[whole]
    there = np.abs(truth[whole]).sum(-1) > 0
    assert whole.sum() > 250
    assert np.quantile(off[there], 0.95) < 0.3
    assert np.sqrt((off[there] ** 2).mean()) < 0.15


def test_only_side_chains_that_are_asked_for_move(cro: Structure) -> None:
    chosen = rows_in(cro, "A20-30")
    packed = pack_side_chains(cro, only=chosen)
    assert (packed.residues.name == cro.residues.name).all()
    assert (packed.atoms.name == cro.atoms.name).all()
    moved = np.abs(packed.atoms.positions - cro.atoms.positions).max(-1) > 1e-6
    backbone = np.isin(cro.atoms.name, ("N", "CA", "C", "O"))
    assert not moved[backbone].any()
    assert not moved[~chosen[cro.atoms.residue]].any()
    assert moved[chosen[cro.atoms.residue] & ~backbone & (cro.residues.name[cro.atoms.residue] != "GLY")].all()
    again = pack_side_chains(cro, only=chosen)
    assert (again.atoms.positions == packed.atoms.positions).all()
    other = pack_side_chains(cro, only=chosen, seed=3)
    assert not (other.atoms.positions == packed.atoms.positions).all()


def test_bound_side_chains_stay(peptides: Structure) -> None:
    atoms, bonds = peptides.atoms, peptides.bonds
    sulfur = np.flatnonzero((atoms.name == "SG") & (atoms.element == 16))
    bridged = [row for row in sulfur if ((bonds.atom_1 == row) | (bonds.atom_2 == row)).sum() > 1]
    assert bridged
    packed = pack_side_chains(peptides)
    assert len(packed.bonds) == len(bonds)
    for row in bridged:
        residue = atoms.residue[row]
        old, new = peptides.residue_atoms(residue), packed.residue_atoms(residue)
        assert (packed.atoms.positions[new] == atoms.positions[old]).all()


def test_designs_are_whole_when_packed(cro: Structure) -> None:
    bare, whole = (design_sequences(cro, num_sequences=2, temperature=1.0, pack=each) for each in (False, True))
    for one, other in zip(bare, whole, strict=True):
        assert one.sequences == other.sequences
        rows = other.designed[other.structure.atoms.residue]
        assert other.structure.atoms.resolved[rows].all()
        side = ~np.isin(one.structure.atoms.name, ("N", "CA", "C", "O"))
        assert not one.structure.atoms.resolved[side & rows].any()
        bonds = other.structure.bonds
        seen = other.structure.atoms.resolved[bonds.atom_1] & other.structure.atoms.resolved[bonds.atom_2]
        ends = [other.structure.atoms.positions[each[seen]] for each in (bonds.atom_1, bonds.atom_2)]
        lengths = np.linalg.norm(ends[0] - ends[1], axis=-1)
        ring = other.structure.residues.name[other.structure.atoms.residue[bonds.atom_1[seen]]] == "PRO"
        assert lengths[~ring].min() > 1.1
        assert lengths[~ring].max() < 2.0


def test_the_most_likely_of_many_draws_is_near_the_highest_peak() -> None:
    distribution = TorsionDistribution(
        means=torch.tensor([[[0.5, -2.0, 3.0]] * 4]),
        concentrations=torch.tensor([[[30.0, 30.0, 200.0]] * 4]),
        logits=torch.tensor([[[2.0, 1.0, -9.0]] * 4]),
    )
    drawn = most_likely_draw(distribution, 64, np.random.default_rng(0))
    assert (drawn - 0.5).abs().max() < 0.15
    few = torch.cat([most_likely_draw(distribution, 1, np.random.default_rng(seed)) for seed in range(100)])
    share = float(((few + 2.0).abs() < 1).float().mean())
    assert 0.15 < share < 0.40  # exp(1) / (exp(1) + exp(2)) is 0.27
    angles = torch.linspace(-torch.pi, torch.pi, 20001)[:, None, None].expand(-1, 1, 4)
    integral = torch.trapezoid(log_density(distribution, angles).exp()[:, 0, 0], angles[:, 0, 0])
    assert float(integral) == pytest.approx(1, abs=1e-3)


def test_refusals(cro: Structure) -> None:
    with pytest.raises(InputError, match="num_steps"):
        PackingConfig(num_steps=0)
    with pytest.raises(InputError, match="only: one value for each of 71 residues"):
        pack_side_chains(cro, only=np.ones(2, bool))
    with pytest.raises(InputError, match="seed"):
        pack_side_chains(cro, seed=-1)


def test_nothing_to_pack_changes_nothing(cro: Structure) -> None:
    packed = pack_side_chains(cro, only=np.zeros(71, bool))
    assert (packed.atoms.positions == cro.atoms.positions).all()
