"""How far a campaign is and what is left, also of the work that can only begin when other work is done."""

from __future__ import annotations

from collections.abc import Mapping

from structdiff.campaign.manifest import Manifest
from structdiff.campaign.work import DESIGN_STAGES


def outlook(manifest: Manifest, run: str, facts: Mapping) -> dict[str, dict[str, int]]:
    """How much work of a run there is of each stage and state, what is yet to follow from other work as ``waiting``.

    Work that processes have begun which are gone is waiting too. facts: what the manifest knows of the run.
    """
    counts = manifest.counts(run)
    found = {stage: dict(counts.get(stage, {})) for stage in facts["stages"] if stage in counts or "backbone" in counts}
    if not manifest.at_work():
        for states in found.values():
            states["waiting"] = states.get("waiting", 0) + states.pop("running", 0)
    backbones = _unfinished(found.get("backbone", {}))
    unsequenced = backbones
    if "sequence" in found:
        unsequenced += _unfinished(found["sequence"])
        found["sequence"]["waiting"] = found["sequence"].get("waiting", 0) + backbones
    for stage in DESIGN_STAGES:
        if stage in found:
            found[stage]["waiting"] = found[stage].get("waiting", 0) + unsequenced * facts.get("sequences", 1)
    return found


def seconds_left(manifest: Manifest) -> float:
    """The time that all work which is not done would take one worker, by that which is."""
    left = 0.0
    for run, facts in manifest.runs().items():
        seconds = manifest.seconds(run)
        left += sum(_unfinished(states) * seconds.get(stage, 0.0)
                    for stage, states in outlook(manifest, run, facts).items())  # fmt: skip
    return left


def _unfinished(states: Mapping[str, int]) -> int:
    return states.get("waiting", 0) + states.get("running", 0)
