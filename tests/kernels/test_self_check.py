"""Kernels that must prove themselves: on the CPU, made to be checked like a GPU, with functions that do wrong."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from structdiff import kernels
from structdiff.kernels import libraries, native, self_check
from structdiff.kernels.attention_problem import hopper_check
from structdiff.kernels.native import KernelError
from tests.kernels.contract import needs_native

DEVICE = torch.device("cpu")


@pytest.fixture
def checked(monkeypatch):
    monkeypatch.setattr(native, "CHECKED_DEVICES", {"cpu", "cuda"})
    monkeypatch.setattr(self_check, "VERDICTS", self_check.Verdicts())
    native._say_once.cache_clear()
    yield self_check.VERDICTS
    monkeypatch.undo()
    kernels.set_mode(None)


@pytest.fixture
def calls(monkeypatch):
    """Kernels that do nothing, or what is put into ``calls.does``; counts them."""

    class Calls(list):
        does = staticmethod(lambda *arguments: 0)

    found = Calls()

    def function(*arguments):
        found.append(arguments)
        return found.does(*arguments)

    @functools.cache
    def fake(kernel, device):
        return None if native.mode() == "reference" else function

    monkeypatch.setattr(native, "_function", fake)
    yield found
    monkeypatch.undo()


def attend(dtype=torch.float32, channels=16):
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(1, 2, 5, 2, channels, generator=generator).to(dtype) for _ in range(3))
    bias = torch.randn(1, 2, 5, 5, generator=generator).to(dtype)
    return kernels.triangle_attention(q, k, v, bias)


@needs_native
def test_all_kernels_of_the_cpu_pass(checked):
    kernels.set_mode("native")
    status = kernels.check("cpu")
    assert not checked.failed
    assert "checked" in status["triangle_attention"]
    for_every_device = {kernel.name for kernel in native._CHECKED_KERNELS if kernel.capability is None}
    assert {name for name, _, _ in checked.passed} == for_every_device


@needs_native
def test_checked_once_a_kind_and_leaves_random_numbers_alone(checked, monkeypatch):
    problems = []
    tried = self_check._tried
    monkeypatch.setattr(self_check, "_tried", lambda *x: problems.append(x) or tried(*x))
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, second = attend(), attend()
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, second)
    assert len(problems) == 1
    attend(torch.bfloat16)
    attend(channels=32)
    assert len(problems) == 3


def test_a_kernel_that_writes_nothing_is_given_up(checked, calls, caplog, monkeypatch):
    expected = attend_by_reference()
    assert torch.equal(attend(), expected)
    assert torch.equal(attend(), expected)
    assert torch.equal(attend(torch.bfloat16), attend_by_reference(torch.bfloat16))
    assert len(calls) == 1, "called for its check and never again"
    said = [record.message for record in caplog.records]
    assert len(said) == 1
    assert "failed its check (output 0: not finite" in said[0]
    library = SimpleNamespace(structdiff_triangle_attention_forward_cpu=None)
    monkeypatch.setattr(libraries, "load", lambda device: library)  # as where there is a compiler
    assert "failed its check" in native.where("triangle_attention")


def attend_by_reference(dtype=torch.float32):
    kernels.set_mode("reference")
    try:
        return attend(dtype)
    finally:
        kernels.set_mode(None)


@pytest.mark.parametrize("off", [1.01, -1.0, 0.0])
def test_wrong_numbers_are_seen(off):
    expected = torch.randn(4, 100, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert self_check.mistake(expected.float(), expected, 2e-5) is None
    assert "relative error" in str(self_check.mistake(expected * off, expected, 2e-5))


def test_a_single_wrong_number_is_seen():
    expected = torch.randn(100, 100, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = expected.clone()
    found[3, 4] += 2
    assert self_check.mistake(found, expected, 2e-2) is not None


@pytest.mark.parametrize("kind", hopper_check().kinds)
def test_hoppers_kernels_are_checked_by_problems_of_their_own_kind(kind):
    check = hopper_check()
    assert check.kind(check.problem(torch.device("cpu"), kind).arguments) == kind


def test_infinite_where_it_should_be():
    expected = torch.tensor([1.0, torch.inf], dtype=torch.float64)
    assert self_check.mistake(expected.float(), expected, 2e-5) is None
    assert self_check.mistake(torch.tensor([1.0, 2.0]), expected, 2e-5) is not None


@pytest.mark.parametrize("status", [3, None])
def test_no_memory_for_the_check_is_no_failure(checked, calls, status):
    """Checks are made at the first call, in the midst of the step that does not fit; a smaller one follows."""

    def no_memory(*arguments):
        if status is None:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return status

    calls.does = no_memory
    with pytest.raises(torch.OutOfMemoryError):
        attend()
    assert not checked.failed
    assert not checked.passed
    calls.does = lambda *arguments: 1
    assert torch.equal(attend(), attend_by_reference())
    assert not checked.failed


def test_an_error_of_the_device_fails_the_check(checked, calls, monkeypatch):
    monkeypatch.setattr(libraries, "cuda_error", lambda: "cudaErrorLaunchFailure: unspecified launch failure")
    calls.does = lambda *arguments: 4
    assert torch.equal(attend(), attend_by_reference())
    (why,) = checked.failed.values()
    assert "cudaErrorLaunchFailure" in why


def test_a_failed_check_is_an_error_where_native_kernels_are_demanded(checked, calls):
    kernels.set_mode("native")
    with pytest.raises(KernelError, match="failed its check"):
        attend()
    with pytest.raises(KernelError, match="failed its check"):
        kernels.check("cpu")


def test_nothing_is_checked_while_a_graph_is_captured(checked, calls, monkeypatch, caplog):
    monkeypatch.setattr(self_check, "capturing", lambda device: True)
    assert torch.equal(attend(), attend_by_reference())
    assert not calls
    assert not checked.failed
    assert not checked.passed
    assert "a CUDA graph is being captured" in caplog.text
    kernels.set_mode("native")
    with pytest.raises(KernelError, match=r"kernels\.check"):
        attend()


def test_what_a_kernel_does_not_take_is_no_failure(checked, calls):
    calls.does = lambda *arguments: 1
    assert torch.equal(attend(), attend_by_reference())
    assert not checked.failed
    assert attend(torch.float64).dtype == torch.float64


def test_tensors_on_another_device_are_left_to_pytorch(calls, monkeypatch, caplog):
    """Their addresses would be read as those of the device where the first tensor is."""
    native._say_once.cache_clear()
    monkeypatch.setattr(native, "_index", lambda device: 0)  # as if it were a GPU: all tensors here are on the CPU
    assert torch.equal(attend(), attend_by_reference())
    assert not calls
    assert "one of its tensors is on cpu" in caplog.text
    kernels.set_mode("native")
    try:
        with pytest.raises(KernelError, match="one of its tensors is on cpu"):
            attend()
    finally:
        kernels.set_mode(None)


@needs_native
def test_a_kernel_for_one_gpu_gives_way_to_that_for_every_gpu(checked, calls, monkeypatch):
    monkeypatch.setattr(native.Kernel, "_made_for", lambda kernel, device: native.special())
    by_name = []
    monkeypatch.setattr(native, "_function", functools.cache(lambda kernel, device: does(kernel.name)))
    forward = libraries.load("cpu").structdiff_triangle_attention_forward_cpu
    forward.argtypes = [native._ARGUMENTS[letter] for letter in "tttttdtt"] + native._ENDINGS["cpu"]

    def does(name):
        return lambda *arguments: by_name.append(name) or (0 if "hopper" in name else forward(*arguments))

    out = attend(torch.bfloat16)
    assert out.isfinite().all()
    assert by_name == ["triangle_attention_forward_hopper", *["triangle_attention_forward"] * 2]
    assert [name for name, _ in checked.failed] == ["triangle_attention_forward_hopper"]
    by_name.clear()
    assert torch.equal(attend(torch.bfloat16), out)
    assert by_name == ["triangle_attention_forward"]
    native.set_special(False)
    try:
        checked.failed.clear()
        attend(torch.bfloat16)
        assert "triangle_attention_forward_hopper" not in by_name
    finally:
        native.set_special(None)


def test_every_kernel_with_a_form_for_cuda_has_a_check():
    sources = Path(native.__file__).parents[2] / "csrc"
    declared = re.findall(r"structdiff_(\w+)_cuda\(", "".join(x.read_text() for x in sources.glob("*/contract.h")))
    wanted = {name for name in declared if not name.endswith("_workspace")}
    assert {kernel.name for kernel in native._CHECKED_KERNELS} == wanted


def test_a_kernel_for_one_gpu_passes_on_what_it_does_not_take_and_tells_what_the_driver_refuses(
    calls, checked, monkeypatch, caplog
):
    monkeypatch.setattr(libraries, "cuda_error", lambda: "cuTensorMapEncodeTiled refused a table (driver error 1)")
    special = native.Kernel("attention_for_one_gpu", "t", capability=(9, 0))
    monkeypatch.setattr(special, "_made_for", lambda device: True)
    calls.does = lambda *arguments: 1
    assert not special(DEVICE, torch.zeros(2))
    assert not caplog.text
    calls.does = lambda *arguments: 4
    assert not special(DEVICE, torch.zeros(2))
    assert not special(DEVICE, torch.zeros(2))
    assert caplog.text.count("cuTensorMapEncodeTiled refused a table (driver error 1)") == 1
    assert "the kernel for every GPU runs it" in caplog.text


@pytest.fixture
def gpu(calls, checked, monkeypatch):
    """A device that takes tensors of the CPU; what is checked there goes to ``gpu.tried``."""
    monkeypatch.setattr(native, "_index", lambda device: -1)
    monkeypatch.setattr(native, "_stream", lambda index: 0)
    monkeypatch.setattr(native, "_workspace_function", lambda kernel: lambda *_: 0)
    monkeypatch.setattr(native, "_capability", lambda index: (9, 0))
    monkeypatch.setattr(self_check, "capturing", lambda device: False)
    found = SimpleNamespace(device=torch.device("cuda", 0), tried=[], verdict=None)
    monkeypatch.setattr(self_check, "_tried", lambda *x: found.tried.append(x) or found.verdict)
    native._forget_choices()
    yield found
    native._forget_choices()


def attention_arguments(dtype=torch.bfloat16):
    q = torch.zeros(1, 2, 5, 2, 16, dtype=dtype)
    return q, q, q, torch.zeros(1, 2, 5, 5, dtype=dtype), None, 1.0, q, None


@pytest.mark.parametrize("name", ["triangle_attention_forward", "triangle_attention_forward_hopper"])
def test_on_a_gpu_the_choice_for_a_kind_is_made_once_and_anew_when_asked_otherwise(gpu, calls, monkeypatch, name):
    (kernel,) = (each for each in native._CHECKED_KERNELS if each.name == name)
    chosen = []
    choice = native.Kernel._choice
    monkeypatch.setattr(native.Kernel, "_choice", lambda *x: chosen.append(x) or choice(*x))
    assert all(kernel(gpu.device, *attention_arguments()) for _ in range(3))
    assert (len(chosen), len(gpu.tried), len(calls)) == (1, 1, 3)
    assert kernel(gpu.device, *attention_arguments(torch.float16))
    assert len(gpu.tried) == 2
    kernels.set_mode("reference")
    assert not kernel(gpu.device, *attention_arguments())
    kernels.set_mode(None)
    native.set_special(False)
    try:
        assert kernel(gpu.device, *attention_arguments()) == (kernel.capability is None)
    finally:
        native.set_special(None)
    assert kernel(gpu.device, *attention_arguments())
    assert len(gpu.tried) == 2, "checked once"


def test_what_a_kernel_does_not_take_it_is_not_asked_again(gpu, calls, caplog):
    gpu.verdict = self_check._DECLINED
    by_name = {each.name: each for each in native._CHECKED_KERNELS}
    special, ordinary = by_name["triangle_attention_forward_hopper"], by_name["triangle_attention_forward"]
    assert not any(special(gpu.device, *attention_arguments()) for _ in range(2))
    assert not caplog.text
    assert not any(ordinary(gpu.device, *attention_arguments()) for _ in range(2))
    assert caplog.text.count("it does not take this dtype, size or stride") == 1
    assert not calls
    assert len(gpu.tried) == 2
    kernels.set_mode("native")
    with pytest.raises(KernelError, match="does not take"):
        ordinary(gpu.device, *attention_arguments())


def test_a_choice_that_a_capture_forced_is_not_kept(gpu, calls, monkeypatch):
    (kernel,) = (each for each in native._CHECKED_KERNELS if each.name == "triangle_attention_forward")
    monkeypatch.setattr(self_check, "capturing", lambda device: True)
    assert not kernel(gpu.device, *attention_arguments())
    monkeypatch.setattr(self_check, "capturing", lambda device: False)
    assert kernel(gpu.device, *attention_arguments())
