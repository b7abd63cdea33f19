"""The fields of the library's settings classes, read from their source: names, types, defaults and help.

The source is read instead of the class being imported, because importing it would start torch, and ``--help`` would
take seconds.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources

#: A field without a default that can be read off: it is required, or computed.
NO_DEFAULT = object()


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One field of a settings class: its name, its type as written, its default and what its docstring says."""

    name: str
    annotation: str
    default: object
    help: str


@cache
def settings_of(module: str, name: str) -> dict[str, Setting]:
    """The fields of a dataclass by name, for instance ``settings_of("options", "RunOptions")["recycles"]``.

    module: below ``structdiff``. The help of a field is what follows ``field:`` in the docstring.
    """
    path = resources.files("structdiff") / f"{module.replace('.', '/')}.py"
    nodes = ast.parse(path.read_text(encoding="utf-8")).body
    node = next(each for each in nodes if isinstance(each, ast.ClassDef) and each.name == name)
    fields = [each for each in node.body if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)]
    names = [each.target.id for each in fields if isinstance(each.target, ast.Name)]
    help_of = field_help(ast.get_docstring(node) or "", names)
    return {
        field: Setting(
            name=field,
            annotation=ast.unparse(each.annotation),
            default=_literal(each.value),
            help=help_of.get(field, ""),
        )
        for field, each in zip(names, fields, strict=True)
    }


def field_help(docstring: str, names: list[str]) -> dict[str, str]:
    """What a docstring says after ``name:``, or after ``name, other:`` for both, for each of the names.

    >>> field_help("Two. steps: how many. solver: which.", ["steps", "solver"])
    {'steps': 'how many.', 'solver': 'which.'}
    """
    text = re.sub(r"``", "", docstring)
    words = "|".join(sorted(names, key=len, reverse=True))
    marks = list(re.finditer(rf"(?:^|(?<=[\s.]))((?:{words})(?:,\s+(?:{words}))*):\s", text))
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    return {
        name: " ".join(text[mark.end() : end].split())
        for mark, end in zip(marks, ends, strict=True)
        for name in re.split(r",\s+", mark[1])
    }


def _literal(value: ast.expr | None) -> object:
    try:
        return NO_DEFAULT if value is None else ast.literal_eval(value)
    except ValueError:
        return NO_DEFAULT
