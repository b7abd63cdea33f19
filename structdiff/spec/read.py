"""Reading a complex from whatever it is written in: FASTA, YAML, JSON, or an alignment."""

from __future__ import annotations

import re
from pathlib import Path

from structdiff.arguments import as_path, checked_names
from structdiff.errors import InputError
from structdiff.packed_files import PACKED_SUFFIXES
from structdiff.spec.af3_json import all_or_error, parse_each_job
from structdiff.spec.alignment_input import ALIGNMENT_SUFFIXES, parse_alignment
from structdiff.spec.alignment_source import alignment_text
from structdiff.spec.complex import ComplexSpec
from structdiff.spec.document_text import parse_json_document, parse_yaml_document
from structdiff.spec.fasta import parse_fasta
from structdiff.spec.foreign_inputs import FASTA_SUFFIXES, refuse_foreign
from structdiff.spec.input_files import name_from, read_text
from structdiff.spec.openfold3 import is_query_set, parse_each_query
from structdiff.spec.restraints import is_restraints, with_restraints
from structdiff.spec.yaml import parse_complex

#: What is rather the sequence of a chain than the path of a file.
_SEQUENCE = re.compile(r"[A-Z]{10,}")
YAML_SUFFIXES = (".yaml", ".yml")
JSON_SUFFIXES = (".json",)
INPUT_SUFFIXES = (*FASTA_SUFFIXES, *YAML_SUFFIXES, *JSON_SUFFIXES, *ALIGNMENT_SUFFIXES)
_OTHER_ALIGNMENTS = (".a2m", ".sto", ".sth", ".aln")


@checked_names
def read_complex(path: str | Path, *, restraints: str | Path | None = None) -> ComplexSpec:
    """Reads the one complex of a file of any kind; raises InputError when it holds several or is unclear.

    restraints: a table as Chai has it beside its FASTA files, of bonds, contacts and pockets that are asked for too.
    """
    first, *more = read_complexes(path)
    if more:
        raise InputError(f"the file holds {1 + len(more)} jobs where one is wanted", path=path)
    return first if restraints is None else with_restraints(first, restraints)


@checked_names
def read_complexes(path: str | Path) -> tuple[ComplexSpec, ...]:
    """Reads all complexes of a file; only JSON of the AlphaFold Server, Protenix and OpenFold 3 can hold several.

    The format is told by the file's suffix, or by its first sign where the suffix says nothing. Raises InputError.
    """
    return all_or_error(read_each_complex(path))


@checked_names
def read_each_complex(path: str | Path) -> tuple[ComplexSpec | InputError, ...]:
    """The same, with the error of a job, or query, of such a file in its place; raises that of any other file."""
    path = as_path(path, "path", "the path of a FASTA, YAML, JSON or A3M file")
    unpacked = Path(path.stem) if path.suffix.lower() in PACKED_SUFFIXES else path
    if unpacked.suffix.lower() == ALIGNMENT_SUFFIXES[0]:
        return (_of_alignment(path, unpacked),)
    if unpacked.suffix.lower() in _OTHER_ALIGNMENTS:  # its rows would be chains
        raise InputError("alignments are inputs as .a3m; others may be named in a YAML file (msa)", path=path,
                         found=unpacked.suffix, allowed=INPUT_SUFFIXES)  # fmt: skip
    if _SEQUENCE.fullmatch(str(path)) and not path.exists():
        raise InputError("no such file; a sequence is written into one (FASTA): '>A|protein' and its letters below",
                         path=path)  # fmt: skip
    if str(path).startswith(">") and not path.exists():
        raise InputError("no such file; a text of FASTA is read by parse_fasta of structdiff.spec", path=path)
    text = read_text(path)
    suffix = path.suffix.lower()
    start = text.lstrip()[:1]
    if is_restraints(path, text):
        raise InputError("this is a table of restraints of Chai, which is given with the complex that it is of: "
                         f"structdiff predict COMPLEX.fasta --restraints {path.name}", path=path)  # fmt: skip
    if suffix in FASTA_SUFFIXES or (suffix not in INPUT_SUFFIXES and start in ">;"):
        return (parse_fasta(text, name=name_from(path), path=path),)
    if suffix in YAML_SUFFIXES:
        root = parse_yaml_document(text, path)
        refuse_foreign(root, complexes=True)
        if is_query_set(root):
            return parse_each_query(root)
        return (parse_complex(root, name=name_from(path)),)
    if suffix in JSON_SUFFIXES or start in "{[":
        root = parse_json_document(text, path)
        refuse_foreign(root, complexes=True)
        if is_query_set(root):
            return parse_each_query(root)
        if isinstance(root.value, dict) and "dialect" not in root.value and "modelSeeds" not in root.value:
            return (parse_complex(root, name=name_from(path)),)
        return parse_each_job(root)
    raise InputError("the format of this file is unknown", path=path, found=path.suffix or path.name,
                     allowed=INPUT_SUFFIXES, suggest_from=INPUT_SUFFIXES)  # fmt: skip


def _of_alignment(path: Path, unpacked: Path) -> ComplexSpec:
    text = read_text(path) if unpacked == path else alignment_text(path)
    return parse_alignment(text, name=name_from(unpacked), path=path)
