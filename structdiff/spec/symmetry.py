"""Symmetry of a design: which group relates its copies, and where its motif stands to the axes."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from functools import cached_property

from structdiff.arguments import checked_names
from structdiff.errors import InputError
from structdiff.geometry.point_groups import SymmetryGroup, helix, point_group
from structdiff.spec.parts import Part

_GROUPS = "C2, C3 ..., D2, D3 ..., T, O, I, helical"
_LARGEST = 120
_KEYS = ("copies", "rise", "twist", "neighbours", "motif")
_HELICAL_KEYS = ("copies", "rise", "twist")
_PLACES = ("free", "placed", "copies")
#: Copies that the network sees beside the one that is drawn, unless something else is asked.
_NEIGHBOURS, _RING_NEIGHBOURS = 4, 2


@checked_names
@dataclass(frozen=True, kw_only=True)
class Symmetry(Part):
    """The symmetry of a design. Its contigs then describe one copy, the asymmetric unit.

    group: C2, C3 ..., D2, D3 ..., T, O, I or helical. copies, rise (Å from copy to copy along the axis) and twist
    (degrees from copy to copy around it): of a helix only. neighbours: how many other copies the network sees at a
    time, always the nearest; None takes 2 in a ring and 4 elsewhere. motif_placed: the motif's file is in the frame of
    the group (main axis along z, centre at the origin) and the motif stays there; otherwise its place is free.
    motif_copies: the motif's file holds the copies of a symmetric assembly, wherever it stands: the axes are found from
    these, and the motif stays there. Raises InputError.
    """

    group: str = field(kw_only=False)
    copies: int | None = None
    rise: float | None = None
    twist: float | None = None
    neighbours: int | None = None
    motif_placed: bool = False
    motif_copies: bool = False

    def __post_init__(self) -> None:
        name = _canonical(self.group)
        object.__setattr__(self, "group", name)
        object.__setattr__(self, "motif_placed", self.motif_placed or self.motif_copies)
        if self.motif_copies and name == "helical":
            raise InputError("the axis of a helix is not looked for", key="symmetry.motif", found="copies",
                             allowed="a file with the axis along z, and motif=placed")  # fmt: skip
        given = {key: getattr(self, key) for key in _HELICAL_KEYS}
        if name != "helical":
            extra = [key for key, value in given.items() if value is not None]
            if extra:
                raise InputError(f"{name} has no such number: only a helix has", key=f"symmetry.{extra[0]}",
                                 found=given[extra[0]])  # fmt: skip
        else:
            missing = [key for key, value in given.items() if value is None]
            if missing:
                raise InputError("a helix needs copies, rise and twist", key=f"symmetry.{missing[0]}",
                                 allowed="helical:copies=8,rise=10,twist=45, say")  # fmt: skip
            self._check_helix()
        if self.neighbours is not None and self.neighbours < 1:
            raise InputError("the network must see at least one neighbour", key="symmetry.neighbours",
                             found=self.neighbours, allowed="1 or more")  # fmt: skip

    def _check_helix(self) -> None:
        copies, rise, twist = self._helix
        if not 3 <= copies <= _LARGEST:
            raise InputError("a helix has a middle and two ends", key="symmetry.copies", found=self.copies,
                             allowed=f"3 to {_LARGEST}")  # fmt: skip
        if not math.isfinite(rise) or abs(rise) < 0.1:
            raise InputError("the copies of a helix follow each other", key="symmetry.rise", found=self.rise,
                             allowed="0.1 Å or more")  # fmt: skip
        if not math.isfinite(twist):
            raise InputError("must be an angle in degrees", key="symmetry.twist", found=self.twist)

    @property
    def _helix(self) -> tuple[int, float, float]:
        return self.copies or 0, self.rise or 0.0, self.twist or 0.0

    @cached_property
    def operators(self) -> SymmetryGroup:
        """The operators of the copies."""
        if self.group != "helical":
            return point_group(self.group)
        copies, rise, twist = self._helix
        return helix(copies, rise=rise, twist=math.radians(twist))

    @property
    def seen(self) -> int:
        """How many copies the network sees beside the one that is drawn."""
        usual = _RING_NEIGHBOURS if self.group.startswith("C") else _NEIGHBOURS
        return min(self.neighbours or usual, len(self.operators) - 1)

    def __str__(self) -> str:
        numbers = {key: getattr(self, key) for key in ("copies", "rise", "twist", "neighbours")}
        parts = [f"{key}={value:g}" for key, value in numbers.items() if value is not None]
        parts += [f"motif={'copies' if self.motif_copies else 'placed'}"] if self.motif_placed else []
        return f"{self.group}:{','.join(parts)}" if parts else self.group


def parse_symmetry(text: str) -> Symmetry:
    """Reads a symmetry such as ``C3``, ``D2:motif=placed`` or ``helical:copies=8,rise=10,twist=45``.

    Raises InputError.

    >>> str(parse_symmetry("c3")), len(parse_symmetry("icosahedral").operators)
    ('C3', 60)
    """
    name, _, rest = text.strip().strip("'\"").partition(":")
    given: dict[str, str] = {}
    for part in filter(None, (piece.strip() for piece in rest.split(","))):
        key, sign, value = (piece.strip() for piece in part.partition("="))
        if key not in _KEYS:
            raise InputError("unknown setting of a symmetry", key="symmetry", found=key, allowed=_KEYS,
                             suggest_from=_KEYS)  # fmt: skip
        if not sign or not value:
            raise InputError("expected name=value", key=f"symmetry.{key}", found=part)
        if key in given:
            raise InputError("is given twice", key=f"symmetry.{key}", found=text)
        given[key] = value
    motif = given.get("motif", "free")
    if motif not in _PLACES:
        raise InputError("unknown place of the motif", key="symmetry.motif", found=motif, allowed=_PLACES,
                         suggest_from=_PLACES)  # fmt: skip
    return Symmetry(
        group=name,
        copies=_whole(given, "copies"),
        rise=_number(given, "rise"),
        twist=_number(given, "twist"),
        neighbours=_whole(given, "neighbours"),
        motif_placed=motif == "placed",
        motif_copies=motif == "copies",
    )


def _canonical(name: str) -> str:
    if not isinstance(name, str):
        raise InputError("there is no such symmetry", key="symmetry", found=name, allowed=_GROUPS)
    words = {"tetrahedral": "T", "octahedral": "O", "icosahedral": "I", "helix": "helical"}
    short = name.strip().lower()
    found = words.get(short, short if short == "helical" else short.upper())
    match = re.fullmatch(r"([CD])(\d{1,6})", found)
    if found in ("T", "O", "I", "helical") or (match and 2 <= int(match[2]) <= (_LARGEST if match[1] == "C" else 60)):
        return found
    if match and int(match[2]) > 1:
        raise InputError(f"more than {_LARGEST} copies", key="symmetry", found=name)
    raise InputError("there is no such symmetry", key="symmetry", found=name, allowed=_GROUPS)


def _number(given: dict[str, str], key: str) -> float | None:
    if key not in given:
        return None
    try:
        return float(given[key])
    except ValueError:
        raise InputError("must be a number", key=f"symmetry.{key}", found=given[key]) from None


def _whole(given: dict[str, str], key: str) -> int | None:
    if key in given and not given[key].isdigit():
        raise InputError("must be a whole number", key=f"symmetry.{key}", found=given[key])
    return None if key not in given else int(given[key])
