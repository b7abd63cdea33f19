"""Poses of a ligand that go downhill, and the maps that they read, in float32 on plain arrays.

The reference is PyTorch's, in ``structdiff.docking``; this is the native kernel beside it.
csrc/ligand_docking/contract.h has the terms.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from structdiff.kernels import libraries
from structdiff.kernels.native import KernelError, mode
from structdiff.typing import Bool, Float

_P, _D, _N, _I = ctypes.c_void_p, ctypes.c_float, ctypes.c_int64, ctypes.c_int32
SCORE = ("contact", "width", "repulsion", "hydrophobic", "hydrophobic_end", "hydrogen_bond", "hydrogen_bond_full")
_ATOMS = {"radius": np.float32, "hydrophobic": np.uint8, "donor": np.uint8, "acceptor": np.uint8}
_LIGAND_COUNTS = ("atoms", "torsions", "pairs", "asked")
_LIGAND = {
    "kind": np.int64, "axis": np.int64, "side_start": np.int64, "side": np.int64, "pair": np.int64,
    "touching": np.float32, "hydrophobic": np.float32, "bonding": np.float32, "own_start": np.int64, "own": np.int64,
    "place_start": np.int64, "place": np.float32, "bound": np.float32, "avoid": np.uint8,
}  # fmt: skip


class _Score(ctypes.Structure):
    _fields_ = [(name, _D) for name in SCORE]


class _Atoms(ctypes.Structure):
    _fields_ = [("count", _N), *((name, _P) for name in _ATOMS)]


class _Ligand(ctypes.Structure):
    _fields_ = [*((name, _N) for name in _LIGAND_COUNTS), *((name, _P) for name in _LIGAND)]


class _Field(ctypes.Structure):
    _fields_ = [("size", _N * 3), ("values", _P), ("origin", _D * 3), ("spacing", _D), ("most", _D), ("outside", _D),
                ("stiff", _D), ("linear", _D), ("farthest", _D), ("kinds", ctypes.POINTER(_Atoms)),
                ("receptor", ctypes.POINTER(_Atoms)), ("positions", _P)]  # fmt: skip


def available() -> bool:
    """Whether the native kernel is there, and wanted. Raises KernelError where it is insisted on and missing."""
    if mode() == "reference":
        return False
    there = hasattr(libraries.load("cpu"), "structdiff_ligand_docking_descent_cpu")
    if not there and mode() == "native":
        raise KernelError(f"ligand_docking: {libraries.missing('cpu') or 'there is no native kernel'}")
    return there


def maps(
    score: Mapping[str, float],
    kinds: Mapping[str, np.ndarray],
    receptor: Mapping[str, np.ndarray],
    positions: Float[np.ndarray, "atom 3"],
    origin: Float[np.ndarray, "3"],
    size: tuple[int, int, int],
    spacing: float,
    farthest: float,
    most: float,
) -> Float[Tensor, "kind x y z"]:
    """What an atom of each kind is worth (kcal/mol) at each point of a grid; arguments as in the contract."""
    own, other = _Table(kinds), _Table(receptor)
    places, corner = np.ascontiguousarray(positions, np.float32), np.ascontiguousarray(origin, np.float32)
    values = torch.empty(own.count, *size, dtype=torch.float32)
    sizes = (ctypes.c_int64 * 3)(*size)
    status = _function("maps")(
        ctypes.byref(_Score(**score)), own.address, other.address, places.ctypes.data, corner.ctypes.data, sizes,
        spacing, farthest, most, values.data_ptr(), torch.get_num_threads(),
    )  # fmt: skip
    return _checked(status, values)


class _Table:
    """The types of atoms as the contract has them; holds the arrays that it points to."""

    def __init__(self, types: Mapping[str, np.ndarray]) -> None:
        self._arrays = [np.ascontiguousarray(types[name], kind) for name, kind in _ATOMS.items()]
        self.count = len(self._arrays[0])
        self.struct = _Atoms(self.count, *(each.ctypes.data for each in self._arrays))
        self.address = ctypes.byref(self.struct)


class LigandPoses:
    """What poses of one ligand cost in a receptor; numbers and arrays as named in the contract.

    grid: values and origin of maps. atoms: in place of these kinds of the ligand's atoms, types of the receptor's and
    their positions (Å).
    """

    def __init__(
        self, *, score: Mapping[str, float], ligand: Mapping[str, Any], numbers: Mapping[str, float],
        grid: tuple[Float[Tensor, "kind x y z"], Float[Tensor, "3"]] | None = None,
        atoms: tuple[Mapping[str, np.ndarray], Mapping[str, np.ndarray], Float[Tensor, "atom 3"]] | None = None,
    ) -> None:  # fmt: skip
        self._arrays = {name: np.ascontiguousarray(ligand[name], kind) for name, kind in _LIGAND.items()}
        counts = [len(self._arrays[name]) for name in ("kind", "axis", "pair", "bound")]
        self._ligand = _Ligand(*counts, *(each.ctypes.data for each in self._arrays.values()))
        self._score, self._field = _Score(**score), _Field(**numbers)
        if grid is not None:
            self._values, field = grid[0].float().contiguous(), self._field
            field.size, field.origin = (_N * 3)(*grid[0].shape[1:]), (_D * 3)(*grid[1].tolist())
            field.values = self._values.data_ptr()
        if atoms is not None:
            self._tables, self._positions = [_Table(each) for each in atoms[:2]], atoms[2].float().contiguous()
            self._field.kinds, self._field.receptor = (ctypes.pointer(each.struct) for each in self._tables)
            self._field.positions = self._positions.data_ptr()

    def energy(
        self, positions: Float[Tensor, "pose atom 3"]
    ) -> tuple[Float[Tensor, " pose"], Float[Tensor, "pose atom 3"]]:
        """Energies (kcal/mol) and their gradient."""
        positions = positions.float().contiguous()
        energy, gradient = positions.new_empty(len(positions)), torch.empty_like(positions)
        status = _function("energy")(
            *self._model(), len(positions), positions.data_ptr(), energy.data_ptr(), gradient.data_ptr(),
            torch.get_num_threads(),
        )  # fmt: skip
        return _checked(status, energy), gradient

    def descended(
        self, positions: Float[Tensor, "pose atom 3"], steps: int, lengths: tuple[float, float],
        scale: Float[Tensor, " freedom"],
    ) -> tuple[Float[Tensor, "pose atom 3"], Float[Tensor, " pose"]]:  # fmt: skip
        """The best of each pose on its way downhill, and what that costs (kcal/mol)."""
        found, scale = positions.float().clone(memory_format=torch.contiguous_format), scale.float().contiguous()
        energy = found.new_empty(len(found))
        status = _function("descent")(
            *self._model(), len(positions), steps, *lengths, scale.data_ptr(), found.data_ptr(), energy.data_ptr(),
            torch.get_num_threads(),
        )  # fmt: skip
        return _checked(status, found), energy

    def _model(self) -> tuple[Any, Any, Any]:
        return ctypes.byref(self._score), ctypes.byref(self._field), ctypes.byref(self._ligand)


def side_table(side: Bool[Tensor, "torsion atom"]) -> tuple[np.ndarray, np.ndarray]:
    """Where the atoms that each torsion turns begin, and these atoms."""
    counts = side.sum(1).numpy()
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), side.nonzero()[:, 1].numpy()


def _checked(status: int, result: Tensor) -> Tensor:
    if status:
        raise MemoryError("ligand_docking found no memory")
    return result


_SIGNATURES = {
    "maps": [_P, _P, _P, _P, _P, _P, _D, _D, _D, _P, _I],
    "energy": [_P, _P, _P, _N, _P, _P, _P, _I],
    "descent": [_P, _P, _P, _N, _N, _D, _D, _P, _P, _P, _I],
}


@cache
def _function(name: str) -> Any:
    function = getattr(libraries.load("cpu"), f"structdiff_ligand_docking_{name}_cpu")
    function.argtypes, function.restype = _SIGNATURES[name], _I
    return function
