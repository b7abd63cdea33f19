"""Clusters and nearest references of sets whose answer is known."""

import numpy as np
import pytest

from structdiff.evaluation.backbone import CA, Backbone
from structdiff.evaluation.diversity import diversity, nearest_references
from structdiff.evaluation.fold_embedding import fold_embedding
from structdiff.evaluation.novelty import pieces, references_of_chains
from structdiff.structure.files import read_structure


@pytest.fixture(scope="module")
def chains(ubiquitin, crambin, protein_g):
    long = Backbone.from_structure(read_structure("tests/data/1o1z.cif.gz"))
    long = long.select(long.complete & (long.chain == long.chain[0]))
    whole = [Backbone.from_structure(each) for each in (ubiquitin, crambin, protein_g)]
    return [*(each.select(each.complete) for each in whole), long]


def test_noisy_copies_are_one_cluster_and_other_folds_are_others(chains, generator):
    traces = [chain.positions[:, CA] for chain in chains[:3]]
    set_of_six = [trace + generator.normal(0, 0.5, trace.shape) for trace in (*traces, traces[0], traces[0], traces[2])]
    found = diversity(set_of_six)
    assert found.cluster.tolist() == [1, 3, 2, 1, 1, 2]
    assert found.clusters_among(np.array([0, 3])) == 1
    assert found.clusters_among(np.arange(6)) == 3
    assert found.nearest[0] > 0.8 > 0.6 > found.nearest[1]
    assert 0.2 < found.mean_tm.mean < 0.8


def test_one_structure_and_short_ones_are_no_failure(chains):
    alone = diversity([chains[0].positions[:, CA]])
    assert alone.cluster.tolist() == [1]
    assert alone.mean_tm.count == 0
    assert diversity([chains[0].positions[:3, CA], chains[1].positions[:, CA]]).cluster.tolist() == [0, 1]


def test_the_nearest_reference_is_found_even_inside_a_long_chain(chains, generator):
    references = references_of_chains([("ubi", chains[0]), ("crn", chains[1]), ("long", chains[3])], 78)
    assert [len(piece) for piece in pieces(chains[3], 78)][:2] == [78, 78]
    part = chains[3].select((np.arange(len(chains[3])) >= 61) & (np.arange(len(chains[3])) < 139))
    queries = [chains[0], part]
    traces = [query.positions[:, CA] + generator.normal(0, 0.3, (len(query), 3)) for query in queries]
    scores, names = nearest_references(traces, fold_embedding(queries), references, candidates=3)
    assert names == ["ubi", "long"]
    assert scores[0] > 0.9
    assert scores[1] > 0.7


def test_without_references_nothing_is_near(chains):
    nothing = references_of_chains([], 70)
    scores, names = nearest_references([chains[0].positions[:, CA]], fold_embedding([chains[0]]), nothing)
    assert np.isnan(scores).all()
    assert names == [""]
