"""How strongly a ligand binds, with the members of the ensemble that says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

#: kcal/mol for a factor of ten in concentration, at 298 K, as Boltz's documents convert.
_KCAL_PER_DECADE = 1.364
_DECADES = 6.0  # from μM to M


@dataclass(frozen=True, kw_only=True)
class AffinityMember:
    """What one module of the ensemble says: log10 of the IC50 in μM, and how likely (0 to 1) a ligand binds at all."""

    log10_ic50: float
    binder_probability: float


@dataclass(frozen=True, kw_only=True)
class Affinity:
    """How strongly a ligand binds. binder: its chain. tokens: how many of the structure were looked at.

    The value is of use between ligands that bind, lower is stronger; the probability tells binders from others.
    """

    binder: str
    tokens: int
    members: tuple[AffinityMember, ...]

    @property
    def log10_ic50(self) -> float:
        """The mean of the members, log10 of the IC50 in μM: -3 is 1 nM, 0 is 1 μM."""
        return sum(each.log10_ic50 for each in self.members) / len(self.members)

    @property
    def binder_probability(self) -> float:
        """The mean of the members, 0 to 1."""
        return sum(each.binder_probability for each in self.members) / len(self.members)

    @property
    def pic50_kcal_per_mol(self) -> float:
        """The value as an energy in kcal/mol, higher is stronger."""
        return (_DECADES - self.log10_ic50) * _KCAL_PER_DECADE

    def as_data(self) -> dict[str, Any]:
        """The same for JSON, with units in the names."""
        return {
            "binder": self.binder,
            **_numbers(self.log10_ic50, self.binder_probability),
            "pic50_kcal_per_mol": round(self.pic50_kcal_per_mol, 3),
            "members": [_numbers(each.log10_ic50, each.binder_probability) for each in self.members],
            "tokens": self.tokens,
        }


def _numbers(log10_ic50: float, binder_probability: float) -> dict[str, float]:
    return {"log10_ic50_um": round(log10_ic50, 4), "binder_probability": round(binder_probability, 4)}
