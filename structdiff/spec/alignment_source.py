"""Where alignments are written: in a file of their own, as one chain of ColabFold's complexes, or inside a JSON file.

A source is a text: ``a.a3m``, ``complex.a3m#2`` (the second chain of that file), or
``job.json#sequences[1].protein.unpairedMsa`` (the text under that key of AlphaFold 3's input, as errors name keys).
"""

from __future__ import annotations

import dataclasses
import string
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from structdiff.errors import InputError
from structdiff.packed_files import unpacked
from structdiff.spec.chain import MSA_WORDS
from structdiff.spec.chain_lengths import chain_lengths
from structdiff.spec.complex import ComplexSpec
from structdiff.spec.document import Node
from structdiff.spec.text_source import file_source, is_json, source_parts, text_in_json

ALIGNMENT_FORMATS = "A3M, FASTA, Stockholm, or Boltz's CSV"
_PARQUET = b"PAR1"
_NO_COLUMN = dict.fromkeys(map(ord, f"{string.ascii_lowercase}."))


class PairedAlignmentWarning(UserWarning):
    """Rows of several chains belong together, which is not made use of."""


@dataclass(frozen=True, kw_only=True)
class AlignmentText:
    """The text of an alignment, and where it stands.

    key, line: of a text inside a JSON file. columns: those of the chain, where rows hold several chains.
    """

    text: str
    path: Path
    key: str | None = None
    line: int | None = None
    columns: slice | None = None

    def fail(self, message: str, *, line: int | None = None, key: str | None = None, **details: Any) -> NoReturn:
        """Raises InputError that names the file, and the line of the alignment. key: what is wrong there."""
        if self.key is None:
            raise InputError(message, path=self.path, line=line, key=key, **details)
        place = "" if line is None else f"line {line} of this text: "
        what = "" if key in (None, "msa") else f"{key}: "
        raise InputError(f"{place}{what}{message}", path=self.path, line=self.line, key=self.key, **details)


def read_source(source: str) -> AlignmentText:
    """The text of an alignment; raises InputError where there is none, and where it is one of several chains."""
    file, part = source_parts(source)
    path = Path(file)
    if is_json(path):
        node = text_in_json(path, part)
        return _of_chain(AlignmentText(text=node.text(), path=path, key=part, line=node.line), "", source)
    return _of_chain(AlignmentText(text=alignment_text(path), path=path), part, source)


def _of_chain(found: AlignmentText, part: str, source: str) -> AlignmentText:
    """The alignment with the columns of one chain, where it has several."""
    try:
        said = chain_lengths(found.text)
    except InputError as error:
        found.fail(str(error), line=1)
    count = 1 if said is None else len(said.lengths)
    file = source.removesuffix(f"#{part}")
    allowed = file if count == 1 else f"{file}#1 to #{count}"
    if count > 1 and found.key is not None:
        found.fail("this is an alignment of several chains: give each its own", line=1)
    if count > 1 and not part:
        found.fail("this is an alignment of several chains: say which is meant", found=source, allowed=allowed)
    if not part:
        return found
    if said is None or not part.isdecimal() or not 1 <= int(part) <= count:
        found.fail("there is no such chain in this alignment", found=source, allowed=allowed)
    return dataclasses.replace(found, columns=said.columns(int(part)))


def named_source(node: Node) -> str:
    """A source, or a word for one, that is written in an input. Raises InputError."""
    return node.text() if node.text() in MSA_WORDS else file_source(node)


def has_pairs(spec: ComplexSpec) -> bool:
    """Whether alignments of several chains say which of their rows belong together, other than by their headers.

    Paired files do, keys of Boltz's CSV files, and files of which each row is of several chains.
    """
    if sum(len(chain.ids) for chain in spec.chains if chain.has_alignment) < 2:
        return False
    parts = [source_parts(name) for chain in spec.chains for name in chain.msa if name not in MSA_WORDS]
    joint = Counter(file for file, part in parts if part and not is_json(Path(file)))
    return (
        any(chain.paired_msa for chain in spec.chains)
        or any(Path(file.removesuffix(".gz")).suffix.lower() == ".csv" for file, _ in parts)
        or any(count > 1 for count in joint.values())
    )


def warn_of_pairing(spec: ComplexSpec) -> None:
    """Says that how chains lie to each other is not read from paired alignments, where there are any."""
    if not has_pairs(spec):
        return
    warnings.warn(
        f"{spec.name}: how chains lie to each other is not read from paired alignments; their rows are read as further "
        "rows of each chain's own",
        PairedAlignmentWarning,
        stacklevel=2,
    )


def alignment_text(path: Path) -> str:
    """The text of a file, which may be packed; raises InputError for what cannot be read or is no text."""
    try:
        data = unpacked(path.read_bytes(), path)
        # Entries of MMseqs2's databases end with a zero.
        return data.decode("utf-8-sig").replace("\0", "")
    except OSError as error:
        raise InputError(f"this alignment cannot be read: {error.strerror}", path=path) from None
    except UnicodeDecodeError:
        way = "; tables of Chai are not read, the A3M files that they were made of are" if data[:4] == _PARQUET else ""
        raise InputError(f"this alignment is no text{way}", path=path, allowed=ALIGNMENT_FORMATS) from None


def without_insertions(letters: str) -> str:
    """The letters and gaps of a row of A3M that stand in columns."""
    letters = letters.rstrip("*")
    if letters.isascii():
        return letters.translate(_NO_COLUMN)
    return "".join(letter for letter in letters if not letter.islower() and letter != ".")
