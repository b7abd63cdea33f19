"""The catalogue explains every column, once."""

import dataclasses

import pytest

from structdiff.campaign.columns import EVERY
from structdiff.errors import InputError
from structdiff.evaluation.catalogue import CATALOGUE, metric, shown
from structdiff.evaluation.measures import measured
from structdiff.evaluation.subject import Given, Subject
from structdiff.evaluation.validity import Validity


def test_every_entry_is_complete():
    labels = set()
    for name, entry in CATALOGUE.items():
        assert entry.name == name
        assert entry.label
        assert entry.formula
        assert entry.group
        assert entry.unit in ("", "%", "Å", "Å²", "°", "s", "kcal/mol") or entry.unit.isalpha()
        if entry.natural is not None:
            assert entry.natural[0] <= entry.natural[1]
            assert entry.unit != "%" or entry.natural[1] <= 1
        labels.add((entry.group, entry.label))
    assert len(labels) == len(CATALOGUE)


def test_every_value_of_a_structure_is_in_it(coiled_coil, tmp_path):
    subject = Subject(name="x", path=tmp_path, structure=coiled_coil, given=Given(hotspots=[("A", 16, "")]))
    values = measured(subject)
    assert set(values) <= set(CATALOGUE)
    assert {"rama_favoured", "interface_area", "hotspots_touched", "knotted"} <= set(values)
    fields = {field.name for field in dataclasses.fields(Validity)}
    assert fields - set(CATALOGUE) == {"name", "chains", "gaps"}


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(InputError, match="did you mean 'rama_favoured'"):
        metric("rama_favored")


def test_every_column_of_the_table_of_designs_is_explained():
    for name in ("name", "rank", "accepted", "rejected_by", "verdict: hotspot A5", "verdict: fold plan: blocks 1-2"):
        assert metric(name).formula
    assert set(EVERY) <= set(CATALOGUE)


def test_shares_are_shown_in_per_cent():
    assert shown("rama_favoured", 0.5) == "50"
    assert shown("rg", 12.3456) == "12.3"
