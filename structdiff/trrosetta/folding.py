"""Folds of a chain: the backbone torsions whose distances and orientations trRosetta finds likeliest.

Gradient descent over phi and psi with everything else ideal, from several starts at once, near neighbours in sequence
first (as Yang et al. 2020 do with Rosetta). A quick fold serves to judge designs; where a structure is to follow an
alignment the descent is slower and has more stages (docs/log.md).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from structdiff.geometry.torsions import torsion
from structdiff.trrosetta.network import Expectation
from structdiff.trrosetta.potential import Held, Potential
from structdiff.typing import Float

#: Ideal bonds (Å), angles (degrees; Engh & Huber 1991) and basins of phi and psi (degrees) where a start may lie.
_N_CA, _CA_C, _C_N = 1.458, 1.525, 1.329
_AT_CA, _AT_C, _AT_N = 111.0, 117.2, 121.7
_HELIX, _STRAND, _TURN = (-63.0, -43.0), (-120.0, 130.0), (60.0, 40.0)
_BASINS = ((_HELIX, 0.45), (_STRAND, 0.5), (_TURN, 0.05))


@dataclass(frozen=True, kw_only=True)
class Descent:
    """stages: sequence separations that count, and the steps taken with each. rate: learning rate in radian."""

    stages: tuple[tuple[int, int], ...]
    rate: float


QUICK = Descent(stages=((12, 80), (24, 80), (10_000, 240)), rate=0.15)
THOROUGH = Descent(stages=((6, 100), (12, 100), (24, 100), (48, 100), (10_000, 300)), rate=0.08)


@dataclass(frozen=True, kw_only=True)
class Folded:
    """The best of the starts: N, CA, C (Å), and its mean log likelihood a pair."""

    backbone: Float[Tensor, "residue 3 3"]
    log_likelihood: float


def fold(
    expected: Expectation, *, descent: Descent = QUICK, starts: int = 6, seed: int = 0, held: Held | None = None
) -> Folded:
    """Folds a chain into what is expected of it; the same seed gives the same fold.

    held: residues that begin with their own torsions and keep their distances, nearly.
    """
    with torch.inference_mode(False), torch.enable_grad():  # whoever calls may have switched gradients off
        return _descended(expected, descent, starts, seed, held)


def _descended(expected: Expectation, descent: Descent, starts: int, seed: int, held: Held | None) -> Folded:
    residues = len(expected.distance)
    generator = torch.Generator().manual_seed(seed)
    torsions = _starts(residues, starts, generator)
    if held is not None:
        _take_torsions(torsions, held)
    torsions.requires_grad_()
    potential = Potential(expected, held)
    for reach, steps in descent.stages:
        optimiser = torch.optim.Adam([torsions], lr=descent.rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps, eta_min=descent.rate / 20)
        for _ in range(steps):
            optimiser.zero_grad()
            potential.energy(*build_backbone(torsions), reach).sum().backward()
            optimiser.step()
            schedule.step()
    with torch.no_grad():
        n, ca, c = build_backbone(torsions)
        energy = potential.energy(n, ca, c, 10_000)
        best = int(energy.argmin())
    return Folded(backbone=torch.stack([n, ca, c], 2)[best], log_likelihood=-float(energy[best]))


def _starts(residues: int, starts: int, generator: torch.Generator) -> Float[Tensor, "start residue 2"]:
    chance = torch.tensor([share for _, share in _BASINS])
    basin = torch.multinomial(chance, starts * residues, replacement=True, generator=generator)
    middle = torch.tensor([place for place, _ in _BASINS])[basin].view(starts, residues, 2)
    return torch.deg2rad(middle + 10 * torch.randn(middle.shape, generator=generator))


def _take_torsions(torsions: Float[Tensor, "start residue 2"], held: Held) -> None:
    """Gives residues with a held neighbour on the side that a torsion looks to the torsion that they have there."""
    places = held.places.nonzero()[:, 0]
    follows = places[1:] == places[:-1] + 1
    n, ca, c = held.backbone.unbind(1)
    phi, psi = torsion(c[:-1], n[1:], ca[1:], c[1:]), torsion(n[:-1], ca[:-1], c[:-1], n[1:])
    torsions[:, places[1:][follows], 0] = phi[follows]
    torsions[:, places[:-1][follows], 1] = psi[follows]


def build_backbone(torsions: Float[Tensor, "start residue 2"]) -> tuple[Tensor, Tensor, Tensor]:
    """N, CA and C (Å, each start, residue, 3) from phi and psi (radian), trans peptides, ideal bonds and angles.

    Each residue's frame is that of the one before, moved on; all products at once, in log2(residues) rounds.
    """
    phi, psi = torsions.unbind(-1)
    trans = torch.full_like(phi[:, 1:], math.pi)
    # Frames stand at C, first axis along CA-C; on to N, CA and C of the next residue.
    step = _advance(psi[:, :-1], _AT_C, _C_N) @ _advance(trans, _AT_N, _N_CA) @ _advance(phi[:, 1:], _AT_CA, _CA_C)
    frames = functional.pad(step, (0, 0, 0, 0, 1, 0)).clone()
    frames[:, 0] = torch.eye(4)
    reach = 1
    while reach < frames.shape[1]:
        joined = frames[:, :-reach] @ frames[:, reach:]
        frames = torch.cat([frames[:, :reach], joined], 1)
        reach *= 2
    own_ca = frames.new_tensor([-_CA_C, 0, 0, 1])
    angle = math.radians(_AT_CA)
    own_n = own_ca + _N_CA * frames.new_tensor([math.cos(angle), math.sin(angle), 0, 0])
    return (frames @ own_n)[..., :3], (frames @ own_ca)[..., :3], frames[..., :3, 3]


def _advance(torsion: Float[Tensor, "start residue"], angle: float, length: float) -> Tensor:
    """From the frame of a bond to that of the next: turned by the torsion, bent by the bond angle, moved on."""
    bend = math.pi - math.radians(angle)
    sine, cosine = torsion.sin(), torsion.cos()
    zero, one = torch.zeros_like(sine), torch.ones_like(sine)
    down, across = math.cos(bend), math.sin(bend)
    rows = [
        [down * one, -across * one, zero, length * down * one],
        [across * cosine, down * cosine, -sine, length * across * cosine],
        [across * sine, down * sine, cosine, length * across * sine],
        [zero, zero, zero, one],
    ]
    return torch.stack([torch.stack(row, -1) for row in rows], -2)
