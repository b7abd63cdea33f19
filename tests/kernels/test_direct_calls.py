"""Operators beside PyTorch's dispatcher where nobody looks, through it where somebody does."""

import sys
import warnings

import pytest
import torch
import torch.utils.checkpoint
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils.flop_counter import FlopCounterMode

from structdiff import kernels
from structdiff.kernels.registration import unobserved
from tests.kernels.test_attention_pair_bias import draw as draw_pair_bias
from tests.kernels.test_triangle_attention import draw as draw_triangle
from tests.kernels.test_triangle_multiplication import draw as draw_edges

OPERATORS = {kernels.triangle_attention: draw_triangle, kernels.attention_pair_bias: draw_pair_bias}
ATTENTIONS = pytest.mark.parametrize("operator", OPERATORS, ids=lambda x: x.__name__)


def draw_multiplication():
    return {**draw_edges(), "outgoing": True}


ALL = {**OPERATORS, kernels.triangle_multiplication: draw_multiplication}


def both_directions(operator, inputs):
    leaves = {name: x.detach().requires_grad_() for name, x in inputs.items() if is_number(x)}
    out = operator(**inputs | leaves)
    return out.detach(), *torch.autograd.grad(out, [*leaves.values()], out.detach() + 1)


def is_number(x):
    return isinstance(x, torch.Tensor) and x.is_floating_point()


@pytest.mark.parametrize("operator", ALL, ids=lambda x: x.__name__)
@pytest.mark.parametrize("mode", ["auto", "reference"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_same_bits_either_way(operator, mode, dtype, monkeypatch):
    inputs = {name: x.to(dtype) if is_number(x) else x for name, x in ALL[operator]().items()}
    kernels.set_mode(mode)
    try:
        direct = both_directions(operator, inputs)
        with torch.no_grad():
            plain = operator(**inputs)
        monkeypatch.setattr(sys.modules[operator.__module__], "unobserved", lambda *_: False)
        dispatched = both_directions(operator, inputs)
    finally:
        kernels.set_mode(None)
    assert torch.equal(plain, direct[0])
    for x, y in zip(direct, dispatched, strict=True):
        assert torch.equal(x, y)
        assert x.dtype == y.dtype == dtype
        assert x.stride() == y.stride()


@pytest.mark.parametrize("operator", ALL, ids=lambda x: x.__name__)
def test_checkpointed(operator):
    inputs = ALL[operator]()
    expected = both_directions(operator, inputs)

    def again(**given):
        return torch.utils.checkpoint.checkpoint(lambda: operator(**given), use_reentrant=False)

    for x, y in zip(both_directions(again, inputs), expected, strict=True):
        assert torch.equal(x, y)


@pytest.mark.parametrize("operator", ALL, ids=lambda x: x.__name__)
def test_gradients_of_some_inputs_only(operator):
    inputs = ALL[operator]()
    expected = both_directions(operator, inputs)
    names = [name for name, x in inputs.items() if is_number(x)]
    for place, name in enumerate(names):
        leaf = inputs[name].detach().requires_grad_()
        out = operator(**inputs | {name: leaf})
        (grad,) = torch.autograd.grad(out, leaf, out.detach() + 1)
        assert torch.equal(grad, expected[1 + place])


@ATTENTIONS
def test_profilers_see_the_operator(operator):
    with torch.profiler.profile() as profile, torch.no_grad():
        operator(**OPERATORS[operator]())
    assert f"structdiff::{operator.__name__}" in {event.name for event in profile.events()}


def test_who_looks_at_operators():
    x = torch.zeros(3)
    assert unobserved(x, torch.nn.Parameter(x), None)
    seen = []

    def look(each):
        seen.append(unobserved(each))
        return each * 2

    with FlopCounterMode(display=False):
        look(x)
    with FakeTensorMode() as mode:
        look(torch.zeros(3))
        seen.append(unobserved(x))
    look(mode.from_tensor(x))
    with torch.device("cpu"):
        look(x)
    torch.vmap(look)(x)
    torch.func.grad(lambda each: look(each).sum())(x)
    with warnings.catch_warnings(action="ignore"):
        torch.jit.trace(look, x, check_trace=False)
    torch.compile(look, backend="eager", fullgraph=False)(x)
    make_fx(look)(x)
    assert seen
    assert not any(seen)
    assert unobserved(x)


def half_precision_under_autocast(operator, dtype, monkeypatch, **changes):
    """What a GPU would give, without one: fake tensors."""
    monkeypatch.setattr(sys.modules[operator.__module__], "available", lambda device: True)
    before = torch.get_autocast_dtype("cuda")
    torch.set_autocast_enabled("cuda", True)  # torch.autocast declines without a GPU
    torch.set_autocast_dtype("cuda", dtype)
    try:
        with FakeTensorMode():
            inputs = OPERATORS[operator]().items()
            placed = {name: torch.empty(x.shape, dtype=changes.get(name, x.dtype), device="cuda") for name, x in inputs}
            return operator(**placed).dtype
    finally:
        torch.set_autocast_enabled("cuda", False)
        torch.set_autocast_dtype("cuda", before)


@ATTENTIONS
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_under_autocast_a_gpu_attends_in_half_precision(operator, dtype, monkeypatch):
    """As PyTorch's own attention does, whatever each of its inputs is."""
    assert half_precision_under_autocast(operator, dtype, monkeypatch) == dtype
    assert half_precision_under_autocast(operator, dtype, monkeypatch, q=torch.bfloat16) == dtype
    assert half_precision_under_autocast(operator, dtype, monkeypatch, bias=torch.bfloat16) == dtype
    exact = dict.fromkeys("qkv", torch.float64)
    assert half_precision_under_autocast(operator, dtype, monkeypatch, **exact) == torch.float64


@ATTENTIONS
def test_under_autocast_a_cpu_attends_in_the_type_it_is_given(operator):
    inputs = OPERATORS[operator]()
    expected = operator(**inputs)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(operator(**inputs), expected)
