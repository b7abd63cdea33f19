"""Backbone torsions against those of well-resolved natural chains: favoured, allowed or outlier.

The densities are estimated by ``benchmarks/natural_reference.py`` from high-resolution chains of the training split, in
four classes as in MolProbity (Lovell et al., Proteins 50, 437, 2003): general, glycine, before proline, proline.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from importlib import resources

import numpy as np
from scipy import ndimage

from structdiff.evaluation.backbone import Backbone

CLASSES = ("general", "glycine", "before proline", "proline")
FAVOURED_MASS = 0.98  # share of training residues inside the favoured contour
ALLOWED_MASS = (0.9995, 0.998, 0.998, 0.998)  # MolProbity's, by class: fewer residues reach less far into the tail
DATA_FILE, LOOP_FILE = "ramachandran.npz", "loop_torsions.npz"
BINS = 72  # of each torsion


@dataclass(frozen=True, kw_only=True)
class RamachandranReference:
    """Log densities (per square radian) on a periodic grid (class, phi, psi), and the two contours of each class."""

    log_density: np.ndarray
    favoured: np.ndarray
    allowed: np.ndarray
    provenance: dict[str, object]

    def at(self, phi: np.ndarray, psi: np.ndarray, kind: np.ndarray) -> np.ndarray:
        """Log density at torsions (radian) of residues of the classes given by number; NaN torsions give NaN."""
        out = np.full(np.shape(phi), np.nan)
        bins = self.log_density.shape[1]
        for index in range(len(CLASSES)):
            rows = (kind == index) & np.isfinite(phi) & np.isfinite(psi)
            # Grid values stand at bin centres.
            place = [(angle[rows] + np.pi) / (2 * np.pi) * bins - 0.5 for angle in (phi, psi)]
            out[rows] = ndimage.map_coordinates(self.log_density[index], place, order=1, mode="grid-wrap")
        return out


@functools.cache
def reference() -> RamachandranReference:
    """The densities that come with the package."""
    with resources.files("structdiff.evaluation").joinpath("data").joinpath(DATA_FILE).open("rb") as stream:
        data = np.load(stream, allow_pickle=False)
        low, high = data["range"]
        return RamachandranReference(
            log_density=low + data["levels"].astype(np.float64) / 255 * (high - low),
            favoured=data["favoured"],
            allowed=data["allowed"],
            provenance=json.loads(str(data["provenance"])),
        )


@dataclass(frozen=True, kw_only=True)
class Ramachandran:
    """Shares of residues in favoured, merely allowed and outlier regions, the number judged, and who the outliers are.

    judged: rows of the residues that have both torsions; is_favoured: of each of these. mirror_log_odds: mean over
    residues of log p(phi, psi) - log p(-phi, -psi), glycine left out: about +4 for natural chains, negative for a
    mirror image. It sees the hand of a backbone without side chains.
    """

    favoured: float
    allowed: float
    outlier: float
    count: int
    outliers: np.ndarray
    judged: np.ndarray
    is_favoured: np.ndarray
    mirror_log_odds: float


def residue_classes(backbone: Backbone) -> np.ndarray:
    """Number of each residue's class in CLASSES; all general where no sequence is known."""
    kind = np.zeros(len(backbone), np.int64)
    if backbone.sequence_known:
        before_proline = np.zeros(len(backbone), bool)
        before_proline[:-1] = (backbone.restype[1:] == "PRO") & backbone.follows[1:]
        kind[before_proline] = 2
        kind[backbone.restype == "GLY"] = 1
        kind[backbone.restype == "PRO"] = 3
    return kind


def ramachandran(backbone: Backbone) -> Ramachandran:
    """How many residues have backbone torsions as natural proteins have them."""
    phi, psi, _ = backbone.torsions.T
    kind = residue_classes(backbone)
    table = reference()
    density = table.at(phi, psi, kind)
    known = np.isfinite(density)
    favoured = density[known] >= table.favoured[kind[known]]
    allowed = density[known] >= table.allowed[kind[known]]
    handed = known & (kind != CLASSES.index("glycine"))
    mirrored = table.at(-phi, -psi, kind)
    count = int(known.sum())

    def share(flags: np.ndarray) -> float:
        return float(np.mean(flags)) if len(flags) else float("nan")

    return Ramachandran(
        favoured=share(favoured),
        allowed=share(allowed & ~favoured),
        outlier=share(~allowed),
        count=count,
        outliers=np.flatnonzero(known)[~allowed],
        judged=np.flatnonzero(known),
        is_favoured=favoured,
        mirror_log_odds=float(np.mean((density - mirrored)[handed])) if handed.any() else float("nan"),
    )


def estimate(
    torsions: list[np.ndarray], sharp: list[np.ndarray], provenance: dict[str, object], *, bins: int = BINS
) -> RamachandranReference:
    """Densities and contours from observed (phi, psi) pairs in radian, one array (residue, 2) a class.

    sharp (residue) for each class: those of the best resolved entries, which alone place the contours.

    Two passes of Gaussian smoothing on a fine grid: the second is narrow where the first found many residues and wide
    where it found few. The contours hold the stated shares of residues under densities made without them (five folds).
    """
    log_density, favoured, allowed = [], [], []
    for index, pairs in enumerate(torsions):
        folds = np.arange(len(pairs)) * 5 // max(len(pairs), 1)
        held_out = np.concatenate(
            [_interpolate(estimated_density(pairs[folds != fold], bins), pairs[folds == fold]) for fold in range(5)]
        )
        held_out = held_out[sharp[index]]
        log_density.append(estimated_density(pairs, bins))
        favoured.append(np.quantile(held_out, 1 - FAVOURED_MASS))
        allowed.append(np.quantile(held_out, 1 - ALLOWED_MASS[index]))
    return RamachandranReference(
        log_density=np.stack(log_density), favoured=np.array(favoured), allowed=np.array(allowed), provenance=provenance
    )


def pack(table: RamachandranReference) -> dict[str, np.ndarray]:
    """The arrays of the data file: densities in 256 levels, contours, provenance as JSON."""
    return pack_density(table.log_density) | {
        "favoured": table.favoured, "allowed": table.allowed,
        "provenance": np.array(json.dumps(table.provenance, sort_keys=True)),
    }  # fmt: skip


def pack_density(log_density: np.ndarray) -> dict[str, np.ndarray]:
    """Log densities in 256 levels, and the lowest and highest of them."""
    low, high = float(log_density.min()), float(log_density.max())
    levels = np.round((log_density - low) / (high - low) * 255).astype(np.uint8)
    return {"levels": levels, "range": np.array([low, high])}


_PILOT_WIDTH = np.radians(8.0)
_WIDTHS = np.radians([3.0, 4.5, 7.0, 10.0, 15.0, 22.0])
_BACKGROUND = 1e-7  # of the uniform density, so that no place has probability zero


def estimated_density(pairs: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Log density (per square radian) of phi, psi (residue, 2; radian) on a periodic grid, smooth as in `estimate`."""
    fine = 2 * bins
    edges = np.linspace(-np.pi, np.pi, fine + 1)
    step = 2 * np.pi / fine
    counts, _, _ = np.histogram2d(pairs[:, 0], pairs[:, 1], bins=(edges, edges))
    pilot = ndimage.gaussian_filter(counts, _PILOT_WIDTH / step, mode="wrap")
    occupied = counts > 0
    typical = np.exp(np.average(np.log(pilot[occupied]), weights=counts[occupied]))
    width = np.zeros_like(counts)
    width[occupied] = _PILOT_WIDTH * 0.6 * np.sqrt(typical / pilot[occupied])
    nearest = np.argmin(np.abs(width[..., None] - _WIDTHS), axis=-1)
    smooth = np.zeros_like(counts)
    for index, size in enumerate(_WIDTHS):
        smooth += ndimage.gaussian_filter(counts * (nearest == index), size / step, mode="wrap", truncate=5.0)
    coarse = smooth.reshape(bins, 2, bins, 2).sum((1, 3)) / counts.sum() / (2 * step) ** 2
    return np.log(coarse + _BACKGROUND / (2 * np.pi) ** 2)


def _interpolate(log_density: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    place = (pairs.T + np.pi) / (2 * np.pi) * len(log_density) - 0.5
    return ndimage.map_coordinates(log_density, place, order=1, mode="grid-wrap")
