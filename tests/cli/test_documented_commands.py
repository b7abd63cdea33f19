"""Commands that the README and the documents show: their options exist, and what they ask is understood."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMES = (
    "design",
    "input",
    "output",
    "evaluation",
    "sequences",
    "design_symmetry",
    "design_partial",
    "campaigns",
    "import",
    "boltz2",
    "boltzgen",
)
PAGES = [ROOT / "README.md", *(ROOT / f"docs/{name}.md" for name in NAMES)]
GROUPS = ("weights", "campaign")
#: Files that readers have are named as such; those in examples are there.
FILE = re.compile(r"\.(pdb|cif|yaml|json|fasta|a3m|restraints)(\.gz)?")


def commands(page: Path) -> list[list[str]]:
    """The words after ``structdiff`` of each command in the page's blocks, without remarks and other programs."""
    blocks = re.findall(r"```bash\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").replace("&&", "\n").splitlines()
    split = [shlex.split(line, comments=True) for line in lines]
    return [words[1:] for words in split if words[:1] == ["structdiff"]]


def can_be_tried(words: list[str]) -> bool:
    """Whether a command reads nothing but the examples, and needs no published weights."""
    files = [word for word in words if FILE.search(word) and "{" not in word]
    there = all(word.startswith("examples/") for word in files)
    published = {"hallucinated", "boltz2", "boltzgen"} & set(words)
    return words[0] in ("design", "predict") and there and not published


SHOWN = [pytest.param(words, id=f"{page.stem}: {' '.join(words)}") for page in PAGES for words in commands(page)]
DRAWN = [param for param in SHOWN if can_be_tried(param.values[0])]


def test_all_pages_show_commands():
    assert all(commands(page) for page in PAGES)
    assert len(DRAWN) > 25


@pytest.mark.parametrize("words", SHOWN)
def test_options_exist(words, command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    name = words[:2] if words[0] in GROUPS else words[:1]
    code, output, _ = command(*name, "--help")
    assert code == 0
    own = words[: words.index("--")] if "--" in words else words
    for option in (word.partition("=")[0] for word in own if word.startswith("-")):
        assert re.search(rf"(^|\s){re.escape(option)}\s", output, re.MULTILINE), option


@pytest.mark.parametrize("words", DRAWN)
def test_what_is_asked_is_understood(words, command, tmp_path):
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    code, output, errors = command(*words, *(() if "--dry-run" in words else ("--dry-run",)))
    assert (code, errors) == (0, [])
    assert "nothing was computed or written" in output
