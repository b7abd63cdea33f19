"""The backward kernels of attention made for Hopper, their own source, run on the host and compared with float64.

Which kernels run is decided in the library: device 0 of the emulated machine is a Hopper, and inputs that its kernels
do not take go to those for every GPU.
"""

from __future__ import annotations

import math

import pytest
import torch

from tests.kernels.emulation.build import compiler, opened, sabotaged
from tests.kernels.test_cuda_emulation import EVERY_GPU, HOPPER, TOLERANCE, assert_near, attend, check, draw, normal

pytestmark = pytest.mark.skipif(compiler() is None, reason="no C++ compiler")

DTYPES = (torch.float16, torch.bfloat16)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [8, 16, 24, 32, 40, 48, 56, 64])
def test_head_dims(library, channels, dtype):
    check(library, draw(1, 3, 70, 140, 2, channels, dtype), device=HOPPER)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1, 7, 33, 64, 129, 200])
def test_sizes(library, size, dtype):
    hidden = 0.3 if size > 1 else 0
    check(library, draw(1, min(size, 4), size, size, 1, 32, dtype, hidden=hidden), device=HOPPER)


def test_batches_and_shares_of_many_rows(library):
    """Rows that a warp looks at in several turns, some of them without keys in a tile."""
    q, k, v, bias, mask, grad = draw(2, 75, 20, 70, 1, 16, torch.bfloat16)
    mask[:, 10:60, 64:] = False
    mask[1, 3:50] = False
    check(library, (q, k, v, bias, mask, grad), device=HOPPER)
    check(library, (q, k, v, bias, mask, grad), device=EVERY_GPU)


def test_without_a_mask_and_with_one_that_hides_nothing(library):
    q, k, v, bias, mask, grad = draw(1, 3, 40, 100, 1, 32, torch.bfloat16, hidden=0)
    check(library, (q, k, v, bias, None, grad), device=HOPPER)
    check(library, (q, k, v, bias, mask, grad), scale=0.5, device=HOPPER)


def test_rows_without_keys_only(library):
    q, k, v, bias, mask, grad = draw(1, 3, 40, 70, 1, 32, torch.bfloat16)
    check(library, (q, k, v, bias, torch.zeros_like(mask), grad), device=HOPPER)


def test_keys_of_one_row_only(library):
    q, k, v, bias, mask, grad = draw(1, 3, 40, 330, 1, 32, torch.float16)
    mask[:] = False
    mask[:, 0, :3], mask[:, 1, 300:], mask[:, 2, 128:192] = True, True, True
    check(library, (q, k, v, bias, mask, grad), device=HOPPER)


def test_bias_of_minus_infinity(library):
    q, k, v, bias, mask, grad = draw(1, 3, 33, 140, 1, 32, torch.bfloat16, hidden=0)
    bias = bias.clone()
    bias[..., :70] = -math.inf
    check(library, (q, k, v, bias, mask, grad), device=HOPPER)


def test_large_logarithms(library):
    """Weights are kept from growing beyond 1 where rounding might let them."""
    q, k, v, bias, mask, grad = draw(1, 2, 70, 140, 1, 32, torch.bfloat16)
    bias = torch.full_like(bias, 8192)
    bias[:, :, 40:] = 0  # in one tile of queries some are large and some are not
    check(library, (q, k, v, bias, mask, grad), device=HOPPER)


@pytest.mark.parametrize("size", [3e6, 1e12, 1e30])
def test_logits_of_any_size_give_numbers(library, size):
    q, k, v, bias, mask, grad = draw(1, 2, 33, 150, 1, 32, torch.bfloat16)
    bias = (bias + size * torch.linspace(-1, 1, 150).roll(40)).to(torch.bfloat16)
    _, _, grads = attend(library, q, k, v, bias, mask, grad, device=HOPPER)
    assert all(x.isfinite().all() for x in grads)


@pytest.mark.parametrize("transposed", [False, True], ids=["starting", "ending"])
def test_packed_and_transposed_views(library, transposed):
    """q, k and v as one projection gives them, and as the ending node sees them."""
    generator = torch.Generator().manual_seed(3)
    q, k, v = normal(generator, 1, 70, 70, 3, 2, 32, dtype=torch.bfloat16).unbind(3)
    if transposed:
        q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    q, k, v = (x[:, :5] for x in (q, k, v))
    _, _, _, bias, mask, grad = draw(1, 5, 70, 70, 2, 32, torch.bfloat16)
    check(library, (q, k, v, bias, mask, grad), device=HOPPER)


def test_what_these_kernels_do_not_take(library):
    check(library, draw(1, 3, 34, 65, 2, 24, torch.bfloat16, strided=True), device=HOPPER)
    check(library, draw(1, 3, 33, 40, 2, 32, torch.float16, bias_dtype=torch.float32), device=HOPPER)
    check(library, draw(1, 3, 33, 40, 2, 48, torch.float32), device=HOPPER)
    check(library, draw(1, 3, 33, 40, 2, 72, torch.float16), device=HOPPER)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_order_of_threads_changes_no_bit(library, order):
    inputs = draw(1, 18, 70, 140, 1, 32, torch.bfloat16)
    first = attend(library, *inputs, device=HOPPER)[2]
    other = attend(library, *inputs, order=order, device=HOPPER)[2]
    assert all(torch.equal(a, b) for a, b in zip(first, other, strict=True))


def test_samples_that_share_a_bias(library):
    q, k, v, bias, mask, grad = draw(1, 5, 70, 70, 2, 32, torch.bfloat16)
    given = (*(x[0] for x in (q, k, v)), bias.expand(5, -1, -1, -1), mask[0], grad[0])
    found = attend(library, *given, operator="attention_pair_bias", device=HOPPER)[2]
    wanted = attend(library, q, k, v, bias, mask, grad, device=HOPPER)[2]
    for name, x, y in zip(("q", "k", "v", "bias"), found, wanted, strict=True):
        assert_near(x.reshape(y.shape), y.double(), TOLERANCE[torch.bfloat16], f"gradient of {name}")


KEYS, QUERIES = (f"triangle_attention/cuda_hopper_backward_{name}.cuh" for name in ("keys", "queries"))
BIAS, COMMON = "triangle_attention/cuda_hopper_backward_bias.cuh", "triangle_attention/cuda_hopper_backward.cuh"
SABOTAGE = {
    "tiles not waited for": (COMMON, "    wait_for(full + (steps & 1), steps >> 1 & 1);\n", ""),
    "the wrong phase": (COMMON, "steps >> 1 & 1", "0"),
    "too few bytes": (QUERIES, "arrive_expecting(full, 2 * kTile);", "arrive_expecting(full, kTile);"),
    "places free too early": (BIAS, "      barrier();  // the step before is over, and all numbers are there\n", ""),
    "the bias not waited for": (KEYS, "      copy_async_wait<0>();\n", ""),
    "scores not waited for": (COMMON, "  products_wait<1>();\n", ""),
    "slopes not waited for": (BIAS, "    products_wait<0>();\n", ""),
    "sums not waited for": (QUERIES, "    products_commit();\n    products_wait<0>();\n    hold(grad);\n", ""),
    "the wrong rows": ("common/cuda_hopper.cuh", "rows_are_columns ? 2 : RowBytes", "rows_are_columns ? RowBytes : 2"),
    "the wrong scrambling": (COMMON, "kRowBytes == 64 ? 3 : 1", "kRowBytes == 64 ? 1 : 3"),
    "no weight kept at 1": (
        COMMON,
        "return (lse > 4096.0f || lse < -4096.0f) && lse != kInfinity;",
        "return lse != lse;",
    ),
}


def check_all(library):
    q, k, v, bias, mask, grad = draw(1, 18, 70, 330, 1, 32, torch.bfloat16)
    check(library, (q, k, v, bias, mask, grad), device=HOPPER)
    large = (bias.float() + 1e12 * torch.linspace(-1, 1, 330).roll(40)).to(torch.bfloat16)
    grads = attend(library, q, k, v, large, mask, grad, device=HOPPER)[2]
    assert all(x.isfinite().all() for x in grads)


@pytest.mark.parametrize("mistake", SABOTAGE)
def test_the_emulation_sees(emulation_folder, tmp_path, mistake):
    wrong = opened(
        sabotaged(emulation_folder, tmp_path, *SABOTAGE[mistake], unit="triangle_attention/cuda_bfloat16.cu")
    )
    with pytest.raises(AssertionError):
        check_all(wrong)


def test_what_the_mistakes_are_looked_for_with_passes(library):
    check_all(library)
