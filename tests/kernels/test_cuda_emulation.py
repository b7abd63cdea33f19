"""The CUDA kernels' own sources, run on the host thread by thread and compared with float64.

What tests/kernels/emulation/device.h checks beside the results (memory out of bounds, races, reads of what was never
written) fails a test here too.
"""

from __future__ import annotations

import ctypes
import itertools
import math

import pytest
import torch
from torch.nn import functional

from structdiff.kernels.native import SPECIAL_VARIABLE
from structdiff.kernels.tensor_views import view
from tests.kernels.emulation.build import compiler

pytestmark = pytest.mark.skipif(compiler() is None, reason="no C++ compiler")


def words(x):
    if isinstance(x, torch.Tensor):
        return ctypes.c_char_p(view(x))
    if isinstance(x, (list, tuple)):
        return ctypes.c_char_p(b"".join(view(each) for each in x))
    return ctypes.c_double(x) if isinstance(x, float) else x


# The emulated machine's devices: the first is a Hopper, and runs the kernels made for it where there are some.
HOPPER, EVERY_GPU = 0, 1


def run(library, operator, direction, arguments, workspace_of, order=0, device=HOPPER):
    """Calls a contract's CUDA function; any other memory than that of its arguments is out of bounds."""
    ask = getattr(library, f"structdiff_{operator}_{direction}_workspace_cuda")
    ask.restype = ctypes.c_int64
    scratch = torch.full((ask(*(words(x) for x in workspace_of), 0),), 0xFF, dtype=torch.uint8)
    library.structdiff_emulation_forget_all()
    flat = itertools.chain.from_iterable(x if isinstance(x, (list, tuple)) else [x] for x in [*arguments, scratch])
    for x in flat:
        if isinstance(x, torch.Tensor):
            storage = x.untyped_storage()
            address, size = ctypes.c_void_p(storage.data_ptr()), ctypes.c_int64(storage.nbytes())
            library.structdiff_emulation_allow(address, size)
    library.structdiff_emulation_set_order(order)
    function = getattr(library, f"structdiff_{operator}_{direction}_cuda")
    address, size = ctypes.c_void_p(scratch.data_ptr()), ctypes.c_int64(scratch.numel())
    status = function(*(words(x) for x in arguments), address, size, device, None)
    fault = library.structdiff_emulation_take_fault().decode()
    assert not fault, fault
    return status


def normal(generator, *shape, dtype):
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def nothing(*shape, dtype=torch.float32):
    return torch.full(shape, math.nan, dtype=dtype)


# Relative to the largest value, or to 1: a rounding of the type, times what sums over some hundred terms need.
TOLERANCE = {torch.float32: 3e-6, torch.float16: 1.5e-3, torch.bfloat16: 1e-2}


def assert_near(found, wanted, tolerance, name, rounding=0.0):
    error = (found.double() - wanted).abs().max()
    assert error <= tolerance * max(1, wanted.abs().max()) + rounding, f"{name}: {error:.2e}"  # NaN fails too


def expected(q, k, v, bias, mask, scale, grad_out):
    """Triangle attention and its gradients in float64, and the logarithms of the denominators."""
    inputs = [x.double().requires_grad_() for x in (q, k, v, bias)]
    scores = torch.einsum("bijhd,bikhd->bihjk", *inputs[:2]) * scale + inputs[3][:, None]
    alive = mask.any(-1)
    # Where all keys are hidden all take part, with equal weights.
    scores = torch.where(alive[:, :, None, None, None], scores, 0 * scores.detach())
    scores = scores.masked_fill(~(mask | ~alive[..., None])[:, :, None, None], -math.inf)
    out = torch.einsum("bihjk,bikhd->bijhd", scores.softmax(-1), inputs[2])
    out.backward(grad_out.double())
    lse = scores.logsumexp(-1).masked_fill(~alive[:, :, None, None], math.inf)
    return out.detach(), lse.detach(), [x.grad for x in inputs]


def draw(batch, rows, queries, keys, heads, channels, dtype, *, hidden=0.3, strided=False, bias_dtype=None):
    generator = torch.Generator().manual_seed(channels)
    tokens = (normal(generator, batch, rows, n, heads, channels, dtype=dtype) for n in (queries, keys, keys))
    q, k, v = tokens
    if strided:  # nothing lies side by side, nothing is aligned
        q = normal(generator, batch, rows, heads, queries, channels + 1, dtype=dtype)[..., 1:].transpose(2, 3)
        k = normal(generator, batch, keys, rows, heads, channels, dtype=dtype).transpose(1, 2)
        v = normal(generator, batch, rows, keys, channels, heads, dtype=dtype).mT
    bias = normal(generator, batch, keys, queries, heads, dtype=bias_dtype or dtype).permute(0, 3, 2, 1)
    mask = torch.rand((batch, rows, keys), generator=generator) >= hidden
    if hidden:
        mask[:, 0] = False  # a row without keys
        mask[:, -1, : min(keys - 1, 64)] = False  # a whole tile of keys hidden
    grad_out = normal(generator, batch, rows, queries, heads, channels, dtype=dtype)
    return q, k, v, bias, mask, grad_out


def attend(
    library, q, k, v, bias, mask, grad_out, *, order=0, scale=None, operator="triangle_attention", device=EVERY_GPU
):
    """Forward and backward: out, lse, and the four gradients."""
    heads, queries = bias.shape[1:3]
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    out, lse = nothing(*q.shape, dtype=q.dtype), nothing(*q.shape[:-3], heads, queries)
    arguments = (q, k, v, bias, mask, scale, out, lse)
    assert run(library, operator, "forward", arguments, (q, k, bias), order) == 0
    shared = operator == "attention_pair_bias" and bias.stride(0) == 0
    grad_bias = nothing(1 if shared else len(bias), *bias.shape[1:])
    grads = [torch.full_like(x, math.nan) for x in (q, k, v)] + [grad_bias]
    arguments = (grad_out, q, k, v, bias, mask, out, lse, scale, *grads)
    assert run(library, operator, "backward", arguments, (q, k, bias), order, device) == 0
    return out, lse, grads


def check(library, inputs, *, scale=None, device=EVERY_GPU):
    q, k, v, bias, mask, grad_out = inputs
    tolerance = TOLERANCE[q.dtype]
    out, lse, grads = attend(library, *inputs, scale=scale, device=device)
    mask = torch.ones(k.shape[:3], dtype=torch.bool) if mask is None else mask
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    wanted, wanted_lse, wanted_grads = expected(q, k, v, bias, mask, scale, grad_out)
    assert_near(out, wanted, tolerance, "out")
    torch.testing.assert_close(lse.double(), wanted_lse, rtol=0, atol=tolerance)
    # The slopes of scores are differences of these products, and nothing is left of them where one key is seen.
    products = torch.einsum("bijhd,bikhd->bihjk", grad_out.double(), v.double()).abs().max()
    for name, found, gradient in zip(("q", "k", "v", "bias"), grads, wanted_grads, strict=True):
        assert_near(found, gradient, tolerance, f"gradient of {name}", 2 * torch.finfo(torch.float32).eps * products)


HEAD_DIMS = (8, 16, 24, 32, 48, 64, 72, 128)
SIZES = [(1, 1, 1, 1), (2, 7, 7, 7), (1, 2, 33, 33), (1, 5, 17, 70), (1, 2, 70, 129)]


@pytest.mark.parametrize("channels", HEAD_DIMS)
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_head_dims(library, dtype, channels):
    check(library, draw(1, 2, 33, 40, 1, channels, dtype))


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("sizes", SIZES)
def test_sizes(library, sizes, dtype):
    check(library, draw(*sizes, 1, 16, dtype, hidden=0.3 if sizes[1] > 1 else 0))


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_strides(library, dtype):
    check(library, draw(1, 3, 34, 65, 2, 24, dtype, strided=True))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_bias_of_float32(library, dtype):
    check(library, draw(1, 3, 33, 40, 2, 32, dtype, bias_dtype=torch.float32))


def test_no_mask_and_a_scale(library):
    q, k, v, bias, _, grad_out = draw(1, 3, 33, 70, 1, 32, torch.bfloat16, hidden=0)
    check(library, (q, k, v, bias, None, grad_out), scale=0.5)


def test_rows_are_shared_out_for_the_bias(library):
    # 24 rows make three shares, whose sums are added up in the end.
    check(library, draw(1, 24, 9, 9, 1, 8, torch.float32))


def test_bias_of_minus_infinity(library):
    q, k, v, bias, mask, grad_out = draw(1, 2, 20, 130, 1, 16, torch.float32, hidden=0)
    bias[..., :100] = -math.inf
    check(library, (q, k, v, bias, mask, grad_out))


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("size", [3e6, 1e12, 1e30])
def test_logits_of_any_size(library, size, dtype):
    q, k, v, bias, mask, grad_out = draw(1, 2, 20, 150, 1, 16, dtype, bias_dtype=torch.float32)
    bias = bias + size * torch.linspace(-1, 1, 150).roll(40)
    out, _, grads = attend(library, q, k, v, bias, mask, grad_out)
    wanted, _, _ = expected(q, k, v, bias, mask, 1 / 4, grad_out)
    assert_near(out, wanted, TOLERANCE[dtype], "out")
    assert all(x.isfinite().all() for x in grads)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("lowest", [-1e9, None])
def test_keys_that_are_all_hidden_by_numbers_give_a_mean(library, lowest, dtype):
    """Of which keys is decided by what a sum of that size cuts off, as it is in PyTorch."""
    q, k, v, bias, mask, grad_out = draw(1, 2, 20, 150, 1, 16, dtype, hidden=0, bias_dtype=torch.float32)
    bias = torch.full_like(bias, torch.finfo(torch.float32).min if lowest is None else lowest)
    out, _, grads = attend(library, q, k, v, bias, mask, grad_out)
    assert (out >= v.min(2, keepdim=True).values - TOLERANCE[dtype]).all()  # NaN fails too
    assert (out <= v.max(2, keepdim=True).values + TOLERANCE[dtype]).all()
    assert all(x.isfinite().all() for x in grads)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_order_of_threads_changes_no_bit(library, order):
    inputs = draw(1, 5, 40, 100, 1, 32, torch.bfloat16)
    first, other = attend(library, *inputs), attend(library, *inputs, order=order)
    for a, b in zip([*first[:2], *first[2]], [*other[:2], *other[2]], strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("shared", [True, False])
def test_attention_pair_bias(library, shared, dtype):
    """Samples are rows where they share a bias, and batch entries of one row where they do not."""
    samples, tokens = 5, 35
    q, k, v, bias, mask, grad_out = draw(1, samples, tokens, tokens, 2, 48, dtype)
    rows = [x.squeeze(0) for x in (q, k, v)]
    if shared:
        expanded = bias.expand(samples, -1, -1, -1)
    else:
        generator = torch.Generator().manual_seed(1)
        expanded = normal(generator, samples, 2, tokens, tokens, dtype=dtype)
    operator = "attention_pair_bias"
    out, lse, grads = attend(library, *rows, expanded, mask[0], grad_out[0], operator=operator)
    batched = [x[0][:, None] for x in (q, k, v)]
    wanted, wanted_lse, wanted_grads = expected(
        *batched, expanded, mask[0][:, None], 1 / math.sqrt(48), grad_out[0][:, None]
    )
    if shared:
        wanted_grads[3] = wanted_grads[3].sum(0, keepdim=True)
    assert_near(out, wanted[:, 0], TOLERANCE[dtype], "out")
    torch.testing.assert_close(lse.double(), wanted_lse[:, 0], rtol=0, atol=TOLERANCE[dtype])
    for name, found, gradient in zip(("q", "k", "v", "bias"), grads, wanted_grads, strict=True):
        assert_near(found, gradient.reshape(found.shape), TOLERANCE[dtype], f"gradient of {name}")


def test_what_is_not_taken_is_left_alone(library):
    q, k, v, bias, mask, _ = draw(1, 2, 5, 5, 1, 12, torch.float32)
    out, launches = nothing(*q.shape), library.structdiff_emulation_launches()
    for scale in (1.0, -1.0):
        arguments = (q, k, v, bias, mask, scale, out, None)
        assert run(library, "triangle_attention", "forward", arguments, (q, k, bias)) == 1
    assert library.structdiff_emulation_launches() == launches
    assert out.isnan().all()


BAD_ARGUMENT = 2


def test_sizes_that_do_not_fit_are_refused(library):
    """Nothing is known of memory beyond a tensor: what the CPU's kernels refuse, a GPU would read past its end."""
    q, k, v, bias, mask, grad_out = draw(2, 3, 5, 6, 2, 16, torch.float32)
    given = {"q": q, "k": k, "v": v, "bias": bias, "mask": mask}
    wrong = {
        "a bias for one batch entry": {"bias": bias[:1]},
        "a bias for fewer keys": {"bias": bias[..., :5]},
        "a bias for fewer heads": {"bias": bias[:, :1]},
        "fewer rows of keys": {"k": k[:, :2], "v": v[:, :2]},
        "fewer values": {"v": v[:, :, :5]},
        "fewer channels": {"k": k[..., :8]},
        "a mask for fewer keys": {"mask": mask[..., :5]},
        "a mask for one batch entry": {"mask": mask[:1]},
        "a mask of numbers": {"mask": mask.float()},
    }
    launches = library.structdiff_emulation_launches()
    for name, changes in wrong.items():
        q, k, v, bias, mask = (given | changes).values()
        out, lse = nothing(*q.shape), nothing(2, 3, 2, 5)
        arguments = (q, k, v, bias, mask, 1.0, out, lse)
        assert run(library, "triangle_attention", "forward", arguments, (q, k, bias)) == BAD_ARGUMENT, name
        assert run(library, "triangle_attention", "forward_hopper", arguments, (q, k, bias)) == BAD_ARGUMENT, name
        grads = [torch.full_like(x, math.nan) for x in (q, k, v, bias)]
        arguments = (grad_out, q, k, v, bias, mask, out, lse, 1.0, *grads)
        assert run(library, "triangle_attention", "backward", arguments, (q, k, bias)) == BAD_ARGUMENT, name
    q, k, v, bias, mask = given.values()
    for out, lse in ((nothing(2, 3, 5, 2, 8), None), (nothing(*q.shape), nothing(2, 3, 2, 4))):
        arguments = (q, k, v, bias, mask, 1.0, out, lse)
        assert run(library, "triangle_attention", "forward", arguments, (q, k, bias)) == BAD_ARGUMENT
    for changes in ({"bias": bias[:1]}, {"mask": mask[:, 0, :5]}, {"v": v[:, 0, :5]}):
        samples = {name: x if name == "bias" else x[:, 0] for name, x in given.items()} | changes
        q, k, v, bias, mask = samples.values()
        arguments = (q, k, v, bias, mask, 1.0, nothing(*q.shape), None)
        assert run(library, "attention_pair_bias", "forward", arguments, (q, k, bias)) == BAD_ARGUMENT
    assert library.structdiff_emulation_launches() == launches


def test_the_emulation_sees_what_is_out_of_bounds(library):
    q, k, v, bias, mask, _ = draw(1, 2, 5, 5, 1, 8, torch.float32)
    out = nothing(*q.shape)
    library.structdiff_emulation_forget_all()
    scratch = torch.zeros(1 << 16, dtype=torch.uint8)
    address, size = ctypes.c_void_p(scratch.data_ptr()), ctypes.c_int64(len(scratch))
    arguments = (words(x) for x in (q, k, v, bias, mask, 1.0, out, None))
    library.structdiff_triangle_attention_forward_cuda(*arguments, address, size, 0, None)
    assert b"none of ours" in library.structdiff_emulation_take_fault()


def pair_update(z, mask, weights, outgoing):
    """Triangle multiplication in float64, written out."""
    z, weights = z.double(), [each.double() for each in weights]
    x = functional.layer_norm(z, z.shape[-1:], weights[0], weights[1], 1e-5)
    edges = functional.linear(x, weights[2]) * functional.linear(x, weights[3]).sigmoid() * mask[..., None]
    a, b = edges.chunk(2, -1)
    product = torch.einsum("zikc,zjkc->zijc" if outgoing else "zkic,zkjc->zijc", a, b)
    product = functional.layer_norm(product, product.shape[-1:], weights[4], weights[5], 1e-5)
    return functional.linear(product, weights[6]) * functional.linear(x, weights[7]).sigmoid()


def triangle_weights(generator, c_z, c_hidden, dtype):
    shapes = [(c_z,), (c_z,), *[(2 * c_hidden, c_z)] * 2, (c_hidden,), (c_hidden,), (c_z, c_hidden), (c_z, c_z)]
    return [normal(generator, *shape, dtype=torch.float64).div(c_z**0.5).to(dtype) for shape in shapes]


def update(library, z, mask, weights, outgoing, order=0):
    out = nothing(*z.shape, dtype=z.dtype)
    arguments = (z, mask, weights, int(outgoing), 1e-5, out)
    assert run(library, "triangle_multiplication", "forward", arguments, (z, weights), order) == 0
    return out


def slopes(library, grad, z, mask, weights, outgoing, order=0):
    """Gradients of z and of the weights."""
    grad_z, grads = nothing(*z.shape, dtype=z.dtype), [nothing(*x.shape) for x in weights]
    arguments = (grad, z, mask, weights, int(outgoing), 1e-5, grad_z, grads)
    assert run(library, "triangle_multiplication", "backward", arguments, (z, weights), order) == 0
    return [grad_z, *grads]


def draw_pairs(batch, n, c_z, c_hidden, dtype):
    generator = torch.Generator().manual_seed(n)
    z, grad = (normal(generator, batch, n, n, c_z, dtype=dtype) for _ in range(2))
    mask = torch.rand(z.shape[:3], generator=generator) >= 0.3
    return z, mask, triangle_weights(generator, c_z, c_hidden, dtype), grad


@pytest.fixture
def every_gpu(monkeypatch):
    """Not the kernels that are made for one."""
    monkeypatch.setenv(SPECIAL_VARIABLE, "0")


def check_triangles(library, batch, n, c_z, c_hidden, dtype, outgoing):
    """Forward and backward, against float64."""
    z, mask, weights, grad = draw_pairs(batch, n, c_z, c_hidden, dtype)
    leaves = [x.double().requires_grad_() for x in (z, *weights)]
    wanted = pair_update(leaves[0], mask, leaves[1:], outgoing)
    assert_near(update(library, z, mask, weights, outgoing), wanted.detach(), TOLERANCE[dtype], "out")
    wanted.backward(grad.double())
    found = slopes(library, grad, z, mask, weights, outgoing)
    for index, (gradient, leaf) in enumerate(zip(found, leaves, strict=True)):
        assert_near(gradient, leaf.grad, TOLERANCE[dtype], f"gradient {index}")


@pytest.mark.parametrize(("batch", "n"), [(2, 7), (1, 1)])
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("outgoing", [True, False])
@pytest.mark.usefixtures("every_gpu")
def test_triangle_multiplication(library, batch, n, outgoing, dtype):
    check_triangles(library, batch, n, 32, 16, dtype, outgoing)


@pytest.mark.parametrize("sizes", [(2, 7, 32, 16), (1, 70, 16, 16), (1, 130, 16, 16)])
@pytest.mark.parametrize(("outgoing", "dtype"), [(True, torch.bfloat16), (False, torch.float16)])
def test_triangle_multiplication_by_products_of_hopper(library, sizes, outgoing, dtype):
    check_triangles(library, *sizes, dtype, outgoing)


@pytest.mark.parametrize("order", [1, 2])
def test_order_of_threads_and_copies_changes_no_bit_of_products_of_hopper(library, order):
    z, mask, weights, grad = draw_pairs(1, 70, 16, 16, torch.bfloat16)
    assert torch.equal(*(update(library, z, mask, weights, True, each) for each in (0, order)))
    first, other = (slopes(library, grad, z, mask, weights, True, each) for each in (0, order))
    assert all(torch.equal(x, y) for x, y in zip(first, other, strict=True))


@pytest.mark.parametrize(("c_z", "c_hidden"), [(112, 80), (16, 144)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.usefixtures("every_gpu")
def test_triangle_multiplication_gradient_of_many_channels(library, c_z, c_hidden, dtype):
    """Depths of 128 and 256, filled up with zeros; weights that shared memory has room for, and that it has not."""
    check_triangles(library, 1, 3, c_z, c_hidden, dtype, True)


def test_triangle_multiplication_refuses_sizes_that_do_not_fit(library):
    z, mask, weights, grad = draw_pairs(2, 7, 32, 16, torch.float32)
    for given in (
        (z[:, :, :6], mask, weights),
        (z, mask[:1], weights),
        (z, mask[..., :6], weights),
        (z, mask.float(), weights),
        (z, mask, [*weights[:2], weights[2][:16], *weights[3:]]),
        (z, mask, [*weights[:7], weights[7][:, :16]]),
    ):
        arguments = (*given, 1, 1e-5, nothing(*z.shape))
        workspace_of = (given[0], given[2])
        assert run(library, "triangle_multiplication", "forward", arguments, workspace_of) == BAD_ARGUMENT
        arguments = (grad, *given, 1, 1e-5, nothing(*z.shape), [nothing(*x.shape) for x in weights])
        assert run(library, "triangle_multiplication", "backward", arguments, workspace_of) == BAD_ARGUMENT


def test_triangle_multiplication_beyond_one_tile(library):
    z, mask, weights, _ = draw_pairs(1, 66, 16, 16, torch.float32)
    out = update(library, z, mask, weights, False)
    assert_near(out, pair_update(z, mask, weights, False), TOLERANCE[torch.float32], "out")


@pytest.mark.usefixtures("every_gpu")
def test_triangle_multiplication_goes_through_its_weights_again(library):
    """Positions that a block goes on to, of channels whose weights do not fit into shared memory at once."""
    z, mask, weights, _ = draw_pairs(1, 17, 112, 80, torch.float32)
    out = update(library, z, mask, weights, True)
    assert_near(out, pair_update(z, mask, weights, True), TOLERANCE[torch.float32], "out")


@pytest.mark.usefixtures("every_gpu")
def test_triangle_multiplication_of_many_channels(library):
    z, mask, weights, _ = draw_pairs(1, 2, 256, 48, torch.float16)
    out = update(library, z, None, [x.float() for x in weights], True)
    wanted = pair_update(z, torch.ones_like(mask), weights, True)
    assert_near(out, wanted, TOLERANCE[torch.float16], "out")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.usefixtures("every_gpu")
def test_triangle_multiplication_strides_and_order(library, dtype):
    z, mask, weights, grad = draw_pairs(1, 11, 32, 16, dtype)
    z, mask, grad = z.permute(0, 3, 2, 1).contiguous().permute(0, 3, 2, 1), mask.mT, grad.transpose(1, 2)
    weights = [x.mT.contiguous().mT if x.dim() == 2 else x for x in weights]
    first, other = (update(library, z, mask, weights, False, order) for order in (0, 2))
    assert torch.equal(first, other)
    assert_near(first, pair_update(z, mask, weights, False), TOLERANCE[dtype], "out")
    leaf = z.double().requires_grad_()
    pair_update(leaf, mask, weights, False).backward(grad.double())
    first, other = (slopes(library, grad, z, mask, weights, False, order) for order in (0, 2))
    assert all(torch.equal(x, y) for x, y in zip(first, other, strict=True))
    assert_near(first[0], leaf.grad, TOLERANCE[dtype], "gradient of z")
