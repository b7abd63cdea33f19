"""The way from noise to a structure as a file of several models, which plays as an animation."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import gemmi
import numpy as np
import torch

from structdiff.errors import InputError
from structdiff.features.tokens import tokenise
from structdiff.geometry.superposition import superposition
from structdiff.output.files import ready_folder
from structdiff.output.prediction import Prediction
from structdiff.structure.files import write_atomically
from structdiff.structure.mmcif_text import mmcif_text
from structdiff.structure.tables import Structure


def write_trajectory(prediction: Prediction, folder: str | Path, name: str) -> Path:
    """Writes NAME.trajectory.cif: one model a recorded step, the finished structure last.

    Raises InputError when the run kept no trajectory, and for a folder that cannot be written.
    """
    frames = trajectory_frames(prediction)
    document = gemmi.cif.read_string(mmcif_text(_drawn(prediction), provenance=prediction.provenance.as_text()))
    table = document.sole_block().find_mmcif_category("_atom_site.")
    tags = list(table.loop.tags)
    rows = [list(row) for row in table]
    axes = [tags.index(f"_atom_site.Cartn_{axis}") for axis in "xyz"]
    number, model = tags.index("_atom_site.id"), tags.index("_atom_site.pdbx_PDB_model_num")
    columns: list[list[str]] = [[] for _ in tags]
    for frame_number, frame in enumerate(frames, start=1):
        for row, position in zip(rows, frame.tolist(), strict=True):
            cells = list(row)
            cells[number], cells[model] = str(len(columns[0]) + 1), str(frame_number)
            for axis, value in zip(axes, position, strict=True):
                cells[axis] = f"{value:.3f}"
            for column, cell in zip(columns, cells, strict=True):
                column.append(cell)
    table.loop.set_all_values(columns)
    return write_atomically(ready_folder(folder, name) / f"{name}.trajectory.cif", document.as_string())


def without_trajectory(folder: str | Path, names: Iterable[str]) -> str:
    """What is to be told of finished structures that were drawn without keeping their way; else empty."""
    lacking = [each for each in names if not (Path(folder) / f"{each}.trajectory.cif").is_file()]
    if not lacking:
        return ""
    some = ", ".join(lacking[:3]) + (" ..." if len(lacking) > 3 else "")
    return f"{some}: kept as made before, without a trajectory; --overwrite draws anew"


def trajectory_frames(prediction: Prediction) -> np.ndarray:
    """The noisy positions of every recorded step [frame, atom, 3] (Å), then the finished ones; resolved atoms only.

    All frames lie as the finished structure does. Raises InputError when the run kept no trajectory.
    """
    if prediction.trajectory is None or not prediction.trajectory.snapshots:
        raise InputError("this run kept no trajectory", key="trajectory", allowed="every k-th step: 1 or more")
    structure = _drawn(prediction)
    tokens, slots = np.nonzero(tokenise(structure).atoms >= 0)
    atoms = tokenise(structure).atoms[tokens, slots]
    order = np.argsort(atoms)
    order = order[structure.atoms.resolved[atoms[order]]]
    finished = torch.from_numpy(structure.atoms.positions[atoms[order]].astype(np.float64))
    snapshots = prediction.trajectory.snapshots
    per_token = snapshots[0].positions.shape[1] // (int(tokens.max()) + 1)
    places = torch.from_numpy((tokens * per_token + slots)[order])
    move = superposition(snapshots[-1].denoised[0, places].double(), finished)
    frames = [move.apply(each.positions[0, places].double()) for each in snapshots]
    return torch.stack([*frames, finished]).numpy()


def _drawn(prediction: Prediction) -> Structure:
    return prediction.structure if prediction.drawn is None else prediction.drawn
