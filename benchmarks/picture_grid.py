"""A picture of random designs, not chosen ones: cartoons side by side, helices red, strands gold, loops grey.

    python benchmarks/picture_grid.py FOLDER... --out docs/designs.png [--count 24 --seed 0]
    python benchmarks/picture_grid.py FOLDER... --out docs/assemblies.png --by-chain --cell 85 --zoom 3

--by-chain gives each chain its colour, the first blue; --cell is the width in Å that each design has, --zoom
is larger for few of them. Needs Chromium, which draws without a screen.
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
from PIL import Image

from structdiff.evaluation.backbone import CA, Backbone
from structdiff.evaluation.secondary_structure import secondary_structure
from structdiff.structure.files import read_structure
from structdiff.structure.pdb_text import pdb_text
from structdiff.structure.tables import ChainKind

LIBRARY = Path(__file__).resolve().parent.parent / "structdiff/output/data/3Dmol-min.js.gz"
COLUMNS, FLATTER = 6, 42 / 46  # designs in a row; height of a cell over its width
SHADES = 128
COLORS = {"H": "#c0392b", "E": "#d4a017", "L": "#9aa5b1"}
CHAINS = ("#2471a3", "#9aa5b1", "#d4a017", "#c0392b", "#1e8449", "#7d3c98", "#ba4a00", "#5d6d7e", "#17a589")
PAGE = """<html><body style="margin:0"><div id="v" style="width:1500px;height:%dpx;position:relative"></div>
<script>%s</script><script>
const models = %s, colors = %s, chains = %s;
const viewer = $3Dmol.createViewer("v", {backgroundColor: "white", antialias: true});
models.forEach(([text, letters]) => {
  const model = viewer.addModel(text, "pdb"), names = Object.keys(letters);
  const letter = a => letters[a.chain][a.resi] || "L";
  model.selectedAtoms({}).forEach(a => { a.ss = {H: "h", E: "s", L: "c"}[letter(a)]; });
  const color = a => chains.length ? chains[names.indexOf(a.chain) %% chains.length] : colors[letter(a)];
  model.setStyle({}, {cartoon: {colorfunc: color, arrows: true}});
});
viewer.zoomTo(); viewer.zoom(%f); viewer.render();
</script></body></html>"""


def placed(path: Path, number: int, width: float) -> tuple[str, dict[str, dict[int, str]]]:
    """PDB text of a design turned flat into its cell, and its secondary structure, by chain and residue number."""
    structure = read_structure(path)
    backbone = Backbone.from_structure(structure)
    alphas = backbone.positions[:, CA]
    middle = alphas.mean(0)
    axes = np.linalg.svd(alphas - middle, full_matrices=False)[2]
    axes[2] *= np.sign(np.linalg.det(axes))
    cell = np.array([width * (number % COLUMNS), -FLATTER * width * (number // COLUMNS), 0.0])
    turned = (structure.atoms.positions - middle) @ axes.T + cell
    letters: dict[str, dict[int, str]] = {name: {} for name in structure.chains.name.tolist()}
    protein = np.flatnonzero((structure.chains.kind == ChainKind.PROTEIN)[structure.residues.chain])
    for row, letter in zip(protein.tolist(), secondary_structure(backbone), strict=True):
        chain = str(structure.chains.name[structure.residues.chain[row]])
        letters[chain][int(structure.residues.author_seq_id[row])] = letter
    return pdb_text(structure.with_positions(turned.astype(np.float32))), letters


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--by-chain", action="store_true")
    parser.add_argument("--cell", type=float, default=46.0)
    parser.add_argument("--zoom", type=float, default=1.55)
    options = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        parser.error("Chromium is needed to draw")
    files = sorted(path for folder in options.folders for path in folder.glob("*.cif"))
    chosen = np.random.default_rng(options.seed).choice(len(files), min(options.count, len(files)), replace=False)
    models = [placed(files[index], number, options.cell) for number, index in enumerate(sorted(chosen))]
    height = round(1500 * FLATTER / COLUMNS * -(-len(models) // COLUMNS))
    chains = CHAINS if options.by_chain else ()
    library = gzip.decompress(LIBRARY.read_bytes()).decode()
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder, "grid.html")
        page.write_text(
            PAGE % (height, library, json.dumps(models), json.dumps(COLORS), json.dumps(chains), options.zoom)
        )
        command = [chromium, "--headless", "--no-sandbox", "--disable-gpu-sandbox", "--use-gl=angle",
                   "--use-angle=swiftshader", "--hide-scrollbars", "--enable-unsafe-swiftshader",
                   f"--user-data-dir={folder}/profile",
                   f"--window-size=1500,{height}", "--virtual-time-budget=20000",
                   f"--screenshot={options.out.resolve()}", page.as_uri()]  # fmt: skip
        subprocess.run(command, check=True, capture_output=True, timeout=300)
    with Image.open(options.out) as drawn:  # a few hues and their shades: a third of the bytes
        drawn.convert("RGB").quantize(SHADES, dither=Image.Dither.NONE).save(options.out, optimize=True)
    print(f"{options.out}: {', '.join(files[index].stem for index in sorted(chosen))}")


if __name__ == "__main__":
    main()
