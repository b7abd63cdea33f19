"""Scores beside cases that can be worked out by hand: certain logits, perfect structures, two chains seen one way."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from structdiff.confidence import Confidence, compute_confidence, ranking_score, tm_scale
from structdiff.confidence.clash import has_clash, structure_has_clash
from structdiff.confidence.scores import LARGEST_ERROR, expected_error, plddt_from_logits
from structdiff.errors import InputError
from structdiff.features.build import build_features
from structdiff.features.token_frames import valid_frames
from structdiff.model import heads
from structdiff.structure.files import read_structure

DATA = Path(__file__).parents[1] / "data"
BIN = LARGEST_ERROR / 64


def certain(bins: torch.Tensor, count: int) -> torch.Tensor:
    """Logits of a network that is sure of these bins."""
    return 100.0 * torch.nn.functional.one_hot(bins.long(), count).float()


def score(pae_bin: np.ndarray, asym_id: list[int], *, frames=None, mask=None, **more) -> Confidence:
    count = len(asym_id)
    bins = torch.from_numpy(np.asarray(pae_bin))
    logits = heads.ConfidenceLogits(
        plddt=certain(torch.full((count,), 49), 50), pae=certain(bins, 64), pde=certain(bins, 64)
    )
    everything = np.ones(count, bool)
    return compute_confidence(
        logits,
        asym_id=np.array(asym_id),
        mask=everything if mask is None else mask,
        frames=everything if frames is None else frames,
        **more,
    )


def term(error: float, tokens: int) -> float:
    return 1 / (1 + (error / tm_scale(tokens)) ** 2)


def test_the_bins_are_those_of_the_head():
    assert heads.LARGEST_ERROR == LARGEST_ERROR
    middle = plddt_from_logits(certain(torch.tensor([0, 25, 49]), heads.NUM_PLDDT_BINS))
    np.testing.assert_allclose(middle, [1.0, 51.0, 99.0], rtol=1e-6)
    errors = expected_error(certain(torch.tensor([[0, 63], [1, 2]]), heads.NUM_ERROR_BINS))
    np.testing.assert_allclose(errors, [[0.25, 31.75], [0.75, 1.25]], rtol=1e-6)


def test_expectations_weigh_the_bins():
    logits = torch.full((1, 50), -torch.inf)
    logits[0, 10], logits[0, 40] = np.log(3.0), np.log(1.0)
    np.testing.assert_allclose(plddt_from_logits(logits), [(3 * 21 + 81) / 4], rtol=1e-6)


def test_a_perfect_complex_has_ptm_and_iptm_of_one():
    found = score(np.zeros((120, 120), int), [0] * 60 + [1] * 60)
    # The smallest bin is about an error of 0.25 Å, which costs next to nothing.
    assert found.ptm == pytest.approx(term(0.25, 120), abs=1e-5)
    assert found.ptm > 0.99
    assert found.iptm == pytest.approx(found.ptm, abs=1e-5)
    np.testing.assert_allclose(found.chain_ptm, term(0.25, 60), rtol=1e-5)
    np.testing.assert_allclose(found.chain_iptm, term(0.25, 120), rtol=1e-5)
    assert found.mean_plddt == pytest.approx(99.0)
    assert found.ranking_score == pytest.approx(0.8 * found.iptm + 0.2 * found.ptm, abs=1e-6)


def test_ptm_takes_the_best_frame_and_means_over_tokens():
    bins = np.full((40, 40), 40)
    bins[7, :20] = 4
    found = score(bins, [0] * 40)
    assert found.ptm == pytest.approx((term(4.5 * BIN, 40) + term(40.5 * BIN, 40)) / 2, rel=1e-5)
    assert np.isnan(found.iptm)
    assert found.ranking_score == pytest.approx(found.ptm, abs=1e-6)


def test_rows_of_the_chain_matrices_are_aligned_and_columns_judged():
    # Chain 0 (20 tokens) sees chain 1 (30 tokens) well; seen from chain 1, chain 0 is anywhere.
    asym = np.array([0] * 20 + [1] * 30)
    bins = np.where(asym[:, None] == asym, 2, 60)
    bins[:20, 20:] = 6
    found = score(bins, asym.tolist())
    assert found.chain_pair_iptm[0, 1] == pytest.approx(term(6.5 * BIN, 50), rel=1e-5)
    assert found.chain_pair_iptm[1, 0] == pytest.approx(term(60.5 * BIN, 50), rel=1e-5)
    assert found.chain_pair_iptm[0, 0] == pytest.approx(term(2.5 * BIN, 20), rel=1e-5)
    np.testing.assert_allclose(found.chain_pair_pae_min, np.array([[2.5, 6.5], [60.5, 2.5]]) * BIN)
    assert found.iptm == pytest.approx(term(6.5 * BIN, 50), rel=1e-5)
    np.testing.assert_allclose(found.chain_iptm, term(6.5 * BIN, 50), rtol=1e-5)


def ipsae_by_hand(pae: np.ndarray, chain: list[str], nucleic: str = "", skipped: tuple[int, ...] = ()) -> np.ndarray:
    """ipSAE of ordered pairs of chains, residue by residue, as Dunbrack 2025 puts it into words."""
    names = sorted(set(chain))
    table = np.full((len(names), len(names)), np.nan)
    for first in names:
        for second in names:
            best = 0.0
            for i in range(len(chain)):
                if chain[i] != first or i in skipped or first == second:
                    continue
                errors = [pae[i][j] for j in range(len(chain)) if chain[j] == second and pae[i][j] < 10]
                d0 = max(
                    1.24 * (max(len(errors), 27) - 15) ** (1 / 3) - 1.8, 2.0 if {first, second} & {*nucleic} else 1
                )
                if errors:
                    best = max(best, sum(1 / (1 + (error / d0) ** 2) for error in errors) / len(errors))
            if first != second:
                table[names.index(first), names.index(second)] = best
    return table


def test_ipsae_is_that_of_its_definition():
    """Three chains, errors of every size; the last chain is a nucleic acid, and one token has no frame."""
    chain = list("A" * 40 + "B" * 70 + "C" * 35)
    generator = np.random.default_rng(4)
    bins = generator.integers(8, 64, (145, 145))
    bins[:30, 40:100] = generator.integers(0, 24, (30, 60))  # A sees most of B well; the last of it is far away
    bins[40:60, :10] = generator.integers(0, 30, (20, 10))
    bins[110:, 0:30] = generator.integers(0, 30, (35, 30))
    asym, frames = [ord(name) - 65 for name in chain], np.arange(145) != 3
    nucleic = np.array(chain) == "C"
    found = score(bins, asym, frames=frames, nucleic=nucleic)
    expected = ipsae_by_hand((bins + 0.5) * BIN, chain, nucleic="C", skipped=(3,))
    np.testing.assert_allclose(found.chain_pair_ipsae, expected, rtol=1e-5)
    pairs = np.fmax(expected, expected.T)
    np.testing.assert_allclose(found.chain_ipsae, np.nanmax(pairs, 1), rtol=1e-5)
    assert found.ipsae == pytest.approx(np.nanmax(pairs, 1).min(), rel=1e-5)
    assert not np.allclose(score(bins, asym, frames=frames).chain_pair_ipsae, found.chain_pair_ipsae, equal_nan=True)


def test_a_tail_far_from_the_interface_does_not_lower_ipsae_as_it_does_iptm():
    bins = np.full((120, 120), 50)
    bins[:60, :60] = 6
    whole, tailed = score(bins[:60, :60], [0] * 30 + [1] * 30), score(bins, [0] * 30 + [1] * 90)
    assert tailed.ipsae == pytest.approx(whole.ipsae)
    assert tailed.chain_pair_iptm[0, 1] < 0.7 * whole.chain_pair_iptm[0, 1]


def test_ipsae_is_of_residues_in_two_chains():
    """None for one chain and for ligands, 0 where nothing is sure; of two chains the better direction."""
    assert np.isnan(score(np.zeros((30, 30), int), [0] * 30).ipsae)
    asym = [0] * 30 + [1] * 30 + [2] * 3
    bins = np.full((63, 63), 40)
    residues = np.arange(63) < 60
    assert score(bins, asym, residues=residues).ipsae == 0
    bins[30:60, :30] = 3
    found = score(bins, asym, residues=residues)
    assert found.ipsae == pytest.approx(1 / (1 + (3.5 * BIN / (1.24 * 15 ** (1 / 3) - 1.8)) ** 2), rel=1e-5)
    assert np.isnan(found.chain_pair_ipsae[2]).all()
    assert np.isnan(found.chain_pair_ipsae[:, 2]).all()
    assert found.summary()["chain_ipsae"] == [round(found.ipsae, 4)] * 2 + [None]
    assert found.summary()["chain_pair_ipsae_row_aligned"][0] == [None, 0.0, None]


def test_tokens_without_a_frame_align_nothing():
    bins = np.full((30, 30), 50)
    bins[3] = 0
    frames = np.ones(30, bool)
    frames[3] = False
    assert score(bins, [0] * 30).ptm > 0.9
    assert score(bins, [0] * 30, frames=frames).ptm == pytest.approx(term(50.5 * BIN, 30), rel=1e-5)
    ion = score(bins, [0] * 29 + [1], frames=np.arange(30) < 29)
    assert np.isnan(ion.chain_pair_iptm[1]).all()
    assert np.isfinite(ion.chain_pair_iptm[0]).all()
    assert np.isfinite(ion.chain_iptm).all()
    nothing = score(bins, [0] * 30, frames=np.zeros(30, bool))
    assert np.isnan(nothing.ptm)
    assert nothing.ranking_score == pytest.approx(0.99)


def test_padding_changes_nothing():
    generator = np.random.default_rng(0)
    bins = generator.integers(0, 64, (40, 40))
    alone = score(bins[:30, :30], [0] * 15 + [1] * 15)
    padded = score(bins, [0] * 15 + [1] * 15 + [0] * 10, mask=np.arange(40) < 30)
    assert padded.summary() == alone.summary()
    assert np.isnan(padded.plddt[30:]).all()
    assert np.isnan(padded.pae[:, 30:]).all()


def test_a_clash_costs_100_and_the_order_of_chains_nothing():
    assert ranking_score(ptm=0.6, iptm=0.9, mean_plddt=50.0, has_clash=True) == pytest.approx(0.84 - 100)
    generator = np.random.default_rng(1)
    bins, asym = generator.integers(0, 64, (50, 50)), np.array([0] * 20 + [1] * 30)
    order = np.concatenate([np.arange(20, 50), np.arange(20)])
    one, other = score(bins, asym.tolist()), score(bins[order][:, order], (1 - asym[order]).tolist())
    assert one.ptm == pytest.approx(other.ptm)
    np.testing.assert_allclose(one.chain_pair_iptm, other.chain_pair_iptm[::-1, ::-1])


def test_the_summary_is_json_and_names_its_units():
    found = score(np.zeros((20, 20), int), [0] * 20, chain_names=["H"])
    read = json.loads(json.dumps(found.summary(), allow_nan=False))
    assert read["iptm"] is None
    assert read["ipsae"] is None
    assert read["chains"] == ["H"]
    assert read["mean_pae_angstrom"] == 0.25


def test_logits_of_another_length_are_an_error():
    with pytest.raises(InputError, match="do not fit the tokens"):
        score(np.zeros((20, 20), int), [0] * 20, mask=np.ones(21, bool))
    with pytest.raises(InputError, match="a name is needed for each chain"):
        score(np.zeros((20, 20), int), [0] * 20, chain_names=["A", "B"])


def test_chains_on_top_of_each_other_clash_and_natural_ones_do_not():
    chain = np.stack(np.meshgrid(np.arange(3), np.arange(4), np.arange(5), indexing="ij"), -1).reshape(-1, 3) * 3.0
    number, polymer = np.repeat([0, 1], 60), np.ones(120, bool)
    near, apart = np.concatenate([chain, chain + 0.5]), np.concatenate([chain, chain + 50])
    assert has_clash(near, number, polymer)
    assert not has_clash(apart, number, polymer)
    assert not has_clash(near, number, number == 0)  # a ligand may not be judged like this
    half = np.concatenate([chain, np.concatenate([chain[:30] + 0.5, chain[30:] + 50])])
    assert not has_clash(half, number, polymer)  # exactly half of the smaller chain is still allowed
    assert not structure_has_clash(read_structure(DATA / "5ugo.pdb.gz"))


def test_frames_need_three_atoms_off_a_line():
    features = build_features(read_structure(DATA / "5ugo.pdb.gz"), only_resolved=True)
    shape = (features.num_tokens, features.num_slots)
    positions, mask = features.atom.positions.unflatten(0, shape), features.atom.mask.unflatten(0, shape)
    found = valid_frames(positions, features.token.frame, mask)
    assert torch.equal(found, features.token.standard & features.token.mask)
    token = int(torch.nonzero(found)[0])
    first, middle, last = features.token.frame[token].tolist()
    straight = positions.clone()
    straight[token, last] = 2 * straight[token, middle] - straight[token, first]
    assert not valid_frames(straight, features.token.frame, mask)[token]
