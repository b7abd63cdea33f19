"""Parts of a campaign that were made apart, put into one folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from structdiff.campaign.finished_files import CHECKED, is_whole
from structdiff.campaign.manifest import MANIFEST, Manifest
from structdiff.campaign.results import check_names, read_results
from structdiff.errors import InputError
from structdiff.structure.files import write_atomically

#: What is written anew for the whole, and what belongs to a manifest.
_NOT_COPIED = ("designs.csv", "sequences.fasta", "report.html")


def merge_parts(parts: Sequence[Path], out: Path) -> tuple[int, list[Path]]:
    """Copies files and finished rows of the parts; how many rows there were, and which files of theirs are damaged.

    A part that is given twice changes nothing. A damaged file is not copied: out may have it whole. Raises InputError
    where a part is no campaign or damaged, is still being worked on, or holds other designs of the same name than the
    folder does: nothing is copied then, unless it is two of the parts that do not fit to each other.
    """
    for part in parts:
        if part.resolve() == out.resolve():
            raise InputError("a folder cannot be a part of itself", path=part)
        if not (part / MANIFEST).is_file():
            raise InputError("there is no campaign in this folder", path=part)
    count, damaged = 0, []
    with Manifest(out) as manifest:
        for part in parts:  # before any file takes the place of one that is there
            _check(part, manifest)
        for part in parts:
            with Manifest(part, read_only=True) as other:
                manifest.check_fits(other)  # of parts that hold the same, the first is here now
                damaged += _copy(part, out)
                count += manifest.take_over(other)
    return count, damaged


def _check(part: Path, manifest: Manifest) -> None:
    """Raises InputError where a part cannot be read, is being worked on, or does not fit to what is in the manifest."""
    with Manifest(part, read_only=True) as other:
        busy = next(iter(other.rows(state="running", results=False)), None)
        if busy is not None and other.at_work():
            raise InputError(f"{busy.name} is being worked on here: wait until the job is done", path=part)
        manifest.check_fits(other)
        for run in other.runs():
            check_names(manifest, run, [each.name for each in read_results(other, run)], part)


def missing_files(manifest: Manifest, folder: Path) -> list[Path]:
    """The mmCIF files of finished designs that are not in a folder."""
    made = {each.name for run in manifest.runs() for each in read_results(manifest, run)}
    return [path for name in sorted(made) if not (path := folder / f"{name}.cif").is_file()]


def _copy(part: Path, out: Path) -> list[Path]:
    """Copies the files of a part but its tables and manifest, and those that are damaged, which are what it gives."""
    damaged = []
    for path in sorted(part.rglob("*")):
        place = path.relative_to(part)
        if path.is_file() and not path.name.startswith((MANIFEST, ".")) and str(place) not in _NOT_COPIED:
            if path.suffix in CHECKED and not is_whole(path):
                damaged.append(path)
                continue
            target = out / place
            target.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(target, path.read_bytes())
    return damaged
