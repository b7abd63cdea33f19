"""Memory of results that is used again."""

from __future__ import annotations

import gc
import sys
import threading

import pytest
import torch

from structdiff.kernels import result_memory

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no native kernels there")
_LIKE = torch.zeros(1)
_SHAPE = (3, 1000, 200)


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch):
    gc.collect()
    monkeypatch.setattr(result_memory, "_FREE", {})


def test_memory_is_used_again_once_nobody_holds_it():
    first = result_memory.new_empty(_LIKE, _SHAPE)
    place, part = first.data_ptr(), first[1]
    del first
    second = result_memory.new_empty(_LIKE, _SHAPE)
    assert second.data_ptr() != place  # a part of the first is still there
    part.fill_(1)
    second.fill_(2)
    assert part.eq(1).all()
    assert second.eq(2).all()
    del part
    assert result_memory.new_empty(_LIKE, _SHAPE).data_ptr() == place


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_it_is_an_ordinary_tensor(dtype):
    x = result_memory.new_empty(_LIKE, _SHAPE, dtype=dtype)
    assert x.shape == _SHAPE
    assert x.dtype == dtype
    assert x.is_contiguous()
    assert not x._is_view()
    assert x.data_ptr() % 64 == 0
    x.fill_(3)
    grown = torch.ones(_SHAPE, dtype=dtype, requires_grad=True)
    (grown * x).sum().backward()
    assert grown.grad is not None
    assert grown.grad.eq(3).all()


def test_saved_for_backward_it_is_not_used_again():
    leaf = torch.ones(_SHAPE, requires_grad=True)
    factor = result_memory.new_empty(_LIKE, _SHAPE).fill_(2)
    product = leaf * factor
    del factor
    result_memory.new_empty(_LIKE, _SHAPE).fill_(7)
    product.sum().backward()
    assert leaf.grad is not None
    assert leaf.grad.eq(2).all()


def test_small_results_come_from_torch():
    x = result_memory.new_empty(_LIKE, (4, 5))
    del x
    assert result_memory.kept() == 0


def test_no_more_is_kept_than_is_allowed(monkeypatch):
    step = 2**21
    monkeypatch.setattr(result_memory, "_KEPT_AT_MOST", 3 * step)
    held = [result_memory.new_empty(_LIKE, (step // 4,)) for _ in range(5)]
    del held
    assert result_memory.kept() == 3 * step
    larger = result_memory.new_empty(_LIKE, (step // 2,))
    del larger
    assert result_memory.kept() == 3 * step
    assert 2 * step in result_memory._FREE
    huge = result_memory.new_empty(_LIKE, (step,))
    del huge
    assert result_memory.kept() == 3 * step
    assert 4 * step not in result_memory._FREE


def test_all_is_kept_for_as_long_as_it_is_asked_for(monkeypatch):
    monkeypatch.setattr(result_memory, "_KEPT_AT_MOST", 3 * 2**21)

    def freed() -> int:
        results = [result_memory.new_empty(_LIKE, _SHAPE) for _ in range(5)]
        size = results[0].nbytes
        del results
        gc.collect()
        assert size > 2**20
        return result_memory.kept()

    assert freed() <= 3 * 2**21
    with result_memory.all_kept():
        with result_memory.all_kept():
            assert freed() >= 5 * 2**21
        assert freed() >= 5 * 2**21
    assert 0 < result_memory.kept() <= 3 * 2**21


def test_threads_do_not_share_memory():
    wrong = []

    def work(number: int) -> None:
        for _ in range(50):
            x = result_memory.new_empty(_LIKE, _SHAPE).fill_(number)
            if not x.eq(number).all():
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
