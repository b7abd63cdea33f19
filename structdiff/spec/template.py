"""Known structures that chains of a complex lean on, and which of their residues belong together."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from structdiff.arguments import checked_names, settle_fields
from structdiff.errors import InputError

_PART = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?=(\d{1,9})(?:-(\d{1,9}))?", re.ASCII)
_MOST = 100_000  # residues of a map, more than a chain has
_FORM = "1-40=5-44, 45=50, say: residues of the chain = residues of the template's chain, both counted from 1"


@checked_names
@dataclass(frozen=True, kw_only=True)
class TemplateSpec:
    """A known structure to lean on: its file, which chains it serves (none: all proteins) and which of its chains.

    path: of the file, or of a JSON file, `#` and the key of the mmCIF text inside. residue_map: which residues of the
    one chain belong to which of the template's (``1-40=5-44, 45=50``), both counted from 1, those that the template's
    file does not resolve too; "" aligns the sequences. With ``force`` the backbone must stay within ``threshold`` (Å)
    of the template.
    """

    path: str
    chains: tuple[str, ...] = ()
    template_chains: tuple[str, ...] = ()
    residue_map: str = ""
    force: bool = False
    threshold: float | None = None

    def __post_init__(self) -> None:
        settle_fields(self)
        if self.template_chains and len(self.template_chains) != len(self.chains):
            raise InputError(
                "chain_id and template_id must name equally many chains", key="template_id",
                found=f"{len(self.chains)} and {len(self.template_chains)}",
            )  # fmt: skip
        for name, count in Counter(self.chains).items():
            if count > 1:
                raise InputError("a chain is named twice; write a template for each chain that serves it",
                                 key="chain_id", found=name)  # fmt: skip
        if self.residue_map and len(self.chains) != 1:
            raise InputError("a residue map is of one chain: name it under chain_id", key="residue_map",
                             found=f"{len(self.chains)} chains")  # fmt: skip
        _check_once(self.residues)
        if self.force and self.threshold is None:
            raise InputError("a forced template needs a threshold in Å", key="force")
        if self.threshold is not None and not (self.threshold > 0 and math.isfinite(self.threshold)):
            raise InputError("the threshold must be above 0 Å", key="threshold", found=self.threshold)

    @property
    def residues(self) -> tuple[tuple[int, int], ...]:
        """The residue map as pairs of residues, of the chain and of the template, counted from 1."""
        return parse_residue_map(self.residue_map)


def parse_residue_map(text: str) -> tuple[tuple[int, int], ...]:
    """The pairs of a residue map; raises InputError for what is none."""
    found = []
    for part in re.sub(r"\s*=\s*", "=", text).replace(",", " ").split():
        match = _PART.fullmatch(part)
        if match is None:
            raise InputError("this is no part of a residue map", key="residue_map", found=part, allowed=_FORM)
        first, last, other, end = (
            int(number) for number in (match[1], match[2] or match[1], match[3], match[4] or match[3])
        )
        if not (0 < first <= last and 0 < other <= end and last - first == end - other):
            raise InputError("these are not equally many residues from 1 on", key="residue_map", found=part,
                             allowed=_FORM)  # fmt: skip
        if max(last, end) > _MOST:
            raise InputError("no chain has so many residues", key="residue_map", found=part,
                             allowed=f"1 to {_MOST}")  # fmt: skip
        ranges = (range(first, last + 1), range(other, end + 1))
        found += zip(*ranges, strict=True)
    return tuple(found)


def format_residue_map(pairs: Iterable[tuple[int, int]]) -> str:
    """A residue map with pairs that follow one another as ranges."""
    runs: list[list[tuple[int, int]]] = []
    for one, other in pairs:
        if runs and runs[-1][-1] == (one - 1, other - 1):
            runs[-1].append((one, other))
        else:
            runs.append([(one, other)])
    return ", ".join(
        f"{run[0][0]}-{run[-1][0]}={run[0][1]}-{run[-1][1]}" if len(run) > 1 else f"{run[0][0]}={run[0][1]}"
        for run in runs
    )


def _check_once(pairs: tuple[tuple[int, int], ...]) -> None:
    for whose, numbers in zip(("the chain", "the template"), zip(*pairs, strict=True), strict=False):
        for number, count in Counter(numbers).items():
            if count > 1:
                raise InputError(f"a residue of {whose} is there twice", key="residue_map", found=number)
