"""How weights were made, part after part: each training run adds itself to what its first weights record."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from structdiff.model.checkpoint import Weights

Record = dict[str, Any]


def parts_of(training: Mapping[str, Any]) -> list[Record]:
    """The runs that made weights, the first one first, each with its ``steps`` and ``settings``; none if unknown."""
    if "parts" in training:
        return list(training["parts"])
    return [dict(training)] if "settings" in training else []


def with_run(before: Weights | None, record: Record) -> Record:
    """What weights say of their training after a run (``record``) that went on from ``before``: all parts, all steps.

    What is said of the confidence head stays, since the run does not touch it.
    """
    if before is None:
        return record
    part: Record = {**record, "from_sha256": before.sha256}
    earlier = parts_of(before.training)
    steps = sum(each["steps"] for each in (*earlier, part))
    return {**before.training, "steps": steps, "parts": [*earlier, part]}


def handed_on(settings: Mapping[str, Any]) -> Record:
    """Settings as weights record them, which others get: folders named in full by their name alone."""

    def is_full(value: object) -> bool:
        return isinstance(value, str) and Path(value).is_absolute()

    return {key: Path(value).name if is_full(value) else value for key, value in settings.items()}


def rounds_in_all(weights: Weights) -> int:
    """How many batches the confidence head of these weights has learned from, in all of its trainings."""
    recorded: Mapping[str, Any] = weights.training.get("confidence", {})  # type: ignore[assignment]
    return recorded.get("rounds_in_all", recorded.get("rounds", 0))
