"""Values of measures that take long, kept with their notes as they are made, for evaluations that are interrupted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from structdiff.evaluation.measures import Measure
from structdiff.evaluation.subject import Subject
from structdiff.version import __version__


class KeptMeasures:
    """A file of values, a JSON object a line, that measures ask first and add to; one cut short counts as missing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.known = _read(path)
        self.used: set[str] = set()  # names of structures of which something was known

    def kept(self, measure: Measure, asked: str) -> Measure:
        """A measure of what is not known yet. asked: what decides its values beside structure and residue map."""

        def measured(subject: Subject) -> Mapping[str, float]:
            key = _key(subject, asked)
            if key in self.known:
                self.used.add(subject.name)
                values, notes = self.known[key]
                subject.notes.extend(notes)
                return values
            said = len(subject.notes)
            values = dict(measure(subject))
            self.path.parent.mkdir(parents=True, exist_ok=True)
            line = {"key": key, "name": subject.name, "values": values, "notes": subject.notes[said:]}
            with self.path.open("a", encoding="utf-8") as stream:  # it may follow a line that was cut short
                stream.write("\n" + json.dumps(line) + "\n")
            return values

        return measured

    def note(self) -> str:
        """What is to be said of values that an earlier run has measured, "" where there are none."""
        count = len(self.used)
        measured = f"{count} structures were" if count > 1 else "1 structure was"
        return (
            f"{measured} measured by an earlier run ({self.path}; without it they are measured anew)" if count else ""
        )

    def finish(self) -> None:
        """Removes the file, of an evaluation that is whole."""
        self.path.unlink(missing_ok=True)


def _key(subject: Subject, asked: str) -> str:
    what = json.dumps([__version__, asked, subject.residue_map], sort_keys=True)
    return hashlib.sha256(what.encode() + b"\n" + subject.path.read_bytes()).hexdigest()


def _read(path: Path) -> dict[str, tuple[Mapping[str, float], list[str]]]:
    found: dict[str, tuple[Mapping[str, float], list[str]]] = {}
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else ()
    for line in lines:
        try:
            content = json.loads(line)
            values = {str(name): float(value) for name, value in content["values"].items()}
            found[content["key"]] = values, [str(note) for note in content["notes"]]
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return found
