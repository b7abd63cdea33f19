"""Packed side chains are turned out of each other, and out of what stays."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from structdiff.evaluation.clashes import clashes
from structdiff.geometry.frames import backbone_frames
from structdiff.geometry.torsions import torsion
from structdiff.inverse_folding import pack_side_chains, rows_in
from structdiff.inverse_folding.backbone import protein_backbone
from structdiff.inverse_folding.clash_relief import TurningSideChains, relieved
from structdiff.inverse_folding.packer import TorsionDistribution
from structdiff.inverse_folding.packing import _built, slot_positions
from structdiff.inverse_folding.rigid_groups import chis_exist, measure_chis
from structdiff.structure.tables import ChainKind, Structure


def _side_chains(structure: Structure) -> tuple[TurningSideChains, torch.Tensor, np.ndarray]:
    """What turns, the torsions as they are, and the rows of its residues."""
    backbone = protein_backbone(structure)
    letters = torch.from_numpy(backbone.letters)
    n, ca, c, o = torch.from_numpy(backbone.positions).unbind(1)
    side_chains = TurningSideChains(
        frames=backbone_frames(n, ca, c), letters=letters, psi=torsion(n, ca, c, o)[:, None]
    )
    own = torch.from_numpy(np.nan_to_num(slot_positions(structure, backbone)))
    return side_chains, measure_chis(letters, own), backbone.rows


def _flat(count: int) -> TorsionDistribution:
    """All torsions are as likely as each other."""
    zeros = torch.zeros(count, 4, 3)
    return TorsionDistribution(means=zeros, concentrations=zeros + 1e-3, logits=zeros)


def test_shaken_side_chains_clash_no_more(cro: Structure) -> None:
    side_chains, chis, rows = _side_chains(cro)
    noise = torch.randn(chis.shape, generator=torch.Generator().manual_seed(0))
    shaken = chis + chis_exist(side_chains.letters) * 0.3 * noise
    every = np.ones(len(rows), bool)
    started = _built(cro, protein_backbone(cro), every, side_chains.place(shaken))
    found = relieved(shaken, side_chains, every, _flat(len(rows)), started, rows)
    ended = _built(cro, protein_backbone(cro), every, side_chains.place(found))
    assert clashes(started).per_100_residues > 10
    assert clashes(ended).per_100_residues < 2  # 1.6 in the crystal
    exist = chis_exist(side_chains.letters)
    assert float((found - shaken).abs()[exist].median()) < 0.1  # the nearest free places


def test_packing_ends_with_it(cro: Structure) -> None:
    drawn, turned = (pack_side_chains(cro, relieve_clashes=each) for each in (False, True))
    assert clashes(turned).per_100_residues < 0.5 * clashes(drawn).per_100_residues


def test_a_side_chain_leaves_the_one_that_stays(cro: Structure) -> None:
    """A phenylalanine turned into its neighbours comes out again; nothing else moves."""
    side_chains, chis, rows = _side_chains(cro)
    letters = [str(cro.residues.name[row]) for row in rows.tolist()]
    place, backbone = letters.index("PHE"), protein_backbone(cro)
    turned = np.arange(len(rows)) == place
    worst = []
    for angle in np.arange(0, 2 * np.pi, 0.5):
        chis[place, 0] = angle
        worst.append(len(clashes(_built(cro, backbone, turned, side_chains.place(chis))).pairs))
    chis[place, 0] = 0.5 * int(np.argmax(worst))
    started = _built(cro, backbone, turned, side_chains.place(chis))
    found = relieved(chis, side_chains, turned, _flat(len(rows)), started, rows)
    moved = (found != chis).any(1).numpy()
    assert moved.tolist() == turned.tolist()
    ended = _built(cro, backbone, turned, side_chains.place(found))
    assert len(clashes(ended).pairs) < len(clashes(started).pairs)


def test_the_reach_is_that_of_the_longest(cro: Structure) -> None:
    side_chains, _, _ = _side_chains(cro)
    reach = side_chains.reach()
    for seed in range(3):
        chis = torch.rand(len(reach), 4, generator=torch.Generator().manual_seed(seed)) * 2 * torch.pi
        atoms = side_chains.place(chis)
        far = (atoms - atoms[:, 4:5]).norm(dim=-1)[:, 5:] * (atoms[:, 5:] != 0).any(-1)
        assert (far.amax(1) <= reach + 0.1).all()  # the two ends of GLN differ
    names = [str(cro.residues.name[row]) for row in protein_backbone(cro).rows.tolist()]
    assert float(reach[names.index("GLY")]) == 0
    assert 5.5 < float(reach[names.index("ARG")]) < 7.5


def test_a_ligand_is_stepped_around_only_where_it_is_seen(cro: Structure) -> None:
    """An atom put onto a side chain that nothing else holds."""
    seen = pack_side_chains(cro, only=rows_in(cro, "A20-30"))
    side_chains, chis, rows = _side_chains(seen)
    names = [str(cro.residues.name[row]) for row in rows.tolist()]
    place = next(place for place, name in enumerate(names) if name == "LYS")
    tip = int(np.flatnonzero((seen.atoms.residue == rows[place]) & (seen.atoms.name == "CE"))[0])
    other = int(np.flatnonzero((seen.atoms.residue == rows[0]) & (seen.atoms.name == "CA"))[0])
    positions = seen.atoms.positions.copy()
    positions[other] = positions[tip] + np.array([1.5, 0.0, 0.0], positions.dtype)
    blocked = dataclasses.replace(seen, atoms=dataclasses.replace(seen.atoms, positions=positions))
    turned = np.arange(len(rows)) == place
    found = relieved(chis, side_chains, turned, _flat(len(rows)), blocked, rows)
    apart = torch.from_numpy(positions[other]) - side_chains.place(found)[place, 5:9]
    assert float(apart.norm(dim=-1).min()) > 2.5
    # Were nothing of it a protein, there would be nothing to step around without ligands.
    chains = dataclasses.replace(blocked.chains, kind=np.full_like(blocked.chains.kind, ChainKind.LIGAND))
    foreign = dataclasses.replace(blocked, chains=chains)
    assert (relieved(chis, side_chains, turned, _flat(len(rows)), foreign, rows, ligands=False) == chis).all()
    assert (relieved(chis, side_chains, turned, _flat(len(rows)), foreign, rows) == found).all()


def test_threads_do_not_change_what_comes_out(cro: Structure) -> None:
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(pack_side_chains(cro, only=rows_in(cro, "A10-30")).atoms.positions)
    finally:
        torch.set_num_threads(before)
    assert (found[0] == found[1]).all()
