"""Prints a command of README.md: the fenced block after the comment <!-- command: NAME -->.

python .ci/readme_command.py NAME
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"


def readme_command(name: str, text: str) -> str:
    """The shell block that follows the marker of that name; raises LookupError unless there is just one."""
    blocks = re.findall(rf"<!-- command: {re.escape(name)} -->\s*\n```(?:bash|sh|console)\n(.*?)```", text, re.DOTALL)
    if len(blocks) != 1:
        raise LookupError(f"README.md has {len(blocks)} commands called {name}")
    return blocks[0].strip()


if __name__ == "__main__":
    print(readme_command(sys.argv[1], README.read_text(encoding="utf-8")))
