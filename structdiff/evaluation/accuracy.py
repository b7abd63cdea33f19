"""Values of a model beside its true structure, under the names of the catalogue."""

from __future__ import annotations

from structdiff.evaluation.comparison import compare
from structdiff.evaluation.subject import Subject
from structdiff.structure.files import read_structure

_OF_COMPARISON = ("lddt", "lddt_ca", "lddt_interface", "tm", "gdt_ts", "gdt_ha", "rmsd_ca", "coverage")


def accuracy_values(subject: Subject) -> dict[str, float]:
    """How like the reference it is; nothing where there is none."""
    path = subject.given.reference_of(subject.name)
    if path is None:
        return {}
    numbering = "author" if subject.given.numbering == "author" else "label"
    found = compare(subject.structure, read_structure(path), numbering=numbering)
    return {name: float(getattr(found, name)) for name in _OF_COMPARISON if hasattr(found, name)}
