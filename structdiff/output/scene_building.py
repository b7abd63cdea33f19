"""Scenes made ready to be drawn: what is read, with the roles of residues, frames of a trajectory, and shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from structdiff.errors import InputError
from structdiff.output.scene import Scene, SceneResidue
from structdiff.output.scene_reading import read_models, scene_of_file, scene_of_structure
from structdiff.output.scene_shapes import shaped_residues
from structdiff.structure.tables import ChainKind, Structure


def build_scene(
    source: str | Path | Structure,
    *,
    residue_map: Mapping[str, object] | None = None,
    trajectory: str | Path | np.ndarray | Sequence[np.ndarray] | None = None,
) -> Scene:
    """Prepares a structure for drawing: heavy atoms without water, secondary structure, roles, frames.

    residue_map: as ``Layout.residue_map`` writes it; the residues it lists are the motif's, and chains of which it
    lists all are the given ones.

    A file with several models becomes an animation of the atoms that all models share. ``trajectory`` adds frames to a
    single structure: a multi-model file, or positions (frame, atom, 3) in Å of the atoms drawn.

    Raises InputError for files that cannot be read, hold no atoms, or do not fit the trajectory.
    """
    scene = scene_of_structure(source) if isinstance(source, Structure) else scene_of_file(Path(source))
    if trajectory is not None:
        scene = replace(scene, frames=_trajectory_frames(scene, trajectory))
    residues = _with_roles(scene, residue_map) if residue_map is not None else scene.residues
    residues = shaped_residues(replace(scene, residues=residues))
    return replace(scene, residues=residues)


def _trajectory_frames(scene: Scene, trajectory: str | Path | np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
    if isinstance(trajectory, (str, Path)):
        models, _ = read_models(Path(trajectory))
        owners = [scene.residues[row] for row in scene.atom_residue]
        keys = [
            (scene.chains[r.chain], r.number, r.insertion_code, r.name, name)
            for r, name in zip(owners, scene.atom_name, strict=True)
        ]
        missing = next((key for model in models for key in keys if key not in model), None)
        if missing is not None:
            label = f"{missing[0]}/{missing[3]}{missing[1]}{missing[2]}/{missing[4]}"
            raise InputError(
                f"the trajectory lacks atom {label} of the structure", path=trajectory,
                allowed="that of this structure; of a design with another sequence its backbone, beside this file",
            )  # fmt: skip
        return np.array([[model[key][1] for key in keys] for model in models], np.float32)
    frames = np.asarray(trajectory, np.float32)
    if frames.ndim != 3 or frames.shape[1:] != (len(scene.atom_name), 3) or len(frames) == 0:
        wanted = f"(frames, {len(scene.atom_name)}, 3)"
        raise InputError("the trajectory does not fit the structure", found=frames.shape, allowed=wanted)
    return frames


def _with_roles(scene: Scene, residue_map: Mapping[str, object]) -> tuple[SceneResidue, ...]:
    records = residue_map.get("residues")
    if not isinstance(records, Sequence) or not all(isinstance(record, Mapping) for record in records):
        found = type(records).__name__
        raise InputError("a residue map is an object with the list 'residues'", key="residues", found=found)
    ends = [record.get("design") for record in records]
    if not all(isinstance(end, Mapping) and {"chain", "number"} <= end.keys() for end in ends):
        raise InputError("each residue of a residue map needs 'design' with 'chain' and 'number'", key="residues")
    given = {(str(end["chain"]), end["number"], end.get("insertion_code") or "") for end in ends}
    kept = [(scene.chains[r.chain], r.number, r.insertion_code) in given for r in scene.residues]
    polymer = [r.kind != ChainKind.LIGAND for r in scene.residues]
    designed = {r.chain for r, k, p in zip(scene.residues, kept, polymer, strict=True) if p and not k}
    return tuple(
        replace(r, role="scaffold" if not k else "motif" if r.chain in designed or not designed else "target")
        for r, k in zip(scene.residues, kept, strict=True)
    )
