"""What a campaign has come to: one result a design, from all stages that it went through."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from structdiff.campaign.manifest import Manifest
from structdiff.campaign.work import DESIGN_STAGES, Work
from structdiff.errors import InputError

_NOT_DONE = {"judge": "not judged", "refold": "not refolded"}

Value = float | int | bool | str | None


@dataclass(frozen=True, kw_only=True)
class DesignResult:
    """One design. columns: what is known of it, by name; sequences: kind and letters of each chain.

    complete: it went through all stages. reasons: why it was rejected; empty where it was not. rank: its place, from 1.
    """

    run: str
    name: str
    backbone: str
    number: int
    columns: Mapping[str, Value]
    verdicts: Sequence[Mapping[str, Any]] = ()
    sequences: Mapping[str, Sequence[str]] = field(default_factory=dict)
    complete: bool = True
    reasons: tuple[str, ...] = ()
    rank: int = 0

    @property
    def ended(self) -> bool:
        """Whether nothing is left to be done for it."""
        return self.complete or bool(self.reasons)

    @property
    def accepted(self) -> bool:
        """Whether it is whole and nothing spoke against it."""
        return self.complete and not self.reasons


def check_names(manifest: Manifest, run: str, names: Iterable[str], where: Path) -> None:
    """Raises InputError where another run of the manifest has made one of these names, which are to be designs of run.

    The second sequence of y_1 is called as the second design of a run that is called y_1. where: the run is.
    """
    others = [each for each in manifest.runs() if each != run and _may_meet(each, run)]
    taken = {each.name: other for other in others for each in read_results(manifest, other)}
    found = next((name for name in names if name in taken), None) if taken else None
    if found is not None:
        raise InputError(f"{found} is a design of the run {taken[found]} here, which {run} would replace; choose "
                         "another --out or --name", path=where, key="name", found=run)  # fmt: skip


def _may_meet(one: str, other: str) -> bool:
    """Whether one name is the other and a number: of runs of other names no designs have the same."""
    short, long = sorted((one, other), key=len)
    return re.fullmatch(rf"{re.escape(short)}_[1-9]\d*", long) is not None


def read_results(manifest: Manifest, run: str) -> list[DesignResult]:
    """All designs of a run whose sequence is known, in order of their numbers."""
    stages = manifest.runs()[run]["stages"]
    done = {stage: {each.name: each for each in manifest.rows(run=run, stage=stage, state="done")} for stage in stages}
    failed = {each.name: f"{_NOT_DONE[stage]}: {last_line(each.error)}" for stage in DESIGN_STAGES if stage in stages
              for each in manifest.rows(run=run, stage=stage, state="failed", results=False)}  # fmt: skip
    sequenced: dict[str, list[Work]] = {}
    for each in sorted(done.get("sequence", {}).values(), key=lambda work: work.id):
        sequenced.setdefault(each.parent, []).append(each)
    found = []
    for backbone in done["backbone"].values():
        found += design_results(backbone, sequenced.get(backbone.name, []), done, stages)
    return [
        dataclasses.replace(each, reasons=(failed[each.name],))
        if each.name in failed and not each.complete else each
        for each in found
    ]  # fmt: skip


def last_line(text: str | None) -> str:
    """What an error comes to: the last line of what was recorded."""
    return (text or "").strip().rpartition("\n")[2] or "unknown"


def design_results(
    backbone: Work, sequenced: Sequence[Work], done: Mapping[str, Mapping[str, Work]], stages: Sequence[str]
) -> list[DesignResult]:
    """The designs that were made from one backbone, as far as they are.

    sequenced: its finished work of the stage of sequences. done: work of the later stages by its name.
    """
    base = backbone.result or {}
    designs: Sequence[Mapping[str, Any]] = [{"name": backbone.name, "columns": {}, "sequences": base["sequences"]}]
    if "sequence" in stages:
        designs = [design for work in sequenced for design in (work.result or {})["designs"]]
    found = []
    for each in designs:
        asked = [done.get(stage, {}).get(each["name"]) for stage in DESIGN_STAGES if stage in stages]
        columns = {**base["columns"], **each["columns"]}
        for work in asked:
            columns |= (work.result or {})["columns"] if work else {}
        found.append(
            DesignResult(
                run=backbone.run,
                name=each["name"], backbone=backbone.name, number=backbone.number, columns=columns,
                verdicts=each.get("verdicts", base["verdicts"]), sequences=each["sequences"],
                complete=None not in asked,
            )
        )  # fmt: skip
    return found
