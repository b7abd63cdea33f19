"""Clouds of points that a chain is to fill: read from a file, and laid on the chain wherever it stands."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from structdiff.errors import InputError
from structdiff.geometry.superposition import superposed
from structdiff.typing import Float

_STRUCTURES = (".pdb", ".cif", ".mmcif", ".ent")
_ROUNDS = 10


def read_points(path: str | Path) -> Float[np.ndarray, "point 3"]:
    """Points in Å: three numbers a line, or the CA atoms of a structure; raises InputError."""
    from structdiff.structure.files import read_structure

    source = Path(path)
    if any(suffix in _STRUCTURES for suffix in source.suffixes):
        atoms = read_structure(source).atoms
        points = atoms.positions[(atoms.name == "CA") & atoms.resolved].astype(np.float64)
    else:
        try:
            lines = source.read_text().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot be read: {error}", path=path, key="energies.shape.file") from None
        numbers = [re.findall(r"-?\d+\.?\d*(?:[eE][-+]?\d+)?", line) for line in lines]
        points = np.array([[float(word) for word in row[-3:]] for row in numbers if len(row) >= 3])
    if len(points) < 4 or not np.isfinite(points).all():
        raise InputError("a shape needs four points or more, three numbers a line", path=path,
                         key="energies.shape.file", found=f"{len(points)} points")  # fmt: skip
    return points


class CloudFit:
    """How far a chain is from filling a cloud, wherever and however turned that lies.

    points (point, 3): Å.
    """

    def __init__(self, points: Float[np.ndarray, "point 3"]) -> None:
        self.points = torch.from_numpy(points - points.mean(0))

    def deviation(self, chain: Float[Tensor, "residue 3"]) -> Float[Tensor, ""]:
        """Root mean square (Å) of the distances from each point to the chain and from each residue to the cloud."""
        cloud = self.laid(chain.detach()).to(chain)
        apart = torch.cdist(chain, cloud)
        to_cloud, to_chain = apart.amin(1), apart.amin(0)
        return torch.sqrt(0.5 * (to_cloud.square().mean() + to_chain.square().mean()) + 1e-6)

    def laid(self, chain: Float[Tensor, "residue 3"]) -> Float[Tensor, "point 3"]:
        """The cloud turned and shifted onto the chain: longest axes first, then nearest points (never mirrored)."""
        chain = chain.double().cpu()
        best, least = self.points, float("inf")
        for start in _axis_fits(self.points, chain):
            cloud = start
            for _ in range(_ROUNDS):
                apart = torch.cdist(cloud, chain)
                pairs = torch.cat([chain[apart.argmin(1)], chain])
                own = torch.cat([torch.arange(len(cloud)), apart.argmin(0)])
                cloud = superposed(cloud[own], pairs)[: len(cloud)]
            apart = torch.cdist(cloud, chain)
            deviation = float(apart.amin(0).square().mean() + apart.amin(1).square().mean())
            if deviation < least:
                best, least = cloud, deviation
        return best


def _axis_fits(points: Tensor, chain: Tensor) -> list[Tensor]:
    """The four proper ways to lay the principal axes of a cloud on those of a chain."""
    centre = chain.mean(0)
    own, other = (torch.linalg.svd(x - x.mean(0), full_matrices=True)[2] for x in (points, chain))
    found = []
    for signs in itertools.product((1.0, -1.0), repeat=3):
        turn = other.T @ torch.diag(torch.tensor(signs, dtype=torch.float64)) @ own
        if torch.linalg.det(turn) > 0:
            found.append((points - points.mean(0)) @ turn.T + centre)
    return found
