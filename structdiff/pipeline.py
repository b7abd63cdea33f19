"""Predict, design, score: each the whole way from what is asked to a finished structure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from structdiff.assembly import (
    Job,
    complex_job,
    confidence_of,
    design_job,
    finished_design,
    finished_prediction,
)
from structdiff.confidence import Confidence
from structdiff.diffusion.sampler import sample_generator
from structdiff.diffusion.trajectory import Trajectory
from structdiff.engine import Draw, Engine, choose_device
from structdiff.errors import InputError
from structdiff.features.build import build_features
from structdiff.features.tokens import tokenise
from structdiff.model.library import load_named_weights
from structdiff.options import RunOptions, recommended_sampling
from structdiff.output.prediction import Design, Prediction
from structdiff.spec.complex import ComplexSpec
from structdiff.spec.contigs import ResidueId
from structdiff.spec.design import DesignSpec
from structdiff.spec.layout import Layout
from structdiff.spec.read import read_complex
from structdiff.structure.files import read_structure
from structdiff.structure.scaffold import motif_residues
from structdiff.structure.tables import Structure


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a run is: structures finished of all, and the sampling step of the batch at hand."""

    finished: int
    total: int
    step: int
    steps: int


def predict(
    complex_: ComplexSpec | str | Path,
    *,
    samples: int = 1,
    seed: int | None = None,
    options: RunOptions | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Iterator[Prediction]:
    """Predicts the structure of a complex; yields each sample as it is finished.

    Args:
        complex_: what to predict, or the path of a FASTA, YAML or AlphaFold 3 JSON file.
        samples: structures for each seed.
        seed: random seed; by default those the input names, else 0.
        options: weights, sampling and the rest.
        on_progress: called after every sampling step.

    Raises InputError for what cannot be predicted, ResourceError for what does not fit into memory.
    """
    spec = complex_ if isinstance(complex_, ComplexSpec) else read_complex(complex_)
    if samples < 1:
        raise InputError("at least one sample is needed", key="samples", found=samples)
    options = options or RunOptions()
    engine = Engine(load_named_weights(options.weights), device=choose_device(options.device))
    job = complex_job(spec, engine.weights)
    seeds = (seed,) if seed is not None else spec.seeds or (0,)
    wanted = [(each, index) for each in seeds for index in range(samples)]
    for (each, index), draw, path in _draw(engine, [job] * len(wanted), wanted, options, on_progress):
        yield finished_prediction(job, draw, engine, options, seed=each, index=index, trajectory=path)


def design(
    spec: DesignSpec,
    *,
    options: RunOptions | None = None,
    skip: Collection[int] = (),
    on_progress: Callable[[Progress], None] | None = None,
) -> Iterator[Design]:
    """Designs proteins around a motif, a target, or from nothing; yields each design as it is finished.

    Args:
        spec: what to design.
        options: weights, sampling and the rest.
        skip: numbers (from 0) of designs that exist already; the others come out the same with or without them.
        on_progress: called after every sampling step.

    Raises InputError for what cannot be designed, ResourceError for what does not fit into memory.
    """
    options = options or RunOptions()
    spec, motif = resolve_design(spec)
    engine = Engine(load_named_weights(options.weights), device=choose_device(options.device))
    wanted = [index for index in range(spec.num_designs) if index not in set(skip)]
    jobs = [design_job(spec, _layout(spec, index), motif, index) for index in wanted]
    order = [(spec.seed, index) for index in wanted]
    for place, ((seed, index), draw, path) in enumerate(_draw(engine, jobs, order, options, on_progress)):
        yield finished_design(jobs[place], draw, engine, options, seed=seed, index=index, trajectory=path)


def layouts(spec: DesignSpec) -> list[Layout]:
    """The layout of every design, as ``structdiff design --dry-run`` draws it; nothing is computed."""
    spec, _ = resolve_design(spec)
    return [_layout(spec, index) for index in range(spec.num_designs)]


def score(structure: Structure | str | Path, *, weights: str | Path = "mini", device: str = "auto") -> Confidence:
    """How much the network believes in a given structure, from its sequence and coordinates."""
    if not isinstance(structure, Structure):
        structure = read_structure(structure)
    engine = Engine(load_named_weights(weights), device=choose_device(device))
    tokens = tokenise(structure)
    features = build_features(structure, tokens=tokens, only_resolved=True)
    return confidence_of(engine.judge(features), features, tokens, structure)


def resolve_design(spec: DesignSpec) -> tuple[DesignSpec, Structure | None]:
    """The request with every stretch looked up in the motif file, and the motif."""
    if spec.motif is None:
        return spec.resolve(()), None
    motif = read_structure(spec.motif)
    rows: Mapping[ResidueId, int] = motif_residues(motif)
    try:
        return spec.resolve(rows), motif
    except InputError as error:
        raise error if error.path is not None else InputError(str(error), path=spec.motif) from None


def _layout(spec: DesignSpec, index: int) -> Layout:
    """Lengths are drawn from the seed and the design's number alone."""
    return spec.sample_layout(np.random.default_rng([spec.seed, index]))


def _draw(
    engine: Engine,
    jobs: Sequence[Job],
    order: Sequence[tuple[int, int]],
    options: RunOptions,
    on_progress: Callable[[Progress], None] | None,
) -> Iterator[tuple[tuple[int, int], Draw, Trajectory | None]]:
    """Draws the jobs batch by batch, each from the generator of its own seed and number."""
    sampling = options.sampling or recommended_sampling(engine.weights)
    size = 1 if options.trajectory else options.batch_size
    for start in range(0, len(jobs), size):
        batch = jobs[start : start + size]
        generators = [sample_generator(seed, index) for seed, index in order[start : start + size]]
        trajectory = Trajectory(every=options.trajectory) if options.trajectory else None

        def report(step: int, steps: int, finished: int = start) -> None:
            if on_progress is not None:
                on_progress(Progress(finished=finished, total=len(jobs), step=step, steps=steps))

        draws = engine.draw(
            [job.features for job in batch],
            generators,
            sampling,
            contacts=[job.contacts for job in batch] if any(job.contacts for job in batch) else None,
            recycles=options.recycles,
            guidance=options.guidance,
            on_step=report,
            trajectory=trajectory,
        )
        for place, draw in enumerate(draws):
            yield order[start + place], draw, trajectory
