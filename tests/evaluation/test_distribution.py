"""Two sets beside each other: known distances, and natural chains against what is not natural."""

import numpy as np
import pytest

from structdiff.errors import InputError
from structdiff.evaluation.backbone import Backbone
from structdiff.evaluation.distribution import frechet_distance, likeness, support
from structdiff.evaluation.fold_embedding import fold_embedding, fold_features
from structdiff.evaluation.natural import DESCRIPTORS, bundled_chains, natural_chains
from structdiff.structure.files import read_structure

FILES = ("1dix.cif.gz", "1o1z.cif.gz", "1gya_1_model.cif.gz", "1orc.pdb.gz", "4i39.cif.gz", "5ugo.pdb.gz")


@pytest.fixture(scope="module")
def windows():
    """Stretches of fifty residues of real chains."""
    found = []
    for name in FILES:
        backbone = Backbone.from_structure(read_structure(f"tests/data/{name}"))
        backbone = backbone.select(backbone.complete)
        for first in range(0, len(backbone) - 50, 6):
            inside = np.zeros(len(backbone), bool)
            inside[first : first + 50] = True
            part = backbone.select(inside)
            if part.follows[1:].all():
                found.append(part)
    return found


def test_distance_of_two_normal_distributions(generator):
    one = generator.normal(0, 1, (40000, 2))
    two = generator.normal(0, 1, (40000, 2)) * [2, 1] + [3, 0]
    assert frechet_distance(one, two) == pytest.approx(9 + (2 - 1) ** 2, rel=0.02)
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-8)


def test_support_tells_what_is_missing_from_what_is_wrong(generator):
    natural = generator.normal(size=(300, 3))
    same, narrow, far = generator.normal(size=(300, 3)), 0.2 * generator.normal(size=(300, 3)), natural + 50
    equal, collapsed, wrong = (support(points, natural) for points in (same, narrow, far))
    assert min(equal.precision, equal.recall, equal.coverage) > 0.9
    assert equal.density == pytest.approx(1, abs=0.15)
    assert collapsed.precision > 0.95
    assert collapsed.recall < 0.5
    assert collapsed.coverage < 0.5
    assert (wrong.precision, wrong.recall, wrong.density, wrong.coverage) == (0, 0, 0, 0)


def moved(backbone, change):
    return Backbone.from_arrays(change(backbone.positions), restype=backbone.restype)


def test_mirrored_shuffled_and_noised_chains_are_far_from_natural_ones(windows, generator):
    rest, points = windows[1::2], windows[::2][:60]
    natural = fold_embedding([*rest, *windows[::2][60:]])
    lengths = np.full(len(points), 50)

    def shuffled(positions):
        blocks = np.array_split(positions, 7)
        return np.concatenate([blocks[k] for k in generator.permutation(7)])

    changes = {
        "natural": lambda p: p, "mirrored": lambda p: p * [1, 1, -1], "shuffled": shuffled,
        "noised": lambda p: p + generator.normal(0, 1.0, p.shape),
    }  # fmt: skip
    ratio = {}
    for name, change in changes.items():
        own = fold_embedding([moved(backbone, change) for backbone in points])
        found = likeness(own, lengths, natural, np.full(len(natural), 50))
        assert found is not None
        ratio[name] = found.frechet_ratio.mean
    assert ratio["natural"] < 2
    assert all(ratio[name] > 2.5 * ratio["natural"] for name in ("mirrored", "shuffled", "noised"))


def test_features_do_not_change_with_the_frame_and_are_shares(windows, generator):
    rotation, _ = np.linalg.qr(generator.normal(size=(3, 3)))
    rotation *= np.sign(np.linalg.det(rotation))
    one = fold_features(windows[0])
    other = fold_features(moved(windows[0], lambda p: p @ rotation + 5))
    np.testing.assert_allclose(one, other, atol=1e-6)
    np.testing.assert_allclose(np.square(one[:72]).sum(), 1)


def test_too_few_points_or_natural_chains_give_nothing(generator):
    points = generator.normal(size=(9, 3))
    assert likeness(points, np.full(9, 50), generator.normal(size=(500, 3)), np.full(500, 50)) is None
    points = generator.normal(size=(50, 3))
    assert likeness(points, np.full(50, 500), generator.normal(size=(500, 3)), np.full(500, 50)) is None


def test_bundled_chains_are_sound_and_their_quartiles_hold_half():
    natural = bundled_chains()
    assert len(natural) > 1000
    assert np.isfinite(natural.folds).all()
    assert np.isfinite(natural.descriptors).all()
    low, high, count = natural.quartiles("rg", 100)
    near = natural.descriptors[np.abs(natural.lengths - 100) <= 12, DESCRIPTORS.index("rg")]
    assert count == len(near)
    assert np.mean((near >= low) & (near <= high)) == pytest.approx(0.5, abs=0.02)
    assert np.isnan(natural.quartiles("rg", 2000)[0])


def test_natural_chains_leave_out_kin_gaps_and_stretched_ones(windows):
    named = [(f"w{number}", window) for number, window in enumerate(windows[::9])]
    stretched = moved(windows[0], lambda p: p * 3)
    gap = windows[0].select(np.arange(50) != 20)
    chains, features = natural_chains([*named, named[0], ("long", stretched), ("gap", gap)], at_least=5)
    assert 5 <= len(chains) == len(features) < len(named)
    with pytest.raises(InputError, match="too few natural chains"):
        natural_chains(named)
    assert len(set(chains.names)) == len(chains.names)
    assert not {"long", "gap"} & set(chains.names)


def test_a_chain_whose_atoms_lie_on_one_another_still_has_a_place(windows):
    assert np.isfinite(fold_features(moved(windows[0], lambda p: p * 0))).all()
