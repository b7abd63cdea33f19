"""The one command for minutes of a GPU, on a CPU: two calls, the second on what the first one carried away."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from structdiff.chemistry.bundled import bundled_codes
from structdiff.chemistry.components import component
from structdiff.errors import InputError
from structdiff.model.checkpoint import load_weights
from structdiff.training import set_archive
from structdiff.training.converter import convert_structures
from structdiff.training.dataset import StructureSet
from tests.training.test_training import COLLECTION

_ROOT = Path(__file__).parents[2]
_SETTINGS = """
data: data
out: runs
model: tiny
noise_levels: 2
batches: {crops: [[16, 2, 0.5], [24, 1, 0.5]], fixed_size: true}
accelerator: cpu
precision: bf16-mixed
compile: true
workers: 1
threads: 1
save_minutes: 0.05
log_steps: 1
validate_steps: 1000
"""


def call(tmp_path: Path, run: str, *options: str) -> dict:
    command = [sys.executable, str(_ROOT / "benchmarks" / "train_gpu.py"), str(tmp_path / "data.set")]
    command += [str(tmp_path / run), "--minutes", "5", "--settings", str(tmp_path / "settings.yaml")]
    command += ["--carry", str(tmp_path / f"{run}.carried"), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, cwd=_ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_two_calls_on_two_machines_make_one_run(tmp_path):
    convert_structures(COLLECTION, tmp_path / "set", progress=False)
    set_archive.pack(tmp_path / "set", tmp_path / "data.set")
    (tmp_path / "settings.yaml").write_text(_SETTINGS)
    first = call(tmp_path, "one", "--max-steps", "3", "--no-compile")
    assert first["problems"] == []
    assert first["steps"] == first["steps of this call"] == 3
    assert first["loss"] > 0
    assert first["noisy samples a second"] > 0
    assert first["TFLOP a second"] > 0
    assert len(list((tmp_path / "one.carried").iterdir())) <= 8
    carried = str(tmp_path / "one.carried")
    again = call(tmp_path, "two", "--carried", carried, "--last", "--max-steps", "5", "--no-compile")
    assert again["steps"] == 5
    assert again["steps of this call"] == 2
    assert load_weights(tmp_path / "two" / "weights").training["steps"] == 5


def test_a_set_comes_out_of_its_archive_as_it_was(tmp_path):
    convert_structures(COLLECTION, tmp_path / "set", progress=False)
    size = set_archive.pack(tmp_path / "set", tmp_path / "data.set")
    assert size < 0.8 * sum(path.stat().st_size for path in (tmp_path / "set").iterdir())
    set_archive.unpack(tmp_path / "data.set", tmp_path / "again")
    for path in (tmp_path / "set").iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes(), path.name
    assert StructureSet(tmp_path / "again", "train").names == StructureSet(tmp_path / "set", "train").names
    (tmp_path / "data.set").write_bytes((tmp_path / "data.set").read_bytes()[:-9])
    with pytest.raises(InputError, match=r"data\.set"):
        set_archive.unpack(tmp_path / "data.set", tmp_path / "broken")
    with pytest.raises(InputError, match="no training set"):
        set_archive.pack(tmp_path, tmp_path / "data.set")
    assert set_archive.main(["unpack", str(tmp_path / "nothing.set"), str(tmp_path / "folder")]) == 2
    assert not (tmp_path / "folder").exists()


_WITHOUT_DICTIONARY = """
import sys
sys.modules["biotite"] = None
from structdiff.chemistry.components import component
from structdiff.training.batches import BatchConfig, TrainingBatches
from structdiff.training.dataset import StructureSet
from structdiff.training.tasks import TaskMix
batches = TrainingBatches(StructureSet(sys.argv[1], "train"), BatchConfig(crops=((64, 2, 1.0),)), TaskMix(), seed=0)
for number in range(4):
    batches.batch(number)
print(len(component(sys.argv[2]).atom_names))
component("0G6")
"""


def test_a_set_that_was_carried_needs_no_dictionary(tmp_path):
    convert_structures(COLLECTION, tmp_path / "set", progress=False)
    code = "QUI"  # quinoxaline-2-carboxylic acid, in one of the structures
    assert code not in bundled_codes()
    set_archive.pack(tmp_path / "set", tmp_path / "data.set")
    set_archive.unpack(tmp_path / "data.set", tmp_path / "again")
    command = [sys.executable, "-c", _WITHOUT_DICTIONARY, str(tmp_path / "again"), code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=_ROOT)
    assert done.stdout.strip() == str(len(component(code).atom_names)), done.stderr
    assert "biotite, which is not installed" in done.stderr
