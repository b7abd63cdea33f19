"""A residue of a design: where it stands, and where it comes from."""

from __future__ import annotations

from dataclasses import dataclass

from structdiff.spec.segments import ResidueId


@dataclass(frozen=True, kw_only=True)
class LayoutResidue:
    """One residue of a design: its chain and number there, where it comes from (None: new), its motif group (0: none).

    ``chain_is_fixed`` says that the whole chain is taken over, as a binder's target is. ``instead_of``: the residue of
    the structure whose place a new one takes; ``keeps_type``: and whose type it keeps.
    """

    chain: str
    number: int
    insertion_code: str = ""
    origin: ResidueId | None = None
    group: int = 0
    chain_is_fixed: bool = False
    instead_of: ResidueId | None = None
    keeps_type: bool = False

    @property
    def id(self) -> ResidueId:
        """Chain, number and insertion code in the design."""
        return ResidueId(chain=self.chain, number=self.number, insertion_code=self.insertion_code)

    @property
    def parent(self) -> ResidueId | None:
        """The residue of the structure that it is, or whose place it takes; None for one that is new altogether."""
        return self.origin or self.instead_of
