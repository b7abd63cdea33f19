"""Every example of docs/design.md, and of partial diffusion, is read by the code it describes, and its layout drawn."""

import doctest
import re
from pathlib import Path

import pytest

from structdiff import layouts

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "design.md"
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
PARTIAL = re.findall(
    r"^```yaml\n(.*?)^```$",
    (ROOT / "docs/design_partial.md").read_text(encoding="utf-8"),
    flags=re.MULTILINE | re.DOTALL,
)
INPUTS = [*(body for kind, body in BLOCKS if kind == "yaml"), *PARTIAL]
OWN_ENERGIES = [body for kind, body in BLOCKS if kind == "python" and "def flat" in body]


@pytest.mark.parametrize("body", INPUTS)
def test_files(body, tmp_path):
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / "own.py").write_text("".join(OWN_ENERGIES))
    path = tmp_path / "design.yaml"
    path.write_text(body)
    assert len(layouts(path)) == 1


def test_python(monkeypatch):
    monkeypatch.chdir(ROOT)
    tried = doctest.testfile(str(PAGE), module_relative=False)
    assert tried.attempted >= 5
    assert tried.failed == 0


def test_each_kind_of_problem_is_shown():
    assert len(INPUTS) >= 12
    assert len(OWN_ENERGIES) == 1
