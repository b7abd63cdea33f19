"""Complexes written as FASTA: plain files, structdiff's own headers, and the headers of Boltz and Chai."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from structdiff.errors import InputError, nearest_match
from structdiff.spec.alignment_source import named_source
from structdiff.spec.chain import (
    LETTERS,
    UNKNOWN_LETTER,
    ChainKind,
    ChainSpec,
    Modification,
    chain_letters,
    parent_letter,
)
from structdiff.spec.complex import BondSpec, ComplexSpec
from structdiff.spec.document import Node
from structdiff.spec.glycans import glycan_bonds, parse_glycan
from structdiff.spec.input_files import missing_file, name_from, read_text, relocated

HEADER_KINDS = ("protein", "dna", "rna", "ccd", "smiles", "sdf", "glycan")
_CHAI_KINDS = ("protein", "dna", "rna", "ligand", "glycan")
#: First fields of the headers that sequence databases write; such a record is a plain one.
_DATABASES = ("sp", "tr", "gi", "ref", "gb", "emb", "dbj", "pir", "prf", "pat", "pdb", "lcl", "gnl", "bbs", "nxp")
_RCSB_CHAINS = re.compile(r"Chains?\s+(.+)")
_RCSB_CHAIN = re.compile(r"(\w+)(?:\[auth\s+(\w+)\])?")
#: Chai has modified residues in brackets of either kind.
_ROUND = str.maketrans("[]", "()")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9]{1,2}")


@dataclass(frozen=True, kw_only=True)
class _Record:
    header: str
    line: int
    body: str
    body_line: int


@dataclass(frozen=True, kw_only=True)
class _Header:
    ids: tuple[str, ...] = ()
    kind: str | None = None
    msa: tuple[str, ...] = ()
    description: str = ""


def read_fasta(path: str | Path) -> ComplexSpec:
    """Reads the molecules of a complex from a FASTA file; the file's name becomes the complex's.

    Paths in headers are relative to the file. Raises InputError with file and line for anything that is unclear.
    """
    path = Path(path)
    return parse_fasta(read_text(path), name=name_from(path), path=path)


def parse_fasta(text: str, *, name: str = "complex", path: Path | None = None) -> ComplexSpec:
    """Reads the molecules of a complex from FASTA text.

    ``path`` is the file that the text stands in, for messages and for files named in headers. Raises InputError.

    >>> parse_fasta(">A,B|protein\\nMKV(MSE)\\n>L|ccd\\nATP").chain_ids
    ('A', 'B', 'L')
    """
    parsed = [(record, _parse_header(record, path)) for record in _records(text, path)]
    taken: dict[str, int] = {}
    for record, header in parsed:
        for chain_id in header.ids:
            if chain_id in taken:
                raise InputError(
                    f"two chains have the same name (the other on line {taken[chain_id]})", path=path,
                    line=record.line, found=chain_id,
                )  # fmt: skip
            taken[chain_id] = record.line
    free = (chain_id for chain_id in chain_letters() if chain_id not in taken)
    chains: list[ChainSpec] = []
    bonds: list[BondSpec] = []
    places: dict[str, Node] = {}
    for record, header in parsed:
        header_place, body_place = (Node(value="", path=path, line=line) for line in (record.line, record.body_line))
        with body_place.located({"id": header_place}):
            chain, its_bonds = _chain(record, header, header.ids or (next(free),), path)
        chains.append(chain)
        bonds += its_bonds
        places |= {f"bonds[{place}]": body_place for place in range(len(bonds) - len(its_bonds) + 1, len(bonds) + 1)}
    with Node(value="", path=path).located(places):
        return ComplexSpec(name=name, chains=tuple(chains), bonds=tuple(bonds))


def _records(text: str, path: Path | None) -> list[_Record]:
    records: list[_Record] = []
    header: tuple[str, int] | None = None
    body: list[tuple[int, str]] = []

    def close() -> None:
        if header is None:
            return
        if not body:
            raise InputError(f"the record {'>' + header[0]!r} has no sequence", path=path, line=header[1])
        joined = "\n".join(part for _, part in body)
        records.append(_Record(header=header[0], line=header[1], body=joined, body_line=body[0][0]))

    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if line.startswith(">"):
            close()
            header, body = (line[1:].strip(), number), []
        elif line and not line.startswith(";"):
            if header is None:
                raise InputError("a FASTA file starts with a header such as '>A|protein'", path=path, line=number,
                                 found=line[:40])  # fmt: skip
            body.append((number, line))
    close()
    if not records:
        raise InputError("there are no records in this file", path=path, allowed="headers such as '>A|protein'")
    return records


def _parse_header(record: _Record, path: Path | None) -> _Header:
    fields = [part.strip() for part in record.header.split("|")]
    if len(fields) == 1 and fields[0].lower() not in _CHAI_KINDS:
        return _plain_header(record.header)
    first, second = fields[0].lower(), (fields[1].lower() if len(fields) > 1 else "")
    if second in HEADER_KINDS:
        return _own_header(record, fields, path)
    if first in _CHAI_KINDS:
        return _chai_header(record, fields, path)
    if first in _DATABASES:
        return _Header(description=record.header)
    if listed := _RCSB_CHAINS.fullmatch(fields[1]):
        ids = tuple(author or label for label, author in _RCSB_CHAIN.findall(listed.group(1)))
        return _Header(ids=ids, description=record.header)
    looks_own = _PLAIN_NAME.fullmatch(fields[0].split(",")[0]) or nearest_match(second, HEADER_KINDS)
    if looks_own or second == "ligand":
        hint = "; a ligand is 'ccd', 'smiles', 'sdf' or 'glycan'" if second == "ligand" else ""
        raise InputError(f"unknown kind of molecule in the header{hint}", path=path, line=record.line,
                         found=fields[1], allowed=HEADER_KINDS, suggest_from=HEADER_KINDS)  # fmt: skip
    if nearest_match(first, _CHAI_KINDS):
        raise InputError("unknown kind of molecule in the header", path=path, line=record.line, found=fields[0],
                         allowed=_CHAI_KINDS, suggest_from=_CHAI_KINDS)  # fmt: skip
    return _Header(description=record.header)


def _plain_header(header: str) -> _Header:
    ids = tuple(part.strip() for part in header.split(","))
    named = all(_PLAIN_NAME.fullmatch(part) for part in ids)
    return _Header(ids=ids if named else (), description=header)


def _own_header(record: _Record, fields: list[str], path: Path | None) -> _Header:
    kind = fields[1].lower()
    ids = tuple(part.strip() for part in fields[0].split(",")) if fields[0] else ()
    msa = fields[2] if len(fields) > 2 and fields[2] else None
    if len(fields) > 3:
        raise InputError("the header has too many parts", path=path, line=record.line, found=record.header,
                         allowed=">NAMES|KIND or >NAMES|KIND|ALIGNMENT")  # fmt: skip
    if msa is not None and kind not in ("protein", "rna"):
        raise InputError("only protein and RNA take an alignment in the header", path=path, line=record.line,
                         found=msa)  # fmt: skip
    return _Header(ids=ids, kind=kind, msa=() if msa is None else (_source(msa, record.line, path),))


def _chai_header(record: _Record, fields: list[str], path: Path | None) -> _Header:
    kind = fields[0].lower()
    name = "|".join(fields[1:])
    if name and not name.startswith("name=") and "=" in name:
        raise InputError("unknown part of the header", path=path, line=record.line, found=name, allowed="name=...")
    return _Header(kind="smiles" if kind == "ligand" else kind, description=name.removeprefix("name="))


def _source(text: str, line: int, path: Path | None) -> str:
    return named_source(Node(value=text, quoted=True, path=path, line=line))


def _existing_file(text: str, line: int, path: Path | None) -> str:
    if path is None:
        return text
    resolved = relocated(text, path.parent)
    if not Path(resolved).is_file():
        raise InputError(missing_file(text, path.parent), path=path, line=line, found=text)
    return resolved


def _chain(
    record: _Record, header: _Header, ids: tuple[str, ...], path: Path | None
) -> tuple[ChainSpec, list[BondSpec]]:
    """The molecule of a record, and the bonds between the sugars of a glycan."""
    description = header.description
    if header.kind == "glycan":
        sugars, bonds = parse_glycan(record.body)
        glycan = ChainSpec(ids=ids, kind="ligand", ccd=sugars, description=description)
        return glycan, [bond for name in ids for bond in glycan_bonds(name, bonds)]
    if header.kind == "ccd":
        codes = tuple(code for code in re.split(r"[\s,]+", record.body) if code)
        return ChainSpec(ids=ids, kind="ligand", ccd=codes, description=description), []
    if header.kind == "smiles":
        smiles = record.body.replace("\n", "")
        return ChainSpec(ids=ids, kind="ligand", smiles=smiles, description=description), []
    if header.kind == "sdf":
        file = _existing_file(record.body, record.body_line, path)
        return ChainSpec(ids=ids, kind="ligand", sdf=file, description=description), []
    body = re.sub(r"\s+", "", record.body).translate(_ROUND)
    if body.endswith("*"):
        body = body[:-1]
    kind: ChainKind = header.kind if header.kind is not None else guess_kind(body, ids)  # type: ignore[assignment]
    sequence, modifications = parse_inline_modifications(body, kind)
    chain = ChainSpec(
        ids=ids, kind=kind, sequence=sequence, modifications=modifications, msa=header.msa, description=description
    )
    return chain, []


def guess_kind(sequence: str, ids: tuple[str, ...] = ("A",)) -> ChainKind:
    """Tells protein, DNA and RNA apart by their letters; raises InputError when both protein and DNA are possible.

    >>> guess_kind("MKVL"), guess_kind("GGUUC")
    ('protein', 'rna')
    """
    letters = set(re.sub(r"\([^()]*\)", "", sequence).upper())
    name = ",".join(ids)
    if letters & (set(LETTERS["protein"]) - set("ACGTUN")):
        return "protein"
    if letters and letters <= set(LETTERS["rna"]) and "U" in letters:
        return "rna"
    if letters <= set("ACGTN"):
        raise InputError(
            f"this could be DNA or protein; say which in the header: '>{name}|dna' or '>{name}|protein'",
            found=sequence[:30],
        )
    raise InputError(f"this is neither protein, DNA nor RNA; say which in the header, such as '>{name}|protein'",
                     found=sequence[:30])  # fmt: skip


def parse_inline_modifications(sequence: str, kind: str) -> tuple[str, tuple[Modification, ...]]:
    """Splits a sequence with CCD codes in brackets into plain letters and modifications; raises InputError.

    >>> parse_inline_modifications("AK(MSE)V", "protein")
    ('AKMV', (Modification(position=3, ccd='MSE'),))
    """
    letters: list[str] = []
    modifications: list[Modification] = []
    for match in re.finditer(r"\(([^()]*)\)|(.)", sequence, flags=re.DOTALL):
        code, letter = match.groups()
        if letter is None:
            change = Modification(position=len(letters) + 1, ccd=code)
            modifications.append(change)
            letters.append(parent_letter(change.ccd, kind) if kind in UNKNOWN_LETTER else "X")
        elif letter in "()":
            raise InputError(f"a bracket without its partner at character {match.start() + 1}", key="sequence",
                             allowed="modified residues as (MSE)")  # fmt: skip
        else:
            letters.append(letter)
    return "".join(letters), tuple(modifications)
