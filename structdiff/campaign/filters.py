"""Filters: conditions on the columns of the results, as ``sc_rmsd < 2 and motif_rmsd < 1``; read, never executed."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from structdiff.campaign.columns import COME_WITH, YES_OR_NO
from structdiff.errors import InputError

_COMPARED: Mapping[type, tuple[str, Callable[[Any, Any], bool]]] = {
    ast.Lt: ("<", operator.lt), ast.LtE: ("<=", operator.le), ast.Gt: (">", operator.gt), ast.GtE: (">=", operator.ge),
    ast.Eq: ("==", operator.eq), ast.NotEq: ("!=", operator.ne),
}  # fmt: skip
_RECKONED: Mapping[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
}  # fmt: skip
_FUNCTIONS: Mapping[str, Callable[..., Any]] = {"abs": abs, "min": min, "max": max}
_LONGEST = 2000
_ALLOWED = "columns, numbers, < <= > >= == !=, and, or, not, + - * /, abs, min, max, parentheses"


class _WithTruths(ast.NodeTransformer):
    """Reads true and false as tables write them."""

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """The truth of that name, or the name as it is."""
        return ast.copy_location(ast.Constant(node.id == "true"), node) if node.id in ("true", "false") else node


class Missing(Exception):
    """A value that this design does not have; its name."""


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One condition: its text, the columns it looks at, and its syntax tree."""

    text: str
    columns: frozenset[str]
    tree: ast.expr

    def failure(self, columns: Mapping[str, Any]) -> str | None:
        """Why a design does not meet it, with the values it has; None where it does."""
        try:
            if _value(self.tree, columns):
                return None
        except Missing as missing:
            return f"{self.text} ({missing} is not known)"
        except ZeroDivisionError:
            return f"{self.text} (division by zero)"
        values = ", ".join(f"{name} is {_short(columns[name])}" for name in sorted(self.columns))
        return f"{self.text} ({values})"


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Conditions that must all be met."""

    text: str
    conditions: tuple[Condition, ...]

    @property
    def columns(self) -> frozenset[str]:
        """All columns that it looks at."""
        return frozenset().union(*(each.columns for each in self.conditions))

    def failures(self, columns: Mapping[str, Any]) -> tuple[str, ...]:
        """Why a design is rejected: one reason a condition that it does not meet."""
        return tuple(reason for each in self.conditions if (reason := each.failure(columns)) is not None)


def parse_filter(text: str) -> Filter:
    """A filter from its text; conditions joined by ``and`` are counted apart. Raises InputError.

    >>> parse_filter("sc_rmsd < 2 and (plddt > 70 or iptm > 0.5)").conditions[1].text
    'plddt > 70 or iptm > 0.5'
    """
    if len(text) > _LONGEST:
        raise InputError("the filter is too long", key="filter", found=f"{len(text)} characters", allowed=str(_LONGEST))
    try:
        tree = _WithTruths().visit(ast.parse(text.strip(), mode="eval")).body
        parts = tree.values if isinstance(tree, ast.BoolOp) and isinstance(tree.op, ast.And) else [tree]
        for part in parts:
            _check(part, condition=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise InputError("the filter cannot be read", key="filter", found=text, allowed="sc_rmsd < 2 and plddt > 70, "
                         "say") from None  # fmt: skip
    return Filter(
        text=text,
        conditions=tuple(
            Condition(text=ast.unparse(part), columns=_names(part), tree=part) for part in parts
        ),
    )  # fmt: skip


def check_columns(wanted: Collection[str], known: Collection[str], *, key: str = "filter") -> None:
    """Raises InputError for a column that does not exist, naming the nearest that does, or what it comes with."""
    for name in sorted(set(wanted) - set(known)):
        if name in COME_WITH:
            raise InputError(f"this column comes with {COME_WITH[name]}, of which nothing is asked here", key=key,
                             found=name)  # fmt: skip
        raise InputError("there is no such column (structdiff explain lists them)", key=key, found=name,
                         suggest_from=known)  # fmt: skip


def _names(tree: ast.expr) -> frozenset[str]:
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    return frozenset(node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in called)


def _check(node: ast.expr, *, condition: bool) -> None:
    """Refuses whatever is not in the small language. condition: something true or false is wanted here."""
    if isinstance(node, ast.BoolOp):
        for value in node.values:
            _check(value, condition=True)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        _check(node.operand, condition=True)
    elif isinstance(node, ast.Compare) and all(type(op) in _COMPARED for op in node.ops):
        for value in (node.left, *node.comparators):
            _check(value, condition=False)
    elif isinstance(node, ast.Name):
        if condition and node.id not in YES_OR_NO:
            raise InputError("a number is no condition by itself", key="filter", found=node.id,
                             allowed=f"a comparison, as {node.id} < 2, or {', '.join(YES_OR_NO)}")  # fmt: skip
    elif condition:
        _refuse(node, "this is no condition")
    elif isinstance(node, ast.BinOp) and type(node.op) in _RECKONED:
        _check(node.left, condition=False)
        _check(node.right, condition=False)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        _check(node.operand, condition=False)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS:
        if node.keywords or not node.args or (node.func.id == "abs") != (len(node.args) == 1):
            _refuse(node, "wrong number of values")
        for value in node.args:
            _check(value, condition=False)
    elif not (isinstance(node, ast.Constant) and isinstance(node.value, int | float | str)):
        _refuse(node, "this cannot stand in a filter")


def _refuse(node: ast.expr, message: str) -> None:
    raise InputError(message, key="filter", found=ast.unparse(node), allowed=_ALLOWED)


def _value(node: ast.expr, columns: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.BoolOp):
        together = all if isinstance(node.op, ast.And) else any
        return together(_value(each, columns) for each in node.values)
    if isinstance(node, ast.Compare):
        left = _value(node.left, columns)
        for op, comparator in zip(node.ops, node.comparators, strict=True):
            right = _value(comparator, columns)
            if isinstance(left, str) != isinstance(right, str):
                raise InputError("a word and a number cannot be compared", key="filter", found=ast.unparse(node))
            if not _COMPARED[type(op)][1](left, right):
                return False
            left = right
        return True
    if isinstance(node, ast.UnaryOp):
        value = _value(node.operand, columns)
        return not value if isinstance(node.op, ast.Not) else -value if isinstance(node.op, ast.USub) else value
    if isinstance(node, ast.BinOp):
        return _RECKONED[type(node.op)](_value(node.left, columns), _value(node.right, columns))
    if isinstance(node, ast.Call):
        assert isinstance(node.func, ast.Name)
        return _FUNCTIONS[node.func.id](*(_value(each, columns) for each in node.args))
    if isinstance(node, ast.Constant):
        return node.value
    assert isinstance(node, ast.Name)
    value = columns.get(node.id)
    if value is None or value != value:
        raise Missing(node.id)
    return value


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)
