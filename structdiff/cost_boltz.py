"""What predicting with Boltz-2's network costs, from what it multiplies: it was fitted to runs of the network itself.

``python benchmarks/fit_boltz_cost.py`` measures and writes the factors (``structdiff/data/cost_boltz.json``).
"""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any

import numpy as np

from structdiff.model.boltz.config import MOST_ROWS, BoltzConfig

COST_FILE = "cost_boltz.json"
#: MiB that a prediction of any size may take beside what grows with it.
ANY = 200
#: The same of the default weights, which judge designs.
JUDGE = 150
#: Atoms and window pairs a token, of proteins, and of designs.
_ATOMS, _KEYS, _OPEN_ATOMS = 8, 128, 14


def trunk_products(config: BoltzConfig, tokens: int, *, recycles: int, rows: int) -> float:
    """Multiplications of all passes of the trunk, with templates or known distances, and so many rows aligned."""
    blocks = _pair_block(config.c_z, tokens) + _single_block(config.c_s, config.c_z, tokens)
    one = config.pairformer.blocks * blocks
    one += config.msa.blocks * (_pair_block(config.c_z, tokens) + _alignment_block(config, tokens, rows))
    if config.template is not None:
        one += config.template.blocks * _pair_block(config.template.c_template, tokens)
    if config.known_distances is not None:
        one += config.known_distances.blocks * _pair_block(config.known_distances.c_distance, tokens)
    return (1 + recycles) * one


def confidence_products(config: BoltzConfig, tokens: int) -> float:
    """Multiplications of the confidence module for one structure; 0 where there is none."""
    if config.confidence is None:
        return 0.0
    return config.confidence.blocks * (_pair_block(config.c_z, tokens) + _single_block(config.c_s, config.c_z, tokens))


def step_products(config: BoltzConfig, tokens: int) -> float:
    """Multiplications of one evaluation of the denoiser for one structure."""
    sizes, width = config.denoiser, 2 * config.c_s
    token = sizes.token_depth * (tokens * 17 * width**2 + 2 * tokens**2 * width)
    c_atom, atoms = config.atom.c_atom, (_OPEN_ATOMS if config.designs else _ATOMS) * tokens
    layers = sizes.encoder_depth + sizes.decoder_depth
    return token + layers * atoms * (17 * c_atom**2 + 2 * _KEYS * c_atom)


def boltz_seconds(
    config: BoltzConfig, tokens: int, samples: int, *, recycles: int, rows: int, rate: float
) -> tuple[float, float]:
    """Seconds of trunk and confidence, and of one step, of a batch; rate: of multiplications a second."""
    fitted = _fitted()
    trunk = trunk_products(config, tokens, recycles=recycles, rows=rows)
    trunk += samples * confidence_products(config, tokens)
    return fitted["trunk"] * trunk / rate, fitted["step"] * samples * step_products(config, tokens) / rate


def boltz_memory(config: BoltzConfig, tokens: int, samples: int, *, rows: int, passes: int) -> int:
    """Peak memory in bytes beside the program and its weights; passes: sets of conditions that guidance asks for."""
    other = ANY + (JUDGE if config.designs else 0)
    return int(memory_terms(config, tokens, samples, rows, passes) @ np.array(_fitted()["memory"]) + other * 2**20)


def memory_terms(config: BoltzConfig, tokens: int, samples: int, rows: int, passes: int = 1) -> np.ndarray:
    """What peak memory grows with: tables of pairs, biases of the denoiser, the alignment, tokens."""
    pairs, sizes = 4.0 * tokens**2, config.denoiser
    return np.array([
        pairs * config.c_z,
        pairs * sizes.token_depth * sizes.token_heads * passes,
        4.0 * min(rows, MOST_ROWS) * tokens * config.msa.c_m,
        4.0 * samples * tokens * config.c_s * sizes.token_depth,
    ])  # fmt: skip


def _pair_block(channels: int, tokens: int) -> float:
    """Two triangle multiplications, two triangle attentions and a transition of a table of pairs."""
    return tokens**2 * (34 * channels**2 + 6 * channels * tokens)


def _single_block(c_s: int, c_z: int, tokens: int) -> float:
    """Attention with pair bias and a transition of the tokens."""
    return tokens * 17 * c_s**2 + tokens**2 * (2 * c_s + 16 * c_z)


def _alignment_block(config: BoltzConfig, tokens: int, rows: int) -> float:
    """The outer product mean, averaging by pairs and a transition of an alignment."""
    c_m, c_outer = config.msa.c_m, config.msa.c_outer_product
    rows = min(rows, MOST_ROWS)
    outer = tokens**2 * (rows * c_outer**2 + c_outer**2 * config.c_z)
    width = config.msa.averaging_heads * config.msa.averaging_head_dim
    return outer + rows * tokens * (12 * c_m**2 + 3 * c_m * width + tokens * width)


@cache
def _fitted() -> dict[str, Any]:
    return json.loads((resources.files("structdiff") / "data" / COST_FILE).read_text(encoding="utf-8"))
