"""Compares our trunk modules with the boltz package's and rewrites the golden numbers of tests/parity.

    pip install --no-deps boltz==2.2.1 && python benchmarks/parity_boltz.py [--write]

Parameters are random and mapped one to one, so this is also the proof that Boltz-2's published checkpoints load into
our modules by renaming keys. Prints, for each module, the largest absolute difference over the outputs that exist, at
tiny sizes (the golden file) and at Boltz-2's own sizes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from boltz.model.layers.outer_product_mean import OuterProductMean
from boltz.model.layers.pair_averaging import PairWeightedAveraging
from boltz.model.layers.pairformer import PairformerLayer, PairformerModule, PairformerNoSeqLayer
from boltz.model.layers.transition import Transition
from boltz.model.layers.triangular_attention.attention import TriangleAttention
from boltz.model.layers.triangular_mult import TriangleMultiplicationIncoming, TriangleMultiplicationOutgoing
from boltz.model.modules.trunkv2 import MSALayer, MSAModule
from torch import Tensor, nn

TESTS = Path(__file__).parents[1] / "tests"
sys.path.insert(0, str(TESTS / "parity"))

from boltz_cases import CASES, FULL, TINY, Inputs, Sizes, draw_inputs, fill_parameters  # noqa: E402

# Our names of submodules and Boltz's, kind of module by kind of module.
MULTIPLICATION = {
    "norm_in": "norm_in",
    "project_in": "p_in",
    "gate_in": "g_in",
    "norm_out": "norm_out",
    "project_out": "p_out",
    "gate_out": "g_out",
}
TRIANGLE_ATTENTION = {
    "norm": "layer_norm",
    "project_q": "mha.linear_q",
    "project_k": "mha.linear_k",
    "project_v": "mha.linear_v",
    "project_bias": "linear",
    "gate": "mha.linear_g",
    "project_out": "mha.linear_o",
}
TRANSITION = {"norm": "norm", "project_gate": "fc1", "project_up": "fc2", "project_out": "fc3"}
OUTER_PRODUCT = {"norm": "norm", "project_a": "proj_a", "project_b": "proj_b", "project_out": "proj_o"}
AVERAGING = {
    "norm": "norm_m",
    "norm_pair": "norm_z",
    "project_v": "proj_m",
    "gate": "proj_g",
    "project_bias": "proj_z",
    "project_out": "proj_o",
}
ATTENTION = {
    "norm": "pre_norm_s",
    "project_q": "attention.proj_q",
    "project_k": "attention.proj_k",
    "project_v": "attention.proj_v",
    "gate": "attention.proj_g",
    "norm_pair": "attention.proj_z.0",
    "project_bias": "attention.proj_z.1",
    "project_out": "attention.proj_o",
}


def under(ours: str, theirs: str, names: dict[str, str]) -> dict[str, str]:
    """The same names one level down: under ``ours`` here and ``theirs`` there (no level where that is empty)."""
    return {f"{ours}.{a}": f"{theirs}.{b}" if theirs else b for a, b in names.items()}


PAIR_BLOCK = {
    **under("multiply_outgoing", "tri_mul_out", MULTIPLICATION),
    **under("multiply_incoming", "tri_mul_in", MULTIPLICATION),
    **under("attend_starting", "tri_att_start", TRIANGLE_ATTENTION),
    **under("attend_ending", "tri_att_end", TRIANGLE_ATTENTION),
    **under("transition", "transition_z", TRANSITION),
}
PAIRFORMER_BLOCK = {
    **under("pair", "", PAIR_BLOCK),
    **under("attention", "", ATTENTION),
    **under("transition", "transition_s", TRANSITION),
}
MSA_BLOCK = {
    **under("averaging", "pair_weighted_averaging", AVERAGING),
    **under("transition", "msa_transition", TRANSITION),
    **under("outer_product_mean", "outer_product_mean", OUTER_PRODUCT),
    **under("pair", "pairformer_layer", PAIR_BLOCK),
}


def stack(blocks: int, names: dict[str, str]) -> dict[str, str]:
    return {a: b for i in range(blocks) for a, b in under(f"blocks.{i}", f"layers.{i}", names).items()}


def boltz_msa_module(sizes: Sizes) -> nn.Module:
    return MSAModule(
        sizes.c_m, sizes.c_z, sizes.c_s, sizes.blocks, 0.0, 0.0, sizes.triangle_head_dim, sizes.triangle_heads
    )


def call_msa_module(module: nn.Module, x: Inputs) -> Tensor:
    features = {
        "msa": x.letters,
        "has_deletion": x.has_deletion,
        "deletion_value": x.deletion_value,
        "msa_paired": x.paired,
        "msa_mask": x.msa_mask.float(),
        "token_pad_mask": x.mask.float(),
    }
    return module(x.z, x.s, features)


def boltz_triangle_attention(sizes: Sizes, *, starting: bool) -> nn.Module:
    return TriangleAttention(sizes.c_z, sizes.triangle_head_dim, sizes.triangle_heads, starting=starting)


def pairformer_sizes(sizes: Sizes) -> dict[str, int | float | bool]:
    widths = {"pairwise_head_width": sizes.triangle_head_dim, "pairwise_num_heads": sizes.triangle_heads}
    return {"num_heads": sizes.heads, "dropout": 0.0, "v2": True, **widths}


def call_pair(module: nn.Module, x: Inputs) -> Tensor:
    return module(x.z, x.pair_mask.float())


def call_pairformer(module: nn.Module, x: Inputs) -> tuple[Tensor, Tensor]:
    return module(x.s, x.z, x.mask.float(), x.pair_mask.float())


def call_msa_block(module: nn.Module, x: Inputs) -> tuple[Tensor, Tensor]:
    z, m = module(x.z, x.m, x.pair_mask.float(), x.msa_mask.float())
    return m, z


Boltz = tuple[
    Callable[[Sizes], nn.Module], Callable[[nn.Module, Inputs], Tensor | tuple[Tensor, ...]], dict[str, str] | None
]

# For each case: Boltz's module, how to call it, and the names (None: a stack, made from the number of blocks).
BOLTZ: dict[str, Boltz] = {
    "triangle_multiplication_outgoing": (lambda x: TriangleMultiplicationOutgoing(x.c_z), call_pair, MULTIPLICATION),
    "triangle_multiplication_incoming": (lambda x: TriangleMultiplicationIncoming(x.c_z), call_pair, MULTIPLICATION),
    "triangle_attention_starting": (
        lambda x: boltz_triangle_attention(x, starting=True),
        call_pair,
        TRIANGLE_ATTENTION,
    ),
    "triangle_attention_ending": (
        lambda x: boltz_triangle_attention(x, starting=False),
        call_pair,
        TRIANGLE_ATTENTION,
    ),
    "transition": (lambda x: Transition(x.c_z, 4 * x.c_z), lambda module, x: module(x.z), TRANSITION),
    "outer_product_mean": (
        lambda x: OuterProductMean(x.c_m, 32, x.c_z),
        lambda module, x: module(x.m, x.msa_mask.float()),
        OUTER_PRODUCT,
    ),
    "pair_weighted_averaging": (
        lambda x: PairWeightedAveraging(x.c_m, x.c_z, 32, 8),
        lambda module, x: module(x.m, x.z, x.pair_mask.float(), False),
        AVERAGING,
    ),
    "pair_block": (
        lambda x: PairformerNoSeqLayer(x.c_z, 0.0, x.triangle_head_dim, x.triangle_heads),
        call_pair,
        PAIR_BLOCK,
    ),
    "pairformer_block": (
        lambda x: PairformerLayer(x.c_s, x.c_z, **pairformer_sizes(x)),
        call_pairformer,
        PAIRFORMER_BLOCK,
    ),
    "pairformer_stack": (
        lambda x: PairformerModule(x.c_s, x.c_z, x.blocks, **pairformer_sizes(x)),
        call_pairformer,
        None,
    ),
    "msa_block": (
        lambda x: MSALayer(x.c_m, x.c_z, 0.0, 0.0, x.triangle_head_dim, x.triangle_heads),
        call_msa_block,
        MSA_BLOCK,
    ),
    "msa_module": (boltz_msa_module, call_msa_module, None),
}


def names_of(name: str, blocks: int) -> dict[str, str]:
    if name == "pairformer_stack":
        return stack(blocks, PAIRFORMER_BLOCK)
    if name == "msa_module":
        return {"project_msa": "msa_proj", "project_s": "s_proj", **stack(blocks, MSA_BLOCK)}
    names = BOLTZ[name][2]
    assert names is not None
    return names


def boltz_outputs(name: str, sizes: Sizes) -> list[np.ndarray]:
    """Boltz's outputs with our parameters; every key of either side must have its counterpart."""
    build, call, _ = BOLTZ[name]
    ours, theirs = CASES[name].build(sizes), build(sizes).eval()
    fill_parameters(ours)
    names = names_of(name, sizes.blocks)
    state = {}
    for key, value in ours.state_dict().items():
        module, parameter = key.rsplit(".", 1)
        state[f"{names[module]}.{parameter}"] = value
    theirs.load_state_dict(state, strict=True)
    inputs = draw_inputs(sizes)
    with torch.no_grad():
        return CASES[name].select(call(theirs, inputs), inputs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="rewrite tests/golden/boltz/trunk_modules.npz")
    arguments = parser.parse_args()
    golden: dict[str, np.ndarray] = {}
    print(f"{'module':34s} {'sizes':5s} {'largest output':>14s} {'largest difference':>18s}")
    for label, sizes in (("tiny", TINY), ("full", FULL)):
        for name, case in CASES.items():
            expected, ours = boltz_outputs(name, sizes), case.outputs(sizes)
            difference = max(np.abs(a - b).max() for a, b in zip(ours, expected, strict=True))
            largest = max(np.abs(b).max() for b in expected)
            print(f"{name:34s} {label:5s} {largest:14.3f} {difference:18.2e}")
            if sizes is TINY:
                golden |= {f"{name}.{i}": value for i, value in enumerate(expected)}
    if arguments.write:
        path = TESTS / "golden" / "boltz" / "trunk_modules.npz"
        np.savez_compressed(path, **golden)
        print(f"wrote {path.stat().st_size} bytes to {path.relative_to(TESTS.parent)}")


if __name__ == "__main__":
    main()
