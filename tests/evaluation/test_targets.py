"""The lines of targets: what is reached, what is wanted, for which structures."""

import numpy as np
import pytest

from structdiff.evaluation.natural import bundled_chains
from structdiff.evaluation.summary import exactly
from structdiff.evaluation.targets import length_groups, targets_of


def rows_of(count, **changed):
    low, high, _ = bundled_chains().quartiles("rg", 100)
    row = {
        "residues": 100.0,
        "rama_favoured": 0.97,
        "share_l": 1.0,
        "chain_breaks": 0.0,
        "sheet": 1.0,
        "rg": (low + high) / 2,
    }
    return [{**row, **changed} for _ in range(count)]


def lines(rows, **of_set):
    found = targets_of("100 residues", rows, bundled_chains(), {name: exactly(value) for name, value in of_set.items()})
    return {target.text: target for target in found}


def test_what_is_met_and_what_is_missed():
    found = lines([*rows_of(15), *rows_of(5, rama_favoured=0.5, sheet=0.0, rg=40.0)])
    favoured = found["Ramachandran favoured"]
    assert favoured.value.mean == pytest.approx(0.75 * 0.97 + 0.25 * 0.5)
    assert favoured.value.low < favoured.value.mean < favoured.value.high
    assert favoured.met is False
    assert favoured.wanted == "at least 95 %"
    assert found["with a beta sheet"].met
    inside = found["radius of gyration within natural quartiles"]
    assert inside.value.mean == 0.75
    assert inside.met
    assert found["bond lengths over 4 sigma"].met is None
    assert found["bond lengths over 4 sigma"].reached == "-"


def test_d_residues_and_breaks_are_counted_over_all():
    found = lines([*rows_of(9), *rows_of(1, share_l=0.98, chain_breaks=3.0)])
    assert found["D residues, in all"].reached == "2"
    assert found["D residues, in all"].met is False
    assert found["chain breaks, in all"].value.mean == 3


def test_figures_of_the_set_have_lines_where_they_are_known():
    assert "clusters at TM 0.6 a structure" not in lines(rows_of(3))
    found = lines(rows_of(3, nearest_tm=0.4), clusters_per_structure=0.4, frechet_ratio_shape=2.0)
    assert found["clusters at TM 0.6 a structure"].met is False
    assert found["Fréchet distance over natural halves', fold shape"].met
    stated = found["TM to the nearest natural chain"]
    assert (stated.met, stated.wanted) == (None, "stated")
    assert stated.value.mean == pytest.approx(0.4)


def test_lengths_of_ten_structures_are_groups():
    groups = length_groups([64] * 12 + [100] * 10 + [70] * 3)
    assert list(groups) == ["64 residues", "100 residues"]
    np.testing.assert_array_equal(groups["100 residues"], np.arange(12, 22))
    assert list(length_groups([50, 51, 52])) == ["all"]


def test_sequences_are_a_target_where_they_were_judged():
    assert not any("trRosetta" in text or "own sequence" in text for text in lines(rows_of(10)))
    good = {"own_sequence_nll_excess": -0.1, "judge_log_likelihood": -2.8, "judge_contact_precision": 0.6}
    poor = {"own_sequence_nll_excess": 0.1, "judge_log_likelihood": -2.8, "judge_contact_precision": 0.4}
    found = lines([*rows_of(6, **good), *rows_of(14, **poor)])
    for text in ("own sequence as likely as the natural median", "expected by trRosetta (-3.0, half of the contacts)"):
        assert found[text].value.mean == pytest.approx(0.3)
        assert found[text].met is False


def test_what_a_motif_settles_is_not_asked_of_designs_around_it():
    """Nor are the motif's own torsions and clashes theirs; what partial diffusion changes is new throughout."""
    of_set = {"clusters_per_structure": exactly(0.1), "frechet_ratio_shape": exactly(9.0)}

    def around(rows):
        found = targets_of("all", rows, bundled_chains(), of_set, from_nothing=False)
        return {target.text: target.value.mean for target in found}

    found = around(rows_of(3, new_rama_favoured=0.99, new_clashes_per_100=0.5, backbone_clashes_per_100=3.0))
    assert found["Ramachandran favoured, new residues"] == pytest.approx(0.99)
    assert found["clashes per 100 new residues, backbone"] == 0.5
    others = {"Ramachandran favoured", "clashes per 100 residues, backbone", "with a beta sheet"}
    assert not others & found.keys()
    assert not any("quartiles" in text or "clusters" in text or "Fréchet" in text for text in found)
    assert around(rows_of(3))["Ramachandran favoured"] == pytest.approx(0.97)
