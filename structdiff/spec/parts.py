"""What design problems are put together from: each part can be added to others and made a whole request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from structdiff.spec.compose import Problem
    from structdiff.spec.design import DesignSpec


class Part:
    """A part of a design problem: ``+`` puts parts together, `spec` gives the request."""

    def as_problem(self) -> Problem:
        """The part as a problem of its own."""
        from structdiff.spec.compose import problem_of  # built of the parts that are defined with this

        return problem_of(self)

    def __add__(self, other: Part) -> Problem:
        return self.as_problem() + other

    def spec(self, **more: Any) -> DesignSpec:
        """The whole request; ``more`` keys are added. Raises InputError where something is missing or cannot be."""
        return self.as_problem().spec(**more)
