"""What docs/python.md shows runs, one block after the other, and the blocks of other pages each by itself."""

import re
from pathlib import Path

import pytest

from structdiff.published_weights import is_present

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"(?:<!-- needs: (\w+) -->\n)?```python\n(.*?)```", re.DOTALL)


@pytest.mark.parametrize("name", ["output", "evaluation", "sequences"])
def test_what_other_pages_show_runs(name, tmp_path, monkeypatch, capsys):
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    blocks = BLOCK.findall((ROOT / f"docs/{name}.md").read_text(encoding="utf-8"))
    assert blocks
    for needed, code in blocks:
        if not needed or is_present(needed):
            exec(compile(code, f"docs/{name}.md", "exec"), {})
            assert capsys.readouterr().out


def test_the_page_runs(tmp_path, monkeypatch, capsys):
    pytest.importorskip("py3Dmol")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for needed, code in BLOCK.findall((ROOT / "docs/python.md").read_text(encoding="utf-8")):
        if not needed or is_present(needed):
            exec(compile(code, "docs/python.md", "exec"), names)
    assert "2 <Design design_0000: A protein" in capsys.readouterr().out
    assert len(names["designs"]) == 3
    assert names["changed"].all_met
    assert list(names["prediction"].sequences) == ["A", "C", "D"]
    assert {each.name: each.met for each in names["prediction"].verdicts}["contact A/3 - C/2"]
    assert len(names["found"].table()) == 3
    assert names["ca"].shape == (45, 3)
    assert (tmp_path / "design.html").exists()
    if "written" in names:
        own, given = names["design"].sequences["A"], names["written"][0].sequences["A"]
        kept = [int(each[1:]) - 1 for each in names["motif"]]
        assert [given[place] for place in kept] == [own[place] for place in kept]
