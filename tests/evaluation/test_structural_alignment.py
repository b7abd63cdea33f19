"""TM-scores without a given pairing: against TM-align, and what must hold for any chains."""

import numpy as np
import pytest

from structdiff.errors import InputError
from structdiff.evaluation.backbone import CA, Backbone
from structdiff.evaluation.structural_alignment import align_chains, align_pairs
from structdiff.structure.files import read_structure


@pytest.fixture(scope="module")
def traces(ubiquitin, crambin, protein_g, coiled_coil):
    found = []
    others = [read_structure(f"tests/data/{name}") for name in ("1orc.pdb.gz", "1dix.cif.gz", "1gya_1_model.cif.gz")]
    for structure in (ubiquitin, crambin, protein_g, coiled_coil, *others):
        backbone = Backbone.from_structure(structure)
        backbone = backbone.select(backbone.complete)
        found.append(backbone.positions[backbone.chain == backbone.chain[0], CA])
    return found


def test_as_good_as_tm_align(traces):
    tmtools = pytest.importorskip("tmtools")
    pairs = np.array([(i, j) for i in range(len(traces)) for j in range(i)])
    own = align_pairs(traces, pairs)
    for (i, j), first, second in zip(pairs, own.by_first, own.by_second, strict=True):
        other = tmtools.tm_align(traces[i], traces[j], "A" * len(traces[i]), "A" * len(traces[j]))
        # Where chains are alike the answer is the same; the best of bad alignments may be missed.
        for one, two in ((first, other.tm_norm_chain1), (second, other.tm_norm_chain2)):
            assert one > two - (0.05 if two > 0.6 else 0.25)
    middle = np.array([tmtools.tm_align(traces[i], traces[j], "A" * len(traces[i]), "A" * len(traces[j])).tm_norm_chain1
                       for i, j in pairs])  # fmt: skip
    assert abs(np.mean(own.by_first - middle)) < 0.02


def test_a_part_is_found_in_the_whole_wherever_it_lies(traces, generator):
    whole = traces[5]
    rotation, _ = np.linalg.qr(generator.normal(size=(3, 3)))
    rotation *= np.sign(np.linalg.det(rotation))
    part = whole[30:75] @ rotation + 40
    found = align_chains(part, whole)
    assert found.by_first[0] == pytest.approx(1.0, abs=1e-3)
    assert found.aligned[0] == 45
    assert found.by_second[0] < 0.6
    assert found.by_longer[0] == found.by_second[0]


def test_a_mirror_image_is_not_the_same(traces):
    assert align_chains(traces[0], traces[0] * [1, 1, -1]).by_first[0] < 0.6


def test_batch_mates_and_a_floor_change_nothing_above_it(traces):
    chains = [*traces, traces[0] + np.random.default_rng(0).normal(0, 0.8, traces[0].shape)]
    pairs = np.array([(i, j) for i in range(len(chains)) for j in range(i)])
    together = align_pairs(chains, pairs).by_longer
    floored = align_pairs(chains, pairs, floor=0.6).by_longer
    alone = np.array([align_pairs(chains, pair[None]).by_longer[0] for pair in pairs[-4:]])
    np.testing.assert_allclose(together[-4:], alone, atol=1e-4)
    high = together >= 0.6
    assert high.any()
    np.testing.assert_array_equal(floored[high], together[high])
    assert (floored <= together + 1e-6).all()


def test_a_chain_that_is_too_short_is_refused(traces):
    with pytest.raises(InputError, match="too short"):
        align_chains(traces[0][:4], traces[0])
