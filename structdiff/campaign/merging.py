"""Parts of a campaign that were made apart, put into one folder."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from structdiff.campaign.manifest import MANIFEST, Manifest
from structdiff.errors import InputError

#: What is written anew for the whole, and what belongs to a manifest.
_NOT_COPIED = ("designs.csv", "sequences.fasta", "report.html")


def merge_parts(parts: Sequence[Path], out: Path) -> int:
    """Copies files and finished rows of the parts; how many rows there were.

    A part that is given twice changes nothing. Raises InputError where a part is no campaign, is still being worked
    on, or holds other designs of the same name than the folder does.
    """
    for part in parts:
        if part.resolve() == out.resolve():
            raise InputError("a folder cannot be a part of itself", path=part)
        if not (part / MANIFEST).is_file():
            raise InputError("there is no campaign in this folder", path=part)
    count = 0
    with Manifest(out) as manifest:
        for part in parts:
            with Manifest(part, read_only=True) as other:
                busy = next(iter(other.rows(state="running", results=False)), None)
                if busy is not None and other.at_work():
                    raise InputError(f"{busy.name} is being worked on here: wait until the job is done", path=part)
                manifest.check_fits(other)  # before any file takes the place of one that is there
                _copy(part, out)
                count += manifest.take_over(other)
    return count


def _copy(part: Path, out: Path) -> None:
    """The files of a part but its tables, manifest and logs."""
    for path in sorted(part.rglob("*")):
        place = path.relative_to(part)
        if path.is_file() and not path.name.startswith((MANIFEST, ".")) and str(place) not in _NOT_COPIED:
            target = out / place
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary = target.with_name(f".{target.name}.merged")
            try:
                shutil.copy2(path, temporary)
                temporary.replace(target)
            except OSError as error:
                temporary.unlink(missing_ok=True)
                raise InputError(f"cannot be written: {error.strerror or error}", path=target) from None
