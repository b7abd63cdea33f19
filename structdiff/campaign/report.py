"""The report of a campaign: what its web page is made of, and what it warns of."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from structdiff.campaign.columns import EVERY
from structdiff.campaign.filters import parse_filter
from structdiff.campaign.manifest import Manifest
from structdiff.campaign.measures import designed_chains
from structdiff.campaign.results import DesignResult, last_line
from structdiff.campaign.selection import Funnel
from structdiff.errors import InputError
from structdiff.evaluation.backbone import CA, Backbone
from structdiff.evaluation.catalogue import CATALOGUE
from structdiff.evaluation.diversity import CLUSTER_TM, diversity, nearest_references
from structdiff.evaluation.fold_embedding import fold_embedding
from structdiff.evaluation.novelty import references_of_chains
from structdiff.output.prediction import requested
from structdiff.output.report import ReportDesign, write_report
from structdiff.structure.files import read_structure
from structdiff.structure.tables import Structure

REPORT = "report.html"
#: Of more designs than this, so many are taken for the share of one fold.
_COMPARED = 40
#: The share of designs of one fold that is worth a warning.
_MANY = 0.8
#: TM-score from which a design counts as a copy of a known chain, and how many of them are named.
_COPY, _SAID = 0.8, 10


def write_campaign_report(
    manifest: Manifest,
    results: Sequence[DesignResult],
    folder: Path,
    references: Sequence[tuple[str, Backbone]] = (),
) -> Path:
    """Writes ``report.html`` of all designs of a folder: ranked table, structures, plots, warnings.

    references: known chains, of which designs may be near-copies.
    """
    results, copies = _with_nearest(results, folder, references)
    known = [name for name in (*EVERY, "nearest_tm") if any(each.columns.get(name) is not None for each in results)]
    designs = [_design(each, folder) for each in results]
    lines, notes = [], copies
    for run, facts in manifest.runs().items():
        own = [each for each in results if each.run == run]
        notes += _notes(run, facts, own, folder)
        lines += _histogram(facts, own)
    columns = [
        {"name": each.name, "label": f"{each.label} ({each.stored_unit})" if each.unit else each.label,
         "better": each.better, "formula": each.formula}
        for each in map(CATALOGUE.__getitem__, known)
    ]  # fmt: skip
    title = ", ".join(manifest.runs()) or folder.name
    errors = [f"{each.name} ({each.stage}): {last_line(each.error)}" for each in manifest.errors()]
    return write_report(
        folder / REPORT, title=title, columns=columns, designs=designs, notes=notes, histogram=lines,
        errors=errors,
    )  # fmt: skip


def _with_nearest(
    results: Sequence[DesignResult], folder: Path, references: Sequence[tuple[str, Backbone]]
) -> tuple[list[DesignResult], list[str]]:
    """The designs with the TM-score to the nearest reference, and a warning for each that is nearly one."""
    if not references or not results:
        return list(results), []
    read = {each.name: chain for each in results if (chain := _designed(each, folder)) is not None}
    lost = [f"the files of {each.name} are damaged" for each in results if each.name not in read]
    if not read:
        return list(results), lost
    chains = list(read.values())
    length = int(np.median([len(chain) for chain in chains]))
    traces = [chain.positions[:, CA] for chain in chains]
    scores, names = nearest_references(traces, fold_embedding(chains), references_of_chains(references, length))
    nearest = dict(zip(read, scores.tolist(), strict=True))
    found = [
        dataclasses.replace(each, columns={**each.columns, "nearest_tm": _score(nearest.get(each.name))})
        for each in results
    ]
    notes = [
        f"{design} is a near-copy of {name} (TM-score {score:.2f})"
        for (design, score), name in zip(nearest.items(), names, strict=True)
        if score >= _COPY
    ]
    more = [f"... and {len(notes) - _SAID} more near-copies"] if len(notes) > _SAID else []
    return found, [*lost, *notes[:_SAID], *more]


def _score(score: float | None) -> float | None:
    return None if score is None or score != score else round(score, 3)


def _designed(result: DesignResult, folder: Path) -> Backbone | None:
    """The designed chains of a design, whole residues only; None where its file cannot be read."""
    structure = _read(folder / f"{result.name}.cif")
    if structure is None:
        return None
    chains = designed_chains(structure, _read_map(folder / f"{result.name}.residue_map.json") or {})
    atoms = np.isin(structure.chains.name, chains)[structure.atom_chain] & structure.atoms.resolved
    backbone = Backbone.from_structure(structure.select(atoms))
    return backbone.select(backbone.complete)


def _design(result: DesignResult, folder: Path) -> ReportDesign:
    return ReportDesign(
        name=result.name, rank=result.rank, accepted=result.accepted, columns=result.columns, reasons=result.reasons,
        verdicts=result.verdicts, sequences={chain: text for chain, (_, text) in result.sequences.items()},
        structure=folder / f"{result.name}.cif", residue_map=_read_map(folder / f"{result.name}.residue_map.json"),
    )  # fmt: skip


def _read_map(path: Path) -> Mapping[str, Any] | None:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _histogram(facts: Mapping[str, Any], results: Sequence[DesignResult]) -> list[str]:
    if not facts.get("filter"):
        return []
    funnel = Funnel(wanted=parse_filter(facts["filter"]))
    for each in results:
        if each.complete:
            funnel.add(each)
    return funnel.lines()


def _notes(run: str, facts: Mapping[str, Any], results: Sequence[DesignResult], folder: Path) -> list[str]:
    """What the reader should be warned of."""
    notes = []
    share = one_fold_share(results, folder)
    if share is not None and share >= _MANY:
        notes.append(f"{run}: {share:.0%} of the designs are one fold (TM-score of {CLUSTER_TM} or more)")
    whole = [each for each in results if each.complete]
    if whole and facts.get("filter") and not any(each.accepted for each in whole):
        notes.append(f"{run}: no design passes the filter {facts['filter']}")
    unmet = sum(not all(verdict["met"] for verdict in requested(each.verdicts)) for each in results)
    if unmet:
        notes.append(f"{run}: {unmet} of {len(results)} designs do not meet all that was asked")
    if facts.get("sequence_model") == "own":
        notes.append(f"{run}: sequences are those of the network's own sequence head; a network made for sequences "
                     "does better (structdiff weights fetch proteinmpnn)")  # fmt: skip
    judged = facts.get("judge") == "trrosetta"
    if facts.get("refold") == "own":
        judge = "" if judged else " (structdiff weights fetch trrosetta gets one)"
        notes.append(f"{run}: designs were refolded by the network that drew them, from their sequence alone; it is no "
                     f"independent judge{judge}; targets were given to it as templates")  # fmt: skip
    if facts.get("refold") == "trrosetta":
        notes.append(f"{run}: designs were refolded into the folds that trRosetta expects of their sequences; where it "
                     "judged them too, the two are no independent opinions")  # fmt: skip
    if judged:
        notes.append(f"{run}: trRosetta judged each sequence alone, without its target; of small designs a low score "
                     "says much, of large ones it proves nothing")  # fmt: skip
    return notes


def one_fold_share(results: Sequence[DesignResult], folder: Path) -> float | None:
    """The largest share of backbones that are like one of them; of many, some evenly spread are compared."""
    names = list(dict.fromkeys(each.backbone for each in results))
    if len(names) < 5:
        return None
    chosen = [names[round(place)] for place in np.linspace(0, len(names) - 1, min(len(names), _COMPARED))]
    first = {each.backbone: each.name for each in reversed(results)}
    traces = [_alpha(folder / f"{first[name]}.cif") for name in dict.fromkeys(chosen)]
    traces = [trace for trace in traces if len(trace) >= 10]
    if len(traces) < 5:
        return None
    return float(diversity(traces).near.mean(1).max() + 1 / len(traces))


def _read(path: Path) -> Structure | None:
    """A structure; None where it cannot be read, which takes no other design out of the report."""
    try:
        return read_structure(path)
    except InputError:
        return None


def _alpha(path: Path) -> np.ndarray:
    structure = _read(path)
    if structure is None:
        return np.zeros((0, 3))
    chosen = structure.atoms.resolved & (structure.atoms.name == "CA") & (structure.atoms.element == 6)
    return structure.atoms.positions[chosen].astype(np.float64)
