"""Looking at structures: a self-contained web page, or a py3Dmol view in a notebook; neither needs the network."""

from __future__ import annotations

import base64
import functools
import gzip
import html
import json
import webbrowser
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from structdiff.arguments import as_path, check_whole_number, checked_names
from structdiff.errors import InputError
from structdiff.evaluation.foreign_maps import foreign_map
from structdiff.output.scene import Scene
from structdiff.output.scene_building import build_scene
from structdiff.packed_files import plain_name
from structdiff.structure.files import write_atomically
from structdiff.structure.tables import Structure

if TYPE_CHECKING:
    import py3Dmol

STYLES = ("cartoon", "trace", "sticks", "spheres")
COLORS = ("auto", "confidence", "chain", "motif")

ResidueMap = str | Path | Mapping[str, object]
Trajectory = str | Path | np.ndarray | Sequence[np.ndarray]


class HasStructure(Protocol):
    """What was made and has a structure: a Prediction, a Design, a DesignedSequence."""

    @property
    def structure(self) -> Structure:
        """The structure."""
        ...


_PAGE_SUFFIXES = (".html", ".htm")


@checked_names
def view(
    structure: str | Path | Structure | HasStructure,
    *,
    color: str = "auto",
    style: str = "cartoon",
    residue_map: ResidueMap | None = None,
    trajectory: Trajectory | None = None,
    width: int = 720,
    height: int = 480,
) -> py3Dmol.view:
    """Shows a structure in a notebook: cartoon by confidence, chain or motif, ligands as sticks.

    structure: an mmCIF or PDB file (plain or .gz), a Structure, a Prediction or a Design. color: "confidence"
    (AlphaFold's bands of pLDDT), "chain", "motif" (needs a residue map), or "auto": motif where there is a map,
    confidence in predictions, else chain. style: one of STYLES. residue_map: the JSON that a design run writes beside
    each design; found by itself when it lies there, and in a Design. trajectory: a file of several models, or positions
    (frame, atom, 3) in Å of the drawn atoms; a file of several models is an animation by itself. width and height in
    pixels. Further py3Dmol calls can follow.

    Raises InputError for files that cannot be read and for choices that do not exist.
    """
    try:
        import py3Dmol
    except ImportError:
        raise InputError("a view in a notebook needs py3Dmol: pip install py3Dmol, or use write_view_html") from None
    check_whole_number(width, "width", 1)
    check_whole_number(height, "height", 1)
    scene = _scene(structure, residue_map, trajectory)
    data = _scene_json(scene, color, style)
    library = base64.b64encode(library_text().encode()).decode("ascii")
    shown = py3Dmol.view(width=width, height=height, js=f"data:text/javascript;base64,{library}")
    shown.startjs += f"{data_text('scene.js')}\n(() => {{ const scene = {data};\n"
    shown.startjs += "structdiffScene(viewer_UNIQUEID, scene).paint(scene.color, scene.style); })();\n"
    shown.zoomTo()
    if len(scene.frames) > 1:
        shown.animate({"loop": "forward", "interval": 100})
    return shown


@checked_names
def write_view_html(
    structure: str | Path | Structure | HasStructure,
    out: str | Path,
    *,
    color: str = "auto",
    style: str = "cartoon",
    residue_map: ResidueMap | None = None,
    trajectory: Trajectory | None = None,
    title: str | None = None,
) -> Path:
    """Writes one web page that shows a structure in any browser, offline; returns its path.

    The choices are those of ``view``; the page lets its reader change colour and style, hide chains, play a trajectory
    and save a picture. title: the heading, by default the structure's name.

    Raises InputError for files that cannot be read or written and for choices that do not exist.
    """
    out = as_path(out, "out")
    if out.suffix.lower() not in _PAGE_SUFFIXES:  # the structure's own file would be lost
        raise InputError("a page ends so", path=out, key="out", found=out.suffix, allowed=_PAGE_SUFFIXES)
    scene = _scene(structure, residue_map, trajectory)
    parts = {
        "@TITLE@": html.escape(title or scene.name),
        "@LIBRARY@": library_text(),
        "@SCENE_SCRIPT@": data_text("scene.js"),
        "@SCENE@": _scene_json(scene, color, style, title),
    }
    page = data_text("page.html")
    pieces = [page]
    for mark, text in parts.items():  # the marks stand in the page in this order, so nothing inserted is searched again
        head, tail = pieces.pop().split(mark, 1)
        pieces += [head, text, tail]
    write_atomically(out, "".join(pieces))
    return out


def open_in_browser(page: str | Path) -> bool:
    """Opens a page in the person's browser; False where there is none to open. Never raises."""
    try:
        return webbrowser.open(Path(page).resolve().as_uri())
    except (webbrowser.Error, OSError, ValueError):
        return False


def find_residue_map(structure: str | Path) -> Path | None:
    """The residue map that lies beside a design: NAME.residue_map.json, NAME_residue_map.json or NAME.json."""
    path = Path(structure)
    stem = plain_name(path).rsplit(".", 1)[0]
    for name in (f"{stem}.residue_map.json", f"{stem}_residue_map.json", f"{stem}.json"):
        candidate = path.with_name(name)
        if candidate.is_file() and (name != f"{stem}.json" or _holds_residue_map(candidate)):
            return candidate
    return None


def _holds_residue_map(path: Path) -> bool:
    try:
        content = _read_residue_map(path)
    except InputError:
        return False
    records = content.get("residues")
    return isinstance(records, list) and any(isinstance(r, dict) and "design" in r for r in records[:1])


def _read_residue_map(path: str | Path) -> Mapping[str, Any]:
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"not a readable residue map: {error}", path=path) from None
    if not isinstance(content, dict):
        raise InputError("a residue map is a JSON object with the list 'residues'", path=path)
    return content


def _scene(
    structure: str | Path | Structure | HasStructure, residue_map: ResidueMap | None, trajectory: Trajectory | None
) -> Scene:
    inner = getattr(structure, "structure", None)
    if isinstance(inner, Structure):
        residue_map = getattr(structure, "residue_map", None) if residue_map is None else residue_map
        structure = inner
    if not isinstance(structure, str | Path | Structure):
        found = type(structure).__name__
        allowed = "a file, a Structure, a Prediction or a Design"
        raise InputError("this cannot be drawn", key="structure", found=found, allowed=allowed)
    if residue_map is None and not isinstance(structure, Structure):
        residue_map = find_residue_map(structure)
        residue_map = foreign_map(Path(structure)) if residue_map is None else residue_map
    if isinstance(residue_map, (str, Path)):
        residue_map = _read_residue_map(residue_map)
    return build_scene(structure, residue_map=residue_map, trajectory=trajectory)


def _scene_json(scene: Scene, color: str, style: str, title: str | None = None) -> str:
    """The scene and the choices as JSON that is safe inside a script element."""
    if style not in STYLES:
        raise InputError("unknown style", key="style", found=style, allowed=STYLES, suggest_from=STYLES)
    if color not in COLORS:
        raise InputError("unknown colouring", key="color", found=color, allowed=COLORS, suggest_from=COLORS)
    if color == "motif" and not scene.has_motif:
        raise InputError("colouring by motif needs a residue map, the JSON beside a design", key="color", found=color)
    if color == "auto":
        color = "motif" if scene.has_motif else "confidence" if scene.confident else "chain"
    content = {**scene.to_json(), "color": color, "style": style, "confident": scene.confident}
    content["name"] = title or scene.name
    return safe_json(content)


def safe_json(content: Mapping[str, Any]) -> str:
    """Plain data as JSON that is safe inside a script element."""
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@functools.cache
def library_text() -> str:
    """3Dmol.js (BSD-3-Clause; its licence lies beside it)."""
    data = resources.files("structdiff.output") / "data" / "3Dmol-min.js.gz"
    return gzip.decompress(data.read_bytes()).decode("utf-8")


def data_text(name: str) -> str:
    """A file that comes with the pages: their HTML and scripts."""
    return (resources.files("structdiff.output") / "data" / name).read_text(encoding="utf-8")
