"""Base pairs of DNA and RNA as they are asked for: in dots and brackets."""

from __future__ import annotations

from dataclasses import dataclass

from structdiff.arguments import checked_names, settle_fields
from structdiff.chemistry.nearest_neighbours import PAIRING
from structdiff.errors import InputError

_BRACKETS = {")": "(", "]": "[", "}": "{", ">": "<"}
_UNPAIRED, _BETWEEN = ".", "&+"


@checked_names
@dataclass(frozen=True, kw_only=True)
class BasePairsSpec:
    """The base pairs of some chains of DNA or RNA, in place of those that are predicted.

    chains: by name; structure: a sign for each of their nucleotides, one chain after the other: brackets of one kind,
    ``()``, ``[]``, ``{}`` or ``<>``, that are nested in each other are paired, a dot is not; ``&`` or ``+`` may stand
    between chains. Raises InputError for brackets without partners.
    """

    chains: tuple[str, ...]
    structure: str

    def __post_init__(self) -> None:
        settle_fields(self)
        if not self.chains:
            raise InputError("base pairs need at least one chain", key="chains")
        if len(set(self.chains)) < len(self.chains):
            raise InputError("a chain is named twice", key="chains", found=", ".join(self.chains))
        object.__setattr__(self, "structure", "".join(self.structure.split()))
        self.pairs()

    @property
    def signs(self) -> str:
        """A sign for each nucleotide, nothing between chains."""
        return "".join(sign for sign in self.structure if sign not in _BETWEEN)

    def pairs(self) -> tuple[tuple[int, int], ...]:
        """Numbers of the paired nucleotides, counted from 0 through all the chains, each pair in ascending order."""
        waiting: dict[str, list[int]] = {opening: [] for opening in _BRACKETS.values()}
        found = []
        for place, sign in enumerate(self.signs):
            if sign in waiting:
                waiting[sign].append(place)
            elif sign in _BRACKETS:
                if not waiting[_BRACKETS[sign]]:
                    raise _without_partner(sign, place)
                found.append((waiting[_BRACKETS[sign]].pop(), place))
            elif sign != _UNPAIRED:
                message = f"no sign of base pairs, at nucleotide {place + 1}"
                raise InputError(message, key="structure", found=sign, allowed=". ( ) [ ] { } < >")
        for sign, places in waiting.items():
            if places:
                raise _without_partner(sign, places[-1])
        return tuple(sorted(found))

    def check_letters(self, letters: str, key: str) -> None:
        """Raises InputError where signs and letters (of all the chains) are not equally many, or bases cannot pair."""
        if len(letters) != len(self.signs):
            named = " and ".join(self.chains)
            raise InputError(f"one sign is needed for each nucleotide of {named}", key=key, found=str(len(self.signs)),
                             allowed=str(len(letters)))  # fmt: skip
        for pair in self.pairs():
            bases = "".join(letters[place] for place in pair)
            if bases.replace("T", "U") not in PAIRING:
                message = f"nucleotides {pair[0] + 1} and {pair[1] + 1} cannot pair as Watson and Crick say, or wobble"
                raise InputError(message, key=key, found="-".join(bases), allowed="A-U, A-T, G-C or G-U")


def _without_partner(sign: str, place: int) -> InputError:
    return InputError("a bracket has no partner", key="structure", found=f"{sign} at nucleotide {place + 1}")
