"""The last step of a prediction: the nearest structure whose chemistry is right."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from structdiff.constraints.descent import Descent
from structdiff.constraints.ligand_repair import (
    FreeLigand,
    TurnableBond,
    free_ligands,
    laid_anew,
    mirrored_back,
    stuck_ligands,
    turnable_bonds,
    turned_back,
)
from structdiff.constraints.loop_choice import with_chosen_loops
from structdiff.constraints.minimiser import minimise
from structdiff.constraints.repair import part_coinciding, restore_hands
from structdiff.constraints.repulsion import NeighbourList
from structdiff.constraints.stereochemistry import Spreads, Stereochemistry, signed_volumes
from structdiff.constraints.symmetry_contacts import Images
from structdiff.errors import InputError
from structdiff.structure.tables import Structure
from structdiff.typing import Bool, Float, Int

_TOLERANCE = 0.02  # kT/Å, root mean square force: tight, so that the path to the minimum leaves no trace
_RESTRAINT = 5.0  # kT/Å², keeps what is known near where it is
_CLOSING_RESTRAINT = 0.5  # kT/Å² at least, while broken chains are closed
_SETTLING = 100  # steps
#: Share of repulsion, and the dampings (kT/Å²) of the Gauss-Newton steps taken with it.
_GLIDES = ((0.0, (300.0, 100.0, 50.0, 20.0, 10.0)), (0.1, (20.0,) * 4), (1.0, (20.0,) * 8))


@dataclass(frozen=True, kw_only=True)
class Relaxation:
    """How structures are relaxed.

    restraint: how strongly atoms are kept where they were, kT/Å². blurs: widths (degrees) by which the densities of
    backbone torsions are blurred, one after the other, before they are taken as they are: a loop that was drawn with
    torsions that nature has not then finds its way to some that it has. steps: most energies with each width.
    iterations: most energies that the final minimisation may take.
    """

    restraint: float = _RESTRAINT
    blurs: tuple[float, ...] = ()
    steps: int = 70
    iterations: int = 400


#: How predictions are relaxed: as loosely as it takes for side chains to find room, and no more (docs/log.md).
PREDICTION_RELAXATION = Relaxation(restraint=1.0)
PREDICTION_SPREADS = Spreads(torsion_preference=2.0, overlap=0.05)


@dataclass(frozen=True, kw_only=True)
class Violations:
    """The worst that is left in each sample: bond (Å), angle (radian), overlap of atoms that are not bonded (Å).

    wrong_hands: how many handed centres have the wrong hand.
    """

    bond: Float[Tensor, " sample"]
    angle: Float[Tensor, " sample"]
    overlap: Float[Tensor, " sample"]
    wrong_hands: Int[Tensor, " sample"]


@dataclass(frozen=True, kw_only=True)
class Relaxed:
    """Structures after relaxation.

    positions in Å; moved: root mean square displacement of the free atoms (Å); energy_before and energy_after in kT,
    without the restraint; worst: what is left.
    """

    positions: Float[Tensor, "sample atom 3"]
    moved: Float[Tensor, " sample"]
    energy_before: Float[Tensor, " sample"]
    energy_after: Float[Tensor, " sample"]
    worst: Violations


def relax(
    structure: Structure,
    positions: Float[Tensor, "sample atom 3"],
    *,
    held: Bool[Tensor, " atom"] | None = None,
    spreads: Spreads | None = None,
    stereochemistry: Stereochemistry | None = None,
    images: Images | None = None,
    settings: Relaxation | None = None,
) -> Relaxed:
    """Makes sampled structures chemically right and moves them as little as that takes.

    Every handed centre is put right, then bonds, angles, planes, contacts and backbone torsions are minimised under a
    harmonic restraint to the sampled positions, which also closes broken chains. From afar, steps of fixed number and
    size are taken, first without repulsion; L-BFGS does the rest. So inputs that differ by rounding have outputs that
    differ by little. Each sample is done by itself in float64, so that it does not depend on what else is in the batch;
    nothing is random.

    Args:
        structure: the molecules; its own positions are not looked at.
        positions: sampled positions of all its atoms (Å).
        held: atoms that keep their positions, bit by bit.
        spreads: how stiff each kind of term is.
        stereochemistry: the terms, if they are at hand already (made with the same ``held``).
        images: other copies of the structure, which move along with it and keep apart from it.
        settings: how far atoms may go, and how long it may take.

    Raises InputError when positions do not fit the structure or are not finite.
    """
    _check(structure, positions, held)
    free = torch.ones(len(structure.atoms), dtype=torch.bool) if held is None else ~held.detach().cpu()
    model = stereochemistry or Stereochemistry.from_structure(
        structure, held=None if held is None else ~free.numpy(), spreads=spreads
    )
    source = positions.detach().cpu().double()
    settings = settings or Relaxation()
    double_bonds = turnable_bonds(structure, free)
    ligands = free_ligands(structure, model, free, double_bonds)
    done = torch.stack([_relax_right(model, own, free, settings, images, ligands, double_bonds) for own in source])
    finished = torch.where(free.to(positions.device)[:, None], done.to(positions), positions.detach())
    return _report(model, source, finished, free)


def _relax_right(
    model: Stereochemistry,
    sampled: Float[Tensor, "atom 3"],
    free: Bool[Tensor, " atom"],
    settings: Relaxation,
    images: Images | None,
    ligands: list[FreeLigand],
    double_bonds: list[TurnableBond],
) -> Float[Tensor, "atom 3"]:
    """Relaxed positions (Å); ligands that stay wrong somewhere are laid anew, and relaxed from there.

    Double bonds that what lies about them has forced into the other form are turned once more, and that is relaxed.
    """
    sampled = turned_back(mirrored_back(model, sampled, ligands), double_bonds)
    found = _relax_one(model, sampled, free, settings, images)
    stuck = stuck_ligands(model, found, ligands)
    for ligand in stuck:
        sampled = laid_anew(sampled, ligand)
    if stuck:
        found = _relax_one(model, sampled, free, settings, images)
    if any(bond.side is not None and bond.is_wrong(found) for bond in double_bonds):
        return _relax_one(model, turned_back(found, double_bonds), free, settings, images)
    return found


def _relax_one(
    model: Stereochemistry,
    sampled: Float[Tensor, "atom 3"],
    free: Bool[Tensor, " atom"],
    settings: Relaxation,
    images: Images | None,
) -> Float[Tensor, "atom 3"]:
    # Rounding is least, and the same wherever the structure stands, about its own centre.
    centre = sampled.mean(0)
    anchor = sampled - centre
    cis = model.cis_prolines(anchor[None])[0]
    images = None if images is None else images.about(centre.numpy())
    descent = Descent(model, anchor.numpy(), free.numpy(), cis.numpy(), images)
    positions = restore_hands(model, part_coinciding(anchor, free), free)
    descent.restraint, descent.contact_weight = max(settings.restraint, _CLOSING_RESTRAINT), 0.0
    positions = torch.from_numpy(descent.settle(positions.numpy(), _SETTLING))
    positions = restore_hands(model, positions, free).numpy()
    for descent.contact_weight, dampings in _GLIDES:
        positions = descent.glide(positions, dampings)
    positions = restore_hands(model, torch.from_numpy(positions), free).numpy()
    model = with_chosen_loops(model, positions)
    for blur in (*settings.blurs, 0.0):
        if settings.blurs or model.loops:
            descent = Descent(_blurred(model, blur), anchor.numpy(), free.numpy(), cis.numpy(), images)
        descent.restraint = settings.restraint
        found = minimise(
            descent, positions, evaluations=settings.steps if blur else settings.iterations, tolerance=_TOLERANCE,
            precondition=descent.inverse_curvature,
        )  # fmt: skip
        positions = found.positions
    return torch.from_numpy(positions) + centre


def _blurred(model: Stereochemistry, blur: float) -> Stereochemistry:
    if model.torsion_preference is None or not blur:
        return model
    return dataclasses.replace(model, torsion_preference=model.torsion_preference.smoothed(blur))


def _check(structure: Structure, positions: Tensor, held: Tensor | None) -> None:
    expected = (len(structure.atoms), 3)
    if positions.ndim != 3 or tuple(positions.shape[1:]) != expected:
        raise InputError(
            "positions do not fit the structure", found=tuple(positions.shape), allowed=f"(sample, {expected[0]}, 3)"
        )
    if not bool(torch.isfinite(positions).all()):
        raise InputError("positions to relax must be finite numbers")
    if held is not None and tuple(held.shape) != expected[:1]:
        raise InputError("held does not fit the structure", found=tuple(held.shape), allowed=f"({expected[0]},)")


def _report(model: Stereochemistry, before: Tensor, finished: Tensor, free: Tensor) -> Relaxed:
    after = finished.cpu().double()
    displacement = (after - before)[:, free].square().sum(-1)
    moved = displacement.mean(1).sqrt() if int(free.sum()) else displacement.new_zeros(len(after))
    return Relaxed(
        positions=finished,
        moved=moved,
        energy_before=model.energy(before),
        energy_after=model.energy(after),
        worst=violations(model, after),
    )


def violations(model: Stereochemistry, positions: Float[Tensor, "sample atom 3"]) -> Violations:
    """The worst faults of each sample among atoms that are not held."""
    positions = positions.double()
    errors = model.pair_errors(positions).abs()
    bond = errors[:, : model.num_bonds]
    handed = model.quadruples[: model.num_handed]
    centres, row_of = torch.unique(handed[:, 0], return_inverse=True)
    wrong_rows = (signed_volumes(positions, handed) * model.volume[: model.num_handed] <= 0).long()
    wrong = wrong_rows.new_zeros(len(positions), len(centres)).index_add(1, row_of, wrong_rows) > 0
    neighbours = NeighbourList.build(model.repulsion, positions)
    overlap = neighbours.overlap(positions)
    worst = overlap.new_zeros(len(positions)).scatter_reduce(0, neighbours.sample, overlap, "amax")
    return Violations(
        bond=_largest(bond), angle=_largest(_angle_errors(model, positions)), overlap=worst, wrong_hands=wrong.sum(1)
    )


def _angle_errors(model: Stereochemistry, positions: Tensor) -> Tensor:
    """Deviation (radian) of every angle from its ideal, from the tables of bonds and 1-3 distances."""
    table = model.tables
    ideal = {tuple(sorted(pair)): length for pair, length in zip(table.bonds.tolist(), table.distance, strict=False)}
    i, j, k = torch.from_numpy(table.angles).unbind(1)
    span = torch.from_numpy(table.distance[len(table.bonds) : len(table.bonds) + len(table.angles)])
    sides = np.array(
        [[ideal[tuple(sorted((a, b)))], ideal[tuple(sorted((b, c)))]] for a, b, c in table.angles.tolist()]
    ).reshape(-1, 2)
    one, two = torch.from_numpy(sides).unbind(1)
    target = torch.acos(((one**2 + two**2 - span**2) / (2 * one * two)).clamp(-1, 1))
    first, second = positions[:, i] - positions[:, j], positions[:, k] - positions[:, j]
    sine = torch.linalg.cross(first, second).norm(dim=-1)
    return (torch.atan2(sine, (first * second).sum(-1)) - target).abs()


def _largest(values: Tensor) -> Tensor:
    return values.amax(1) if values.shape[1] else values.new_zeros(len(values))
