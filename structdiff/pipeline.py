"""Predict, design, score: each the whole way from what is asked to a finished structure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice
from os import PathLike
from pathlib import Path
from typing import Any

from structdiff.affinity import Affinities
from structdiff.arguments import check_called, check_kind, check_seed, check_whole_number, checked_names
from structdiff.assembly import confidence_of, finished_design, finished_prediction
from structdiff.complex_jobs import complex_job
from structdiff.confidence import Confidence
from structdiff.design_jobs import resolve_design, sampled_layout, wanted_designs
from structdiff.device import choose_device
from structdiff.drawing import OnProgress, Results, Wanted, draw_all, once_made_up
from structdiff.engine import Engine
from structdiff.errors import InputError
from structdiff.features.build import build_features
from structdiff.features.guidance import OF_FOLDS, check_guidance, present_conditions
from structdiff.features.hallucinated_folds import hallucinates
from structdiff.features.tokens import tokenise
from structdiff.jobs import Job
from structdiff.model.abilities import check_designs, check_predictions
from structdiff.model.library import DEFAULT_WEIGHTS, load_named_weights
from structdiff.options import RunOptions, refuse_options
from structdiff.output.prediction import Design, Prediction
from structdiff.spec.complex import ComplexSpec
from structdiff.spec.compose import asked_spec
from structdiff.spec.design import DesignSpec
from structdiff.spec.layout import Layout
from structdiff.spec.parts import Part
from structdiff.spec.read import read_complex
from structdiff.structure.files import read_structure
from structdiff.structure.tables import Structure

#: Arguments of ``design`` that are no keys of a design.
_DESIGN_ARGUMENTS = ("options", "engine", "numbers", "on_progress")


def load_engine(options: RunOptions) -> Engine:
    """The weights of a run on its device, to be given to several runs. Raises InputError."""
    return Engine(load_named_weights(options.weights), device=choose_device(options.device))


@checked_names
def predict(
    complex_: ComplexSpec | str | Path,
    *,
    samples: int = 1,
    seed: int | None = None,
    options: RunOptions | None = None,
    engine: Engine | None = None,
    places: Iterable[int] | None = None,
    on_job: Callable[[Job], None] | None = None,
    on_progress: OnProgress | None = None,
) -> Results[Prediction]:
    """Predicts the structure of a complex; yields each sample as it is finished.

    Arguments are checked and the input is read at the call; samples are drawn when they are asked for. What an
    interrupt broke off is drawn when the next one is asked for. ``len`` is how many are still to come.

    Args:
        complex_: what to predict, or the path of a FASTA, YAML or AlphaFold 3 JSON file.
        samples: structures for each seed.
        seed: random seed; by default those the input names, else 0.
        options: weights, sampling and the rest.
        engine: these weights where they are loaded already (``structdiff.pipeline.load_engine``).
        places: which of all samples to make, from 0, seed after seed; all if None. Each comes out the same whatever
            else is made.
        on_job: called before anything is drawn with what will be.
        on_progress: called after every sampling step.

    Raises InputError for what cannot be predicted, ResourceError for what does not fit into memory.
    """
    check_kind(complex_, (ComplexSpec, str, PathLike), "complex_", "ComplexSpec, or a path (FASTA, YAML, JSON)")
    spec = complex_ if isinstance(complex_, ComplexSpec) else read_complex(complex_)
    check_whole_number(samples, "samples", 1)
    check_called(on_job=on_job, on_progress=on_progress)
    if seed is not None:
        check_seed(seed)
    options, engine = _run(options, engine)
    check_predictions(engine.network.abilities, engine.weights.name)
    if spec.affinity is not None:
        _ = engine.affinity_weights  # what is wrong with them is told before anything is computed
    job = complex_job(spec, engine.check_size, abilities=engine.network.abilities)
    check_guidance(options.guidance, present_conditions(job.features))
    seeds = (seed,) if seed is not None else spec.seeds or (0,)
    every = [Wanted(job=job, seed=each, index=index) for each in seeds for index in range(samples)]
    wanted = every if places is None else [every[place] for place in _chosen(places, "places", len(every))]
    if on_job is not None:
        on_job(job)
    affinities = None if job.binder is None else Affinities(engine, job)
    total = len(wanted)
    return Results(
        total, lambda done: _predictions(engine, wanted[done:], total, options, on_progress, done, affinities)
    )


def predict_each(
    specs: Sequence[ComplexSpec],
    *,
    seed: int = 0,
    options: RunOptions | None = None,
    engine: Engine | None = None,
    on_progress: OnProgress | None = None,
) -> Iterator[Prediction]:
    """Predicts one structure of each of many complexes, several at a time; yields them in order.

    Raises InputError for what cannot be predicted, ResourceError for what does not fit into memory.
    """
    options, engine = _run(options, engine)
    check_predictions(engine.network.abilities, engine.weights.name)
    jobs = (complex_job(spec, engine.check_size, abilities=engine.network.abilities) for spec in specs)
    wanted = (Wanted(job=job, seed=seed, index=0) for job in jobs)
    return _predictions(engine, wanted, len(specs), options, on_progress)


def _predictions(
    engine: Engine, wanted: Iterable[Wanted], total: int, options: RunOptions, on_progress: OnProgress | None,
    finished: int = 0, affinities: Affinities | None = None,
) -> Iterator[Prediction]:  # fmt: skip
    """affinities: of the first of the jobs, where there are any yet; those of the others are made in turn."""
    for drawn in draw_all(engine, wanted, total, options, on_progress, finished):
        own = drawn.wanted
        if own.job.binder is None:
            affinities = None
        elif affinities is None or affinities.job is not own.job:
            affinities = Affinities(engine, own.job)
        prediction = finished_prediction(
            own.job, drawn.draw, engine, options, seed=own.seed, index=own.index, trajectory=drawn.trajectory,
            docked=drawn.docked,
        )  # fmt: skip
        yield prediction if affinities is None else affinities.judged(prediction)


def design(
    problem: DesignSpec | Part | str | Path | None = None,
    *,
    options: RunOptions | None = None,
    engine: Engine | None = None,
    numbers: Iterable[int] | None = None,
    on_progress: OnProgress | None = None,
    **asked: Any,
) -> Results[Design]:
    """Designs proteins around a motif, a target, or from nothing; yields each design as it is finished.

    Sequences are those of the network's own, weak, head: ``design_sequences`` of ``structdiff.inverse_folding`` writes
    others for a design's ``structure`` (docs/sequences.md), the motif's too unless ``fixed`` names it. The command line
    does so by itself where their weights are there, and keeps the motif.

    Arguments are checked and files are read at the call; designs are drawn when they are asked for. What an interrupt
    broke off is drawn when the next one is asked for. ``len`` is how many are still to come.

    Args:
        problem: what to design: a request, parts of one (``Motif(...) + Hotspots(...)``), or the path of its file.
        options: weights, sampling and the rest.
        engine: these weights where they are loaded already (``structdiff.pipeline.load_engine``).
        numbers: which designs to make, from 0; all of ``spec.num_designs`` if None. Each comes out the same whatever
            else is made.
        on_progress: called after every sampling step.
        asked: keys of a design's file that are added: ``num_designs=4``, ``length="80-120"``.

    Raises InputError for what cannot be designed, ResourceError for what does not fit into memory.
    """
    check_called(on_progress=on_progress)
    refuse_options(asked)
    spec, motif = resolve_design(asked_spec(problem, asked, also=_DESIGN_ARGUMENTS))
    options, engine = _run(options, engine)
    check_designs(engine.network.abilities, engine.weights.name)
    chosen = list(range(spec.num_designs)) if numbers is None else _chosen(numbers, "numbers")
    abilities, report = engine.network.abilities, on_progress
    wanted = wanted_designs(spec, motif, chosen, engine.check_size, on_progress, abilities=abilities)
    if hallucinates(spec):
        # Each is drawn and written as soon as its fold is known, which takes longer than all else.
        options, report = replace(options, batch_size=1), once_made_up(on_progress)
    # The first job is made at the call, which refuses what no layout can be drawn of, or is too large for memory.
    first = list(islice(wanted, 1))
    for each in first:
        check_guidance(options.guidance, {*present_conditions(each.job.features), *OF_FOLDS})
    begun = [chain(first, wanted)]

    def run(done: int) -> Iterator[Design]:
        jobs = (
            begun.pop()
            if begun
            else wanted_designs(spec, motif, chosen, engine.check_size, on_progress, done, abilities=abilities)
        )
        return _designs(engine, jobs, len(chosen) * spec.draws, spec.draws, options, report, done * spec.draws)

    return Results(len(chosen), run)


def _designs(
    engine: Engine, wanted: Iterable[Wanted], total: int, draws: int, options: RunOptions,
    on_progress: OnProgress | None, finished: int,
) -> Iterator[Design]:  # fmt: skip
    """The best of every ``draws`` structures that follow each other."""
    tries: list[Design] = []
    for drawn in draw_all(engine, wanted, total, options, on_progress, finished):
        own = drawn.wanted
        drawn_design = finished_design(
            own.job, drawn.draw, engine, options, seed=own.seed, index=own.index, number=own.draw,
            trajectory=drawn.trajectory,
        )  # fmt: skip
        tries.append(drawn_design)
        if len(tries) == draws:
            yield best_of(tries)
            tries = []


def _run(options: RunOptions | None, engine: Engine | None) -> tuple[RunOptions, Engine]:
    """The options and weights of a run, the usual ones where none are given. Raises InputError for other kinds."""
    check_kind(options, RunOptions | None, "options", "RunOptions(relax=False), say")
    check_kind(engine, Engine | None, "engine", "what load_engine gives")
    options = options or RunOptions()
    return options, engine or load_engine(options)


def _chosen(numbers: Iterable[int], key: str, end: int | None = None) -> list[int]:
    """Numbers of structures, counted from 0. Raises InputError for other values, and for those from ``end`` on."""
    check_kind(numbers, Iterable, key, "whole numbers in a list, counted from 0")
    chosen = list(numbers)
    for number in chosen:
        check_whole_number(number, key, 0)
        if end is not None and number >= end:
            raise InputError("there are not so many", key=key, found=number, allowed=f"0 to {end - 1}")
    return [int(number) for number in chosen]


def best_of(tries: Sequence[Design]) -> Design:
    """Of several draws of a design the one that misses least of what was asked, and of these that of highest pLDDT."""

    def merit(design: Design) -> tuple[int, float]:
        missed = sum(each.requested and not each.met for each in design.verdicts)
        return -missed, design.confidence.mean_plddt

    return max(tries, key=merit)


def layouts(problem: DesignSpec | Part | str | Path | None = None, **asked: Any) -> list[Layout]:
    """The layout of every design, as ``structdiff design --dry-run`` draws it; nothing is computed."""
    spec, _ = resolve_design(asked_spec(problem, asked))
    return [sampled_layout(spec, index) for index in range(spec.num_designs)]


@checked_names
def score(
    structure: Structure | str | Path, *, weights: str | Path = DEFAULT_WEIGHTS, device: str = "auto"
) -> Confidence:
    """How much the network believes in a given structure, from its sequence and coordinates."""
    allowed = "a Structure (of a design: its .structure), or a path"
    check_kind(structure, (Structure, str, PathLike), "structure", allowed)
    if not isinstance(structure, Structure):
        structure = read_structure(structure)
    engine = Engine(load_named_weights(weights), device=choose_device(device))
    check_predictions(engine.network.abilities, engine.weights.name)
    structure = structure.moved_to_origin()  # float32 tells distances less well far from the origin
    tokens = tokenise(structure)
    features = build_features(structure, tokens=tokens, only_resolved=True, conformers=True)
    return confidence_of(engine.judge(features), features, tokens, structure)
