"""A metric in words: what it is called, how it is reckoned, what is good, what nature has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: Which way is better; "none" is a description.
Direction = Literal["higher", "lower", "none"]
#: What one value belongs to: a structure, a whole set of structures, or a benchmark problem.
Scope = Literal["structure", "set", "problem"]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One column of a table.

    name: the key in JSON and CSV. label: the words in tables and plots. group: the heading it stands under. formula:
    how it is reckoned, in words. unit: "%" is a share, stored in [0, 1] and shown times 100; "" is a bare number.
    natural: the range (low, high) that 90 % of well-resolved natural chains fall in, where it is known, in the units of
    the stored value. source: paper or algorithm.
    """

    name: str
    label: str
    group: str
    formula: str
    unit: str = ""
    better: Direction = "none"
    scope: Scope = "structure"
    natural: tuple[float, float] | None = None
    source: str = ""

    @property
    def heading(self) -> str:
        """Label and unit, as a table's heading has them."""
        return f"{self.label}, {self.unit}" if self.unit else self.label

    @property
    def stored_unit(self) -> str:
        """The unit of its values in tables, filters and JSON: a share is one, though it is shown times 100."""
        return "share, 0 to 1" if self.unit == "%" else self.unit

    def is_unusual(self, value: float) -> bool:
        """Whether a value lies outside the natural range, on the side that is worse where one is."""
        if self.natural is None:
            return False
        low, high = self.natural
        return (value < low and self.better != "lower") or (value > high and self.better != "higher")

    @property
    def scale(self) -> float:
        """By what a stored value is multiplied to be shown."""
        return 100.0 if self.unit == "%" else 1.0
