"""What every operator must do, as tests that each operator's own test class inherits.

A class names its operator, draws inputs and gives the definition, written out in plain PyTorch; the definition in
float64 is the truth, and the definition in the dtype under test is how wrong PyTorch is in it.
"""

from __future__ import annotations

import subprocess
import sys
from abc import ABC, abstractmethod

import pytest
import torch
from torch.testing import assert_close

from structdiff import kernels
from structdiff.kernels import libraries, native

DTYPES = (torch.float32, torch.float16, torch.bfloat16)
SIZES = (1, 7, 33, 129)
WORST_RATIO = 3.0

needs_native = pytest.mark.skipif(libraries.load("cpu") is None, reason="built without a C++ compiler")


def levels_here() -> list[str]:
    """The instruction sets that this processor has, each with a library of its own."""
    library = libraries.load("cpu")
    best = 0 if library is None else library.structdiff_cpu_level()
    return [f"x86_64_v{level}" for level in range(2, best + 1)] or [libraries.cpu_level()]


@pytest.fixture
def native_only():
    kernels.set_mode("native")
    yield
    kernels.set_mode(None)


@pytest.fixture
def reference_only():
    kernels.set_mode("reference")
    yield
    kernels.set_mode(None)


def in_mode(mode, work):
    """What some work gives with the kernels in a mode."""
    kernels.set_mode(mode)
    try:
        return work()
    finally:
        kernels.set_mode(None)


def leaves(inputs):
    return {
        name: x.detach().clone().requires_grad_() if isinstance(x, torch.Tensor) and x.is_floating_point() else x
        for name, x in inputs.items()
    }


def cast(inputs, dtype):
    return {
        name: x.to(dtype) if isinstance(x, torch.Tensor) and x.is_floating_point() else x for name, x in inputs.items()
    }


def strided(x):
    """The same numbers with the axes in memory the other way round."""
    if not isinstance(x, torch.Tensor) or x.dim() < 2:
        return x
    order = tuple(reversed(range(x.dim())))
    return x.permute(order).contiguous().permute(order)


def error(found, truth):
    return (found.double() - truth).abs().max().item()


class OperatorContract(ABC):
    """Inherit as ``class TestX(OperatorContract)`` and give these."""

    name: str  # of the operator in structdiff.kernels and in torch.ops.structdiff
    sizes = SIZES

    @abstractmethod
    def draw(self, size, *, hidden=0.3):
        """Keyword arguments of the operator in float32; hidden: which part of the mask is off, None for no mask."""

    @abstractmethod
    def definition(self, **inputs):
        """The result by the book, in the dtype of the inputs."""

    @abstractmethod
    def opcheck_arguments(self, inputs):
        """The same as arguments of ``torch.ops.structdiff.<name>``."""

    def call(self, **inputs):
        return getattr(kernels, self.name)(**inputs)

    def error(self, found, truth):
        """How wrong a result is."""
        return error(found, truth)

    def leaves(self, inputs):
        """The inputs, those that an operator gives gradients of as leaves."""
        return leaves(inputs)

    def results(self, function, inputs, *, seed=3):
        """The output and all gradients, by name."""
        inputs = self.leaves(inputs)
        out = function(**inputs)
        generator = torch.Generator().manual_seed(seed)
        grad = torch.randn(out.shape, generator=generator, dtype=torch.float32).to(out.dtype)
        out.backward(grad)
        grads = {name: x.grad for name, x in inputs.items() if isinstance(x, torch.Tensor) and x.requires_grad}
        return {"output": out.detach(), **grads}

    @needs_native
    @pytest.mark.parametrize("dtype", DTYPES, ids=str)
    def test_no_more_than_three_times_as_wrong_as_pytorch(self, dtype, native_only):
        for size in self.sizes:
            for hidden in (None, 0.3):
                inputs = cast(self.draw(size, hidden=hidden), dtype)
                truth = self.results(self.definition, cast(inputs, torch.float64))
                theirs = self.results(self.definition, inputs)
                ours = self.results(self.call, inputs)
                for name, exact in truth.items():
                    assert ours[name].dtype == dtype
                    # With one key the gradients vanish, in PyTorch without an error.
                    roundings = 8 if size == 1 else 1
                    least = roundings * torch.finfo(dtype).eps * max(1.0, exact.abs().max().item())
                    allowed = WORST_RATIO * max(self.error(theirs[name], exact), least)
                    assert self.error(ours[name], exact) <= allowed, (name, size, hidden)

    @pytest.mark.parametrize("size", [1, 7, 33])
    def test_reference_agrees_with_the_definition(self, size, reference_only):
        inputs = cast(self.draw(size), torch.float64)
        ours, truth = self.results(self.call, inputs), self.results(self.definition, inputs)
        for name, exact in truth.items():
            assert_close(ours[name], exact, rtol=1e-10, atol=1e-10)

    def test_second_derivatives_are_refused_in_words(self):
        """Also where the gradient of the output is a constant, and those of the inputs look like one."""
        for loss in (torch.sum, lambda out: out.square().sum()):
            inputs = self.leaves(self.draw(7))
            wanted = [x for x in inputs.values() if isinstance(x, torch.Tensor) and x.requires_grad]
            found = torch.autograd.grad(loss(self.call(**inputs)), wanted, create_graph=True)
            with pytest.raises(RuntimeError, match=f"{self.name} of structdiff.kernels has no second derivatives"):
                sum(each.square().sum() for each in found).backward()

    @needs_native
    def test_any_strides(self, native_only):
        inputs = self.draw(33)
        turned = {name: strided(x) for name, x in inputs.items()}
        plain, ours = self.results(self.call, inputs), self.results(self.call, turned)
        assert self.call(**turned).is_contiguous()
        for name, expected in plain.items():
            assert_close(ours[name], expected, rtol=1e-6, atol=1e-6)

    @needs_native
    def test_one_and_two_threads_give_the_same_bits(self, native_only):
        inputs = self.draw(65)
        one = self.results(self.call, inputs)
        torch.set_num_threads(2)
        try:
            two = self.results(self.call, inputs)
        finally:
            torch.set_num_threads(1)
        for name, expected in one.items():
            assert torch.equal(two[name], expected), name

    @needs_native
    @pytest.mark.parametrize("dtype", DTYPES, ids=str)
    def test_not_a_number_stays_one(self, dtype, native_only):
        inputs = cast(self.draw(7, hidden=None), dtype)
        first = next(iter(inputs))
        inputs[first].view(-1)[0] = torch.nan
        assert self.call(**inputs).isnan().any()

    def test_gradients_agree_with_finite_differences(self):
        inputs = leaves(cast(self.draw(3), torch.float64))

        def call(*given):
            return self.call(**dict(zip(inputs, given, strict=True)))

        assert torch.autograd.gradcheck(call, [*inputs.values()], fast_mode=True)

    def test_known_to_pytorch_as_it_is(self):
        operator = getattr(torch.ops.structdiff, self.name).default
        torch.library.opcheck(operator, self.opcheck_arguments(self.leaves(self.draw(5))))

    def test_without_a_library_pytorch_does_the_work(self, monkeypatch):
        inputs = self.draw(7)
        expected = self.call(**inputs)
        monkeypatch.setattr(libraries, "_FOLDER", libraries._FOLDER / "nowhere")
        caches = (libraries._open, libraries.load, native._function)
        for each in caches:
            each.cache_clear()
        try:
            assert "without a C++ compiler" in kernels.status()[self.name]
            assert_close(self.call(**inputs), expected, rtol=1e-4, atol=1e-5)
        finally:
            monkeypatch.undo()
            for each in caches:
                each.cache_clear()

    @needs_native
    @pytest.mark.parametrize("level", levels_here())
    def test_every_instruction_set_agrees(self, level, native_only, monkeypatch):
        lowest, problem = libraries._opened(libraries.cpu_library(level))
        assert lowest is not None, problem
        inputs = {dtype: cast(self.draw(33), dtype) for dtype in DTYPES}
        expected = {dtype: self.results(self.call, x) for dtype, x in inputs.items()}
        monkeypatch.setattr(libraries, "load", lambda device: lowest)
        native._function.cache_clear()
        try:
            for dtype, by_name in expected.items():
                for name, x in self.results(self.call, inputs[dtype]).items():
                    scale = max(1.0, by_name[name].abs().max().item())
                    assert_close(x / scale, by_name[name] / scale, rtol=0, atol=16 * torch.finfo(dtype).eps)
        finally:
            native._function.cache_clear()


def compiles(script: str) -> None:
    """Runs a script in a process of its own: the checks of shapes in these tests cannot be compiled."""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
