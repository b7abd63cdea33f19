"""Energies that a design is drawn under: what each one prefers, how strongly, and at which noise levels."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, ClassVar, NoReturn

from structdiff.arguments import checked_names
from structdiff.errors import InputError
from structdiff.spec.parts import Part
from structdiff.spec.segments import CHAIN_NAME

#: Noise levels (Å), from and to, at which an energy of each schedule acts.
SCHEDULES: Mapping[str, tuple[float, float]] = {
    "constant": (math.inf, 0.0),
    "early": (math.inf, 2.0),
    "late": (8.0, 0.0),
}
_LEVELS = re.compile(r"(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)")
#: The name of an atom is not all digits, so ``A-2:5`` is a residue of chain A-2, and ``A-2:N`` an atom of A.
_RESIDUE = re.compile(rf"(?:([A-Za-z]+)|({CHAIN_NAME}):)(-?\d+)(?::(\d*[A-Za-z]\w*'?))?")


@dataclass(frozen=True, kw_only=True)
class Energy(Part):
    """What every energy has: a weight, 1 as a rule, and a schedule.

    schedule: ``constant``, ``early`` (noise above 2 Å), ``late`` (below 8 Å), or noise levels from and to, ``40-4``.
    """

    kind: ClassVar[str] = ""
    weight: float = 1.0
    schedule: str = "constant"

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            if "tuple" in str(field.type):  # of texts, which a list or one text stand for too
                object.__setattr__(self, field.name, self._names(field.name))
            elif str(field.type).startswith(("float", "int")):
                self._check_number(field.name, optional="None" in str(field.type))
        self._positive("weight")
        self.noise_levels  # noqa: B018  (refuses what is no schedule)

    @property
    def noise_levels(self) -> tuple[float, float]:
        """The highest and the lowest noise level (Å) at which the energy acts."""
        if self.schedule in SCHEDULES:
            return SCHEDULES[self.schedule]
        match = _LEVELS.fullmatch(str(self.schedule))
        if match is None or float(match[1]) <= float(match[2]):
            self._fail("schedule", self.schedule, f"{', '.join(SCHEDULES)}, or noise levels in Å such as 40-4")
        return float(match[1]), float(match[2])

    def _fail(self, field: str, found: object, allowed: object) -> NoReturn:
        raise InputError("cannot be", key=f"energies.{self.kind}.{field}", found=found, allowed=str(allowed))

    def _names(self, field: str) -> tuple[str, ...]:
        value = getattr(self, field)
        names = value.replace(",", " ").split() if isinstance(value, str) else value
        if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
            self._fail(field, value, "names, such as ('A', 'B')")
        return tuple(names)

    def _check_number(self, field: str, *, optional: bool) -> None:
        value = getattr(self, field)
        if isinstance(value, bool) or (not isinstance(value, Real) and not (optional and value is None)):
            self._fail(field, value, "a number")

    def _positive(self, *fields: str) -> None:
        for field in fields:
            value = getattr(self, field)
            if value is not None and not 0 < value < math.inf:
                self._fail(field, value, "more than 0")


@checked_names
@dataclass(frozen=True, kw_only=True)
class RadiusOfGyration(Energy):
    """How far the CA atoms lie from their centre: towards ``target`` (Å), or, without one, as small as can be.

    chains: those it counts, by default all that hold new residues. tolerance: how near to the target will do (Å).
    """

    kind: ClassVar[str] = "radius_of_gyration"
    target: float | None = None
    tolerance: float = 0.5
    chains: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        self._positive("target", "tolerance")


@dataclass(frozen=True, kw_only=True)
class PlannedSize(RadiusOfGyration):
    """The size of a fold plan: followed as one that is asked for, but nobody asked for it."""


@checked_names
@dataclass(frozen=True, kw_only=True)
class Contacts(Energy):
    """Pairs of residues whose CA atoms come within ``distance`` (Å): within one chain, or between two.

    chains: one or two, by default all that hold new residues. least: how many will do; without it the more the better.
    Neighbours along the chain (fewer than 4 apart) do not count.
    """

    kind: ClassVar[str] = "contacts"
    chains: tuple[str, ...] = ()
    distance: float = 8.0
    least: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._positive("distance", "least")
        if self.least is not None and not isinstance(self.least, Integral):
            self._fail("least", self.least, "a whole number")
        if len(self.chains) > 2:
            self._fail("chains", list(self.chains), "one chain, or two")


@checked_names
@dataclass(frozen=True, kw_only=True)
class Clash(Energy):
    """New residues keep off all that is not bonded to them: no two backbone atoms nearer than ``distance`` (Å)."""

    kind: ClassVar[str] = "clash"
    distance: float = 2.6

    def __post_init__(self) -> None:
        super().__post_init__()
        self._positive("distance")


@checked_names
@dataclass(frozen=True, kw_only=True)
class Distance(Energy):
    """The distance of two atoms, from ``at_least`` to ``at_most`` Å.

    between: two residues of the design such as ``A12`` (its CA) or ``A12:N``; A-1 is the last residue of chain A.
    """

    kind: ClassVar[str] = "distance"
    between: tuple[str, ...]
    at_least: float = 0.0
    at_most: float = math.inf

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_atoms(self, "between", 2)
        if not 0 <= self.at_least <= self.at_most:
            self._fail("at_least", self.at_least, "0 to at_most")
        if self.at_least == 0 and self.at_most == math.inf:
            self._fail("at_most", self.at_most, "a distance in Å; or give at_least")


@checked_names
@dataclass(frozen=True, kw_only=True)
class Angle(Energy):
    """The angle (degrees) at the second of three atoms, within ``tolerance`` of ``value``; atoms as for a distance."""

    kind: ClassVar[str] = "angle"
    atoms: tuple[str, ...]
    value: float
    tolerance: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_atoms(self, "atoms", 3)
        self._positive("tolerance")
        if not 0 <= self.value <= 180:
            self._fail("value", self.value, "0 to 180 degrees")


@checked_names
@dataclass(frozen=True, kw_only=True)
class Shape(Energy):
    """The CA atoms fill a cloud of points, wherever that lies and however it is turned (never mirrored).

    file: points in Å, three numbers a line (.xyz, .csv or .txt), or a structure, of which the CA atoms are taken.
    within: the mean distance (Å) between cloud and chain that will do.
    """

    kind: ClassVar[str] = "shape"
    file: str
    within: float = 3.0
    chains: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        self._positive("within")


@checked_names
@dataclass(frozen=True, kw_only=True)
class Function(Energy):
    """A function of your own: it gets positions (Å, a tensor [atom, 3]) and the structure, and gives an energy in kT.

    file and name: a Python file and the function in it; from Python, ``function`` itself. The structure's tables tell
    which row is which atom. at_most: the energy below which the design counts as good; without it any value does.
    """

    kind: ClassVar[str] = "function"
    file: str | None = None
    name: str = "energy"
    at_most: float | None = None
    function: Callable[..., Any] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.file is None) == (self.function is None):
            self._fail("file", self.file, "a Python file, or from Python a function")


KINDS: dict[str, type[Energy]] = {
    each.kind: each for each in (RadiusOfGyration, Contacts, Clash, Distance, Angle, Shape, Function)
}


def _check_atoms(energy: Energy, field: str, count: int) -> None:
    atoms = getattr(energy, field)
    if len(atoms) != count:
        energy._fail(field, list(atoms), f"{count} atoms, such as A12 or A12:N")
    for atom in atoms:
        parse_atom(atom, f"energies.{energy.kind}.{field}")


def parse_atom(text: str, key: str) -> tuple[str, int, str]:
    """Chain, number in it (negative: from the end) and atom name of an atom of the design; raises InputError.

    >>> parse_atom("A12", "between"), parse_atom("B-1:N", "between")
    (('A', 12, 'CA'), ('B', -1, 'N'))
    """
    match = _RESIDUE.fullmatch(text.strip())
    if match is None or int(match[3]) == 0:
        raise InputError("this names no atom of the design", key=key, found=text, allowed="A12, A12:N, A-1 (the last)")
    return match[1] or match[2], int(match[3]), match[4] or "CA"
