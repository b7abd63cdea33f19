"""Scores of scaffolds for the problems of MotifBench, by refolded structures, or by geometry where there are none."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from structdiff.errors import InputError, StructdiffError
from structdiff.evaluation.backbone import CA, Backbone
from structdiff.evaluation.diversity import diversity, nearest_references
from structdiff.evaluation.fold_embedding import fold_embedding
from structdiff.evaluation.measures import validity_values
from structdiff.evaluation.motif import MotifResidue, motif_deviation
from structdiff.evaluation.motifbench import (
    BACKBONE_LIMIT,
    MOTIF_LIMIT,
    Problem,
    benchmark_score,
    placed_residues,
    problem_score,
    read_placements,
)
from structdiff.evaluation.novelty import references_of_chains
from structdiff.evaluation.structure_files import stem, structure_files
from structdiff.evaluation.subject import Given, Subject, read_subject
from structdiff.evaluation.superposition import rmsd
from structdiff.structure.files import read_structure
from structdiff.structure.tables import Structure

OWN_REFOLDED = "refolded"  # folder beside designs in which the design command keeps them refolded


@dataclass(frozen=True, kw_only=True)
class Scaffold:
    """One scaffold: its name, motif RMSD (Å), whether its geometry is sound, and whether it counts as successful.

    refolded_rmsd, refolded_motif_rmsd (Å): of its best refolded sequence; NaN where there is none. values: its
    validity.
    """

    name: str
    motif_rmsd: float
    sound: bool
    success: bool
    refolded_rmsd: float = float("nan")
    refolded_motif_rmsd: float = float("nan")
    values: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ProblemScore:
    """One problem: its scaffolds, unique solutions among the successful ones, score (0 to 100), novelty (NaN: unknown).

    failures: files that could not be judged, with the reason.
    """

    problem: Problem
    scaffolds: Sequence[Scaffold]
    solutions: int
    novelty: float
    failures: Sequence[str]

    @property
    def score(self) -> float:
        """105 n / (n + 5)."""
        return problem_score(self.solutions, len(self.scaffolds))

    @property
    def success_rate(self) -> float:
        """Share of the scaffolds that are successful."""
        return float(np.mean([scaffold.success for scaffold in self.scaffolds])) if self.scaffolds else 0.0

    @property
    def geometry_rate(self) -> float:
        """Share of the scaffolds that hold the motif with sound geometry."""
        held = [scaffold.sound and scaffold.motif_rmsd < MOTIF_LIMIT for scaffold in self.scaffolds]
        return float(np.mean(held)) if held else 0.0


def score_benchmark(
    scaffolds: Path,
    problems: Sequence[Problem],
    *,
    refolded: Path | None = None,
    known: Sequence[tuple[str, Backbone]] = (),
    on_progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> tuple[list[ProblemScore], float]:
    """Scores of the problems that have a folder of scaffolds, and the MotifBench score over all problems.

    scaffolds: a folder with one folder a problem (01_1LDB). refolded: structures predicted from designed sequences, in
    folders of the same names (or their subfolder ``refolded``), each file's name beginning with its scaffold's and a
    dot or underscore; without it success means geometry alone. known: name and backbone of chains, for novelty. Raises
    InputError where no problem has a folder.
    """
    present = [problem for problem in problems if (scaffolds / problem.name).is_dir()]
    if not present:
        raise InputError("no folder has the name of a problem", path=scaffolds,
                         allowed=[problem.name for problem in problems][:3])  # fmt: skip
    scores = []
    for number, problem in enumerate(present):
        on_progress("scoring problems", number, len(present))
        folder = None if refolded is None else refolded / problem.name
        if folder is not None and (folder / OWN_REFOLDED).is_dir():
            folder = folder / OWN_REFOLDED
        scores.append(score_problem(problem, scaffolds / problem.name, refolded=folder, known=known))
    on_progress("scoring problems", len(present), len(present))
    solutions = {each.problem.name: (each.solutions, len(each.scaffolds)) for each in scores}
    return scores, benchmark_score(solutions, problems)


def score_problem(
    problem: Problem, folder: Path, *, refolded: Path | None = None, known: Sequence[tuple[str, Backbone]] = ()
) -> ProblemScore:
    """Judges all scaffolds of one problem. A file that cannot be judged counts as a failed scaffold."""
    motif, placements = problem.read_motif(), read_placements(folder)
    predictions = _by_scaffold(refolded) if refolded is not None and refolded.is_dir() else {}
    scaffolds, traces, failures = [], [], []
    for path in structure_files([folder]):
        try:
            subject = read_subject(path, stem(path), Given())
            residues = _motif_of(problem, subject, placements)
            own = predictions.get(subject.name, []) if refolded is not None else None
            scaffold = _judged(problem, subject, motif, residues, own)
            trace = subject.trace
        except StructdiffError as error:
            failures.append(str(error))
            scaffold = Scaffold(name=stem(path), motif_rmsd=float("nan"), sound=False, success=False)
            trace = np.zeros((0, 3))
        scaffolds.append(scaffold)
        traces.append((subject, trace) if len(trace) else None)
    solved = [trace for scaffold, trace in zip(scaffolds, traces, strict=True) if scaffold.success and trace]
    cluster = diversity([trace for _, trace in solved]).cluster if solved else np.zeros(0, np.int64)
    return ProblemScore(
        problem=problem, scaffolds=scaffolds, solutions=len(np.unique(cluster)),
        novelty=_novelty(solved, cluster, known, problem.length), failures=failures,
    )  # fmt: skip


def _judged(
    problem: Problem, subject: Subject, motif: Structure, residues: Sequence[MotifResidue], refolded: list[Path] | None
) -> Scaffold:
    values = validity_values(subject)
    deviation = motif_deviation(subject.structure, motif, residues).backbone
    right_length = values["residues"] == problem.length
    sound = right_length and values["chain_breaks"] == 0 and not values.get("share_l", 1.0) < 1.0
    success = sound and deviation < MOTIF_LIMIT
    best = (float("nan"), float("nan"))
    if refolded is not None:
        found = [_refolded(subject, motif, residues, path) for path in refolded]
        good = [pair for pair in found if pair[0] < BACKBONE_LIMIT and pair[1] < MOTIF_LIMIT]
        success = right_length and bool(good)
        best = min(good or found, default=best)
    return Scaffold(
        name=subject.name, motif_rmsd=deviation, sound=bool(sound), success=bool(success), refolded_rmsd=best[0],
        refolded_motif_rmsd=best[1], values=values,
    )  # fmt: skip


def _refolded(subject: Subject, motif: Structure, residues: Sequence[MotifResidue], path: Path) -> tuple[float, float]:
    """CA RMSD (Å) of a refolded structure to its scaffold, and backbone RMSD of its motif to the given one."""
    other = Subject(name=subject.name, path=path, structure=read_structure(path))
    if len(other.trace) != len(subject.trace):
        raise InputError("a refolded structure has another length than its scaffold", path=path,
                         found=len(other.trace), allowed=str(len(subject.trace)))  # fmt: skip
    numbers = _renumbered(residues, subject.structure, other.structure)
    return rmsd(other.trace, subject.trace), motif_deviation(other.structure, motif, numbers).backbone


def _renumbered(residues: Sequence[MotifResidue], own: Structure, other: Structure) -> list[MotifResidue]:
    """Motif residues by their names in another structure of the same residues in the same order."""
    keys = [_names(structure) for structure in (own, other)]
    place = dict(zip(keys[0], keys[1], strict=False))
    return [MotifResidue(design=place[residue.design], motif=residue.motif) for residue in residues]


def _names(structure: Structure) -> list[tuple[str, int, str]]:
    residues = structure.residues
    names = structure.chains.name[residues.chain].tolist()
    return list(zip(names, residues.author_seq_id.tolist(), residues.insertion_code.tolist(), strict=True))


def _motif_of(problem: Problem, subject: Subject, placements: Mapping[int, str]) -> list[MotifResidue]:
    """Where the motif lies in a scaffold: by its residue map, else by scaffold_info.csv."""
    if subject.motif_residues:
        return [MotifResidue(design=each.design, motif=each.motif) for each in subject.motif_residues]
    number = re.search(r"(\d+)$", subject.name)
    if number is None or int(number[1]) not in placements:
        message = "nothing says where the motif is: neither a residue map nor scaffold_info.csv"
        raise InputError(message, path=subject.path)
    chain = str(subject.structure.chains.name[subject.designed.chain[0]])
    first = int(subject.structure.residues.author_seq_id[0])
    residues = placed_residues(problem, placements[int(number[1])], chain)
    return [MotifResidue(design=(chain, each.design[1] + first - 1, ""), motif=each.motif) for each in residues]


def _by_scaffold(folder: Path) -> dict[str, list[Path]]:
    """Refolded structures by the scaffold whose name theirs begins with."""
    found: dict[str, list[Path]] = {}
    for path in structure_files([folder]):
        name = stem(path)
        for key in {name, *(name[: match.start()] for match in re.finditer(r"[._]", name))}:
            found.setdefault(key, []).append(path)
    return found


def _novelty(solved: Sequence[Any], cluster: np.ndarray, known: Sequence[tuple[str, Backbone]], length: int) -> float:
    """1 less the highest TM-score to a reference, mean over clusters; 0 without solutions, as the benchmark has it."""
    if not solved:
        return 0.0
    if not known:
        return float("nan")
    references = references_of_chains(known, length)
    folds = fold_embedding([subject.designed for subject, _ in solved])
    nearest, _ = nearest_references([subject.designed.positions[:, CA] for subject, _ in solved], folds, references)
    return float(np.mean([1 - nearest[cluster == each].mean() for each in np.unique(cluster)]))
