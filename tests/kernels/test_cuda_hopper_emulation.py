"""The attention kernel made for Hopper, its own source, run on the host and compared with float64.

tests/kernels/emulation/hopper.h says what of Hopper is emulated and what is a fault there.
"""

from __future__ import annotations

import math

import pytest
import torch

from structdiff.kernels.attention_problem import hopper_check
from structdiff.kernels.self_check import BOUNDS, mistake
from tests.kernels.emulation.build import compiler, opened, sabotaged
from tests.kernels.test_cuda_emulation import (
    TOLERANCE,
    assert_near,
    draw,
    draw_pairs,
    expected,
    normal,
    nothing,
    pair_update,
    run,
    update,
)

pytestmark = pytest.mark.skipif(compiler() is None, reason="no C++ compiler")

DTYPES = (torch.float16, torch.bfloat16)
UNSUPPORTED = 1


def forward(library, q, k, v, bias, mask, *, scale=None, order=0):
    """Status, output, and logarithms of the denominators."""
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    out, lse = nothing(*q.shape, dtype=q.dtype), nothing(*q.shape[:2], q.shape[3], q.shape[2])
    arguments = (q, k, v, bias, mask, scale, out, lse)
    return run(library, "triangle_attention", "forward_hopper", arguments, (q, k, bias), order), out, lse


def check(library, q, k, v, bias, mask, grad, *, scale=None, order=0):
    status, out, lse = forward(library, q, k, v, bias, mask, scale=scale, order=order)
    assert status == 0
    mask = torch.ones(k.shape[:3], dtype=torch.bool) if mask is None else mask
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    wanted, wanted_lse, _ = expected(q, k, v, bias, mask, scale, grad)
    assert_near(out, wanted, TOLERANCE[q.dtype], "out")
    torch.testing.assert_close(lse.double(), wanted_lse, rtol=5e-7, atol=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [8, 16, 24, 32, 40, 48, 64])
def test_head_dims(library, channels, dtype):
    check(library, *draw(1, 4, 70, 140, 2, channels, dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1, 7, 33, 129, 200])
def test_sizes(library, size, dtype):
    check(library, *draw(1, min(size, 4), size, size, 1, 32, dtype))


def test_many_tiles_and_batches(library):
    """More tiles of keys than the pipeline holds, and rows that do not fill a block."""
    check(library, *draw(2, 4, 20, 450, 2, 16, torch.bfloat16))
    check(library, *draw(1, 3, 130, 330, 1, 64, torch.float16))


def test_without_a_mask_and_with_one_that_hides_nothing(library):
    q, k, v, bias, mask, grad = draw(1, 3, 40, 100, 1, 32, torch.bfloat16, hidden=0)
    check(library, q, k, v, bias, None, grad)
    check(library, q, k, v, bias, mask, grad)


def test_rows_without_keys_only(library):
    q, k, v, bias, mask, grad = draw(1, 3, 40, 70, 1, 32, torch.bfloat16)
    check(library, q, k, v, bias, torch.zeros_like(mask), grad)


def test_keys_of_one_row_only(library):
    """Tiles that other rows of the block have no key in."""
    q, k, v, bias, mask, grad = draw(1, 3, 40, 330, 1, 32, torch.float16)
    mask[:] = False
    mask[:, 0, :3], mask[:, 1, 300:], mask[:, 2, 128:192] = True, True, True
    check(library, q, k, v, bias, mask, grad)


@pytest.mark.parametrize("dtype", DTYPES)
def test_scores_that_rise_and_fall(library, dtype):
    """The base that weights are relative to must follow a rising score, and need not follow a falling one."""
    for sign in (1, -1):
        q, k, v, bias, mask, grad = draw(1, 3, 33, 300, 1, 32, dtype)
        bias = (bias.float() + sign * torch.linspace(0, 60, 300)).to(dtype)
        check(library, q, k, v, bias, mask, grad)


def test_bias_of_minus_infinity(library):
    q, k, v, bias, mask, grad = draw(1, 3, 33, 140, 1, 32, torch.bfloat16, hidden=0)
    bias = bias.clone()
    bias[..., :70] = -math.inf
    check(library, q, k, v, bias, mask, grad)


@pytest.mark.parametrize("size", [3e6, 1e12, 1e30])
def test_logits_of_any_size(library, size):
    q, k, v, bias, mask, grad = draw(1, 3, 33, 330, 1, 32, torch.bfloat16)
    check(library, q, k, v, (bias + size * torch.linspace(-1, 1, 330).roll(90)).to(torch.bfloat16), mask, grad)


@pytest.mark.parametrize("dtype", DTYPES)
def test_keys_that_are_all_hidden_by_numbers_give_a_mean(library, dtype):
    q, k, v, bias, mask, _ = draw(1, 3, 33, 140, 1, 32, dtype, hidden=0)
    _, out, *_ = forward(library, q, k, v, torch.full_like(bias, torch.finfo(dtype).min), mask)
    assert (out >= v.min(2, keepdim=True).values - 0.01).all()  # NaN fails too
    assert (out <= v.max(2, keepdim=True).values + 0.01).all()


def packed(dtype, n=70, heads=2, channels=32):
    generator = torch.Generator().manual_seed(3)
    return normal(generator, 1, n, n, 3, heads, channels, dtype=dtype).unbind(3)


@pytest.mark.parametrize("transposed", [False, True], ids=["starting", "ending"])
def test_packed_and_transposed_views(library, transposed):
    """q, k and v as one projection gives them, and as the ending node sees them."""
    q, k, v = packed(torch.bfloat16)
    if transposed:
        q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    q, k, v = (x[:, :5] for x in (q, k, v))
    _, _, _, bias, mask, grad = draw(1, 5, 70, 70, 2, 32, torch.bfloat16)
    check(library, q, k, v, bias, mask, grad)


@pytest.mark.parametrize("dtype", DTYPES)
def test_bias_in_float32(library, dtype):
    q, k, v, bias, mask, grad = draw(1, 3, 40, 140, 2, 32, dtype)
    check(library, q, k, v, bias.float() + 1e-4, mask, grad)


def test_masks_of_many_tiles(library):
    """A warp looks at eight tiles of keys at a time: more than those, gaps that cross them, rows that begin late."""
    q, k, v, bias, mask, grad = draw(1, 3, 20, 1400, 1, 16, torch.bfloat16, hidden=0)
    mask[:, 0, 70:1290], mask[:, 1, :1030], mask[:, 2, 600:] = False, False, False
    check(library, q, k, v, bias, mask, grad)
    mask[:, :, 130:1090] = False
    check(library, q, k, v, bias, mask, grad)


def test_bias_that_batch_entries_share(library):
    q, k, v, bias, mask, grad = draw(2, 2, 40, 70, 2, 16, torch.float16)
    check(library, q, k, v, bias[:1].expand(2, -1, -1, -1), mask, grad)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_order_of_threads_and_copies_changes_no_bit(library, order):
    q, k, v, bias, mask, _ = draw(1, 4, 140, 330, 1, 32, torch.bfloat16)
    _, *first = forward(library, q, k, v, bias, mask)
    _, *other = forward(library, q, k, v, bias, mask, order=order)
    assert all(torch.equal(a, b) for a, b in zip(first, other, strict=True))


def test_what_is_not_taken_is_left_alone(library):
    q, k, v, bias, mask, _ = draw(1, 2, 9, 9, 2, 32, torch.bfloat16)
    wide = [normal(torch.Generator().manual_seed(0), 1, 2, 9, 2, 33, dtype=torch.bfloat16)[..., :32] for _ in range(3)]
    not_taken = [
        (*wide, bias, mask),  # rows at no multiple of 16 bytes
        (q, k.expand(1, 2, 9, 2, 32)[:, :1].expand(1, 2, 9, 2, 32), v, bias, mask),  # a stride of 0
        tuple(x.float() if x.is_floating_point() else x for x in (q, k, v, bias, mask)),
        draw(1, 2, 9, 9, 2, 72, torch.bfloat16)[:5],
        draw(1, 2, 9, 9, 2, 12, torch.bfloat16)[:5],
    ]
    launches = library.structdiff_emulation_launches()
    for given in not_taken:
        status, out, _ = forward(library, *given)
        assert status == UNSUPPORTED
        assert out.isnan().all()
    assert library.structdiff_emulation_launches() == launches


@pytest.mark.parametrize("kind", [kind for kind in hopper_check().kinds if kind[2] == 32])
def test_the_check_that_a_gpu_must_pass(library, kind):
    problem = hopper_check().problem(torch.device("cpu"), kind)
    q, k, v, bias, *_ = problem.arguments
    assert k.stride(1) < k.stride(2), "keys as the ending node has them"
    assert v.stride(1) > v.stride(2), "values as the starting node has them"
    assert run(library, "triangle_attention", "forward_hopper", problem.arguments, (q, k, bias)) == 0
    for found, wanted in zip(problem.outputs, problem.expected, strict=True):
        assert mistake(found, wanted, BOUNDS[kind[0]] / 4) is None


KERNEL, WORDS = "triangle_attention/cuda_hopper_forward.cuh", "common/cuda_hopper.cuh"
SABOTAGE = {
    "tiles not waited for": (
        KERNEL,
        "      wait_for(block.full(next), (step + 1) / kStages % 2);\n",
        "",
    ),
    "the wrong phase": (
        KERNEL,
        "block.full(next), (step + 1) / kStages % 2",
        "block.full(next), 0",
    ),
    "places not waited for": (KERNEL, "      wait_for(block.empty(stage), step / kStages % 2 ^ 1);\n", ""),
    "places free too early": (
        KERNEL,
        "      uint32_t weights[kKeys / 16][4];\n",
        "      if (m == 0) release(block, stage);\n      uint32_t weights[kKeys / 16][4];\n",
    ),
    "scores not waited for": (KERNEL, "    products_wait<0>();\n    for (int step", "    for (int step"),
    "weights made too early": (KERNEL, "      if (m > 0) products_wait<0>();\n", ""),
    "outputs not waited for": (
        KERNEL,
        "    products_wait<0>();\n#pragma unroll\n    for (int m = 0; m < Tiles; ++m) hold",
        "#pragma unroll\n    for (int m = 0; m < Tiles; ++m) hold",
    ),
    "too few bytes": (KERNEL, "tiles_16 * kTileValues * 4);", "tiles_16 * kTileValues * 4 - 16);"),
    "registers not handed over": (
        KERNEL,
        "      products_begin();\n      uint64_t values",
        "      uint64_t values",
    ),
    "keys of the next tile": (
        KERNEL,
        "given(block.words(stage) + row_of_group())",
        "given(block.words((step + 1) % kStages) + row_of_group())",
    ),
    "keys of another row": (KERNEL, "bits[row] = tiles.bits(row);", "bits[row] = tiles.bits(0);"),
    "an end that nobody says": (KERNEL, "        arrive(block.full(stage));\n", ""),
    "words written too early": (
        KERNEL,
        "      wait_for(block.empty(stage), step / kStages % 2 ^ 1);\n#pragma unroll\n"
        "      for (int row = 0; row < kRows; ++row) give(block.words(stage) + row, bits[row]);\n",
        "      for (int row = 0; row < kRows; ++row) give(block.words(stage) + row, bits[row]);\n"
        "      wait_for(block.empty(stage), step / kStages % 2 ^ 1);\n",
    ),
    "values not transposed": (KERNEL, "template add<1>", "template add<0>"),
    "the wrong scrambling": (WORDS, "row_bytes == 64 ? 2 : 3", "row_bytes == 64 ? 3 : 2"),
    "the wrong stride": (
        WORDS,
        "static_cast<uint64_t>(row_bytes) * 8 >> 4",
        "static_cast<uint64_t>(row_bytes) * 4 >> 4",
    ),
    "the wrong part of a row": (
        KERNEL,
        "block.keys(stage, row_of_group()), true)",
        "block.keys(stage, row_of_group()), false)",
    ),
    "one warp too many": (KERNEL, "block.rows * 4);  // warps", "block.rows * 4 + 1);  // warps"),
}


@pytest.mark.parametrize("mistake", SABOTAGE)
def test_the_emulation_sees(emulation_folder, tmp_path, mistake):
    wrong = opened(sabotaged(emulation_folder, tmp_path, *SABOTAGE[mistake]))
    with pytest.raises(AssertionError):
        check(wrong, *draw(1, 3, 70, 450, 1, 32, torch.bfloat16), order=2)


PRODUCT = "triangle_multiplication/cuda_hopper_product.cuh"
PRODUCT_SABOTAGE = {
    "tiles not waited for": ("      wait_for(block.full + stage, step / kStages % 2);\n", ""),
    "places not waited for": ("      wait_for(block.empty + stage, step / kStages % 2 ^ 1);\n", ""),
    "places free too early": ("release(block, (step - 1) % kStages, lane);", "release(block, stage, lane);"),
    "sums not waited for": ("    products_wait<0>();\n", ""),
    "too few bytes": ("arrive_expecting(full, kStageBytes);", "arrive_expecting(full, kStageBytes / 2);"),
    "the other half of the rows": ("block.tiles + group * kHalfBytes)", "block.tiles + (1 - group) * kHalfBytes)"),
    "the wrong distance of columns": ("(right_tile, kRowBytes, kHalfBytes)", "(right_tile, kRowBytes)"),
    "the wrong part of a row": (
        "constexpr int kLeftStep = (LeftByDepth ? 16 * kRowBytes : 32) / 16;",
        "constexpr int kLeftStep = (LeftByDepth ? 8 * kRowBytes : 16) / 16;",
    ),
}


def check_products_of_planes(library):
    z, mask, weights, _ = draw_pairs(1, 258, 16, 16, torch.bfloat16)
    found = update(library, z, mask, weights, False, order=2)
    assert_near(found, pair_update(z, mask, weights, False), TOLERANCE[z.dtype], "out")


@pytest.mark.parametrize("mistake", PRODUCT_SABOTAGE)
def test_the_emulation_sees_of_products_of_planes(emulation_folder, tmp_path, mistake):
    unit = "triangle_multiplication/cuda_bfloat16.cu"
    wrong = opened(sabotaged(emulation_folder, tmp_path, PRODUCT, *PRODUCT_SABOTAGE[mistake], unit=unit))
    with pytest.raises(AssertionError):
        check_products_of_planes(wrong)
