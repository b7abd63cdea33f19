"""Ideal pieces are what DSSP calls helix and strand, and noisy chains are laid out as them."""

import numpy as np
import pytest
import torch

from structdiff.constraints.hydrogen_bonds import bonds_of_fold
from structdiff.constraints.ideal_fragments import IdealFragments, fragment_pieces, ladders
from structdiff.constraints.ideal_pieces import ideal_helix, ideal_pair, ideal_strand, pair_bonds
from structdiff.constraints.surroundings import carried_along
from structdiff.evaluation.backbone import Backbone
from structdiff.evaluation.internal_coordinates import dihedral
from structdiff.evaluation.secondary_structure import secondary_structure
from structdiff.spec.fold import blocks_of, strand_pairs

LETTERS = "LL" + "H" * 12 + "LLLL" + "E" * 6 + "LLL" + "E" * 6 + "LL"


def dssp(positions, chain=None):
    return "".join(secondary_structure(Backbone.from_arrays(positions, chain)))


def test_pieces_have_the_torsions_and_bonds_of_their_kind():
    helix = Backbone.from_arrays(ideal_helix(12))
    assert dssp(ideal_helix(12)) == "L" + "H" * 10 + "L"
    np.testing.assert_allclose(np.degrees(helix.torsions[5]), [-63, -42.5, 180], atol=1e-6)
    np.testing.assert_allclose(helix.peptide_bond[1:], 1.329, atol=1e-6)
    rise = np.linalg.norm(ideal_strand(9)[2:, 1] - ideal_strand(9)[:-2, 1], axis=-1)
    assert ((rise > 6.3) & (rise < 7.2)).all()


@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize("length", [4, 7])
def test_pairs_of_strands_are_sheets(parallel, length):
    pair = ideal_pair(length, parallel).copy()
    if not parallel:
        pair[1] = pair[1][::-1]
    made = dssp(pair.reshape(-1, 4, 3), np.repeat([0, 1], length))
    assert made == 2 * ("L" + "E" * (length - 2) + "L")


@pytest.mark.parametrize("parallel", [False, True])
def test_pairs_twist_as_natural_ones_do_with_all_bonds_of_the_right_length(parallel):
    pair = ideal_pair(7, parallel)
    one, other = pair[:, :, 1]
    places = np.arange(2, 5)
    along, beside = one[places + 2] - one[places - 2], other[places + 2] - other[places - 2]
    twists = np.degrees(dihedral(one[places] + along, one[places], other[places], other[places] + beside))
    assert -25 < np.mean(twists) < -16  # natural pairs: -22 (antiparallel) and -21 in the mean, quartiles -29 and -15
    bonds = [np.linalg.norm(pair[n, i, 0] - pair[o, j, 3]) for (n, i), (o, j) in pair_bonds(7, parallel=parallel)]
    np.testing.assert_allclose(bonds, 2.85, atol=0.16)


def test_a_strand_of_a_pair_is_laid_out_with_it_alone():
    blocks = blocks_of("LEEEEEELLEEEEEEL")
    count = 16
    rows, chain = np.arange(4 * count).reshape(count, 4), np.zeros(count, int)
    alone = fragment_pieces(blocks, (), rows, chain)
    together = fragment_pieces(blocks, strand_pairs(blocks), rows, chain)
    assert {len(atoms) for atoms, _ in alone} == {20}
    assert {len(atoms) for atoms, _ in together} == {32}


def test_a_middle_strand_is_bonded_to_either_side_by_turns():
    blocks = blocks_of("LEEEEELLEEEEELLEEEEEL")
    facing = [pairs for pairs, _ in ladders(strand_pairs(blocks), np.zeros(21, int))]
    middle = [{pair[side] for pair in pairs[::2]} for pairs, side in zip(facing, (0, 1), strict=True)]
    assert all(middle)
    assert not middle[0] & middle[1]


def test_a_shaken_chain_is_laid_out():
    count = len(LETTERS)
    blocks = blocks_of(LETTERS)
    rows = np.arange(4 * count).reshape(count, 4)
    pieces = fragment_pieces(blocks, strand_pairs(blocks), rows, np.zeros(count, int))
    fragments = IdealFragments(pieces, torch.arange(count).repeat_interleave(4))
    # A helix, a strand and a hairpin, roughly: pieces set side by side and shaken.
    pair = ideal_pair(6, False)
    start = np.zeros((count, 4, 3))
    start[:16] = ideal_helix(16)
    start[16:18] = ideal_strand(2) + [20, 0, 0]
    start[18:24], start[27:33] = pair[1][::-1] + [25, 0, 0], pair[0] + [25, 0, 0]
    start[24:27], start[33:] = ideal_strand(3) + [40, 5, 0], ideal_strand(2) + [50, 0, 5]
    start = start + np.random.default_rng(0).normal(0, 0.7, start.shape)
    positions = torch.from_numpy(start.reshape(1, -1, 3))
    for _ in range(5):
        positions = fragments.project(positions, 1.0)
    backbone = Backbone.from_arrays(positions[0].reshape(count, 4, 3).numpy())
    torsions = np.degrees(backbone.torsions)
    assert np.abs(torsions[3:13, :2] - [-63, -42.5]).max() < 15
    bonded = bonds_of_fold(blocks, strand_pairs(blocks), np.zeros(count, int))
    p = backbone.positions
    length = np.array([np.linalg.norm(p[n, 0] - p[o, 3]) for n, o in bonded])
    shaken = np.array([np.linalg.norm(start[n, 0] - start[o, 3]) for n, o in bonded])
    assert len(bonded) > 12
    assert np.abs(length - 2.9).mean() < 0.3 < np.abs(shaken - 2.9).mean()


def test_a_helix_in_loops_has_caps_and_ends_where_its_letters_do():
    letters = "LLL" + "H" * 12 + "LLL"
    count, rows = len(letters), np.arange(4 * len(letters)).reshape(-1, 4)
    helix = torch.from_numpy(ideal_helix(count).reshape(1, -1, 3))
    loop = np.array([letter == "L" for letter in letters])

    def laid(loop):
        pieces = fragment_pieces(blocks_of(letters), [], rows, np.zeros(count, int), loop)
        fragments = IdealFragments(pieces, torch.arange(count).repeat_interleave(4))
        return Backbone.from_arrays(fragments.project(helix, 1.0)[0].reshape(count, 4, 3).numpy())

    capped = np.degrees(laid(loop).torsions)
    assert abs(capped[2, 1] - 167) < 10
    assert abs(capped[15, 0] - 60) < 10
    assert "".join(secondary_structure(laid(loop))) == letters
    assert "".join(secondary_structure(laid(None))).count("H") > 12


def test_fragments_follow_rotation_and_never_mirror():
    rows = np.arange(40).reshape(10, 4)
    fragments = IdealFragments(fragment_pieces(blocks_of("H" * 10), [], rows, np.zeros(10, int)),
                               torch.arange(10).repeat_interleave(4))  # fmt: skip
    shaken = torch.from_numpy(ideal_helix(10).reshape(1, -1, 3) + np.random.default_rng(1).normal(0, 0.5, (1, 40, 3)))
    turn = torch.linalg.qr(torch.from_numpy(np.random.default_rng(2).normal(size=(3, 3))))[0]
    turn = turn * torch.linalg.det(turn)
    one, other = fragments.project(shaken, 1.0) @ turn.T, fragments.project(shaken @ turn.T, 1.0)
    torch.testing.assert_close(one, other, atol=1e-8, rtol=0)
    mirrored = fragments.project(shaken * torch.tensor([1.0, 1.0, -1.0]), 1.0)
    phi = Backbone.from_arrays(mirrored[0].reshape(10, 4, 3).numpy()).torsions[5, 0]
    assert phi < 0


def test_surroundings_go_along_less_and_less():
    centre = torch.tensor([[[0.0, 0, 0], [3.0, 0, 0], [30.0, 0, 0]]])
    shift = torch.tensor([[[1.0, 0, 0], [0.0, 0, 0], [0.0, 0, 0]]])
    along = carried_along(centre, shift, torch.tensor([[True, False, False]]))[0, :, 0]
    assert along[0] > along[1] > 0.3 > along[2] >= 0
