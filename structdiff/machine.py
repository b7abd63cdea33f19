"""What of the machine this process may use: memory and processors, no more than its job or container was given."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psutil

#: Files of a control group of version 2 and of version 1: the limit, what is in use, and the key of what of that is a
#: cache of files that gives way.
_GROUPS = {
    2: ("memory.max", "memory.current", "inactive_file"),
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}


def available_memory(root: Path = Path("/")) -> int:
    """Bytes that are free, on the machine and within the limits of the control groups of this process (Slurm, Docker).

    root: where ``proc`` and ``sys`` are.
    """
    return max(0, min([psutil.virtual_memory().available, *_rooms(root)]))


def available_cores() -> int:
    """How many processors this process may run on, at least 1."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _rooms(root: Path) -> Iterator[int]:
    """What each control group with a limit leaves, in bytes."""
    for version, mount, place in _memory_groups(root):
        group = mount.joinpath(*Path(place).parts[1:])
        if not group.is_dir():  # a container sees its own group as the top, and is told the name that the host has
            group = mount
        for folder in (group, *group.parents):
            room = _room(folder, *_GROUPS[version])
            if room is not None:
                yield room
            if folder == mount:
                break


def _memory_groups(root: Path) -> Iterator[tuple[int, Path, str]]:
    """Version, mount and place of the groups that may limit the memory of this process."""
    top = root / "sys" / "fs" / "cgroup"
    for line in _text(root / "proc" / "self" / "cgroup").splitlines():
        _, controllers, place = line.split(":", 2)
        if not controllers:
            yield 2, top / "unified" if (top / "unified").is_dir() else top, place
        elif "memory" in controllers.split(","):
            yield 1, top / "memory", place


def _room(folder: Path, limit: str, usage: str, cache: str) -> int | None:
    """Limit less what is in use in a control group; None where it has no limit."""
    most, used = _text(folder / limit).strip(), _text(folder / usage).strip()
    if not (most.isdecimal() and used.isdecimal()):
        return None
    caches = [line.split()[1] for line in _text(folder / "memory.stat").splitlines() if line.startswith(f"{cache} ")]
    return int(most) - int(used) + sum(map(int, caches))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""
