"""The energies that can be asked for, on the atoms of one design: values to follow, and what was reached in the end."""

from __future__ import annotations

import hashlib
import importlib.util
import math
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from structdiff.constraints.energy_descent import Reached, Term
from structdiff.constraints.placed_atoms import PlacedAtoms
from structdiff.constraints.point_cloud import CloudFit, read_points
from structdiff.errors import InputError
from structdiff.evaluation.descriptors import expected_radius_of_gyration
from structdiff.geometry.torsions import bond_angle
from structdiff.spec.energies import (
    Angle,
    Clash,
    Contacts,
    Distance,
    Energy,
    Function,
    RadiusOfGyration,
    Shape,
    parse_atom,
)
from structdiff.structure.tables import Structure

_NEIGHBOURS = 4  # residues along a chain that are near each other anyway
_HYDROGEN_BONDED = 2.4  # Å, what N and O may come near each other
_CLASH_MARGIN = 0.4  # Å further apart while drawing, since relaxation brings atoms nearer
_AIM = 0.92  # of a contact distance: what is aimed at, so that the distance itself is met
_DISTANCE_MARGIN = 0.8  # Å within an asked distance that are aimed at: what a relaxation may take back
_DISTANCE_TOLERANCE, _ANGLE_TOLERANCE = 0.3, 0.05  # Å, radian: what counts as 1 when a move is weighed


def build_term(energy: Energy, placed: PlacedAtoms) -> Term:
    """The term of an energy on the atoms of a design; raises InputError for chains and atoms that are not there."""
    name, asked, has_goal, value, reached = _BUILDERS[energy.kind](energy, placed)
    return Term(
        name=name, asked=asked, weight=energy.weight, levels=energy.noise_levels, has_goal=has_goal, value=value,
        reached=reached,
    )  # fmt: skip


_Parts = tuple[str, str, bool, Callable[[Tensor], Tensor], Callable[[Tensor], Reached]]


def _radius_of_gyration(energy: RadiusOfGyration, placed: PlacedAtoms) -> _Parts:
    rows = torch.from_numpy(placed.alphas(energy.chains, key="energies.radius_of_gyration.chains"))
    natural = expected_radius_of_gyration(len(rows))
    target = energy.target

    def radius(positions: Tensor) -> Tensor:
        points = positions[rows]
        return torch.sqrt((points - points.mean(0)).square().sum(-1).mean() + 1e-6)

    def value(positions: Tensor) -> Tensor:
        return (radius(positions) - (target or 0.0)) / (_DISTANCE_TOLERANCE if target else 10.0)

    def reached(positions: Tensor) -> Reached:
        found = float(radius(positions))
        near = found <= natural if target is None else abs(found - target) <= energy.tolerance
        return Reached(text=f"{found:.1f} Å", met=near)

    asked = (
        f"as small as can be, at most {natural:.1f} Å as in nature"
        if target is None
        else f"{target:g} ± {energy.tolerance:g} Å"
    )
    return "radius of gyration", asked, True, value, reached


def _contacts(energy: Contacts, placed: PlacedAtoms) -> _Parts:
    key = "energies.contacts.chains"
    if len(energy.chains) == 2:
        first, second = (placed.alphas([name], key=key) for name in energy.chains)
        rows = np.array([(i, j) for i in first for j in second], np.int64)
    else:
        alphas = placed.alphas(energy.chains, key=key)
        residue, chain = placed.structure.atoms.residue[alphas], placed.structure.atom_chain[alphas]
        i, j = np.triu_indices(len(alphas), 1)
        far = (chain[i] != chain[j]) | (np.abs(residue[i] - residue[j]) >= _NEIGHBOURS)
        rows = np.stack([alphas[i[far]], alphas[j[far]]], 1)
    if not len(rows):
        raise InputError("there are no residues that could touch", key=key, found=list(energy.chains))
    pairs = torch.from_numpy(rows)
    wanted = min(energy.least or max(8, len(rows) // 20), len(rows))

    def distances(positions: Tensor) -> Tensor:
        return torch.sqrt((positions[pairs[:, 0]] - positions[pairs[:, 1]]).square().sum(-1) + 1e-6)

    def value(positions: Tensor) -> Tensor:
        nearest = torch.topk(distances(positions), wanted, largest=False).values
        excess = torch.relu(nearest - _AIM * energy.distance)
        return torch.sqrt(excess.square().mean() + 1e-12) / _DISTANCE_TOLERANCE * (excess > 0).any()

    def reached(positions: Tensor) -> Reached:
        count = int((distances(positions) <= energy.distance).sum())
        return Reached(text=f"{count}", met=count >= (energy.least or 1))

    where = " and ".join(energy.chains) or "designed chains"
    asked = f"at least {energy.least}" if energy.least else "as many as can be"
    return f"contacts of {where} within {energy.distance:g} Å", asked, True, value, reached


def _clash(energy: Clash, placed: PlacedAtoms) -> _Parts:
    return clash_parts(placed, energy.distance)


def kept_clash_term(placed: PlacedAtoms) -> Term:
    """New residues keep off what is kept whole: target, ligands, nucleic acids."""
    name, asked, has_goal, value, reached = clash_parts(placed, Clash().distance, among_new=False)
    return Term(
        name=f"{name} with what is kept", asked=asked, weight=4.0, levels=(math.inf, 0.0), has_goal=has_goal,
        value=value, reached=reached,
    )  # fmt: skip


def clash_parts(placed: PlacedAtoms, distance: float, *, among_new: bool = True) -> _Parts:
    """New atoms against everything else that is two or more residues away along the chain.

    among_new: against each other and their own chain's motif too, else only against chains that are kept whole.
    """
    atoms = placed.structure.atoms
    new = np.flatnonzero(placed.new[atoms.residue])
    residue, chain = torch.from_numpy(atoms.residue.astype(np.int64)), torch.from_numpy(placed.structure.atom_chain)
    rows, every = torch.from_numpy(new), torch.arange(len(atoms))
    near = (residue[rows, None] - residue[None]).abs() < 2
    allowed = ~(near & (chain[rows, None] == chain[None]))
    polar = torch.from_numpy(np.isin(atoms.element, (7, 8)))
    nearest = torch.where(polar[rows, None] & polar[None], min(distance, _HYDROGEN_BONDED), distance)
    allowed &= ~(torch.isin(every, rows)[None] & (every[None] <= rows[:, None]))  # each pair of new atoms once
    if not among_new:
        whole = ~np.isin(placed.structure.atom_chain, placed.structure.atom_chain[new])
        allowed &= torch.from_numpy(whole)[None]

    def overlaps(positions: Tensor, margin: float = 0.0) -> Tensor:
        least = nearest + margin
        i, j = torch.nonzero(allowed & (torch.cdist(positions[rows], positions).detach() < least), as_tuple=True)
        apart = torch.sqrt((positions[rows[i]] - positions[j]).square().sum(-1) + 1e-6)
        return torch.relu(least[i, j] - apart)

    def value(positions: Tensor) -> Tensor:
        found = overlaps(positions, _CLASH_MARGIN)
        if not len(found):
            return positions.sum() * 0
        return torch.sqrt(found.square().sum() + 1e-12) / _DISTANCE_TOLERANCE

    def reached(positions: Tensor) -> Reached:
        count = int((overlaps(positions) > 0).sum())
        return Reached(text="none" if not count else f"{count} pairs of atoms", met=count == 0)

    return "clash", f"no atoms nearer than {distance:g} Å ({_HYDROGEN_BONDED:g} Å of N and O)", True, value, reached


@dataclass(frozen=True, kw_only=True)
class AskedDistance:
    """Two atoms (rows) of a design and how far apart (Å) they are to be drawn, a little within what is asked."""

    atoms: tuple[int, int]
    least: float
    most: float

    @classmethod
    def of(cls, energy: Distance, placed: PlacedAtoms) -> AskedDistance:
        """That of an energy; raises InputError for atoms that are not there."""
        key = "energies.distance.between"
        one, other = (placed.atom(*parse_atom(text, key), key=key) for text in energy.between)
        margin = min(_DISTANCE_MARGIN, 0.25 * (energy.at_most - energy.at_least))
        return cls(atoms=(one, other), least=energy.at_least + margin, most=energy.at_most - margin)

    @classmethod
    def of_angle(cls, energy: Angle, placed: PlacedAtoms) -> list[AskedDistance]:
        """The sides of the triangle, as they are drawn; raises InputError for atoms that are not there."""
        return [cls(atoms=pair, least=0.0, most=math.inf) for pair in combinations(_angle_rows(energy, placed), 2)]


def _distance(energy: Distance, placed: PlacedAtoms) -> _Parts:
    drawn = AskedDistance.of(energy, placed)
    one, other = drawn.atoms

    def length(positions: Tensor) -> Tensor:
        return torch.sqrt((positions[one] - positions[other]).square().sum() + 1e-6)

    def value(positions: Tensor) -> Tensor:
        found = length(positions)
        return (found - found.detach().clamp(drawn.least, drawn.most)) / _DISTANCE_TOLERANCE

    def reached(positions: Tensor) -> Reached:
        found = float(length(positions))
        return Reached(text=f"{found:.1f} Å", met=energy.at_least <= found <= energy.at_most)

    low = f"at least {energy.at_least:g} Å" if energy.at_least else ""
    high = f"at most {energy.at_most:g} Å" if energy.at_most < math.inf else ""
    asked = ", ".join(filter(None, (low, high)))
    return f"distance {' - '.join(energy.between)}", asked, True, value, reached


def _angle_rows(energy: Angle, placed: PlacedAtoms) -> list[int]:
    key = "energies.angle.atoms"
    return [placed.atom(*parse_atom(text, key), key=key) for text in energy.atoms]


def _angle(energy: Angle, placed: PlacedAtoms) -> _Parts:
    rows = _angle_rows(energy, placed)
    wanted = math.radians(energy.value)

    def value(positions: Tensor) -> Tensor:
        return (bond_angle(*positions[rows]) - wanted) / _ANGLE_TOLERANCE

    def reached(positions: Tensor) -> Reached:
        found = math.degrees(float(bond_angle(*positions[rows])))
        return Reached(text=f"{found:.0f}°", met=abs(found - energy.value) <= energy.tolerance)

    asked = f"{energy.value:g} ± {energy.tolerance:g}°"
    return f"angle {' - '.join(energy.atoms)}", asked, True, value, reached


def _shape(energy: Shape, placed: PlacedAtoms) -> _Parts:
    rows = torch.from_numpy(placed.alphas(energy.chains, key="energies.shape.chains"))
    fit = CloudFit(read_points(energy.file))

    def value(positions: Tensor) -> Tensor:
        return fit.deviation(positions[rows]) / _DISTANCE_TOLERANCE

    def reached(positions: Tensor) -> Reached:
        found = float(fit.deviation(positions[rows]))
        return Reached(text=f"{found:.1f} Å", met=found <= energy.within)

    return f"shape {Path(energy.file).name}", f"within {energy.within:g} Å of it", True, value, reached


def _function(energy: Function, placed: PlacedAtoms) -> _Parts:
    call = energy.function or load_function(energy.file or "", energy.name)
    name = getattr(call, "__name__", energy.name)

    def value(positions: Tensor) -> Tensor:
        try:
            return call(positions, placed.structure)
        except Exception as error:
            at = traceback.extract_tb(error.__traceback__)[-1]
            raise InputError(f"the function {name} failed: {type(error).__name__}: {error}", path=at.filename,
                             line=at.lineno, key="energies.function") from error  # fmt: skip

    def reached(positions: Tensor) -> Reached:
        found = float(value(positions))
        return Reached(text=f"{found:.3g} kT", met=energy.at_most is None or found <= energy.at_most)

    asked = "low" if energy.at_most is None else f"at most {energy.at_most:g} kT"
    return f"function {name}", asked, False, value, reached


def load_function(path: str, name: str) -> Callable[[Tensor, Structure], Any]:
    """A function of a Python file that the user names, which is thereby run; raises InputError."""
    source = Path(path)
    if not source.is_file():
        raise InputError("no such file", key="energies.function.file", found=path)
    label = f"structdiff_energy_{hashlib.sha256(source.read_bytes()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(label, source)
    if spec is None or spec.loader is None:
        raise InputError("this is no Python file", key="energies.function.file", found=path, allowed="a .py file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise InputError(f"cannot be run: {error}", path=path) from error
    functions = [each for each in vars(module) if callable(getattr(module, each)) and not each.startswith("_")]
    if name not in functions:
        raise InputError("the file has no such function", path=path, key="energies.function.name", found=name,
                         allowed=functions, suggest_from=functions)  # fmt: skip
    return getattr(module, name)


_BUILDERS: dict[str, Callable[[Any, PlacedAtoms], _Parts]] = {
    "radius_of_gyration": _radius_of_gyration,
    "contacts": _contacts,
    "clash": _clash,
    "distance": _distance,
    "angle": _angle,
    "shape": _shape,
    "function": _function,
}
