"""Every example of docs/design.md is read by the code it describes."""

import doctest
import re
from pathlib import Path

import pytest

from structdiff.spec import read_design

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "design.md"
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
FILES = ("site.pdb", "target.pdb", "natural.pdb", "cup.xyz", "own.py")
INPUTS = [body for kind, body in BLOCKS if kind == "yaml"]


@pytest.mark.parametrize("body", INPUTS)
def test_files(body, tmp_path):
    for name in FILES:
        (tmp_path / name).write_text("a file")
    path = tmp_path / "design.yaml"
    path.write_text(body if "contigs" in body else f"contigs: 60 20\n{body}")
    assert read_design(path).num_designs == 1


def test_python(monkeypatch):
    monkeypatch.chdir(ROOT)
    tried = doctest.testfile(str(PAGE), module_relative=False)
    assert tried.attempted >= 5
    assert tried.failed == 0


def test_each_kind_of_problem_is_shown():
    assert len(INPUTS) >= 5
