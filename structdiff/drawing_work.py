"""How long the parts of drawing take: steps in which chains are moved as pieces, and docking after them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from structdiff.constraints.chain_poses import ChainPoses
from structdiff.cost import chain_docking_seconds, docking_seconds, estimated_cost, pieces_seconds, pose_judging_seconds
from structdiff.diffusion.sampler import SamplingConfig
from structdiff.docking.work import Part, PoseJudging, SiteSearch
from structdiff.engine import Engine, guidance_passes
from structdiff.features.guidance import present_conditions
from structdiff.jobs import Job
from structdiff.options import RunOptions, docks, judges_poses, recycles_of
from structdiff.typing import Float

_PROJECTIONS = 2  # of a sampling step: before contacts between atoms are followed, and after


def moving_seconds(job: Job, sampling: SamplingConfig) -> Float[np.ndarray, " step"]:
    """What moving the chains of one structure as pieces takes in each sampling step."""
    levels = sampling.levels()[:-1]
    poses = [each for each in job.clearance if isinstance(each, ChainPoses)]
    return np.array([
        _PROJECTIONS * sum(pieces_seconds(each.most_work(sigma), asked=each.asked) for each in poses)
        for sigma in levels
    ])  # fmt: skip


def part_seconds(part: Part) -> float:
    """What a part of docking takes."""
    if isinstance(part, SiteSearch):
        return docking_seconds(part.atoms, part.rounds)
    if isinstance(part, PoseJudging):
        return pose_judging_seconds(part.poses)
    return chain_docking_seconds(part.residues, part.others)


def docking_parts_seconds(job: Job, options: RunOptions) -> list[float]:
    """What each part of docking takes in one structure."""
    return (
        [part_seconds(part) for part in job.docking.parts(judged=judges_poses(options))]
        if job.docking is not None and docks(options, job.abilities)
        else []
    )


@dataclass(kw_only=True)
class BatchWork:
    """How much of the work of a batch is done, of all that it is expected to take.

    at_step: seconds until the end of each step, from 0 on. docking, relaxing: seconds after the last step. Trunk and
    confidence are counted as if both came before the first step.
    """

    at_step: Float[np.ndarray, " step"]
    docking: float
    relaxing: float
    _docked: float = field(default=0.0, init=False)

    @classmethod
    def of(cls, jobs: Sequence[Job], engine: Engine, sampling: SamplingConfig, options: RunOptions) -> BatchWork | None:
        """The work of some jobs that are drawn together; None where every step takes the same and nothing follows."""
        moving = np.sum([moving_seconds(job, sampling) for job in jobs], axis=0)
        docking = sum(sum(docking_parts_seconds(job, options)) for job in jobs)
        if not moving.any() and not docking:
            return None
        cost = estimated_cost(
            engine.weights.network.config, jobs[0].seen_tokens, len(jobs), steps=sampling.steps,
            passes=guidance_passes(options.guidance, present_conditions(jobs[0].features)), relax=options.relax,
            prediction=True, recycles=recycles_of(options, engine.weights), rows=jobs[0].features.msa.restype.shape[0],
        )  # fmt: skip
        at_step = cost.trunk + np.cumsum([0.0, *(cost.step + moving)])
        return cls(at_step=at_step, docking=docking, relaxing=cost.relax)

    def share(self, step: int) -> float:
        """The share that is done after so many steps and the parts of docking that are done."""
        everything = float(self.at_step[-1]) + self.docking + self.relaxing
        return (float(self.at_step[step]) + self._docked) / everything

    def part_done(self, part: Part) -> None:
        """Counts a part of docking."""
        self._docked = min(self._docked + part_seconds(part), self.docking)
