"""Tensors handed to the native libraries."""

import ctypes
from concurrent.futures import ThreadPoolExecutor
from unittest import mock

import pytest
import torch

from structdiff.kernels import tensor_views
from structdiff.kernels.tensor_views import ElsewhereError, view, with_words
from tests.kernels.contract import needs_native

_BYTES = tensor_views._VIEW_BYTES


def handed_over(arguments, index=-1):
    """What stands at the addresses that a call gets, numbers as they are."""
    counts = [len(x) if isinstance(x, list) else 1 for x in arguments]
    found = []

    def call(words):
        for word, count in zip(words, counts, strict=True):
            at = isinstance(word, int) and word > 2**20
            found.append(ctypes.string_at(word, count * _BYTES) if at else word)
        return 7

    assert with_words(arguments, index, call) == 7
    return found


def tables():
    x = torch.arange(720.0).reshape(2, 3, 4, 5, 6)
    mask = torch.ones(3, 4, dtype=torch.bool)
    shared = x[:1].expand(5, -1, -1, -1, -1)
    return [x, x.permute(4, 2, 0, 1, 3), x[1:, :, ::2], x[0, 0, 0, 0, 0], shared, x[:0], mask.T,
            torch.nn.Parameter(x.half()), x.bfloat16()[0, 1]]  # fmt: skip


@needs_native
def test_the_library_reads_tensors_as_python_does():
    assert tensor_views._reader() is not None
    given = tables()
    with mock.patch.object(tensor_views, "view", None):  # Python has no part in it
        found = handed_over([*given, 1.5, None, True, given])
    assert found == [*map(view, given), 1.5, None, True, b"".join(map(view, given))]


def test_without_the_library_python_reads_them(monkeypatch):
    monkeypatch.setattr(tensor_views, "_reader", lambda: None)
    x, y = torch.zeros(2, 3), torch.ones(4)
    assert with_words([x, 2.0, [x, y], None], -1, lambda words: words) == [view(x), 2.0, view(x) + view(y), None]


def test_more_tensors_than_there_is_room_for():
    many = [torch.zeros(each + 1) for each in range(tensor_views._MOST + 1)]
    assert with_words([many], -1, lambda words: words) == [b"".join(map(view, many))]
    assert with_words(many, -1, lambda words: words) == [*map(view, many)]


def test_what_python_must_say():
    x = torch.zeros(2)
    with pytest.raises(KeyError, match="float64"):
        with_words([x, x.double()], -1, lambda _: 0)
    with pytest.raises(ElsewhereError, match="on cpu"):
        with_words([x], 0, lambda _: 0)
    with pytest.raises(ElsewhereError, match="on meta"):
        with_words([x.to("meta")], 0, lambda _: 0)


@needs_native
def test_a_call_within_a_call_has_views_of_its_own():
    x, y = torch.zeros(2, 3), torch.ones(4)

    def call(words):
        inner = handed_over([y])
        return [ctypes.string_at(words[0], _BYTES), *inner]

    assert with_words([x], -1, call) == [view(x), view(y)]


@needs_native
def test_a_pytorch_that_reads_otherwise_is_not_asked(monkeypatch):
    exported = tensor_views._exported()
    exported.sizes, exported.strides = exported.strides, exported.sizes
    monkeypatch.setattr(tensor_views, "_exported", lambda: exported)
    tensor_views._reader.cache_clear()
    try:
        assert tensor_views._reader() is None
    finally:
        tensor_views._reader.cache_clear()


@needs_native
def test_threads_have_views_of_their_own():
    def calls(size):
        x = torch.full((size,), float(size))
        return all(handed_over([x, [x, x]]) == [view(x), view(x) * 2] for _ in range(300))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(calls, range(1, 9)))
