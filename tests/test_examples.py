"""Every example runs: scripts and notebook with few sampling steps, the training settings for two steps."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from structdiff.structure.files import read_structure

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
COLLECTION = Path(__file__).parent / "training/data/collection"

pytestmark = pytest.mark.slow


def run(*command: str | Path, cwd: Path) -> str:
    # Nothing is asked of the network: an example that tried would fail at once.
    offline = {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}
    path = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *map(str, command)], cwd=cwd, capture_output=True, text=True, env=os.environ | offline | path
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_prediction_of_a_protein_dna_and_a_ligand(tmp_path):
    said = run(EXAMPLES / "predict.py", "--steps", "4", "--out", tmp_path, cwd=tmp_path)
    assert "mean pLDDT" in said
    structure = read_structure(tmp_path / "metj_1.cif")
    assert structure.chains.name.tolist() == ["A", "B", "C", "L"]
    assert (structure.residues.name == "SAM").sum() == 1
    assert structure.atoms.resolved.all()


def test_designs_hold_the_motif(tmp_path):
    run(EXAMPLES / "design_motif.py", "--steps", "4", "--num-designs", "2", "--out", tmp_path, cwd=tmp_path)
    with (tmp_path / "designs.csv").open() as table:
        rows = list(csv.DictReader(table))
    assert all(row["verdict: motif"].endswith("(met)") for row in rows)
    assert all(55 <= int(row["polymer_residues"]) <= 65 for row in rows)
    assert json.loads((tmp_path / "site_v_1.residue_map.json").read_text())


def test_designs_from_nothing_are_measured(tmp_path):
    few = ["--steps", "4", "--num-designs", "2"]
    said = run(EXAMPLES / "design_unconditional.py", *few, "--out", tmp_path, cwd=tmp_path)
    assert "Ramachandran" in said
    assert len(list(tmp_path.glob("free_*.cif"))) == 2


def test_guidance_changes_the_design(tmp_path):
    few = ["--steps", "4", "--num-designs", "1", "--weights-of-condition", "0", "2"]
    said = run(EXAMPLES / "guidance.py", *few, "--out", tmp_path, cwd=tmp_path)
    assert said.count("helix") == 2
    without, with_ = (read_structure(tmp_path / f"helices_weight_{weight}_1.cif") for weight in (0, 2))
    assert not np.array_equal(without.atoms.positions, with_.atoms.positions)


def test_training_settings_are_understood(tmp_path):
    run("-m", "structdiff", "prepare", COLLECTION, tmp_path / "data", cwd=tmp_path)
    settings = ["--model", "tiny", "--max-steps", "2", "--accelerator", "cpu", "--out", "trained"]
    run("-m", "structdiff", "train", EXAMPLES / "train_mini.yaml", *settings, cwd=tmp_path)
    assert (tmp_path / "trained/weights/model.safetensors").stat().st_size > 0
    assert json.loads((tmp_path / "trained/run.json").read_text())["steps"] == 2


def test_the_motif_file_is_a_cut(tmp_path):
    source = EXAMPLES / "5tpn_site_v.pdb"
    said = run(EXAMPLES / "cut_motif.py", source, "A", "163", "181", tmp_path / "motif.pdb", cwd=tmp_path)
    assert said.split()[0] == "19"
    assert read_structure(tmp_path / "motif.pdb").residues.author_seq_id.tolist() == list(range(163, 182))


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["cut_motif.py", EXAMPLES / "5tpn_site_v.pdb", "A", "200", "300", "m.pdb"], "no residues 200 to 300"),
        (["cut_motif.py", EXAMPLES / "5tpn_site_v.pdb", "Z", "163", "181", "m.pdb"], "Chain Z not found"),
        (["design_motif.py", "--weights", "nope"], "no such weights"),
        (["design_unconditional.py", "--length", "70-50"], "the range is reversed"),
        (["guidance.py", "--num-designs", "0"], "at least one design"),
        (["predict.py", "--fasta", "nope.fasta"], "no such file"),
    ],
)
def test_wrong_arguments_are_told_in_a_line(command, says, tmp_path):
    script = [sys.executable, EXAMPLES / command[0], *command[1:]]
    done = subprocess.run(
        script, cwd=tmp_path, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore")
def test_the_notebook_runs(tmp_path, monkeypatch):
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(EXAMPLES / "view.ipynb", as_version=4)
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(EXAMPLES)}}).execute()
    pages = [output.data["text/html"] for cell in notebook.cells if cell.cell_type == "code"
             for output in cell.outputs if "text/html" in output.get("data", {})]  # fmt: skip
    assert len(pages) == 3
    assert all("structdiffScene" in page and 'src="http' not in page for page in pages)


def executed(name: str, monkeypatch) -> str:
    """What the cells of a notebook print."""
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(EXAMPLES / name, as_version=4)
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(EXAMPLES)}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    return "".join(output.get("text", "") for output in outputs)


@pytest.mark.filterwarnings("ignore")
def test_the_notebook_of_a_trimer_around_a_motif(monkeypatch):
    said = executed("symmetry.ipynb", monkeypatch)
    assert "symmetry: 0.0" in said
    assert "(met; asked: C3: 3 copies of one sequence" in said
    assert "not met" not in said
    assert said.count("['A']") == said.count("['B']") == said.count("['C']") == 1


@pytest.mark.filterwarnings("ignore")
def test_the_notebook_of_partial_diffusion(monkeypatch):
    said = executed("partial_diffusion.ipynb", monkeypatch)
    away = [float(line.split(", ")[1].split()[0]) for line in said.splitlines() if "Å: TM-score" in line]
    assert away == sorted(away)
    assert len(away) == 3
    assert "motif: 0.00 Å RMSD (met)" in said


@pytest.mark.parametrize(
    ("name", "chains", "asked"),
    [
        ("symmetry_around_motif", 3, {"symmetry", "motif"}),
        ("symmetry_dihedral", 4, {"symmetry"}),
        ("symmetry_cage", 60, {"symmetry"}),
        ("symmetry_fibre", 7, {"symmetry"}),
        ("partial_diffusion", 1, {"motif"}),
        ("inpaint_loop", 1, {"motif"}),
        ("fusion", 1, {"motif"}),
    ],
)
def test_problems_of_symmetry_and_of_parts_built_anew(name, chains, asked, tmp_path):
    few = ["--steps", "6", "--no-relax", "--sequences", "1", "--refold", "none"]
    run("-m", "structdiff", "design", EXAMPLES / f"problems/{name}.yaml", *few, "--out", tmp_path, "-q", cwd=tmp_path)
    # Without fetched weights no sequence design took place, and the design itself is all there is.
    backbones = tmp_path / "backbones"
    (path,) = (backbones if backbones.is_dir() else tmp_path).glob("*.cif")
    assert len(read_structure(path).chains) == chains
    verdicts = json.loads(path.with_suffix("").with_suffix(".confidence.json").read_text())["verdicts"]
    assert asked <= {each["name"] for each in verdicts if each["met"]}


def test_a_command_line_of_rfdiffusion_is_read(tmp_path):
    said = run(
        "-m", "structdiff", "import", EXAMPLES / "problems/rfdiffusion_site_v.sh", "--out", tmp_path, cwd=tmp_path
    )
    assert "structdiff design" in said
    layout = run("-m", "structdiff", "design", tmp_path / "site_v.yaml", "--dry-run", cwd=tmp_path)
    assert "A163-181" in layout


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["motif", "binder", "own_energy"])
def test_notebooks_of_design_problems_run(name, monkeypatch):
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(EXAMPLES / f"{name}.ipynb", as_version=4)
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(EXAMPLES)}}).execute()
    said = "".join(output.get("text", "") for cell in notebook.cells if cell.cell_type == "code"
                   for output in cell.outputs)  # fmt: skip
    assert "met" in said
    assert "not met" not in said
