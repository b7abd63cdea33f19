"""Comparisons of ways to train: what a variant changes, going on after a stop, and when a difference counts."""

import importlib
import sys
from pathlib import Path

import pytest
import torch

from structdiff.configuration import to_dict
from structdiff.evaluation.summary import summarise
from structdiff.training.converter import convert_structures
from structdiff.training.run import read_train_config
from tests.training.test_training import COLLECTION

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
_MODULES = ("ablation_variants", "ablation_judge", "ablate_training", "train_gpu", "step_profile")


@pytest.fixture(scope="module")
def scripts():
    sys.path.insert(0, str(BENCHMARKS))
    yield {name: importlib.import_module(name) for name in _MODULES}
    sys.path.remove(str(BENCHMARKS))


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("set") / "set"
    convert_structures(COLLECTION, out, progress=False)
    return out


def changed(one: dict, other: dict, path: str = "") -> set[str]:
    """Keys whose values differ."""
    found = set()
    for key in one:
        if isinstance(one[key], dict) and key != "weights":
            found |= changed(one[key], other[key], f"{path}{key}.")
        elif one[key] != other[key]:
            found.add(f"{path}{key}")
    return found


def test_a_variant_changes_one_thing_of_the_baseline(scripts, data):
    variants = scripts["ablation_variants"]
    baseline = to_dict(variants.settings(data, variants.SETTINGS[0]))
    names = [variant.name for variant in variants.SETTINGS]
    assert len(set(names)) == len(names)
    for variant in variants.SETTINGS[1:]:
        keys = changed(baseline, to_dict(variants.settings(data, variant)))
        assert {key.partition(".")[0] for key in keys} == set(variant.changes), variant.name
        assert keys or variant.alike, variant.name
    example = to_dict(read_train_config(variants.EXAMPLE, {"data": str(data)}))
    short = {"noise_levels", "recycles", "batches.crops"}
    short |= {f"optimiser.{key}" for key in ("learning_rate", "warmup_steps", "decay_from", "decay_share")}
    assert changed(example, baseline) == short


def test_a_stopped_comparison_goes_on_where_it_was(scripts, data, tmp_path):
    script, variants = scripts["ablate_training"], scripts["ablation_variants"]
    crops = {"batches": {"crops": ((12, 2, 1.0),)}}
    variant = variants.Variant(name=variants.BASELINE, changes=crops)

    def training(file: str):
        return script.Training(variant, data, 1.0, tmp_path / file)

    whole = training("whole.pt")
    for _ in range(3):
        whole._step()
    part = training("part.pt")
    part._step()
    part._step()
    part._save()
    again = training("part.pt")
    assert again.step == 2
    again._step()
    for memory in script.MEMORIES:
        for one, other in zip(whole.averages[memory], again.averages[memory], strict=True):
            assert torch.equal(one, other)
    fresh = training("fresh.pt")
    assert any(not torch.equal(a, b) for a, b in zip(fresh._weights(), again._weights(), strict=True))


def test_networks_are_judged_alike_whatever_they_were_trained_on(scripts, data):
    judge, variants = scripts["ablation_judge"], scripts["ablation_variants"]
    levels = judge.FixedLevels((1.0, 2.0)).draw_sigma(6)
    assert levels.tolist() == [1.0, 2.0] * 3
    torch.manual_seed(0)
    network = judge.StructureNetwork(variants.cut_down())
    structures = judge.StructureSet(data, "train")
    config = judge.BatchConfig(crops=((12, 2, 1.0),))
    batches = list(judge.TrainingBatches(structures, config, judge.TaskMix(), seed=0, count=2))
    first, second = (judge.judged(network, batches, guess=True) for _ in range(2))
    assert first == second
    assert [len(values) for values in first.values()] == [2] * 5 + [4] * 2
    assert judge.judged(network, batches, guess=False)["smooth_lddt"] != first["smooth_lddt"]


def test_a_difference_counts_beyond_its_interval_and_beyond_a_seed(scripts):
    judge = scripts["ablation_judge"]
    found = judge.difference([2.0, 2.1, 1.9, 2.0], [[1.0] * 4, [1.2] * 4])
    assert found.mean == pytest.approx(0.9)
    assert judge.counts(found, 0.5)
    assert not judge.counts(found, 1.0)
    assert not judge.counts(judge.difference([1.0, -1.0, 1.0, -1.0], [[0.0] * 4]), 0.0)


def test_the_table_says_what_is_better(scripts):
    script, judge = scripts["ablate_training"], scripts["ablation_judge"]

    def values(shift: float) -> dict[str, list[float]]:
        return {name: [1.0 + shift, 2.0 + shift, 3.0 + shift] for name in judge.MEASURES}

    rows = {script.BASELINE: values(0.0), script.AGAIN: values(0.1), "lower": values(-0.5), "alike": values(0.1)}
    report = {"variants": {name: {"steps": 7, "values": row} for name, row in rows.items()}}
    report["variants"][script.BASELINE]["averages"] = {script.END: {"9": values(0.0), "0": values(0.3)}}
    lines = script.table(report)
    assert len({line.count("|") for line in lines[:6]}) == 1
    row = next(line for line in lines if line.startswith("| lower"))
    losses = sum(not more for *_, more in judge.MEASURES.values())
    assert row.count("better") == losses
    assert row.count("worse") == len(judge.MEASURES) - losses
    assert "-0.550 [-0.550, -0.550]" in row
    assert "better" not in next(line for line in lines if line.startswith("| alike"))
    assert next(line for line in lines if line.startswith("| none")).count("worse") == losses
    with pytest.raises(SystemExit, match="two seeds"):
        script.table({"variants": {script.BASELINE: report["variants"][script.BASELINE]}})


def test_a_profile_adds_up(scripts):
    profile = scripts["step_profile"]
    steps = [profile.Timed(parts=dict.fromkeys(profile.PARTS, 0.1 * scale), rate=1e10 / scale) for scale in (1.0, 3.0)]
    row = profile.crop_report(steps, 4, 6e8)
    assert row["seconds"]["mean"] == pytest.approx(1.2)
    assert row["structures a second"] == pytest.approx(4 / 1.2)
    assert sum(row["share, %"].values()) == pytest.approx(100)
    assert row["matrix products alone, %"] == pytest.approx(10)
    assert summarise([0.06, 0.18]).mean == pytest.approx(row["matrix products alone, s"]["mean"])
