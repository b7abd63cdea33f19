"""What the README, the examples and the documentation say is so."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from jaxtyping import TypeCheckError

from structdiff.geometry.distances import norm

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "examples/README.md", "csrc/README.md", "weights/mini/MODEL_CARD.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]


def command(name: str) -> str:
    script = [sys.executable, str(ROOT / ".ci/readme_command.py"), name]
    return subprocess.run(script, check=True, capture_output=True, text=True).stdout.strip()


def test_the_two_commands_come_first():
    blocks = re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
    assert [block.strip() for block in blocks[:2]] == [command("design"), command("test")]
    assert "pip install . && structdiff design " in command("design")
    assert "pytest" in command("test")


def test_an_unknown_command_is_an_error():
    with pytest.raises(subprocess.CalledProcessError):
        command("cook")


def test_python_in_the_readme_uses_public_names():
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) >= 2
    nodes = [node for block in blocks for node in ast.walk(ast.parse(block)) if isinstance(node, ast.Attribute)]
    names = {node.attr for node in nodes if isinstance(node.value, ast.Name) and node.value.id == "structdiff"}
    import structdiff

    assert names <= set(structdiff.__all__)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_calls_in_the_text_are_of_public_names(document):
    import structdiff

    text = document.read_text(encoding="utf-8")
    assert set(re.findall(r"`structdiff\.(\w+)[\w.]*\(", text)) <= set(structdiff.__all__)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_files_named_are_there(document):
    text = document.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if not target.startswith("http"):
            assert (document.parent / target).exists(), target


def anchors(document: Path) -> set[str]:
    """What a link may name after "#": the headings, as GitHub makes anchors of them."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_sections_named_are_there(document):
    text = document.read_text(encoding="utf-8")
    for name, anchor in re.findall(r"\]\(([^)#\s]*)#([^)\s]+)\)", text):
        if not name.startswith("http"):
            assert anchor in anchors(document.parent / name if name else document), f"{name}#{anchor}"


def test_modules_in_the_architecture_are_there():
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:structdiff|tests|benchmarks|examples|docs)/[\w./-]+)`", text))
    assert len(named) > 100
    for path in named:
        assert (ROOT / path).exists(), f"{path}: run python .ci/module_list.py"
    for package in (path for path in (ROOT / "structdiff").iterdir() if (path / "__init__.py").exists()):
        assert f"**structdiff/{package.name}/**" in text, f"{package.name}: run python .ci/module_list.py"


def test_shapes_are_checked_while_testing():
    with pytest.raises(TypeCheckError):
        norm(torch.tensor([3.0, 4.0]))
    assert norm(torch.tensor([3.0, 4.0, 0.0])) == pytest.approx(5.0)


def test_the_source_distribution_has_every_file_of_the_repository():
    egg_info = pytest.importorskip("setuptools.command.egg_info")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode != 0:
        # An unpacked source distribution has nothing to be compared with: git alone knows what the repository holds.
        pytest.skip("no git checkout")
    tracked = egg_info.FileList()
    tracked.allfiles = listed.stdout.splitlines()
    for line in (ROOT / "MANIFEST.in").read_text(encoding="utf-8").splitlines():
        tracked.process_template_line(line)
    of_setuptools = {"pyproject.toml", "setup.py", "MANIFEST.in"}
    missing = set(tracked.allfiles) - set(tracked.files) - of_setuptools
    assert sorted(path for path in missing if not re.fullmatch(r"structdiff/.*\.py", path)) == []
