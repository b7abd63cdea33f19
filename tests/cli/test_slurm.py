"""The script of an array of jobs: nothing is written that its jobs could not do, and bash can run it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from structdiff.campaign.manifest import Manifest

ASKED = ("--length", "12-14", "--sequences", 2, "--steps", 2, "--no-relax", "--refold", "none", "-n", 3)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--length", 30, "--stpes", 4), "No such option: --stpes"),
        (("--length", 30, "--steps", "four"), "--steps"),
        (("--length", 30, "-n", 4, "--filter", "sc_rmds < 2"), "did you mean 'sc_rmsd'?"),
        (("nowhere.yaml",), "nowhere.yaml: no such file"),
        (("--length", 30, "-n", 4, "--device", "cdua"), "did you mean 'cuda'?"),
        (("--length", 30, "-n", 4, "-oelsewhere"), "this is set by the script (found '--out')"),
        (("--length", 30, "-n", 4, "--overwrite"), "--overwrite"),
        (("--length", 30, "-n", 1), "some jobs would have no design to make"),
    ],
)
def test_what_its_jobs_would_refuse_is_refused_when_the_script_is_written(command, tmp_path, words, said) -> None:
    code, _, errors = command("campaign", "slurm", "--parts", 2, "--out", "all", "--", *words)
    assert code == 2
    assert said in errors[-1]
    assert list(tmp_path.iterdir()) == []


def test_each_job_makes_its_part_and_has_its_log_in_the_folder(command, weights, tmp_path) -> None:
    out = "my designs 100%"
    code, _, _ = command("campaign", "slurm", "--parts", 2, "--out", out, "--", *ASKED, "--weights", weights)
    assert code == 0
    script = (tmp_path / "campaign.sbatch").read_text()
    assert "#SBATCH --output='my designs 100%%/slurm-%A_%a.log'" in script
    assert (tmp_path / out).is_dir()
    program = tmp_path / "bin" / "structdiff"
    program.parent.mkdir()
    program.write_text(f'#!/bin/bash\nexec {sys.executable} -m structdiff "$@"\n')
    program.chmod(0o755)
    outside = {"PATH": f"{program.parent}:{os.environ['PATH']}", "PYTHONPATH": str(Path(__file__).parents[2])}
    for task in (1, 2):
        environment = os.environ | outside | {"SLURM_ARRAY_TASK_ID": str(task)}
        subprocess.run(["bash", "campaign.sbatch"], cwd=tmp_path, env=environment, check=True, timeout=300)
    parts = [tmp_path / out / f"part_{task}" for task in (1, 2)]
    assert command("campaign", "merge", *parts, "--out", out)[0] == 0
    with Manifest(tmp_path / out, create=False) as manifest:
        assert {stage: set(states) for stage, states in manifest.counts().items()} == {
            "backbone": {"done"}, "sequence": {"done"},
        }  # fmt: skip
        assert len(list(manifest.rows(stage="backbone"))) == 3
    assert {path.stem for path in (tmp_path / out).glob("*.cif")} == {
        f"design_{n}_{k}" for n in (1, 2, 3) for k in (1, 2)
    }
    (parts[0] / "design_1_1.cif").unlink()
    code, _, errors = command("campaign", "merge", *parts, "--out", "elsewhere")
    again = "submit the jobs of their parts again, then merge again"
    assert (code, errors) == (2, [f"error: files are missing: elsewhere/design_1_1.cif; {again}"])
    hurt = parts[1] / "design_2_1.cif"
    hurt.write_bytes(hurt.read_bytes()[:500])
    code, _, errors = command("campaign", "merge", *parts, "--out", "elsewhere2")
    assert code == 2
    assert errors[0] == f"error: files are damaged, and were not taken: {hurt}; {again}"
    assert {path.stem for path in (tmp_path / "elsewhere2").glob("*.cif")} == {
        "design_1_2", "design_2_2", "design_3_1", "design_3_2",
    }  # fmt: skip


def test_a_folder_that_fits_into_no_line_of_a_script_is_refused(command, tmp_path) -> None:
    code, _, errors = command("campaign", "slurm", "--parts", 2, "--out", "a\nb", "--", "--length", 20, "-n", 2)
    assert code == 2
    assert errors == ["error: out: Slurm reads it from one line of the script (found 'a\\nb')"]
    assert list(tmp_path.iterdir()) == []
