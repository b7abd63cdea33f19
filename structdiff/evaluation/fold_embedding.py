"""A chain as a point in a space where like folds lie near: the histograms of its CA geometry, by principal components.

Nothing is trained. Three kinds of histograms are taken: of the course of the chain (CA angle and torsion), of distances
by separation in sequence, and of how stretches that touch run past each other (cosine and handedness of the crossing).
Square roots are taken (Hellinger), each is divided by its natural standard deviation, and the principal components
of natural chains are kept. Torsions and crossings have a sign, so a mirror image lies elsewhere.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from importlib import resources

import numpy as np

from structdiff.evaluation.backbone import CA, Backbone
from structdiff.evaluation.internal_coordinates import bond_angle, dihedral

DATA_FILE = "fold_embedding.npz"
DIMENSIONS = 24
_ANGLES = np.radians([90.0, 107.0, 124.0, 141.0])  # bin centres; others fall to the outermost
_TORSION_BINS = 18
_SEPARATIONS = (3, 4, 5, 8, 12, 20, 32, 48)  # first of each band
_DISTANCES = np.array([4.5, 5.5, 6.5, 8.0, 9.5, 11.5, 14.0, 17.0, 20.5, 25.0, 31.0])  # Å, bin centres
_TOUCH = 10.0  # Å
_TOUCH_BANDS = (5, 16)
_COSINES = np.linspace(-1, 1, 5)


def fold_features(backbone: Backbone) -> np.ndarray:
    """The histograms of a chain (feature): shares of its residues, of its pairs, and crossings a residue; roots taken.

    Residues without CA are left out; neighbours are those of the sequence. All chains are taken together.
    """
    seen = np.asarray(np.isfinite(backbone.positions[:, CA]).all(-1))
    kept = backbone.select(seen)
    ca = kept.positions[:, CA]
    parts = (_course(ca, kept.follows), _distances(kept, ca), _crossings(kept, ca))
    return np.sqrt(np.concatenate(parts))


def _course(ca: np.ndarray, follows: np.ndarray) -> np.ndarray:
    """Histogram of CA angle and torsion of four residues in a row."""
    table = np.zeros((len(_ANGLES), _TORSION_BINS))
    if len(ca) < 4:
        return table.ravel()
    torsion = dihedral(ca[:-3], ca[1:-2], ca[2:-1], ca[3:])
    angle = bond_angle(ca[:-3], ca[1:-2], ca[2:-1])
    joined = follows[1:-2] & follows[2:-1] & follows[3:]
    joined &= np.isfinite(torsion) & np.isfinite(angle)  # CA that lie on one another, or on a line, have none
    torsion, angle = torsion[joined], angle[joined]
    rows, row_weights = _soft_bins(angle, _ANGLES)
    place = (torsion + np.pi) / (2 * np.pi) * _TORSION_BINS
    low = np.floor(place).astype(int)
    for row, row_weight in zip(rows, row_weights, strict=True):
        for step, weight in ((0, 1 - (place - low)), (1, place - low)):
            np.add.at(table, (row, (low + step) % _TORSION_BINS), row_weight * weight)
    return table.ravel() / max(len(torsion), 1)


def _distances(backbone: Backbone, ca: np.ndarray) -> np.ndarray:
    """Histograms of CA distances in each band of separation in sequence; pairs of two chains are the last band's."""
    i, j = np.triu_indices(len(ca), 3)
    apart = np.where(
        backbone.chain[i] == backbone.chain[j], backbone.residue_index[j] - backbone.residue_index[i], 9999
    )
    band = np.searchsorted(_SEPARATIONS, apart, side="right") - 1
    used = band >= 0
    bins, weights = _soft_bins(np.linalg.norm(ca[i] - ca[j], axis=-1)[used], _DISTANCES)
    table = np.zeros((len(_SEPARATIONS), len(_DISTANCES)))
    for place, weight in zip(bins, weights, strict=True):
        flat = np.bincount(band[used] * len(_DISTANCES) + place, weight, table.size)
        table += flat.reshape(table.shape)
    return (table / np.maximum(table.sum(-1, keepdims=True), 1)).ravel()


def _crossings(backbone: Backbone, ca: np.ndarray) -> np.ndarray:
    """Pairs of touching stretches by the cosine between them and the handedness of their crossing, a residue."""
    table = np.zeros((len(_TOUCH_BANDS), len(_COSINES), len(_COSINES)))
    inner = np.flatnonzero(backbone.follows[1:-1] & backbone.follows[2:]) + 1
    if not len(inner):
        return table.ravel()
    course = ca[inner + 1] - ca[inner - 1]
    course /= np.maximum(np.linalg.norm(course, axis=-1, keepdims=True), 1e-6)
    i, j = np.triu_indices(len(inner), 1)
    between = ca[inner[j]] - ca[inner[i]]
    distance = np.linalg.norm(between, axis=-1)
    near = distance < _TOUCH
    i, j, between = i[near], j[near], between[near] / np.maximum(distance[near, None], 1e-6)
    apart = np.abs(backbone.residue_index[inner[j]] - backbone.residue_index[inner[i]])
    apart = np.where(backbone.chain[inner[i]] == backbone.chain[inner[j]], apart, 9999)
    band = np.searchsorted(_TOUCH_BANDS, apart, side="right") - 1
    cosine = np.sum(course[i] * course[j], -1)
    hand = np.sum(np.cross(course[i], course[j]) * between, -1)
    for place, weight in zip(*_soft_bins(cosine, _COSINES), strict=True):
        for other, other_weight in zip(*_soft_bins(hand, _COSINES), strict=True):
            used = band >= 0
            np.add.at(table, (band[used], place[used], other[used]), (weight * other_weight)[used])
    return table.ravel() / len(ca)


def _soft_bins(values: np.ndarray, centres: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The two bins on either side of each value, and its weight in each."""
    high = np.clip(np.searchsorted(centres, values), 1, len(centres) - 1)
    share = np.clip((values - centres[high - 1]) / (centres[high] - centres[high - 1]), 0, 1)
    return [high - 1, high], [1 - share, share]


@dataclass(frozen=True, kw_only=True)
class FoldSpace:
    """Principal components of natural chains: mean and sd (feature), components (dimension, feature)."""

    mean: np.ndarray
    scale: np.ndarray
    components: np.ndarray

    def place(self, features: np.ndarray) -> np.ndarray:
        """Points (chain, dimension) of features (chain, feature)."""
        return (features - self.mean) / self.scale @ self.components.T

    @classmethod
    def of(cls, features: np.ndarray, dimensions: int = DIMENSIONS) -> FoldSpace:
        """The space of natural chains (chain, feature); each of the three kinds of histograms weighs the same."""
        mean, spread = features.mean(0), features.std(0)
        scale = np.maximum(spread, 0.25 * np.median(spread[spread > 0]))
        sizes = (len(_ANGLES) * _TORSION_BINS, len(_SEPARATIONS) * len(_DISTANCES))
        kind = np.searchsorted(np.cumsum(sizes), np.arange(len(mean)), side="right")
        standard = (features - mean) / scale
        for number in range(3):
            scale[kind == number] *= np.sqrt(np.square(standard[:, kind == number]).sum(1).mean())
        _, _, components = np.linalg.svd((features - mean) / scale, full_matrices=False)
        components = components[:dimensions]
        # The sign of a component is chance; the largest entry is made positive.
        largest = np.abs(components).argmax(1)
        sign = np.sign(components[np.arange(len(largest)), largest])
        return cls(mean=mean, scale=scale, components=components * sign[:, None])


@functools.cache
def fold_space() -> FoldSpace:
    """The space that comes with the package, of chains of the training split."""
    with resources.files("structdiff.evaluation").joinpath("data").joinpath(DATA_FILE).open("rb") as stream:
        data = np.load(stream, allow_pickle=False)
        return FoldSpace(**{name: data[name].astype(np.float64) for name in ("mean", "scale", "components")})


def fold_embedding(backbones: list[Backbone]) -> np.ndarray:
    """Points (chain, dimension) of chains in the space of folds."""
    space = fold_space()
    if not backbones:
        return np.zeros((0, len(space.components)))
    return space.place(np.array([fold_features(backbone) for backbone in backbones]))
