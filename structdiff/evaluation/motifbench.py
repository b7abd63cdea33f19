"""MotifBench: thirty motifs to be built into proteins of a given length (Zheng et al., arXiv:2502.12479, 2025).

Read are the files of its public repository, and folders of scaffolds laid out as it asks: ``01_1LDB/01_1LDB_0.pdb`` and
so on with ``01_1LDB/scaffold_info.csv``, whose motif_placements say where the motif's segments lie. Designs of
``structdiff design`` carry a residue map instead.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from structdiff.errors import InputError
from structdiff.evaluation.motif import MotifResidue
from structdiff.structure.files import read_structure
from structdiff.structure.tables import Structure

CASES_FILE, MOTIF_FOLDER, INFO_FILE = "test_cases.csv", "motif_pdbs", "scaffold_info.csv"
_COLUMNS = ("pdb_id", "motif_residues", "redesign_idcs", "length", "group")
_ALPHA = 5
#: Å: how near a refolded backbone and its motif must be.
BACKBONE_LIMIT, MOTIF_LIMIT = 2.0, 1.0
SCAFFOLDS = 100  # of each problem


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One motif to be scaffolded.

    name: number and PDB id (01_1LDB). path: its motif as a PDB file, a chain a segment, UNK where the residue may be
    redesigned. segments: residues of each chain. redesign: residues (chain, number) whose type is free. length:
    residues of a scaffold. group: 1, 2 or 3, by the number of segments. spacing: segments and gaps as in the
    reference protein.
    """

    name: str
    path: Path
    segments: Mapping[str, int]
    redesign: frozenset[tuple[str, int]]
    length: int
    group: int
    spacing: str

    @property
    def residues(self) -> int:
        """Residues of the motif."""
        return sum(self.segments.values())

    @property
    def contigs(self) -> str:
        """Contigs of a design: the segments in the reference's order, with new residues of any number around them."""
        free = self.length - self.residues
        order = [part for part in re.split("[;/]", self.spacing) if part in self.segments] or list(self.segments)
        stretches = [f"{chain}1-{self.segments[chain]}" for chain in order]
        between = f"/{min(5, free // (len(order) + 1))}-{free}/"
        return f"0-{free}/{between.join(stretches)}/0-{free}"

    def read_motif(self) -> Structure:
        """The motif's structure."""
        return read_structure(self.path)


def read_problems(folder: Path) -> list[Problem]:
    """The problems in a copy of the benchmark's repository; raises InputError naming the file that does not fit."""
    path = folder / CASES_FILE
    rows = _read_csv(path, _COLUMNS)
    problems = []
    for number, row in enumerate(rows, start=1):
        name = f"{number:02d}_{row['pdb_id']}"
        motif = folder / MOTIF_FOLDER / f"{name}.pdb"
        if not motif.is_file():
            raise InputError("the motif of a problem is missing", path=motif)
        try:
            length, group = int(row["length"]), int(row["group"])
        except ValueError:
            raise InputError("length and group are whole numbers", path=path, line=number + 1,
                             found=f"{row['length']}, {row['group']}") from None  # fmt: skip
        problems.append(_problem(name, motif, length, group))
    return problems


def _problem(name: str, path: Path, length: int, group: int) -> Problem:
    text = path.read_text(encoding="utf-8", errors="replace")
    spacing = re.search(r"Motif Segment Placement in Reference PDB:\s*(\S+)", text)
    segments: dict[str, int] = {}
    redesign = set()
    for line in text.splitlines():
        if line.startswith("ATOM") and line[12:16].strip() == "CA":
            chain = line[21]
            segments[chain] = segments.get(chain, 0) + 1
            if line[17:20] == "UNK":
                redesign.add((chain, int(line[22:26])))
    if not segments or sum(segments.values()) > length:
        raise InputError("this motif has no residues, or more than its scaffolds", path=path, found=segments)
    return Problem(
        name=name, path=path, segments=segments, redesign=frozenset(redesign), length=length, group=group,
        spacing=spacing[1] if spacing else "",
    )  # fmt: skip


def placed_residues(problem: Problem, placement: str, chain: str = "A") -> list[MotifResidue]:
    """Which residues of a scaffold hold the motif, from a placement such as 12/B/15/A/29 (numbers are new residues).

    Scaffolds are numbered from 1. Raises InputError for text that is no placement, or that leaves a segment out.
    """
    residues: list[MotifResidue] = []
    at, seen = 1, []
    for part in placement.strip().strip("/").split("/"):
        if part.isdigit():
            at += int(part)
        elif part[:1] in problem.segments and part[:1].isalpha():
            segment = part[0]
            seen.append(segment)
            for number in range(1, problem.segments[segment] + 1):
                residues.append(MotifResidue(design=(chain, at, ""), motif=(segment, number, "")))
                at += 1
        else:
            message = "a placement is numbers of new residues and letters of motif segments"
            raise InputError(message, key="motif_placements", found=placement, allowed="such as 12/B/15/A/29")
    if sorted(seen) != sorted(problem.segments):
        raise InputError("each segment of the motif is placed once", key="motif_placements", found=placement,
                         allowed=", ".join(problem.segments))  # fmt: skip
    return residues


def read_placements(folder: Path) -> dict[int, str]:
    """The placements of a folder of scaffolds by sample number; empty where there is no scaffold_info.csv."""
    path = folder / INFO_FILE
    if not path.is_file():
        return {}
    rows = _read_csv(path, ("sample_num", "motif_placements"))
    try:
        return {int(row["sample_num"]): row["motif_placements"] for row in rows}
    except ValueError as error:
        raise InputError("sample numbers are whole numbers", path=path, found=str(error)) from None


def _read_csv(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream)
            rows = list(reader)
    except FileNotFoundError:
        raise InputError("no such file", path=path, allowed="a copy of the repository blt2114/MotifBench") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"cannot be read: {error}", path=path) from None
    missing = [column for column in columns if column not in (reader.fieldnames or ())]
    if missing or not rows:
        raise InputError("the table lacks columns or rows", path=path, found=reader.fieldnames, allowed=columns)
    return rows


def problem_score(solutions: float, scaffolds: int = SCAFFOLDS) -> float:
    """Score of a problem, 0 to 100: 105 n / (n + 5), n the unique solutions among a hundred scaffolds.

    Fewer scaffolds are scaled up, which favours small samples: say how many there were.

    >>> round(problem_score(100)), problem_score(0)
    (100, 0.0)
    """
    n = solutions * SCAFFOLDS / scaffolds if scaffolds else 0.0
    return (SCAFFOLDS + _ALPHA) * n / (n + _ALPHA)


def benchmark_score(solutions: Mapping[str, tuple[int, int]], problems: Sequence[Problem]) -> float:
    """MotifBench score: mean over all problems of their scores, given (unique solutions, scaffolds) by problem.

    Problems without scaffolds count 0.
    """
    scores = [problem_score(*solutions.get(problem.name, (0, 0))) for problem in problems]
    return float(np.mean(scores))
