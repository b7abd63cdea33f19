"""The report: what it holds, that it is safe and offline, and what a browser makes of it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from structdiff.output.report import ReportDesign, write_report

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
MOTIF = Path(__file__).parents[2] / "examples" / "5tpn_site_v.pdb"
COLUMNS = [
    {
        "name": "sc_rmsd",
        "label": "self-consistency RMSD, Å",
        "better": "lower",
        "formula": "RMSD </script>",
    },
    {"name": "plddt", "label": "pLDDT", "better": "higher", "formula": "mean"},
    {"name": "helix", "label": "helix (share, 0 to 1)", "better": "none", "formula": "share of residues"},
]
#: What a reader does, told to the page itself; the outcome is left in the title.
ACTS = """
<script>
(async () => {
  const find = (id) => document.getElementById(id);
  const wait = (test) => new Promise((done) => { const look = () => test() ? done() : setTimeout(look, 20); look(); });
  const names = () => [...find("body").rows].map((row) => row.cells[1].textContent);
  const said = {};
  said.first = names().slice(0, 3);
  said.count = find("body").rows.length;
  said.share = find("body").rows[0].cells[5].textContent;
  const began = performance.now();
  document.querySelector("th[data-name=plddt]").click();
  said.sorted = names().slice(0, 3);
  said.sortMilliseconds = performance.now() - began;
  find("filter").value = "sc_rmsd < 2 and plddt > 60";
  find("filter").dispatchEvent(new Event("input"));
  await wait(() => find("summary").textContent.includes("8 shown"));
  said.filtered = names().sort();
  find("filter").value = "sc_rmsd <";
  find("filter").dispatchEvent(new Event("input"));
  await wait(() => find("problem").textContent);
  said.problem = find("problem").textContent;
  find("filter").value = "";
  find("filter").dispatchEvent(new Event("input"));
  await wait(() => !find("problem").textContent);
  const row = find("body").rows[4];
  said.clicked = row.cells[1].textContent;
  row.click();
  await wait(() => document.body.dataset.structure === said.clicked || find("stage").textContent.includes("WebGL"));
  said.structure = document.body.dataset.structure || "";
  said.details = find("details").textContent;
  said.legend = find("legend").textContent;
  said.dots = document.querySelectorAll("#plot circle").length;
  said.requests = performance.getEntriesByType("resource").length;
  const verdict = document.createElement("pre");
  verdict.id = "said";
  verdict.textContent = JSON.stringify(said);
  document.body.append(verdict);
})();
</script>
"""


def report(folder: Path, count: int, structures: Path = MOTIF) -> Path:
    random = np.random.default_rng(0)
    designs = []
    for number in range(count):
        value, plddt = (round(float(x), 3) for x in random.uniform((0.5, 30), (12, 90)))
        designs.append(
            ReportDesign(
                name=f"d_{number + 1}", rank=number + 1, accepted=number % 3 == 0,
                structure=structures if number < 300 else folder / "gone.cif",
                columns={"sc_rmsd": value if number % 50 else None, "plddt": plddt, "helix": 0.25},
                reasons=() if number % 3 == 0 else ("sc_rmsd < 2 (sc_rmsd is 9)",), sequences={"A": "MKT"},
                verdicts=[{"name": "hotspot A170", "asked": "within 8 Å", "reached": "<b>4</b> Å", "met": True}],
                residue_map={"chains": [], "residues": [
                    {"design": {"chain": "A", "number": n}, "motif": {"chain": "A", "number": n}, "group": 1}
                    for n in range(165, 175)
                ]},
            )
        )  # fmt: skip
    return write_report(folder / "report.html", title="a <test>", columns=COLUMNS, designs=designs,
                        notes=["80 % of the designs are <one> fold"], histogram=["1 of 2"])  # fmt: skip


def test_the_page_holds_everything_and_nothing_breaks_out(tmp_path) -> None:
    text = report(tmp_path, 3).read_text()
    assert not re.search(r"(src|href)\s*=\s*[\"']https?:", text)
    content = json.loads(re.search(r'id="content">(.*?)</script>', text, re.DOTALL)[1])  # type: ignore[index]
    assert [row["name"] for row in content["designs"]] == ["d_1", "d_2", "d_3"]
    assert content["columns"][0]["formula"] == "RMSD </script>"
    assert "<one>" not in text
    assert "<title>a &lt;test&gt;</title>" in text
    missing = report(tmp_path, 1, structures=tmp_path / "gone.cif").read_text()
    assert '<script type="text/plain" id="scene-0"></script>' in missing


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_a_reader_sorts_filters_and_looks(tmp_path) -> None:
    page = report(tmp_path, 1000)
    assert page.stat().st_size < 16e6
    content = json.loads(re.search(r'id="content">(.*?)</script>', page.read_text(), re.DOTALL)[1])  # type: ignore[index]
    rows = [(row["name"], *row["values"]) for row in content["designs"]]
    expected = [name for name, rmsd, plddt, _ in rows if rmsd is not None and rmsd < 2 and plddt > 60]
    acts = ACTS.replace("8 shown", f"{len(expected)} shown")
    page.write_text(page.read_text().replace("</body>", f"{acts}</body>"))
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu-sandbox", "--use-gl=angle",
               "--use-angle=swiftshader", "--enable-unsafe-swiftshader", f"--user-data-dir={tmp_path / 'profile'}",
               "--virtual-time-budget=60000", "--dump-dom", page.as_uri()]  # fmt: skip
    shown = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False).stdout
    found = re.search(r'<pre id="said">(.*?)</pre>', shown)
    assert found, shown[-2000:]
    said = json.loads(found[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
    assert said["first"] == ["d_1", "d_2", "d_3"]
    assert said["count"] == 200  # the rest is drawn when it is scrolled to
    assert said["share"] == "0.250"  # as the tables and a filter have it, not 25 %
    assert said["sorted"] == [name for name, *_ in sorted(rows, key=lambda row: -row[2])[:3]]
    assert said["sortMilliseconds"] < 1000
    assert said["filtered"] == sorted(expected)
    assert said["problem"] == "the filter ends too early"
    assert said["structure"] == said["clicked"]
    assert "<b>4</b> Å, met" in said["details"]
    assert "Motif" in said["legend"]
    assert "Hotspots" in said["legend"]
    assert said["dots"] > 900
    assert said["requests"] == 0
