"""Examples below a command's help."""

from __future__ import annotations


def example_lines(*lines: str) -> str:
    """The epilog of a command: one example a line, shown as they would be typed."""
    # Rich joins single line ends; brackets are its markup.
    return "\n\n".join(["[bold]Examples[/bold]", *("  " + line.replace("[", r"\[") for line in lines)])
