"""An evaluation as one web page that holds everything: targets, figures of the set, pictures, a row a structure."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Mapping, Sequence
from typing import Any

from structdiff.evaluation.catalogue import Metric, metric, shown
from structdiff.evaluation.evaluation import Evaluation
from structdiff.evaluation.summary import Summary

_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;max-width:1180px;margin:2em auto;padding:0 1em;color:#1c2733}
h1{font-size:1.5em}h2{font-size:1.15em;margin-top:2em;border-bottom:1px solid #d5dbe1}
table{border-collapse:collapse;font-size:13px}th,td{padding:.25em .7em;text-align:right;border-bottom:1px solid #eceff2}
th:first-child,td:first-child,.text td:nth-child(2),.text th:nth-child(2){text-align:left}
thead th{cursor:pointer;background:#f5f7f9;position:sticky;top:0}
.wide{overflow:auto;max-height:75vh}.met{color:#1a7f37}.missed{color:#b35900}.off{background:#fff4e5}
.note{color:#57606a;font-size:13px}img{max-width:100%}abbr{text-decoration:none;border-bottom:1px dotted #8a94a0}
"""
_SORT = """
document.querySelectorAll('table.sortable thead th').forEach((th,i)=>th.addEventListener('click',()=>{
const b=th.closest('table').tBodies[0],up=th.dataset.up!=='1';th.dataset.up=up?'1':'0';
const v=r=>{const t=r.cells[i].dataset.v??r.cells[i].textContent;const n=parseFloat(t);return isNaN(n)?t:n};
[...b.rows].sort((p,q)=>{const x=v(p),y=v(q);return (x<y?-1:x>y?1:0)*(up?1:-1)}).forEach(r=>b.append(r))}));
"""


def report_page(
    evaluation: Evaluation, plots: Mapping[str, bytes], provenance: Mapping[str, Any], *, extra: Sequence[str] = ()
) -> str:
    """The page as HTML text. It needs no network. extra: further sections, as HTML."""
    judged, failed = len(evaluation.rows), len(evaluation.failures)
    parts = [
        f"<p>{judged} structures judged{f', {failed} could not be, or not in full' if failed else ''}. Values are "
        "means with their 95 % bootstrap intervals; point at a name for what it means.</p>",
        _failures(evaluation),
        *extra,
        _targets(evaluation),
        _summary(evaluation),
        *(_picture(name, data) for name, data in plots.items()),
        _structures(evaluation),
        _made_by(evaluation, provenance),
    ]
    body = "\n".join(part for part in parts if part)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Evaluation</title>'
        f"<style>{_STYLE}</style></head><body><h1>Evaluation of structures</h1>{body}<script>{_SORT}</script></body>"
        "</html>\n"
    )


def _failures(evaluation: Evaluation) -> str:
    if not evaluation.failures:
        return ""
    rows = "".join(f"<li>{html.escape(reason)}</li>" for _, reason in evaluation.failures)
    return f"<h2>Not judged, or not in full</h2><ul>{rows}</ul>"


def _targets(evaluation: Evaluation) -> str:
    if not evaluation.targets:
        return ""
    rows = []
    for target in evaluation.targets:
        word, kind = {True: ("met", "met"), False: ("missed", "missed"), None: ("-", "")}[target.met]
        cells = [target.group, target.text, target.reached, target.wanted]
        texts = "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
        rows.append(f'<tr>{texts}<td class="{kind}">{word}</td></tr>')
    head = "<thead><tr><th>structures</th><th>what</th><th>reached</th><th>wanted</th><th></th></tr></thead>"
    quartiles = any("quartiles" in target.text for target in evaluation.targets)
    note = "<p class=note>Of natural chains, half lie between the quartiles.</p>" if quartiles else ""
    return (
        f'<h2>Targets for designs</h2>{note}<table class="sortable text">{head}<tbody>{"".join(rows)}</tbody></table>'
    )


def _summary(evaluation: Evaluation) -> str:
    rows, group = [], ""
    for name, value in evaluation.summary.items():
        entry = metric(name)
        if entry.group != group:
            group = entry.group
            rows.append(f'<tr><th colspan="5">{html.escape(group)}</th></tr>')
        rows.append(_summary_row(entry, value))
    head = (
        "<thead><tr><th>metric</th><th>mean</th><th>95 % interval</th><th>quartiles</th><th>natural</th></tr></thead>"
    )
    return f"<h2>All structures</h2><table>{head}<tbody>{''.join(rows)}</tbody></table>"


def _summary_row(entry: Metric, value: Summary) -> str:
    def text(number: float) -> str:
        return shown(entry.name, number)

    interval = "-" if value.low != value.low else f"{text(value.low)} to {text(value.high)}"
    quartiles = (
        "-" if value.quartiles[0] != value.quartiles[0] else f"{text(value.quartiles[0])} to {text(value.quartiles[2])}"
    )
    natural = "" if entry.natural is None else f"{text(entry.natural[0])} to {text(entry.natural[1])}"
    cells = "".join(f"<td>{cell}</td>" for cell in (text(value.mean), interval, quartiles, natural))
    return f"<tr{' class=off' if entry.is_unusual(value.mean) else ''}><td>{_named(entry)}</td>{cells}</tr>"


def _named(entry: Metric) -> str:
    explained = entry.formula + (f". {entry.source}" if entry.source else "")
    return f'<abbr title="{html.escape(explained, quote=True)}">{html.escape(entry.heading)}</abbr>'


def _picture(name: str, data: bytes) -> str:
    titles = {
        "metrics": "Distributions (green: 90 % of natural chains)",
        "shapes": "Beside natural chains of like lengths",
    }
    text = base64.b64encode(data).decode("ascii")
    return f'<h2>{titles.get(name, name)}</h2><img alt="{name}" src="data:image/png;base64,{text}">'


def _structures(evaluation: Evaluation) -> str:
    if not evaluation.rows:
        return ""
    names = evaluation.metrics
    head = "".join(f"<th>{_named(metric(name))}</th>" for name in names)
    rows = []
    for row in evaluation.rows:
        cells = "".join(_cell(name, row.values.get(name)) for name in names)
        rows.append(f"<tr><td>{html.escape(row.name)}</td>{cells}</tr>")
    table = f'<table class="sortable"><thead><tr><th>name</th>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
    return f'<h2>Each structure</h2><p class=note>A click on a heading sorts.</p><div class="wide">{table}</div>'


def _cell(name: str, value: float | None) -> str:
    if value is None:
        return "<td>-</td>"
    return f'<td data-v="{value:.6g}"{" class=off" if metric(name).is_unusual(value) else ""}>{shown(name, value)}</td>'


def _made_by(evaluation: Evaluation, provenance: Mapping[str, Any]) -> str:
    text = json.dumps(
        {**provenance, "natural_chains": dict(evaluation.natural.provenance)}, indent=1, ensure_ascii=False
    )
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in evaluation.notes)
    return f"<h2>How this was made</h2>{f'<ul>{notes}</ul>' if notes else ''}<pre class=note>{html.escape(text)}</pre>"
