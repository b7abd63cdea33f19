"""How the GPU benchmark reads what Nsight Compute writes."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

_WRITTEN = """==PROF== Connected to process 4711
"ID","Kernel Name","Block Size","gpu__time_duration.sum","launch__registers_per_thread",\
"dram__throughput.avg.pct_of_peak_sustained_elapsed"
"","","","us","register/thread","%"
"0","entry<HopperForward<bfloat16, 32, 2>>(Problem)","(512, 1, 1)","514.66","128","10.82"
"1","entry<SumShares>(Problem)","(256, 1, 1)","6.91","28","25.31"
==PROF== Disconnected from process 4711
"""


@pytest.fixture
def rows(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    return importlib.import_module("gpu_profile").rows


def test_a_launch_is_a_row_with_units(rows):
    first, second = rows(_WRITTEN)
    assert first["kernel"] == "entry<HopperForward<bfloat16, 32, 2>>(Problem)"
    assert (first["time"], first["registers"], first["memory, % of peak"]) == ("514.66 us", "128", "10.82")
    assert first["tensor cores, % of peak"] == ""  # a metric that this GPU does not have
    assert second["time"] == "6.91 us"


def test_nothing_written_gives_no_rows(rows):
    assert rows("==ERROR== the hardware counters cannot be read\n") == []
