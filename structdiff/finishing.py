"""What is done to a prediction once it is drawn, before it is judged: it is docked, and all atoms are relaxed."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from structdiff.constraints.hydrogen_bonds import with_base_pairs
from structdiff.constraints.of_design import with_asked_distances
from structdiff.constraints.relaxation import PREDICTION_RELAXATION, PREDICTION_SPREADS, relax
from structdiff.constraints.stereochemistry import Stereochemistry
from structdiff.docking.complex_docking import Docked
from structdiff.docking.work import OnPart
from structdiff.engine import Finish
from structdiff.jobs import Job
from structdiff.options import RunOptions, docks, judges_poses


def finish_of(
    job: Job, options: RunOptions, sample: int, generator: torch.Generator, docked: list[Docked], on_part: OnPart
) -> tuple[Finish, Tensor] | None:
    """What is done to a draw of a job before it is judged, and the atoms (token, slot) that this sees; None if nothing.

    Designs are finished once they are judged (structdiff.assembly), since their letters are open until then. sample:
    the number of the draw, from 0. generator: of docking. docked: takes up what was docked. on_part: told of each part
    of docking when it is done.
    """
    if job.layout is not None:
        return None
    docking = job.docking if docks(options, job.abilities) else None
    if docking is None and not options.relax:
        return None

    def finish(positions: Tensor) -> Tensor:
        if docking is not None:
            judged = judges_poses(options)
            positions, known = docking.placed(positions, generator, on_part, sample, judged=judged)
            docked[:] = [known]
        return _relaxed(job, positions) if options.relax else positions

    return finish, job.constraints[1]


def _relaxed(job: Job, positions: Tensor) -> Tensor:
    """Positions after a minimisation near the network's, which keeps contacts asked for and base pairs as they are."""
    visible = job.visible
    drawn = np.zeros((len(visible), 3), np.float32)
    drawn[visible] = positions.numpy()
    model = Stereochemistry.from_structure(job.structure, spreads=PREDICTION_SPREADS)
    contacts = job.contacts_at(drawn)
    if contacts:
        model = with_asked_distances(model, contacts, drawn.astype(np.float64), np.flatnonzero(visible))
    if job.base_pairs is not None:
        model = with_base_pairs(model, job.base_pairs.atoms(job.structure))
    with torch.inference_mode(False):  # which the network runs in, and which knows no gradients
        found = relax(
            job.structure, torch.from_numpy(drawn)[None], stereochemistry=model, settings=PREDICTION_RELAXATION
        ).positions[0]
    return found[torch.from_numpy(visible)]
