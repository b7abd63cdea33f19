"""Memory that this process may use, from files as the system has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from structdiff.machine import available_cores, available_memory

_GIB = 2**30


def group(folder: Path, names: tuple[str, str, str], limit: str, used: int, cache: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / names[0]).write_text(f"{limit}\n")
    (folder / names[1]).write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 5\n{names[2]} {cache}\n")


NEW = ("memory.max", "memory.current", "inactive_file")
OLD = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def of_process(root: Path, text: str) -> Path:
    (root / "proc" / "self").mkdir(parents=True)
    (root / "proc" / "self" / "cgroup").write_text(text)
    return root / "sys" / "fs" / "cgroup"


@pytest.fixture(autouse=True)
def large_machine(monkeypatch) -> None:
    monkeypatch.setattr("psutil.virtual_memory", lambda: type("Memory", (), {"available": 500 * _GIB}))


def test_a_job_of_slurm_has_what_its_groups_leave(tmp_path) -> None:
    top = of_process(tmp_path, "0::/slurm/job_7/step_0\n")
    group(top / "slurm/job_7/step_0", NEW, "max", _GIB, 0)
    group(top / "slurm/job_7", NEW, str(8 * _GIB), 3 * _GIB, _GIB)
    assert available_memory(tmp_path) == 6 * _GIB


def test_a_container_of_version_1_sees_its_group_as_the_top(tmp_path) -> None:
    top = of_process(tmp_path, "4:cpu,memory:/docker/abc\n1:name=systemd:/docker/abc\n0::/\n")
    group(top / "memory", OLD, str(2 * _GIB), _GIB, 0)
    assert available_memory(tmp_path) == _GIB


def test_a_group_that_is_over_its_limit_leaves_nothing(tmp_path) -> None:
    top = of_process(tmp_path, "0::/\n")
    group(top, NEW, str(_GIB), 2 * _GIB, 0)
    assert available_memory(tmp_path) == 0


def test_without_groups_it_is_what_the_machine_has(tmp_path) -> None:
    assert available_memory(tmp_path) == 500 * _GIB
    assert available_cores() >= 1
