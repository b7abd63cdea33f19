"""One letter for each residue of the designed chains: secondary structure and burial."""

from __future__ import annotations

import re

from structdiff.errors import InputError
from structdiff.spec.layout import Layout

#: Helix, strand, loop; "?" leaves the residue open.
SECONDARY_STRUCTURE_LETTERS = "HEL?"
#: Buried, partly buried, exposed; "?" leaves the residue open.
BURIAL_LETTERS = "BPE?"


def expanded(text: str, letters: str, key: str) -> str:
    """Per-residue letters with repeats written out, chains parted by '/'; raises InputError under ``key``.

    >>> expanded("H3L/E2", "HEL?", "secondary_structure")
    'HHHL/EE'
    """
    parts: list[str] = []
    compact = re.sub(r"\s+", "", text).upper()
    place = 0
    for match in re.finditer(rf"([{re.escape(letters)}])(\d*)|/", compact):
        if match.start() != place:
            break
        place = match.end()
        repeats = int(match[2]) if match[2] else 1
        if repeats > 100_000:
            raise InputError("more than 100000 residues", key=key, found=match[0])
        parts.append("/" if match[1] is None else match[1] * repeats)
    if place < len(compact):
        raise InputError(f"letter {place + 1} is unknown", key=key, found=compact[place],
                         allowed=f"{', '.join(letters)}, a number to repeat one, / between chains")  # fmt: skip
    found = "".join(parts)
    if not all(found.split("/")):
        raise InputError("a chain has no letters", key=key, found=text)
    return found


def spread(letters: str | None, layout: Layout) -> str:
    """One letter for each residue of a layout; "?" in chains taken over whole, and everywhere if none are given."""
    rows = iter([] if letters is None else letters.split("/"))
    return "".join(
        "?" * len(chain) if letters is None or chain[0].chain_is_fixed else next(rows)
        for chain in layout.chains.values()
    )
