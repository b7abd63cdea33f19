"""An alignment as an input of its own: its first sequence is the chain to predict."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path

from structdiff.errors import InputError
from structdiff.spec.chain import ChainSpec, chain_letters
from structdiff.spec.complex import ComplexSpec

ALIGNMENT_SUFFIXES = (".a3m",)
#: ColabFold's first line: lengths of the chains, and how many copies there are of each.
_MOST_COPIES = 100
_LENGTHS = re.compile(r"#(?P<lengths>[\d,]+)\s+(?P<copies>[\d,]+)")


def parse_alignment(text: str, *, name: str, path: Path) -> ComplexSpec:
    """A complex of the first sequence of an A3M file, in as many copies as ColabFold's first line says, else one.

    Raises InputError for alignments of several chains, and for what does not begin with a sequence.
    """
    copies, length = 1, None
    lines = text.splitlines()
    if lines and lines[0].startswith("#"):
        said = _LENGTHS.fullmatch(lines[0].strip())
        if said is not None and "," in said["lengths"] + said["copies"]:
            raise InputError("this is an alignment of several chains: give each its own in a YAML file (docs/input.md)",
                             path=path, line=1, found=lines[0])  # fmt: skip
        copies = 1 if said is None else int(said["copies"])
        if not 1 <= copies <= _MOST_COPIES:
            raise InputError("so many copies of the chain cannot be", path=path, line=1, found=copies,
                             allowed=f"1 to {_MOST_COPIES}")  # fmt: skip
        length = None if said is None else int(said["lengths"])
    start = next((row for row, line in enumerate(lines) if line.startswith(">")), None)
    if start is None:
        raise InputError("an alignment begins with a line '>NAME'", path=path)
    first: list[str] = []
    for line in lines[start + 1 :]:
        if line.startswith(">"):
            break
        first.append(line.strip())
    sequence = "".join(letter for letter in "".join(first).rstrip("*") if not letter.islower() and letter not in "-.")
    if length not in (None, len(sequence)):
        raise InputError("the first sequence has not the length that the first line says", path=path, line=start + 1,
                         found=len(sequence), allowed=str(length))  # fmt: skip
    ids = tuple(islice(chain_letters(), copies))
    try:
        chain = ChainSpec(ids=ids, kind="protein", sequence=sequence, msa=str(path))
        return ComplexSpec(name=name, chains=(chain,))
    except InputError as error:
        raise InputError(str(error), path=path, line=start + 1) from None
