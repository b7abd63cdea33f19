"""Options come from the settings classes: names, types, defaults and help are theirs."""

from __future__ import annotations

import dataclasses
from importlib import import_module

import pytest

from structdiff.cli.options import _RUN, _SAMPLING, parse_guidance
from structdiff.cli.progress import Clock, duration, shown_progress
from structdiff.cli.settings import NO_DEFAULT, field_help, settings_of
from structdiff.drawing import Progress
from structdiff.errors import InputError


@pytest.mark.parametrize(
    ("module", "name"),
    [("options", "RunOptions"), ("diffusion.sampler", "SamplingConfig"), ("training.run", "TrainConfig")],
)
def test_the_source_says_what_the_class_is(module: str, name: str) -> None:
    real = {each.name: each for each in dataclasses.fields(getattr(import_module(f"structdiff.{module}"), name))}
    read = settings_of(module, name)
    assert list(read) == list(real)
    for key, setting in read.items():
        assert setting.annotation == str(real[key].type)
        if setting.default is not NO_DEFAULT:
            assert setting.default == real[key].default


def test_every_option_has_help() -> None:
    for module, name, keys in (
        ("diffusion.sampler", "SamplingConfig", _SAMPLING),
        ("options", "RunOptions", [key for key in _RUN if key != "device"]),
    ):
        for key in keys:
            assert len(settings_of(module, name)[key].help) > 15


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("training.run", "TrainConfig"),
        ("campaign.settings", "CampaignSettings"),
        ("inverse_folding.design", "SequenceConfig"),
    ],
)
def test_every_field_has_help_of_its_own(module: str, name: str) -> None:
    fields = settings_of(module, name)
    for each in fields.values():
        assert each.help.endswith("."), each
        assert not any(f"{other}: " in each.help for other in fields), each


def test_help_is_found_in_both_ways_of_writing_docstrings() -> None:
    assert field_help("Fields.\n\nAttributes:\n    a: one\n        more.\n    b: two.", ["a", "b"]) == {
        "a": "one more.",
        "b": "two.",
    }
    assert field_help("``a`` is not help. a: this is.", ["a"]) == {"a": "this is."}
    assert field_help("a: one. b,\n    c:\n    two. d: three.", list("abcd")) == {
        "a": "one.", "b": "two.", "c": "two.", "d": "three.",
    }  # fmt: skip


def test_guidance_is_a_number_or_one_by_name() -> None:
    assert parse_guidance("2") == 2.0
    assert parse_guidance("motif=2, hotspots=0.5") == {"motif": 2.0, "hotspots": 0.5}
    for wrong in ("", "motif", "motif=", "motif=2,motif=3", "inf", "motif=2,3"):
        with pytest.raises(InputError, match="guidance"):
            parse_guidance(wrong)


def test_the_time_left_is_in_proportion() -> None:
    seconds = iter([0.0, 10.0, 30.0])
    clock = Clock(now=lambda: next(seconds))
    assert clock.left is None
    clock.update(Progress(finished=0, total=4, step=10, steps=20, together=2))
    assert clock.share == 0.25
    assert clock.left == pytest.approx(30.0)
    # Steps that take different times are counted by these.
    assert Progress(finished=1, total=4, step=10, steps=20, together=2, share=0.2).done == pytest.approx(0.35)
    # The last batch holds one structure only.
    clock.update(Progress(finished=3, total=4, step=20, steps=20))
    assert clock.share == 1.0
    assert clock.left == pytest.approx(0.0)


def test_what_was_there_before_took_this_run_no_time() -> None:
    seconds = iter([0.0, 10.0])
    clock = Clock(now=lambda: next(seconds), done=0.5)
    clock.update(Progress(finished=2, total=4, step=0, steps=1))
    assert clock.left is None
    clock.update(Progress(finished=3, total=4, step=0, steps=1))
    assert clock.left == pytest.approx(10.0)


def test_times_read_well() -> None:
    assert [duration(seconds) for seconds in (0.4, 59.4, 61, 3600, 90000)] == [
        "0 s", "59 s", "1 min 1 s", "1 h 0 min", "25 h 0 min",
    ]  # fmt: skip


def test_outside_terminals_a_line_now_and_then(capsys, monkeypatch) -> None:
    now = [0.0]
    monkeypatch.setattr("structdiff.cli.progress.Clock.__init__.__defaults__", (lambda: now[0],))
    with shown_progress("designing x", quiet=False) as report:
        for step in range(1, 101):
            now[0] += 0.5
            report(Progress(finished=0, total=1, step=step, steps=100))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "designing x: 20 %, 40 s left"
    assert len(lines) == 5
    with shown_progress("designing x", quiet=True) as report:
        now[0] += 100
        report(Progress(finished=0, total=1, step=1, steps=100))
    assert capsys.readouterr().err == ""
