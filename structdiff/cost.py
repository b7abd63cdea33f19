"""What drawing structures costs: peak memory and time, from a model that was fitted to measurements.

``python benchmarks/fit_cost.py`` and ``python benchmarks/fit_complex_cost.py`` measure this machine and write the
coefficients (``structdiff/data/cost.json``).
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, TypeAlias

import numpy as np

from structdiff.cost_boltz import boltz_memory, boltz_seconds
from structdiff.model.boltz.config import BoltzConfig
from structdiff.model.network import ModelConfig
from structdiff.typing import Float

COST_FILE = "cost.json"
NetworkConfig: TypeAlias = ModelConfig | BoltzConfig
#: Edge of the matrices whose product tells how fast a machine is, and how often it is taken.
_MATRIX, _PRODUCTS = 384, 8
#: Seconds that networks take for a pose of a ligand on the machine on which complexes were measured.
_POSE_SECONDS = 0.25


@dataclass(frozen=True, kw_only=True)
class Cost:
    """memory: peak in bytes, with the program itself.

    In seconds on this machine, of all structures of a batch: trunk, with confidence and files; one sampling step, of
    which there are ``steps``; relax.
    """

    memory: float
    trunk: float
    step: float
    steps: int
    relax: float

    @property
    def seconds(self) -> float:
        """Everything together."""
        return self.trunk + self.steps * self.step + self.relax


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


def estimated_memory(config: NetworkConfig, tokens: int, samples: int, *, passes: int = 1, rows: int = 1) -> int:
    """Peak memory in bytes beside the program and its weights.

    passes: sets of conditions that guidance asks for. rows: of the alignment, for networks that read one.
    """
    if isinstance(config, BoltzConfig):
        return boltz_memory(config, tokens, samples, rows=rows, passes=passes)
    return int(memory_terms(config, tokens, samples, passes) @ np.array(_fitted()["memory"]))


def estimated_cost(
    config: NetworkConfig, tokens: int, samples: int, *, steps: int, passes: int = 1, relax: bool = True,
    prediction: bool = False, recycles: int = 0, rows: int = 1,
) -> Cost:  # fmt: skip
    """What drawing and relaxing a batch costs. Times are for networks of the sizes that were measured (mini, Boltz-2).

    prediction: of complexes, which are relaxed once, near to what was drawn; designs take longer. recycles, rows:
    further passes of the trunk, and rows of the alignment, for networks that read one.
    """
    fitted, factor = _fitted(), machine_factor()
    relaxed = _factor("complexes") * np.array(fitted["complexes"]["relax"])
    if not prediction:
        relaxed = factor * np.array(fitted["relax"])
    if isinstance(config, BoltzConfig):
        trunk, step = boltz_seconds(config, tokens, samples, recycles=recycles, rows=rows, rate=product_rate())
        trunk, step = passes * trunk, passes * step
    else:
        trunk = factor * float(drawn_terms(tokens, samples) @ np.array(fitted["drawn"]))
        step = factor * float(step_terms(tokens, samples, passes) @ np.array(fitted["step"]))
    return Cost(
        memory=fitted["program"] + estimated_memory(config, tokens, samples, passes=passes, rows=rows),
        trunk=trunk,
        step=step,
        steps=steps,
        relax=float(relax_terms(tokens, samples) @ relaxed) if relax else 0.0,
    )


def pieces_seconds(most_work: Float[np.ndarray, "3"], *, asked: bool) -> float:
    """What moving chains as pieces takes, given the most work that it may be (``ChainPoses.most_work``).

    asked: whether contacts between them are, which is seldom all met; else the pieces mostly stand well as they are.
    """
    fitted = _fitted()["complexes"]
    share = 1.0 if asked else fitted["unasked"]
    return _factor("complexes") * share * float(most_work @ np.array(fitted["pieces"]))


def docking_terms(atoms: int, rounds: int) -> np.ndarray:
    """What the time is proportional to in which a ligand of so many heavy atoms is docked at one site, in so many
    rounds.
    """
    return rounds * np.array([1.0, atoms, atoms**2])


def docking_seconds(atoms: int, rounds: int) -> float:
    """What docking a ligand of so many heavy atoms at one site takes, in so many rounds, by the native kernel."""
    return _factor("complexes") * float(docking_terms(atoms, rounds) @ np.array(_fitted()["complexes"]["docking"]))


def pose_judging_seconds(poses: int) -> float:
    """What GNINA's networks take for so many poses of a ligand."""
    return _POSE_SECONDS * poses * _factor("complexes")


def chain_docking_terms(residues: int, others: int) -> np.ndarray:
    """What the time is proportional to in which a body of so many residues is docked against so many others."""
    return np.array([1.0, residues, others])


def chain_docking_seconds(residues: int, others: int) -> float:
    """What docking a body of so many residues against so many others takes, by the native kernel."""
    fitted = np.array(_fitted()["complexes"]["chain_docking"])
    return _factor("complexes") * float(chain_docking_terms(residues, others) @ fitted)


def machine_factor() -> float:
    """How many times longer this machine takes for a product of matrices than the one that was measured."""
    return _own_product_seconds() / float(_fitted()["product_seconds"])


def product_rate() -> float:
    """Multiplications a second of this machine in the product that tells how fast it is."""
    return _MATRIX**3 / _own_product_seconds()


def _factor(part: str) -> float:
    """The same for the machine on which a part of the model was measured."""
    return _own_product_seconds() / float(_fitted()[part]["product_seconds"])


@cache
def _own_product_seconds() -> float:
    return product_seconds()


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
