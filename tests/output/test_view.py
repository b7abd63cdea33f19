"""The viewer: what the page holds, that it stays safe and offline, and what a real browser draws."""

import base64
import json
import os
import pickle
import re
import shutil
import subprocess
from pathlib import Path

import gemmi
import numpy as np
import pytest

from structdiff.errors import InputError
from structdiff.output.scene import CARTOON, SPHERES, STICKS, TRACE, confidence_color
from structdiff.output.scene_building import build_scene
from structdiff.output.view import find_residue_map, open_in_browser, view, write_view_html
from structdiff.structure.build import ChainSequence, build_structure
from structdiff.structure.files import read_structure
from structdiff.structure.tables import ChainKind

BACKBONE = {"N": "N", "CA": "C", "C": "C", "O": "O"}


def helix(count, atoms=("N", "CA", "C", "O"), chain="A", first=1, shift=0.0):
    """An ideal alpha helix along x (1.5 Å and 100 degrees a residue, Pauling's cylinders), moved along y."""
    cylinder = {"N": (1.55, -27.5, -0.87), "CA": (2.28, 0.0, 0.0), "C": (1.67, 26.4, 1.13), "O": (2.03, 23.0, 2.34)}
    built = gemmi.Chain(chain)
    for i in range(count):
        residue = gemmi.Residue()
        residue.name, residue.seqid, residue.het_flag = "ALA", gemmi.SeqId(first + i, " "), "A"
        for name in atoms:
            radius, phase, rise = cylinder[name]
            angle = np.radians(100 * i + phase)
            atom = gemmi.Atom()
            atom.name, atom.element = name, gemmi.Element(BACKBONE[name])
            atom.pos = gemmi.Position(1.5 * i + rise, radius * np.cos(angle) + shift, radius * np.sin(angle))
            atom.b_iso, atom.occ = 95.0 - 2 * i, 1.0
            residue.add_atom(atom)
        built.add_residue(residue)
    return built


def hetero(name, atoms, number=200):
    residue = gemmi.Residue()
    residue.name, residue.seqid, residue.het_flag = name, gemmi.SeqId(number, " "), "H"
    for i, (label, element) in enumerate(atoms):
        atom = gemmi.Atom()
        atom.name, atom.element = label, gemmi.Element(element)
        atom.pos = gemmi.Position(12 + 1.4 * i, -6, 0)
        residue.add_atom(atom)
    return residue


def save(path, *models):
    structure = gemmi.Structure()
    for number, chains in enumerate(models, 1):
        model = gemmi.Model(number)
        for chain in chains:
            model.add_chain(chain)
        structure.add_model(model)
    structure.setup_entities()
    if path.name.endswith(".pdb"):
        structure.write_pdb(str(path))
    else:
        structure.make_mmcif_document().write_file(str(path))
    return path


@pytest.fixture
def complex_file(tmp_path):
    protein = helix(20)
    protein.add_residue(hetero("LIG", [("C1", "C"), ("O1", "O")]))
    protein.add_residue(hetero("ZN", [("ZN", "Zn")], 201))
    return save(tmp_path / "complex.cif", [protein, helix(12, ("CA",), "T", shift=9.0)])


def page_scene(page):
    text = re.search(r'<script type="application/json" id="scene">(.*?)</script>', page.read_text(), re.DOTALL)
    return json.loads(text[1])


def test_each_residue_is_drawn_with_what_it_has(complex_file):
    scene = build_scene(complex_file)
    drawn = {(scene.chains[r.chain], r.name): r.draw for r in scene.residues}
    assert drawn == {("A", "ALA"): CARTOON, ("A", "LIG"): STICKS, ("A", "ZN"): SPHERES, ("T", "ALA"): TRACE}
    ligand = [i for i, row in enumerate(scene.atom_residue) if scene.residues[row].name == "LIG"]
    assert ligand in [sorted(bond) for bond in scene.bonds[:, :2].tolist()]
    zinc = scene.element.index("Zn")
    assert zinc not in scene.bonds[:, :2]


def test_helix_is_seen_from_alpha_carbons_alone(complex_file):
    scene = build_scene(complex_file)
    for chain, count in (("A", 20), ("T", 12)):
        states = [r.secondary_structure for r in scene.residues if scene.chains[r.chain] == chain and r.name == "ALA"]
        assert states.count("h") >= count - 4


def test_confidence_bands_color_each_residue(tmp_path):
    scene = build_scene(save(tmp_path / "helix.pdb", [helix(24)]))
    assert scene.confident
    colors = scene.colors()["confidence"]
    assert colors[0] == "#0053d6"  # 95
    assert colors[5] == "#65cbf3"  # 85
    assert colors[15] == "#ffdb13"  # 65
    assert colors[23] == "#ff7d45"  # 49
    assert [confidence_color(v) for v in (90, 89.9, 70, 50, 0)] == [
        "#0053d6", "#65cbf3", "#65cbf3", "#ffdb13", "#ff7d45",
    ]  # fmt: skip


def test_atomic_b_factors_are_not_taken_for_confidence(tmp_path):
    chain = helix(20)
    for residue in chain:
        for i, atom in enumerate(residue):
            atom.b_iso = 10 + 7 * i
    page = write_view_html(save(tmp_path / "crystal.pdb", [chain]), tmp_path / "page.html")
    assert page_scene(page)["color"] == "chain"


def test_marks_are_not_taken_for_confidence(tmp_path):
    chain = helix(20)
    for residue in chain:
        for atom in residue:
            atom.b_iso = float(residue.seqid.num > 8)
    assert not build_scene(save(tmp_path / "design.pdb", [chain])).confident


def test_what_rfdiffusion_says_of_a_design_colors_it(tmp_path):
    path = save(tmp_path / "design.pdb", [helix(10), helix(8, chain="B", first=11)])
    motif, target = [("A", 3), ("A", 4)], [("B", number) for number in range(11, 19)]
    content = {"con_hal_pdb_idx": motif, "complex_con_hal_pdb_idx": motif + target,
               "con_ref_pdb_idx": motif, "complex_con_ref_pdb_idx": motif + target}  # fmt: skip
    (tmp_path / "design.trb").write_bytes(pickle.dumps(content))
    scene = page_scene(write_view_html(path, tmp_path / "page.html"))
    assert scene["color"] == "motif"
    assert [i for i, r in enumerate(scene["residues"]) if r["motif"]] == [2, 3]
    assert len(set(scene["colors"]["motif"])) == 3


def test_residue_map_beside_a_design_colors_motif_scaffold_and_target(tmp_path):
    path = save(tmp_path / "design.cif", [helix(10), helix(8, chain="B", first=101)])
    kept = [("A", number) for number in (3, 4, 5)] + [("B", number) for number in range(101, 109)]
    layout = [{"design": {"chain": chain, "number": number, "insertion_code": ""}} for chain, number in kept]
    (tmp_path / "design.json").write_text(json.dumps({"residues": layout}))
    assert find_residue_map(path) == tmp_path / "design.json"
    scene = page_scene(write_view_html(path, tmp_path / "page.html"))
    assert scene["color"] == "motif"
    assert [i for i, r in enumerate(scene["residues"]) if r["motif"]] == [2, 3, 4]
    motif = scene["colors"]["motif"]
    assert len(set(motif)) == 3
    assert set(motif[2:5]).isdisjoint(motif[:2] + motif[5:])
    assert len(set(motif[10:])) == 1
    assert [text for _, text in scene["legends"]["motif"]] == ["Motif", "Scaffold (designed)", "Given chain"]


def test_structure_in_memory_is_drawn_like_its_file(tmp_path):
    structure = build_structure([ChainSequence(name="A", kind=ChainKind.PROTEIN, residues=("ALA",) * 6)], name="six")
    positions = {}
    for i, residue in enumerate(helix(6)):
        positions.update({(i, atom.name): atom.pos.tolist() for atom in residue})
    keys = list(zip(structure.atoms.residue.tolist(), structure.atoms.name.tolist(), strict=True))
    resolved = np.array([key in positions for key in keys])  # CB is not
    placed = structure.with_positions([positions.get(key, [0.0] * 3) for key in keys], resolved=resolved)
    scene, other = build_scene(placed), build_scene(save(tmp_path / "six.cif", [helix(6)]))
    assert scene.atom_name == other.atom_name
    assert [(r.name, r.number, r.draw) for r in scene.residues] == [(r.name, r.number, r.draw) for r in other.residues]
    np.testing.assert_allclose(scene.frames, other.frames, atol=0.0015)
    assert sorted(map(sorted, scene.bonds[:, :2].tolist())) == sorted(map(sorted, other.bonds[:, :2].tolist()))


def test_other_json_beside_a_structure_is_left_alone(tmp_path):
    path = save(tmp_path / "a.cif", [helix(6)])
    (tmp_path / "a.json").write_text('{"plddt": [1, 2]}')
    assert find_residue_map(path) is None


@pytest.mark.parametrize("name", ["a.pdb", "a.cif", "models.pdb", "models.cif"])
def test_page_is_whole_and_offline(tmp_path, name):
    models = [[helix(9)], [helix(9)], [helix(9)]] if name.startswith("models") else [[helix(9)]]
    page = write_view_html(save(tmp_path / name, *models), tmp_path / "page.html")
    text = page.read_text()
    markup = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    assert not re.search(r"""(src|href)\s*=\s*["']?\s*(https?:)?//""", markup)
    assert "<script src" not in text
    assert "<link" not in text
    assert "connect-src" not in text
    assert "default-src 'none'" in text
    assert len(text) > 500_000  # 3Dmol.js is in it
    assert not re.search(r"@[A-Z_]+@", markup)
    scene = page_scene(page)
    assert len(scene["frames"]) == len(models)
    positions = np.frombuffer(base64.b64decode(scene["frames"][-1]), "<f4").reshape(-1, 3)
    expected = [atom.pos.tolist() for residue in helix(9) for atom in residue]
    np.testing.assert_allclose(positions, expected, atol=0.0015)


def test_names_cannot_break_out_of_the_page(tmp_path):
    evil = "</script><script>alert(1)</script><!--&@SCENE@"
    path = save(tmp_path / "a.cif", [helix(6)])
    page = write_view_html(path, tmp_path / "page.html", title=evil)
    plain = write_view_html(path, tmp_path / "plain.html")
    count = page.read_text().count
    assert count("<script") == plain.read_text().count("<script")
    assert count("</script") == plain.read_text().count("</script")
    assert count("<!--") == plain.read_text().count("<!--")
    assert page_scene(page)["name"] == evil


def test_trajectory_frames_are_those_given(tmp_path):
    path = save(tmp_path / "a.pdb", [helix(6)])
    frames = np.random.default_rng(0).normal(size=(4, 24, 3)).astype(np.float32)
    np.testing.assert_array_equal(build_scene(path, trajectory=frames).frames, frames)
    film = save(tmp_path / "film.cif", [helix(6)], [helix(6)])
    assert build_scene(path, trajectory=film).frames.shape == (2, 24, 3)
    with pytest.raises(InputError, match="does not fit"):
        build_scene(path, trajectory=frames[:, :5])
    with pytest.raises(InputError, match=r"lacks atom A/ALA1/N .*of a design with another sequence its backbone"):
        build_scene(path, trajectory=save(tmp_path / "ca.cif", [helix(6, ("CA",))]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"style": "carton"}, "did you mean 'cartoon'"),
        ({"color": "chian"}, "did you mean 'chain'"),
        ({"color": "motif"}, "residue map"),
        ({"residue_map": {"residues": "A1-5"}}, "list 'residues'"),
        ({"residue_map": {"residues": [{"chain": "A"}]}}, "needs 'design'"),
        ({"residue_map": "absent.json"}, "absent.json"),
        ({"out": "absent/page.html"}, "cannot be written"),
        ({"structure": "absent.cif"}, "no such file"),
        ({"structure": "empty.cif"}, "empty.cif"),
        ({"structure": "words.pdb"}, "no atoms"),
    ],
)
def test_bad_input_is_one_clear_line(tmp_path, monkeypatch, change, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.cif").write_text("")
    (tmp_path / "words.pdb").write_text("just words\n")
    save(tmp_path / "a.cif", [helix(6)])
    with pytest.raises(InputError, match=message) as caught:
        write_view_html(**{"structure": "a.cif", "out": "page.html", **change})
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "page.html").exists()


def test_no_browser_is_no_failure(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError("no display")

    monkeypatch.setattr("webbrowser.open", refuse)
    assert open_in_browser(tmp_path / "page.html") is False


@pytest.mark.parametrize("name", ["a.pdb", "page"])
def test_a_page_never_takes_the_place_of_a_structure(tmp_path, name):
    path = save(tmp_path / "a.pdb", [helix(6)])
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"out: a page ends so .*allowed: \.html, \.htm"):
        write_view_html(path, tmp_path / name)
    assert path.read_bytes() == before


def test_notebook_view_needs_no_network(tmp_path):
    pytest.importorskip("py3Dmol")
    shown = view(save(tmp_path / "a.cif", [helix(6)], [helix(6)]), width=300, height=200)
    text = shown.write_html()
    assert "cdn" not in text.split("loadScriptAsync('")[1][:40]
    assert "loadScriptAsync('data:text/javascript;base64," in text
    assert ".animate(" in text
    assert "300px" in text


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def screenshot(page, tmp_path):
    """Pixels (height, width, 3) of a page in a real browser without network, and what its console said."""
    image = pytest.importorskip("matplotlib.image")
    picture = tmp_path / f"{page.stem}.png"
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--use-gl=angle", "--use-angle=swiftshader",
        "--enable-unsafe-swiftshader", "--host-resolver-rules=MAP * ~NOTFOUND",
        f"--user-data-dir={tmp_path / 'profile'}",
        "--virtual-time-budget=3000", "--enable-logging=stderr", "--window-size=900,600", f"--screenshot={picture}",
        page.as_uri(),
    ]  # fmt: skip
    home = {**os.environ, "HOME": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=home)
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line and page.name in line]
    return np.asarray(image.imread(picture))[..., :3], [line for line in console if "ReadPixels" not in line]


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_browser_draws_the_molecule_in_its_colors(complex_file, tmp_path):
    page = write_view_html(complex_file, tmp_path / "page.html", color="chain")
    pixels, console = screenshot(page, tmp_path)
    assert console == []
    stage = pixels[:, :600]
    blue = (stage[..., 2] > stage[..., 0] + 0.2).mean()  # chain A, the cartoon
    orange = (stage[..., 0] > stage[..., 2] + 0.2).mean()  # chain T, the trace
    assert blue > 0.01
    assert orange > 0.002


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_browser_draws_in_a_notebook_page(complex_file, tmp_path):
    pytest.importorskip("py3Dmol")
    page = tmp_path / "notebook.html"
    page.write_text(f"<!doctype html><body>{view(complex_file, color='chain').write_html()}</body>")
    pixels, console = screenshot(page, tmp_path)
    assert console == []
    assert (pixels[..., 2] > pixels[..., 0] + 0.2).mean() > 0.01


@pytest.mark.parametrize("read", [build_scene, read_structure])
def test_a_name_that_is_not_utf8_is_refused(read, tmp_path):
    file = tmp_path / os.fsdecode(b"b\xf6d.pdb")
    file.touch()
    with pytest.raises(InputError, match="not UTF-8: rename it"):
        read(file)


def test_what_can_be_read_can_be_drawn(tmp_path):
    old = Path(__file__).parents[1] / "data/pdb1gdr.ent.gz"  # entry name and line numbers where element and charge are
    assert build_scene(old).residues
    holed = helix(8)
    holed[3][1].pos = gemmi.Position(np.nan, np.nan, np.nan)
    file = tmp_path / "holed.pdb"
    save(file, [holed])
    scene = build_scene(file)
    assert np.isfinite(scene.frames).all()
    assert len(scene.atom_name) == 8 * 4 - 1


def test_what_is_no_structure_is_refused_with_what_is():
    with pytest.raises(InputError, match=r"structure: .*found 'int'.*a Structure, a Prediction"):
        view(3)


def test_what_has_a_structure_is_drawn_with_its_map(tmp_path):
    class Made:
        structure = read_structure(save(tmp_path / "a.cif", [helix(6)]))
        residue_map = {"residues": [{"design": {"chain": "A", "number": 2}, "motif": {"chain": "A", "number": 2}}]}

    assert '"color":"motif"' in view(Made()).startjs
    assert '"color":"chain"' in view(Made(), color="chain").startjs
    Made.residue_map = None
    assert '"color":"motif"' not in view(Made()).startjs
    with pytest.raises(InputError, match=r"width: must be a whole number .found 'x'"):
        view(Made(), width="x")
