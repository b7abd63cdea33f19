"""Finished structures in a folder: which are there, from which run they are, and a table of them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from structdiff.campaign.finished_files import is_whole
from structdiff.campaign.work import difference
from structdiff.cli.console import table_console
from structdiff.errors import InputError

if TYPE_CHECKING:
    from structdiff.campaign.results import DesignResult

_SHOWN_AT_MOST = 40
#: Structures of which it is said what they miss, and how much of it.
_EXPLAINED, _MISSES = 5, 3
#: Blanks between the columns of a table, and characters of a cell with a number or verdicts (12/12, -3.54).
_GAP, _CELL_WIDTH = 2, 5
#: Seconds after which nobody is writing a file any more.
_ABANDONED = 3600.0
#: Headings of an affinity: log10 of the IC50 in μM, and how likely the ligand binds.
_AFFINITY = ["log10 IC50/μM", "binds"]
#: The columns of a terminal's table, and their headings.
_SHOWN = {
    "plddt": "pLDDT", "motif_rmsd": "motif RMSD", "sc_rmsd": "scRMSD", "sc_tm": "scTM",
    "judge_log_likelihood": "judge lnL", "judge_contact_precision": "judge contacts",
    "refold_motif_rmsd": "motif refolded", "refold_plddt": "pLDDT refolded",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Result:
    """One finished structure as its confidence file tells it."""

    name: str
    file: Path
    plddt: float | None
    ranking_score: float
    verdicts: Sequence[Mapping[str, Any]]
    provenance: Mapping[str, Any]
    affinity: Mapping[str, Any] | None = None

    @property
    def merit(self) -> tuple[int, float]:
        """The higher the better: what misses least of what was asked, and of these what the network trusts most."""
        from structdiff.output.prediction import requested

        return -sum(not each["met"] for each in requested(self.verdicts)), self.ranking_score

    @property
    def met(self) -> str:
        """How much of what was asked came true."""
        from structdiff.output.prediction import met_text

        return met_text(self.verdicts)

    @property
    def missed(self) -> list[str]:
        """What was asked and not reached, in words."""
        from structdiff.output.prediction import requested

        return [
            f"{each['name']} (asked: {each['asked']}; reached: {each['reached']})"
            for each in requested(self.verdicts)
            if not each["met"]
        ]

    @property
    def motif_rmsd(self) -> str:
        """The motif's deviation from what was given, in words."""
        reached = [str(each["reached"]) for each in self.verdicts if each["name"] == "motif"]
        return max(reached, key=_leading_number, default="-")


def check_folder(folder: Path) -> None:
    """Raises InputError when nothing can be written into a folder that exists or is yet to be made.

    Reports and tables name it, and are UTF-8: its name must be that too.
    """
    from structdiff.structure.files import check_path_is_utf8

    there = next((each for each in (folder, *folder.absolute().parents) if each.exists()), Path.cwd())
    if not there.is_dir():
        raise InputError("cannot be written: this is a file, not a folder", path=there, key="out")
    check_path_is_utf8(folder, "folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError("cannot be written: no permission", path=there, key="out")


def clear_folder(folder: Path) -> None:
    """Removes what killed runs have left half written in a folder, in which others may be writing now."""
    from structdiff.structure.files import remove_unfinished

    remove_unfinished(folder, age=_ABANDONED)


def read_result(folder: Path, name: str) -> Result | None:
    """A finished structure of a folder by its name; None if it is not there or not finished."""
    from structdiff.output.files import finished_names

    if name not in finished_names(folder):
        return None
    structure = next((path for path in (folder / f"{name}.cif", folder / f"{name}.pdb") if path.is_file()), None)
    path = folder / f"{name}.confidence.json"
    if structure is None or not path.is_file():
        return None
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return Result(
            name=name,
            file=structure,
            plddt=data["mean_plddt_0_to_100"],
            ranking_score=data["ranking_score"],
            verdicts=data["verdicts"],
            provenance=data["provenance"],
            affinity=data.get("affinity"),
        )
    except (OSError, ValueError, KeyError) as error:
        message = "this file was damaged; delete it, or use --overwrite"
        raise InputError(message, path=path, found=str(error)[:80]) from None


def damaged_files(folder: Path, names: Sequence[str]) -> dict[str, list[Path]]:
    """Of structures that are listed as finished, those of which files are damaged, with these."""
    from structdiff.output.files import finished_names

    found: dict[str, list[Path]] = {}
    for name in sorted(finished_names(folder).intersection(names)):
        files = [folder / f"{name}{suffix}" for suffix in (".cif", ".pdb", ".ligands.sdf", ".confidence.json")]
        broken = [path for path in files if path.is_file() and not is_whole(path)]
        if broken:
            found[name] = broken
    return found


def finished_before(folder: Path, names: Sequence[str], wanted: Mapping[str, Any]) -> set[str]:
    """Which of the names are finished in a folder, from a run of the wanted provenance.

    Raises InputError when a structure of one of these names is there from another run.
    """
    found = {name: result for name in names if (result := read_result(folder, name)) is not None}
    for name, result in found.items():
        changed = difference(result.provenance, wanted)
        if changed is not None:
            raise InputError(
                f"{name} is here from another run ({changed}); choose another --out, or --overwrite",
                path=folder,
            )  # fmt: skip
    return set(found)


def names_there(folder: Path, name: str) -> list[str]:
    """The finished structures of a folder that are called NAME_1, NAME_2, ..., however many a run wants."""
    from structdiff.output.files import finished_names

    numbered = re.compile(rf"{re.escape(name)}_[1-9]\d*")
    return sorted(each for each in finished_names(folder) if numbered.fullmatch(each))


def show_results(results: Sequence[Result]) -> None:
    """Prints the table of structures."""
    asked = any(result.verdicts for result in results)
    with_motif = any(result.motif_rmsd != "-" for result in results)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("name")
    table.add_column("pLDDT", justify="right")
    with_affinity = any(result.affinity for result in results)
    for heading in _AFFINITY * with_affinity + ["motif RMSD"] * with_motif + ["met"] * asked:
        table.add_column(heading, justify="right")
    table.add_column("file", overflow="fold")
    for result in results[:_SHOWN_AT_MOST]:
        cells = [result.name, "-" if result.plddt is None else f"{result.plddt:.1f}"]
        cells += _affinity_cells(result) * with_affinity
        cells += [result.motif_rmsd] * with_motif + [result.met] * asked
        table.add_row(*cells, str(result.file))
    console = table_console()
    console.print(table)
    if len(results) > _SHOWN_AT_MOST:
        console.print(f"... and {len(results) - _SHOWN_AT_MOST} more; the tables in {results[0].file.parent} list all")
    missing = [result for result in results if result.missed]
    for result in missing[:_EXPLAINED]:
        left = len(result.missed) - _MISSES
        misses = "; ".join([*result.missed[:_MISSES], *([f"{left} more"] if left > 0 else [])])
        print(f"not met by {result.name}: {misses}")
    if len(missing) > _EXPLAINED:
        print(f"what {len(missing) - _EXPLAINED} others do not meet stands in {missing[0].file.parent}/predictions.csv")


def _affinity_cells(result: Result) -> list[str]:
    """How strongly the ligand binds, and how likely it does, where that was asked."""
    if result.affinity is None:
        return ["-"] * len(_AFFINITY)
    return [f"{result.affinity[key]:.2f}" for key in ("log10_ic50_um", "binder_probability")]


def show_designs(results: Sequence[DesignResult], folder: Path) -> None:
    """Prints the table of designs, the best first, with the columns that the terminal has room for."""
    from structdiff.output.prediction import met_text

    console = table_console()
    shown = results[:_SHOWN_AT_MOST]
    name_width = max(len(each.name) for each in shown)
    rejected = ["rejected by"] if any(each.reasons for each in results) else []
    there = [name for name in _SHOWN if any(each.columns.get(name) is not None for each in results)]
    headings = [_SHOWN[name] for name in there]
    fixed = ["rank", "met", *rejected]
    while headings and name_width + _GAP + sum(_column_width(each) for each in [*fixed, *headings]) > console.width:
        headings.pop()
    columns = there[: len(headings)]
    table = Table(box=None, padding=(0, _GAP, 0, 0), header_style="bold")
    table.add_column("rank", justify="right")
    table.add_column("name", no_wrap=True, min_width=name_width)
    headings = ["met", *headings, *rejected]
    whole = len("rank") + name_width + sum(max(len(each), _CELL_WIDTH) for each in headings)
    if whole + _GAP * (len(headings) + 2) > console.width:  # where there is room in part only, words are cut
        headings = [each.replace(" ", "\n") for each in headings]
    for heading in headings:
        table.add_column(heading, justify="right")
    for each in shown:
        cells = [str(each.rank), each.name, met_text(each.verdicts)]
        cells += [_cell(each.columns.get(name)) for name in columns]
        table.add_row(*cells, *[_rejection(each) for _ in rejected])
    console.print(table)
    more = f"... and {len(results) - _SHOWN_AT_MOST} more; " if len(results) > _SHOWN_AT_MOST else ""
    console.print(f"{more}all are in {folder}: report.html, designs.csv, NAME.cif", soft_wrap=True)


def _rejection(result: DesignResult) -> str:
    """How many conditions of the filter a design does not meet; the tables and the report say which."""
    return "-" if not result.reasons else str(len(result.reasons)) if result.complete else "failed"


def _column_width(heading: str) -> int:
    """Characters of a column at the least: headings break between words, cells do not."""
    return max(_CELL_WIDTH, *(len(word) for word in heading.split())) + _GAP


def _cell(value: object) -> str:
    return "-" if value is None else f"{value:.2f}" if isinstance(value, float) else str(value)


def _leading_number(text: str) -> float:
    match = re.search(r"\d+(?:\.\d+)?", text)
    return float(match[0]) if match else 0.0
