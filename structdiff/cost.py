"""What drawing structures costs: peak memory and time, from a model that was fitted to measurements.

``python benchmarks/fit_cost.py`` measures this machine and writes the coefficients (``structdiff/data/cost.json``).
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np

from structdiff.model.network import ModelConfig

COST_FILE = "cost.json"
#: Edge of the matrices whose product tells how fast a machine is, and how often it is taken.
_MATRIX, _PRODUCTS = 384, 8


@dataclass(frozen=True, kw_only=True)
class Cost:
    """memory: peak in bytes, with the program itself. seconds: on this machine."""

    memory: float
    seconds: float


def memory_terms(config: ModelConfig, tokens: int, samples: int, passes: int) -> np.ndarray:
    """What peak memory is proportional to: tables of pairs, what is held for every pass, tables of tokens."""
    trunk, denoiser = config.trunk.pairformer, config.denoiser
    rounds = -(-denoiser.blocks // denoiser.blocks_per_geometry)
    worked = trunk.c_z + denoiser.c_geometry + denoiser.blocks_per_geometry * denoiser.heads
    worked += config.confidence.pairformer.c_z
    pairs = 4.0 * samples * tokens**2
    return np.array([pairs * worked, pairs * rounds * denoiser.c_geometry * passes,
                     4.0 * samples * tokens * (denoiser.c_token + 3 * denoiser.c_vector)])  # fmt: skip


def step_terms(tokens: int, samples: int, passes: int) -> np.ndarray:
    """What the time of one sampling step is proportional to."""
    return passes * np.array([1.0, samples * tokens / 100, samples * (tokens / 100) ** 2])


def drawn_terms(tokens: int, samples: int) -> np.ndarray:
    """What the time of trunk, confidence and files is proportional to."""
    return np.array([1.0, samples * (tokens / 100) ** 2, samples * (tokens / 100) ** 3])


def relax_terms(tokens: int, samples: int) -> np.ndarray:
    """What the time of relaxation is proportional to."""
    return np.array([samples, samples * tokens / 100])


def estimated_memory(config: ModelConfig, tokens: int, samples: int, *, passes: int = 1) -> int:
    """Peak memory in bytes beside the program and its weights. passes: sets of conditions that guidance asks for."""
    return int(memory_terms(config, tokens, samples, passes) @ np.array(_fitted()["memory"]))


def estimated_cost(
    config: ModelConfig, tokens: int, samples: int, *, steps: int, passes: int = 1, relax: bool = True
) -> Cost:
    """What drawing and relaxing a batch costs. Times are for networks of the sizes that were measured (mini)."""
    fitted = _fitted()
    seconds = steps * float(step_terms(tokens, samples, passes) @ np.array(fitted["step"]))
    seconds += float(drawn_terms(tokens, samples) @ np.array(fitted["drawn"]))
    seconds += float(relax_terms(tokens, samples) @ np.array(fitted["relax"])) if relax else 0.0
    memory = fitted["program"] + estimated_memory(config, tokens, samples, passes=passes)
    return Cost(memory=memory, seconds=seconds * machine_factor())


@cache
def machine_factor() -> float:
    """How many times longer this machine takes for a product of matrices than the one that was measured."""
    return product_seconds() / float(_fitted()["product_seconds"])


def product_seconds() -> float:
    """The least time that a product of two matrices takes here, of several."""
    import torch

    matrix = torch.ones(_MATRIX, _MATRIX)
    times = []
    for _ in range(_PRODUCTS):
        began = time.perf_counter()
        torch.mm(matrix, matrix)
        times.append(time.perf_counter() - began)
    return min(times)


@cache
def _fitted() -> Mapping[str, Any]:
    return json.loads((resources.files("structdiff") / "data" / COST_FILE).read_text(encoding="utf-8"))
