"""Design problems put together from parts in Python: ``Motif(...) + Hotspots(...) + Symmetry("C3")``.

Every part stands for keys of a design's file, with the same names and the same texts as there.

>>> from structdiff.spec.symmetry import Symmetry
>>> problem = Motif("target.pdb", "70-90 B1-100") + Hotspots("B45, B67-69") + Symmetry("C3")
>>> spec = problem.spec(num_designs=4)
>>> spec.symmetry.group, [str(each) for each in spec.hotspots]
('C3', ['B45', 'B67', 'B68', 'B69'])
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from os import PathLike
from pathlib import Path
from typing import Any

from structdiff.arguments import checked_names
from structdiff.errors import InputError
from structdiff.spec.design import DesignSpec, changed_design, read_design
from structdiff.spec.design_keys import KEYS
from structdiff.spec.design_values import as_value
from structdiff.spec.energies import Energy
from structdiff.spec.parts import Part


class Problem(Part):
    """Some of what is asked of a design. ``+`` puts parts together: lists grow, anything else is said once.

    asked: keys of a design with their values, as texts or as `DesignSpec` has them. Raises InputError for an unknown
    key, and when two parts say different things of one.
    """

    def __init__(self, **asked: Any) -> None:
        check_keys(asked)
        self.asked: dict[str, Any] = read_values({key: value for key, value in asked.items() if value is not None})

    def as_problem(self) -> Problem:
        """The problem itself."""
        return self

    def __add__(self, other: Part) -> Problem:
        if not isinstance(other, Part):
            return NotImplemented
        more = other.as_problem()
        joined = Problem()
        joined.asked = dict(self.asked)
        for key, value in more.asked.items():
            before = joined.asked.get(key)
            if isinstance(before, tuple) and isinstance(value, tuple) and key != "length":
                value = tuple(dict.fromkeys([*before, *value]))
            elif before is not None and before != value:
                raise InputError("two parts of the problem say different things", key=key, found=str(value),
                                 allowed=str(before))  # fmt: skip
            joined.asked[key] = value
        return joined

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Problem) and self.asked == other.asked

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Problem({', '.join(f'{key}={KEYS[key].write(value)!r}' for key, value in self.asked.items())})"

    def spec(self, **more: Any) -> DesignSpec:
        """The whole request; ``more`` keys are added. Raises InputError where something is missing or cannot be."""
        return DesignSpec(**(self + Problem(**more)).asked)


@checked_names
class Motif(Problem):
    """Parts of a known structure that a design keeps: its file, contigs, and how much of which residue is held."""

    def __init__(
        self,
        file: Any,
        contigs: str | None = None,
        *,
        unindexed: str | None = None,
        ligands: str | None = None,
        backbone_only: str | None = None,
        tip: str | None = None,
        held_atoms: str | Mapping[str, Any] | None = None,
        redesign: str | None = None,
        fixed_sequence: bool | None = None,
    ) -> None:
        super().__init__(
            motif=file, contigs=contigs, unindexed=unindexed, ligands=ligands, backbone_only=backbone_only, tip=tip,
            held_atoms=held_atoms,
            redesign=redesign, fixed_sequence=fixed_sequence,
        )  # fmt: skip


@checked_names
class Hotspots(Problem):
    """Residues of the target to be touched, by name or as those that a bound chain of the same file touches."""

    def __init__(self, residues: str | None = None, *, epitope: str | None = None, crop: str | None = None) -> None:
        super().__init__(hotspots=residues, epitope=epitope, target_crop=crop)


@checked_names
class KeepAway(Problem):
    """Residues of the target not to be touched."""

    def __init__(self, residues: str) -> None:
        super().__init__(keep_away=residues)


@checked_names
class Fold(Problem):
    """Helices and strands, which of them lie side by side, and how buried residues are; or all as in a structure."""

    def __init__(
        self,
        secondary_structure: str | None = None,
        *,
        of: Any = None,
        adjacent: str | None = None,
        apart: str | None = None,
        parallel: str | None = None,
        burial: str | None = None,
    ) -> None:
        super().__init__(
            secondary_structure=secondary_structure,
            fold_of=of,
            adjacent=adjacent,
            apart=apart,
            parallel=parallel,
            burial=burial,
        )


@checked_names
class Ring(Problem):
    """Closed chains: joined head to tail (``chains``), or by disulfides between residues of the design."""

    def __init__(self, chains: str | None = None, *, disulfides: str | None = None) -> None:
        super().__init__(cyclic=chains, disulfides=disulfides)


def check_keys(asked: Iterable[str], also: Iterable[str] = ()) -> None:
    """Raises InputError, with the nearest of the keys and of what ``also`` names, for keys that no design has."""
    known = {field.name for field in fields(DesignSpec)} & KEYS.keys()
    for key in asked:
        if key == "partial":  # as the command line has it; the nearest key would be parallel
            raise InputError("unknown key of a design", key=key, found=key, allowed="motif with noise: noise=4, say")
        if key not in known:
            allowed = sorted(known) + list(also)
            raise InputError("unknown key of a design", key=key, found=key, allowed=allowed, suggest_from=allowed)


def read_values(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Values as `DesignSpec` has them, from texts or already such. Raises InputError."""
    return {key: as_value(key, value) for key, value in asked.items()}


def asked_spec(
    problem: DesignSpec | Part | str | PathLike | None, more: Mapping[str, Any], also: Iterable[str] = ()
) -> DesignSpec:
    """The request that a function of Python was given: whole, in parts, as a file, or by keys. Raises InputError.

    also: further arguments of that function, which a misspelt key may have meant.
    """
    check_keys(more, also)
    if isinstance(problem, str | PathLike):
        return read_design(Path(problem), read_values(more))
    if isinstance(problem, DesignSpec):
        return changed_design(problem, read_values(more))
    if problem is not None and not isinstance(problem, Part):
        raise InputError(
            "this is no design problem", key="problem", found=type(problem).__name__,
            allowed="DesignSpec, Motif(...), ..., or the path of a design's file",
        )  # fmt: skip
    return (problem or Problem()).spec(**more)


def problem_of(part: Part) -> Problem:
    """The problem that an energy or a symmetry is by itself."""
    return Problem(energies=(part,)) if isinstance(part, Energy) else Problem(symmetry=part)
