"""Writes the list of modules into docs/architecture.md, from the first line of each module's docstring.

python .ci/module_list.py
"""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent
DOCUMENT = ROOT / "docs/architecture.md"
START, END = "<!-- modules -->\n", "<!-- end of modules -->\n"


def module_list() -> str:
    """A Markdown list: a package an entry, below it a line for each module."""
    lines: list[str] = []
    package = None
    files = sorted((ROOT / "structdiff").rglob("*.py"), key=lambda path: (path.parent, path.name))
    for path in files:
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        if path.name.startswith("__"):
            continue
        if path.parent != package:
            package = path.parent
            lines.append(f"\n**{package.relative_to(ROOT).as_posix()}/**\n")
        first = " ".join(text.split("\n\n")[0].split())
        lines.append(f"- `{path.relative_to(ROOT).as_posix()}`: {first}")
    return "\n".join(lines).lstrip("\n") + "\n"


if __name__ == "__main__":
    before, rest = DOCUMENT.read_text(encoding="utf-8").split(START)
    DOCUMENT.write_text(before + START + "\n" + module_list() + "\n" + END + rest.split(END)[1], encoding="utf-8")
