"""A picture of random designs, not chosen ones: cartoons side by side, helices red, strands gold, loops grey.

    python benchmarks/picture_grid.py FOLDER... --out docs/designs.png [--count 24 --seed 0]

Needs Chromium, which draws without a screen.
"""

from __future__ import annotations

import argparse
import gzip
import json
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from structdiff.evaluation.backbone import CA, Backbone
from structdiff.evaluation.secondary_structure import secondary_structure
from structdiff.structure.files import read_structure
from structdiff.structure.pdb_text import pdb_text

LIBRARY = Path(__file__).resolve().parent.parent / "structdiff/output/data/3Dmol-min.js.gz"
COLUMNS, WIDTH, HEIGHT = 6, 46.0, 42.0  # designs in a row; Å of a cell
COLORS = {"H": "#c0392b", "E": "#d4a017", "L": "#9aa5b1"}
PAGE = """<html><body style="margin:0"><div id="v" style="width:1500px;height:%dpx;position:relative"></div>
<script>%s</script><script>
const models = %s, colors = %s;
const viewer = $3Dmol.createViewer("v", {backgroundColor: "white", antialias: true});
models.forEach(([text, letters]) => {
  const model = viewer.addModel(text, "pdb");
  model.selectedAtoms({}).forEach(a => { a.ss = {H: "h", E: "s", L: "c"}[letters[a.resi - 1]]; });
  model.setStyle({}, {cartoon: {colorfunc: a => colors[letters[a.resi - 1]], arrows: true}});
});
viewer.zoomTo(); viewer.zoom(1.55); viewer.render();
</script></body></html>"""


def placed(path: Path, number: int) -> tuple[str, str]:
    """PDB text of a design turned flat into its cell, and its secondary structure."""
    structure = read_structure(path)
    backbone = Backbone.from_structure(structure)
    alphas = backbone.positions[:, CA]
    middle = alphas.mean(0)
    axes = np.linalg.svd(alphas - middle, full_matrices=False)[2]
    axes[2] *= np.sign(np.linalg.det(axes))
    cell = np.array([WIDTH * (number % COLUMNS), -HEIGHT * (number // COLUMNS), 0.0])
    turned = (structure.atoms.positions - middle) @ axes.T + cell
    return pdb_text(structure.with_positions(turned.astype(np.float32))), "".join(secondary_structure(backbone))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        parser.error("Chromium is needed to draw")
    files = sorted(path for folder in options.folders for path in folder.glob("*.cif"))
    chosen = np.random.default_rng(options.seed).choice(len(files), min(options.count, len(files)), replace=False)
    models = [placed(files[index], number) for number, index in enumerate(sorted(chosen))]
    height = round(1500 * HEIGHT / WIDTH / COLUMNS * -(-len(models) // COLUMNS))
    library = gzip.decompress(LIBRARY.read_bytes()).decode()
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder, "grid.html")
        page.write_text(PAGE % (height, library, json.dumps(models), json.dumps(COLORS)))
        command = [chromium, "--headless", "--no-sandbox", "--disable-gpu-sandbox", "--use-gl=angle",
                   "--use-angle=swiftshader", "--hide-scrollbars", "--enable-unsafe-swiftshader",
                   f"--user-data-dir={folder}/profile",
                   f"--window-size=1500,{height}", "--virtual-time-budget=20000",
                   f"--screenshot={options.out.resolve()}", page.as_uri()]  # fmt: skip
        subprocess.run(command, check=True, capture_output=True, timeout=300)
    print(f"{options.out}: {', '.join(files[index].stem for index in sorted(chosen))}")


if __name__ == "__main__":
    main()
