"""Pieces of work of a campaign: what each is, what decides its result, and how far it is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

#: Stages of finished designs, in any order.
DESIGN_STAGES = ("judge", "refold")
#: The stages of a campaign, in the order in which a design goes through them.
STAGES = ("backbone", "sequence", *DESIGN_STAGES)
STATES = ("waiting", "running", "done", "failed")
#: What may differ between two runs of the same work: which of it it is, and where it is computed.
_NOT_COMPARED = ("sample", "device", "torch", "kernels")
_SHORT, _BEFORE = 40, 10  # letters of a value in a message, and how many of them come before what differs


@dataclass(frozen=True, kw_only=True)
class NewWork:
    """Work to be done: a stage of one design.

    run: the name that all designs of one run begin with. name: of the design, unique in its stage. number: that of its
    backbone, from 0. parent: name of the backbone it goes on from. asked: everything that decides the result but the
    number, as plain data.
    """

    run: str
    stage: str
    name: str
    number: int
    seed: int
    asked: Mapping[str, Any]
    weights_hash: str = ""
    parent: str = ""


class Share(NamedTuple):
    """What one command asks for of the work in a folder. run: its name; numbers: those of its backbones, from 0."""

    run: str
    numbers: range


class Work(NamedTuple):
    """A row of the manifest. seconds: the time it took; result: plain data of the stage, where it is done.

    A tuple, since there are 100,000 of them in a large campaign, and they are made each time it is looked at.
    """

    id: int
    run: str
    stage: str
    name: str
    number: int
    seed: int
    parent: str
    state: str
    attempts: int = 0
    seconds: float | None = None
    error: str | None = None
    result: Mapping[str, Any] | None = None


def workers_by_stage(crew: Sequence[Sequence[str]]) -> dict[str, int]:
    """How many workers each stage has. crew: the stages of each worker; all of them where it names none.

    >>> workers_by_stage([("backbone",), ("refold",), ("refold",)])
    {'backbone': 1, 'sequence': 0, 'judge': 0, 'refold': 2}
    """
    return {stage: sum(not own or stage in own for own in crew) for stage in STAGES}


def content_hash(asked: Mapping[str, Any]) -> str:
    """SHA-256 of what decides a result: equal for equal requests, whatever machine or folder they are run in."""
    return hashlib.sha256(canonical(asked).encode()).hexdigest()


def canonical(asked: Mapping[str, Any]) -> str:
    """What decides a result, as text that is equal for equal requests."""
    return json.dumps(compared(asked), sort_keys=True, default=str)


def compared(asked: Mapping[str, Any]) -> dict[str, Any]:
    """What decides a result: of a motif its contents, not where it lies; and not where it is computed."""
    found = {key: value for key, value in asked.items() if key not in _NOT_COMPARED}
    spec = found.get("spec")
    return found | ({"spec": {k: v for k, v in spec.items() if k != "motif"}} if isinstance(spec, Mapping) else {})


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> str | None:
    """The first entry in which two requests differ, in words; None where they agree.

    >>> difference({"seed": 1, "sampling": {"steps": 3}}, {"seed": 1, "sampling": {"steps": 4}})
    'sampling.steps was 3 and is 4 now'
    """
    first, second = _flat(json.loads(canonical(old))), _flat(json.loads(canonical(new)))
    for key in (*first, *(key for key in second if key not in first)):
        if first.get(key) == second.get(key):
            continue
        if key not in first or key not in second:
            there = first.get(key, second.get(key))
            return f"{key} ({_short(there)}) was {'given and is not now' if key in first else 'not given and is now'}"
        return f"{key} was {_short(first[key], second[key])} and is {_short(second[key], first[key])} now"
    return None


def _short(value: object, other: object = "") -> str:
    """A value in at most forty letters or so, from a little before where it differs from another."""
    text, beside = (each if isinstance(each, str) else json.dumps(each) for each in (value, other))
    if len(text) <= _SHORT:
        return text or '""'
    same = next(
        (place for place, pair in enumerate(zip(text, beside, strict=False)) if pair[0] != pair[1]), len(beside)
    )
    start = max(0, min(same - _BEFORE, len(text) - _SHORT)) if beside else 0
    return f"{'...' if start else ''}{text[start : start + _SHORT]}{'...' if start + _SHORT < len(text) else ''}"


def _flat(data: Mapping[str, Any] | list[Any], prefix: str = "") -> dict[str, Any]:
    """Every single value by its path: ``spec.constraints[0].pocket.max_distance``; rows of plain values stay whole."""
    flat: dict[str, Any] = {}
    for key, value in data.items() if isinstance(data, Mapping) else enumerate(data):
        path = f"{prefix}[{key}]" if isinstance(data, list) else f"{prefix}.{key}" if prefix else str(key)
        nested = isinstance(value, Mapping) or (isinstance(value, list) and any(isinstance(v, dict) for v in value))
        flat.update(_flat(value, path) if nested and value else {path: value})
    return flat
