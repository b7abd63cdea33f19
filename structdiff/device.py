"""Devices: which there are, and what fits into their free memory."""

from __future__ import annotations

import os

import torch

from structdiff.cost import NetworkConfig, estimated_memory
from structdiff.errors import InputError, ResourceError
from structdiff.machine import available_memory

DEVICES = ("auto", "cpu", "cuda", "mps")


def choose_device(name: str = "auto") -> torch.device:
    """The device of that name; auto takes CUDA if there is any, else the CPU. Raises InputError if it is not there."""
    if name not in DEVICES:
        several = any(mark in name for mark in ":,0123456789")
        why = "a structure is drawn on one device, and CUDA_VISIBLE_DEVICES says which GPU that is" if several else None
        raise InputError(why or "unknown device", key="device", found=name, allowed=DEVICES,
                         suggest_from=() if several else DEVICES)  # fmt: skip
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there[name]:
        found = [device for device, usable in there.items() if usable]
        raise InputError("this machine has no such device", key="device", found=name, allowed=found)
    return torch.device(name)


def free_memory(device: torch.device) -> float:
    """Bytes that are free on a device, to this process; no more than STRUCTDIFF_MEMORY_GIB where that is set."""
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else available_memory()
    limit = os.environ.get("STRUCTDIFF_MEMORY_GIB")
    if limit is not None:
        free = min(free, _bytes_of(limit))
    return free


def check_memory(
    config: NetworkConfig, tokens: int, samples: int, device: torch.device, *, passes: int = 1, rows: int = 1
) -> None:
    """Raises ResourceError with the numbers when the work will not fit into the device's free memory.

    passes, rows: see `estimated_memory`.
    """
    needed, free = estimated_memory(config, tokens, samples, passes=passes, rows=rows), free_memory(device)
    if needed > free:
        memory = "the GPU's memory" if device.type == "cuda" else "main memory"
        numbers = f"need about {needed / 2**30:.1f} GiB and {free / 2**30:.1f} GiB of {memory} are free"
        if samples == 1:
            raise ResourceError(f"{tokens} tokens {numbers}, with one structure at a time: ask for a smaller complex")
        one = estimated_memory(config, tokens, 1, passes=passes, rows=rows) / 2**30
        raise ResourceError(
            f"{tokens} tokens in a batch of {samples} {numbers}; one at a time needs {one:.1f} GiB: "
            "lower --batch-size, or ask for a smaller complex"
        )


def _bytes_of(gibibytes: str) -> int:
    try:
        return int(float(gibibytes) * 2**30)
    except (ValueError, OverflowError):
        message = "must be a number of GiB"
        raise InputError(message, key="STRUCTDIFF_MEMORY_GIB", found=gibibytes, allowed="8, say") from None
