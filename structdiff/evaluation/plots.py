"""Pictures of an evaluation: distributions beside their natural ranges, shapes beside natural chains."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from structdiff.evaluation.catalogue import metric
from structdiff.evaluation.evaluation import Evaluation
from structdiff.evaluation.natural import DESCRIPTORS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_OWN, _NATURAL, _RANGE = "#1f6feb", "#9aa4af", "#d9ead3"
_SHOWN = (
    "bond_over_4_sigma", "angle_over_4_sigma", "rama_favoured", "rama_outlier", "clashes_per_100",
    "backbone_clashes_per_100", "helix", "strand", "rg_score", "contact_order", "contacts_per_residue", "motif_rmsd",
    "nearest_in_set", "nearest_tm", "lddt", "tm", "rmsd_ca", "dockq", "ligand_rmsd",
)  # fmt: skip
_COLUMNS = 4


def plots_of(evaluation: Evaluation) -> dict[str, bytes]:
    """PNG pictures by name: of the metrics of structures, and of the set beside natural chains of like lengths."""
    if not evaluation.rows:
        return {}
    pictures = {"metrics": _metrics(evaluation)}
    if len(evaluation.rows) > 1:
        pictures["shapes"] = _shapes(evaluation)
    return pictures


def _metrics(evaluation: Evaluation) -> bytes:
    shown = [name for name in _SHOWN if any(name in row.values for row in evaluation.rows)]
    lines = math.ceil(len(shown) / _COLUMNS)

    def draw(axes: list[Axes]) -> None:
        for axis, name in zip(axes, shown, strict=False):
            entry = metric(name)
            values = np.array([row.values[name] for row in evaluation.rows if name in row.values]) * entry.scale
            if entry.natural is not None:
                low, high = (end * entry.scale for end in entry.natural)
                axis.axvspan(low, max(high, low + 1e-9), color=_RANGE, label="90 % of natural chains")
            room = None if np.ptp(values) > 0 else (values[0] - 0.5, values[0] + 0.5)
            axis.hist(values, bins=min(30, max(8, len(values) // 4)), range=room, color=_OWN)
            axis.set_title(entry.heading, fontsize=9)
            axis.set_yticks([])
        for axis in axes[len(shown) :]:
            axis.set_visible(False)

    return _picture(lines, _COLUMNS, draw, size=(3.0, 2.0))


def _shapes(evaluation: Evaluation) -> bytes:
    natural = evaluation.natural
    low, high = evaluation.lengths.min() * 0.88, evaluation.lengths.max() * 1.12
    alike = (natural.lengths >= low) & (natural.lengths <= high)

    def scatter(axis: Axes, x: np.ndarray, y: np.ndarray, own_x: np.ndarray, own_y: np.ndarray, labels: str) -> None:
        axis.scatter(x, y, s=5, color=_NATURAL, alpha=0.5, linewidths=0, label="natural chains")
        axis.scatter(own_x, own_y, s=9, color=_OWN, alpha=0.8, linewidths=0, label="these")
        title, x_label, y_label = labels.split("|")
        axis.set_title(title, fontsize=9)
        axis.set_xlabel(x_label, fontsize=8)
        axis.set_ylabel(y_label, fontsize=8)

    def draw(axes: list[Axes]) -> None:
        helix, strand, rg = (natural.descriptors[alike, DESCRIPTORS.index(key)] for key in ("helix", "strand", "rg"))
        own = {
            key: np.array([row.values.get(key, np.nan) for row in evaluation.rows]) for key in ("helix", "strand", "rg")
        }
        scatter(
            axes[0], natural.lengths[alike], rg, evaluation.lengths, own["rg"], "size|residues|radius of gyration, Å"
        )
        scatter(axes[1], 100 * helix, 100 * strand, 100 * own["helix"], 100 * own["strand"],
                "secondary structure|helix, %|strand, %")  # fmt: skip
        first, second = natural.folds[alike, :2].T
        own_first, own_second = evaluation.folds[:, :2].T
        scatter(axes[2], first, second, own_first, own_second, "fold shape|first component|second component")
        axes[2].legend(fontsize=7, loc="best")

    return _picture(1, 3, draw, size=(4.0, 3.3))


def _picture(lines: int, columns: int, draw: Callable[[list[Any]], None], *, size: tuple[float, float]) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(columns * size[0], lines * size[1]), layout="constrained")
    FigureCanvasAgg(figure)
    axes = np.atleast_1d(figure.subplots(lines, columns)).ravel().tolist()
    for axis in axes:
        axis.tick_params(labelsize=7)
    draw(axes)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=120, metadata={"Software": None})
    return stream.getvalue()
