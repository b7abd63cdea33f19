"""The report of many designs: one web page with a ranked table, their structures, and plots; it needs no network."""

from __future__ import annotations

import base64
import gzip
import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from structdiff.errors import InputError
from structdiff.output.scene_building import build_scene
from structdiff.output.view import data_text, library_text, safe_json
from structdiff.structure.files import write_atomically


@dataclass(frozen=True, kw_only=True)
class ReportDesign:
    """One row of the report. columns: values by name; reasons: why it was rejected; structure: its file."""

    name: str
    rank: int
    accepted: bool
    columns: Mapping[str, Any]
    structure: Path
    reasons: Sequence[str] = ()
    verdicts: Sequence[Mapping[str, Any]] = ()
    sequences: Mapping[str, str] | None = None
    residue_map: Mapping[str, Any] | None = None


def write_report(
    out: str | Path,
    *,
    title: str,
    columns: Sequence[Mapping[str, Any]],
    designs: Sequence[ReportDesign],
    notes: Sequence[str] = (),
    histogram: Sequence[str] = (),
    errors: Sequence[str] = (),
) -> Path:
    """Writes the page; returns its path.

    columns: of the table, each with name, label, better (higher, lower or none) and formula. Structures are kept
    compressed and unpacked when a row is chosen, so that a thousand designs stay quick. Raises InputError where the
    page cannot be written; a structure that cannot be read is said to be missing.
    """
    rows = [_row(each, columns) for each in sorted(designs, key=lambda each: each.rank)]
    content = {
        "title": title, "columns": list(columns), "designs": rows, "notes": list(notes), "histogram": list(histogram),
        "errors": list(errors),
    }  # fmt: skip
    parts = {
        "@TITLE@": html.escape(title),
        "@LIBRARY@": library_text(),
        "@SCENE_SCRIPT@": data_text("scene.js"),
        "@FILTER_SCRIPT@": data_text("filter.js"),
        "@CONTENT@": safe_json(content),
        "@SCENES@": "\n".join(_scene_element(place, each) for place, each in enumerate(sorted(designs, key=_rank))),
        "@REPORT_SCRIPT@": data_text("report.js"),
    }
    pieces = [data_text("report.html")]
    for mark, text in parts.items():  # the marks stand in the page in this order, so nothing inserted is searched again
        head, tail = pieces.pop().split(mark, 1)
        pieces += [head, text, tail]
    return write_atomically(out, "".join(pieces))


def _rank(design: ReportDesign) -> int:
    return design.rank


def _row(design: ReportDesign, columns: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    values = [design.columns.get(column["name"]) for column in columns]
    return {
        "name": design.name, "rank": design.rank, "accepted": design.accepted, "values": values,
        "reasons": list(design.reasons), "verdicts": list(design.verdicts), "sequences": dict(design.sequences or {}),
    }  # fmt: skip


def _scene_element(place: int, design: ReportDesign) -> str:
    """The scene of a design, compressed, in an element that the browser leaves alone until it is wanted."""
    try:
        scene = build_scene(design.structure, residue_map=design.residue_map)
    except InputError:
        return f'<script type="text/plain" id="scene-{place}"></script>'
    content = {**scene.to_json(), "color": "motif" if scene.has_motif else "confidence"}
    content["hotspots"] = _hotspots(design)
    packed = gzip.compress(json.dumps(content, separators=(",", ":")).encode(), compresslevel=6, mtime=0)
    return f'<script type="text/plain" id="scene-{place}">{base64.b64encode(packed).decode("ascii")}</script>'


def _hotspots(design: ReportDesign) -> list[list[Any]]:
    """Chain and number, in the design, of the residues that were to be touched, by what the verdicts are called."""
    names = {str(each["name"]).split()[-1] for each in design.verdicts if str(each["name"]).startswith("hotspot ")}
    found = []
    for row in (design.residue_map or {}).get("residues", ()):
        given, mine = row["motif"], row["design"]
        if f"{given['chain']}{given['number']}{given.get('insertion_code') or ''}" in names:
            found.append([mine["chain"], mine["number"]])
    return found
