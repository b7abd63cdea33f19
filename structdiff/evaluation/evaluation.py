"""Structures judged, one by one and as a set: the whole of ``structdiff evaluate`` but for files and printing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from structdiff.arguments import as_path, checked_names
from structdiff.errors import InputError, StructdiffError
from structdiff.evaluation.backbone import Backbone
from structdiff.evaluation.catalogue import CATALOGUE
from structdiff.evaluation.distribution import likeness
from structdiff.evaluation.diversity import (
    CANDIDATES,
    Diversity,
    References,
    diversity,
    foldseek_clusters,
    nearest_references,
)
from structdiff.evaluation.fold_embedding import fold_embedding
from structdiff.evaluation.ligand_pose import LigandPose
from structdiff.evaluation.measures import Measure, measured
from structdiff.evaluation.natural import NaturalChains, bundled_chains, describe
from structdiff.evaluation.notes import about_targets, together, without_reference
from structdiff.evaluation.novelty import references_of_chains
from structdiff.evaluation.structure_files import structure_files
from structdiff.evaluation.subject import Given, Subject, read_subject, subject_names
from structdiff.evaluation.summary import Summary, exactly, summarise
from structdiff.evaluation.targets import Target, length_groups, targets_of

#: Told what is being done, how much of it, and out of how much.
OnProgress = Callable[[str, int, int], None]
_LIKENESS = ("frechet", "frechet_ratio", "precision", "recall", "density", "coverage")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One structure: name, file, values by metric, and the reference it is nearest to ("" where none was given).

    ligands: those of its true structure, and whether its means are taken over them.
    """

    name: str
    path: Path
    values: Mapping[str, float]
    nearest_reference: str = ""
    ligands: Sequence[tuple[LigandPose, bool]] = ()


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Evaluation:
    """All that was found of some structures.

    rows: one a structure. failures: (file, reason) of those that could not be judged, or (these have a row)
    not be compared with their reference or not be refolded. summary: mean and interval of
    each metric of structures, and metrics of the set. targets: what designs should reach. folds (structure,
    dimension) and lengths (structure): places in the space of folds. natural: what was compared with. notes:
    what was left out.
    """

    rows: Sequence[Row]
    failures: Sequence[tuple[Path, str]]
    summary: Mapping[str, Summary]
    targets: Sequence[Target]
    folds: np.ndarray
    lengths: np.ndarray
    natural: NaturalChains
    notes: Sequence[str] = field(default_factory=tuple)

    def __repr__(self) -> str:
        return f"<Evaluation of {len(self.rows)} structures, {len(self.failures)} failures; .table(), .summary>"

    @property
    def metrics(self) -> list[str]:
        """The metrics of structures that any structure has a value of, in the order of the catalogue."""
        return [name for name in CATALOGUE if any(name in row.values for row in self.rows)]

    def table(self) -> list[dict[str, Any]]:
        """A row for each structure, as `structdiff evaluate` writes them: ``pandas.DataFrame(found.table())``.

        name, file (a text), the values of all metrics in the order of the catalogue, NaN where there is none.
        """
        missing, metrics = float("nan"), self.metrics
        return [
            {"name": row.name, "file": str(row.path)} | {key: row.values.get(key, missing) for key in metrics}
            for row in self.rows
        ]


@checked_names
def evaluate(
    files: str | Path | Iterable[str | Path],
    *,
    given: Given | None = None,
    natural: NaturalChains | None = None,
    known: Sequence[tuple[str, Backbone]] = (),
    clusters: bool = True,
    more: Sequence[Measure] = (),
    seed: int = 0,
    on_progress: OnProgress = lambda what, done, total: None,
) -> Evaluation:
    """Judges structure files one by one and as a set. A file that cannot be judged is a failure, and the rest goes on.

    files: one or several, or folders of them. natural: chains to compare with (default: the bundled ones). known: name
    and backbone of chains for novelty. clusters: whether all pairs are aligned. more: further measures of each
    structure; what one cannot judge (InputError) is noted, where one fails it is a failure, and in both cases the
    structure keeps its other values.
    """
    files = _files(files)
    natural = bundled_chains() if natural is None else natural
    notes: list[str] = []
    rows, subjects, failures = _judge(files, Given() if given is None else given, more, notes, on_progress)
    lengths = np.array([len(subject.designed) for subject in subjects], np.int64)
    proteins = np.flatnonzero(lengths > 0)
    placed = fold_embedding([subjects[row].designed for row in proteins])
    folds = np.full((len(subjects), placed.shape[1]), np.nan)
    folds[proteins] = placed
    found: Diversity | None = None
    if clusters and len(subjects) > 1:
        found = _diversity(subjects, seed, on_progress)
        for row, cluster, nearest in zip(rows, found.cluster, found.nearest, strict=True):
            row["cluster"], row["nearest_in_set"] = float(cluster), float(nearest)
    nearest_names = [""] * len(rows)
    if known and subjects:
        length = max(20, int(np.median(lengths)))
        references = references_of_chains(
            known, length, on_done=lambda done: on_progress("placing known chains", done, len(known))
        )
        scores, nearest_names = _nearest(subjects, folds, references, on_progress)
        for row, score in zip(rows, scores, strict=True):
            row["nearest_tm"] = float(score)
    summary = {
        name: summarise((row.get(name, float("nan")) for row in rows), seed=seed)
        for name, metric in CATALOGUE.items()
        if metric.scope == "structure" and name != "cluster" and any(name in row for row in rows)
    }
    of_set = _of_set(subjects, proteins, lengths, folds, natural, found, seed)
    if len(proteins) and "frechet_shape" not in of_set:
        notes.append("no distances to natural chains: ten structures of 40 to 300 residues are needed")
    if found is not None and (number := foldseek_clusters([subject.path for subject in subjects])) is not None:
        of_set["foldseek_clusters"] = exactly(float(number))
    on_progress("comparing with natural chains", 1, 1)
    # Models of true structures are not held against what designs should reach.
    held = len(proteins) == len(rows) > 0 and not (given is not None and given.references)
    targets = [
        target
        for name, members, from_nothing in (_groups(subjects, lengths) if held else ())
        for target in targets_of(
            name,
            [rows[member] for member in members],
            natural,
            of_set if len(members) == len(rows) else _of_set(subjects, members, lengths, folds, natural, found, seed),
            from_nothing=from_nothing,
            seed=seed,
        )
    ]
    return Evaluation(
        rows=[
            Row(name=subject.name, path=subject.path, values=row, nearest_reference=nearest, ligands=subject.ligands)
            for subject, row, nearest in zip(subjects, rows, nearest_names, strict=True)
        ],
        failures=failures,
        summary=summary | of_set,
        targets=targets,
        folds=folds,
        lengths=lengths,
        natural=natural,
        notes=notes,
    )


def _files(asked: str | Path | Iterable[str | Path]) -> list[Path]:
    """The files that are named, and those of the folders. Raises InputError for what is no path."""
    allowed = "paths of files or folders (write_design and write_structure write what is in memory)"
    found: list[Path] = []
    for each in [asked] if isinstance(asked, str | PathLike) or not isinstance(asked, Iterable) else asked:
        path = as_path(each, "files", allowed)
        found += structure_files([path]) if path.is_dir() else [path]
    return found


def _groups(subjects: Sequence[Subject], lengths: np.ndarray) -> list[tuple[str, np.ndarray, bool]]:
    """Names and members of the groups that are held against targets, and whether they are designs from nothing."""
    given = np.array([subject.has_given_parts for subject in subjects])
    found = []
    for kind in (False, True):
        members = np.flatnonzero(given == kind)
        mark = "" if len(members) == len(given) else ", around given parts" if kind else ", from nothing"
        groups = length_groups(lengths[members].tolist()) if len(members) else {}
        found += [(f"{name}{mark}", members[rows], not kind) for name, rows in groups.items()]
    return found


def _judge(
    files: Sequence[Path], given: Given, more: Sequence[Measure], notes: list[str], on_progress: OnProgress
) -> tuple[list[dict[str, float]], list[Subject], list[tuple[Path, str]]]:
    rows, subjects, failures = [], [], []
    said: list[tuple[Subject, str]] = []
    for done, (path, name) in enumerate(zip(files, subject_names(files), strict=True)):
        on_progress("judging structures", done, len(files))
        try:
            subject = read_subject(path, name, given)
            row = measured(subject)
            failures.extend((path, reason) for reason in subject.failures)
        except StructdiffError as error:
            failures.append((path, _named(error, path)))
            continue
        for measure in more:
            try:
                row |= {key: value for key, value in measure(subject).items() if np.isfinite(value)}
            except InputError as error:  # nothing that can be judged so
                said.append((subject, _named(error, path)))
            except StructdiffError as error:
                failures.append((path, _named(error, path)))
        said.extend((subject, note) for note in subject.notes)
        rows.append(row)
        subjects.append(subject)
    notes.extend(together(said))
    notes.extend(without_reference(subjects, given))
    notes.extend([] if given.references else about_targets(subjects))
    on_progress("judging structures", len(files), len(files))
    return rows, subjects, failures


def _named(error: StructdiffError, path: Path) -> str:
    """An error with the file that it is about."""
    return str(error) if str(path) in str(error) else f"{path}: {error}"


def _diversity(subjects: Sequence[Subject], seed: int, on_progress: OnProgress) -> Diversity:
    total = len(subjects) * (len(subjects) - 1) // 2
    done = 0

    def report(number: int) -> None:
        nonlocal done
        done += number
        on_progress("aligning pairs", min(done, total), total)

    return diversity([subject.trace for subject in subjects], seed=seed, on_done=report)


def _nearest(
    subjects: Sequence[Subject], folds: np.ndarray, references: References, on_progress: OnProgress
) -> tuple[np.ndarray, list[str]]:
    done = 0

    def report(number: int) -> None:
        nonlocal done
        done += number
        on_progress("aligning to known chains", done, max(done, CANDIDATES * len(subjects)))

    return nearest_references([subject.trace for subject in subjects], folds, references, on_done=report)


def _of_set(
    subjects: Sequence[Subject],
    members: np.ndarray,
    lengths: np.ndarray,
    folds: np.ndarray,
    natural: NaturalChains,
    found: Diversity | None,
    seed: int,
) -> dict[str, Summary]:
    """Metrics of some of the structures as a set."""
    values: dict[str, Summary] = {}
    if found is not None and len(members):
        number = found.clusters_among(members)
        values["clusters"] = exactly(float(number))
        values["clusters_per_structure"] = exactly(number / len(members))
        if len(members) == len(subjects):
            values["mean_pairwise_tm"] = found.mean_tm
    if not len(members):
        return values
    descriptors = np.array([describe(subjects[member].designed) for member in members])
    spaces = {
        "shape": (folds[members], natural.folds),
        "descriptors": (natural.descriptor_points(descriptors), natural.descriptor_points(natural.descriptors)),
    }
    for space, (points, reference) in spaces.items():
        compared = likeness(points, lengths[members], reference, natural.lengths, seed=seed)
        if compared is not None:
            values |= {f"{name}_{space}": getattr(compared, name) for name in _LIKENESS}
    return values
