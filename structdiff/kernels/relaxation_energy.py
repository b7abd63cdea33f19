"""The energy that relaxation minimises, and its neighbour search, in float64 on plain arrays.

The reference is numpy's, in ``structdiff.constraints.descent`` and ``structdiff.constraints.repulsion``; this is the
native kernel beside it. csrc/relaxation_energy/contract.h has the terms.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import numpy as np

from structdiff.kernels import libraries
from structdiff.kernels.native import KernelError, mode

_COUNTS = ("atoms", "pairs", "volumes", "torsions", "virtuals", "bins")
_ARRAYS = {
    "pair": np.int64, "stiffness": np.float64, "distance": np.float64, "quadruple": np.int64, "volume": np.float64,
    "torsion": np.int64, "kind": np.int64, "table": np.float64, "backbone": np.int64, "movable": np.uint8,
    "anchor": np.float64,
}  # fmt: skip
_NUMBERS = ("volume_spread", "torsion_weight", "overlap_spread", "along_b", "along_c", "across")


class _Model(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int64) for name in _COUNTS),
        *((name, ctypes.c_void_p) for name in _ARRAYS),
        *((name, ctypes.c_double) for name in _NUMBERS),
    ]


def available() -> bool:
    """Whether the native kernel is there, and wanted. Raises KernelError where it is insisted on and missing."""
    if mode() == "reference":
        return False
    there = hasattr(libraries.load("cpu"), "structdiff_relaxation_energy_forward_cpu")
    if not there and mode() == "native":
        raise KernelError(f"relaxation_energy: {libraries.missing('cpu') or 'there is no native kernel'}")
    return there


class RelaxationEnergy:
    """The terms of one structure, handed over once; numbers and arrays as named in the contract.

    ``anchor`` is held by reference. Å and kT.
    """

    def __init__(self, *, bins: int, arrays: dict[str, Any], numbers: dict[str, float]) -> None:
        self._arrays = {name: np.ascontiguousarray(arrays[name], dtype) for name, dtype in _ARRAYS.items()}
        counted = ("anchor", "pair", "quadruple", "torsion", "backbone")
        counts = [len(self._arrays[name]) for name in counted]
        places = [self._arrays[name].ctypes.data for name in _ARRAYS]
        self._model = _Model(*counts, bins, *places, *(numbers[name] for name in _NUMBERS))
        self._address = ctypes.addressof(self._model)
        self.atoms, self.sites = counts[0], counts[0] + counts[-1]

    def with_virtual(self, positions: np.ndarray) -> np.ndarray:
        """Positions (site, 3): the atoms' and behind them those of the virtual CB."""
        positions, out = np.ascontiguousarray(positions, np.float64), np.empty((self.sites, 3))
        _function("sites")(self._address, positions.ctypes.data, out.ctypes.data)
        return out

    def __call__(
        self,
        sites: np.ndarray,
        restraint: float,
        contact_weight: float,
        contacts: np.ndarray,
        contact_distance: np.ndarray,
        site_gradient: np.ndarray,
    ) -> tuple[float, np.ndarray]:
        """Energy and gradient (atom, 3) at positions of all sites.

        contacts (pair, 2): sites that repel each other from contact_distance on. site_gradient (site, 3): what other
        terms give, which is added; overwritten.
        """
        contacts = np.ascontiguousarray(contacts, np.int64)
        distances = np.ascontiguousarray(contact_distance, np.float64)
        gradient, energy = np.empty((self.atoms, 3)), ctypes.c_double()
        _function("forward")(
            self._address, sites.ctypes.data, restraint, contact_weight, contacts.ctypes.data, distances.ctypes.data,
            len(contacts), site_gradient.ctypes.data, gradient.ctypes.data, ctypes.addressof(energy),
        )  # fmt: skip
        return energy.value, gradient

    def step_bounds(self, positions: np.ndarray) -> np.ndarray:
        """For each atom the bound that Jacobi's method asks of its step, from its bonds, angles, planes and hands."""
        positions, out = np.ascontiguousarray(positions, np.float64), np.empty(self.atoms)
        _function("bounds")(self._address, positions.ctypes.data, out.ctypes.data)
        return out


def neighbours(
    positions: np.ndarray, radius: np.ndarray, flags: tuple[np.ndarray, np.ndarray, np.ndarray], excluded: np.ndarray,
    overlaps: tuple[float, float, float], skin: float,
) -> tuple[np.ndarray, np.ndarray] | None:  # fmt: skip
    """Pairs (pair, 2) of sites that nearly touch and their contact distances (Å); None where positions are not finite.

    flags: which sites are polar, sulphurs, movable. overlaps: allowed ones of any and of polar atoms, and the distance
    of two sulphurs. The pairs are sorted.
    """
    given = [np.ascontiguousarray(positions, np.float64), np.ascontiguousarray(radius, np.float64)]
    given += [np.ascontiguousarray(flag).view(np.uint8) for flag in flags]
    given += [np.ascontiguousarray(excluded, np.int64)]
    room = 16 * len(positions)
    while True:
        pairs, contact = np.empty((room, 2), np.int64), np.empty(room)
        count = _function("neighbours")(
            len(positions), *(x.ctypes.data for x in given), len(excluded), *overlaps, skin, room, pairs.ctypes.data,
            contact.ctypes.data,
        )  # fmt: skip
        if count <= room:
            return None if count < 0 else (pairs[:count], contact[:count])
        room = count


_P, _D, _N = ctypes.c_void_p, ctypes.c_double, ctypes.c_int64
_SIGNATURES = {
    "sites": [_P, _P, _P],
    "forward": [_P, _P, _D, _D, _P, _P, _N, _P, _P, _P],
    "bounds": [_P, _P, _P],
    "neighbours": [_N, _P, _P, _P, _P, _P, _P, _N, _D, _D, _D, _D, _N, _P, _P],
}


@cache
def _function(name: str) -> Any:
    function = getattr(libraries.load("cpu"), f"structdiff_relaxation_energy_{name}_cpu")
    function.argtypes = _SIGNATURES[name]
    function.restype = _N if name == "neighbours" else ctypes.c_int32
    return function
