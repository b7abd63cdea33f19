"""Shapes as types: jaxtyping annotations over numpy arrays and tensors, checked in the tests."""

from __future__ import annotations

from jaxtyping import Bool, Float, Int, UInt8

__all__ = ["Bool", "Float", "Int", "UInt8"]
