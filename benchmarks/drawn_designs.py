"""Designs drawn under some settings, as they came from the sampler and relaxed, and what is measured of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from structdiff.assembly import finished_design
from structdiff.design_jobs import job_of
from structdiff.drawing import Drawn, Wanted, draw_all
from structdiff.engine import Engine
from structdiff.evaluation.diversity import diversity
from structdiff.evaluation.measures import validity_values
from structdiff.evaluation.subject import Subject
from structdiff.evaluation.summary import Summary, summarise
from structdiff.options import RunOptions
from structdiff.output.prediction import Design
from structdiff.spec.design import DesignSpec
from structdiff.structure.tables import Structure

#: What is measured of each design: name in the catalogue, words, factor, whether more is better.
MEASURED = {
    "bond_over_4_sigma": ("bonds over 4 sigma, %", 100, False),
    "angle_over_4_sigma": ("angles over 4 sigma, %", 100, False),
    "rama_favoured": ("Ramachandran favoured, %", 100, True),
    "chain_breaks": ("chain breaks", 1, False),
    "backbone_clashes_per_100": ("clashes per 100 residues, backbone", 1, False),
    "clashes_per_100": ("clashes per 100 residues, all atoms", 1, False),
    "helix": ("helix, %", 100, None),
    "strand": ("strand, %", 100, None),
}


@dataclass(frozen=True, kw_only=True)
class DrawnSet:
    """Designs of one setting: as drawn (raw) and relaxed, and seconds a design for each of the two."""

    raw: list[Design]
    relaxed: list[Design]
    seconds_drawing: float
    seconds_relaxing: float


def draw_set(engine: Engine, spec: DesignSpec, options: RunOptions, *, relax: bool = True) -> DrawnSet:
    """All designs of a spec, drawn once; number and seed decide the noise, so settings are compared design by design.

    Without relax, relaxed is empty.
    """
    wanted = [Wanted(job=job_of(spec, number), seed=spec.seed, index=number) for number in range(spec.num_designs)]
    began = time.monotonic()
    drawn = list(draw_all(engine, wanted, len(wanted), options))
    middle = time.monotonic()
    raw = [_finished(engine, each, replace(options, relax=False)) for each in drawn]
    relaxed = [_finished(engine, each, replace(options, relax=True)) for each in drawn] if relax else []
    end = time.monotonic()
    return DrawnSet(
        raw=raw, relaxed=relaxed, seconds_drawing=(middle - began) / len(drawn),
        seconds_relaxing=(end - middle) / len(drawn),
    )  # fmt: skip


def _finished(engine: Engine, drawn: Drawn, options: RunOptions) -> Design:
    own = drawn.wanted
    return finished_design(own.job, drawn.draw, engine, options, seed=own.seed, index=own.index)


def subject_of(structure: Structure) -> Subject:
    return Subject(name=structure.name, path=Path(structure.name), structure=structure)


def validity_of(designs: Sequence[Design]) -> list[dict[str, float]]:
    """What is measured of each design."""
    rows = [validity_values(subject_of(design.structure)) for design in designs]
    return [{name: round(row[name], 5) for name in MEASURED} for row in rows]


def variety(designs: Sequence[Design]) -> dict[str, Any]:
    """Clusters at TM 0.6, and the mean TM-score of pairs with its interval."""
    found = diversity([subject_of(design.structure).trace for design in designs])
    return {"clusters": int(found.cluster.max()), "designs": len(designs), "mean_tm": stated(found.mean_tm)}


def stated(values: Summary | Sequence[float]) -> dict[str, float]:
    summary = values if isinstance(values, Summary) else summarise(values)
    return {"mean": round(summary.mean, 5), "low": round(summary.low, 5), "high": round(summary.high, 5)}


def paired_difference(own: Sequence[float], other: Sequence[float]) -> dict[str, float]:
    """Mean difference of one setting from another over the same designs, with its interval."""
    return stated([float(value) for value in np.asarray(own, np.float64) - np.asarray(other, np.float64)])
