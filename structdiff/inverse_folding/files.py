"""Designed sequences as files: structures, FASTA, a table, and a record of how they were made."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from structdiff.errors import InputError
from structdiff.inverse_folding.design import DesignedSequence
from structdiff.structure.files import write_atomically, write_structure
from structdiff.structure.ligand_sdf import LIGANDS_SUFFIX, write_ligands

TABLE, FASTA, RECORD_SUFFIX = "sequences.csv", "sequences.fasta", ".sequences.json"
_COLUMNS = (
    "name", "source", "negative_log_likelihood", "recovery", "designed_residues", "model", "temperature", "seed",
    "sequence", "file",
)  # fmt: skip
_FASTA_WIDTH = 80


def new_record(name: str, provenance: Mapping[str, Any]) -> dict[str, Any]:
    """What NAME.sequences.json will hold, without sequences. provenance: what all of them have in common."""
    return {"name": name, "provenance": dict(provenance), "rows": [], "sequences": []}


def write_designed(
    folder: Path, record: dict[str, Any], designed: Sequence[DesignedSequence]
) -> tuple[list[dict[str, str]], list[str]]:
    """Writes NAME_1.cif, NAME_2.cif ..., then NAME.sequences.json, which lists them after those of the record.

    Ligands are in NAME_1.ligands.sdf ... too. record: changed. Gives the new rows of the table, and which ligands are
    in no SDF file, in words.
    """
    name, rows, notes = record["name"], [], []
    for each in designed:
        own = f"{name}_{each.index + 1}"
        text = {key: value if isinstance(value, str) else json.dumps(value) for key, value in each.provenance.items()}
        structure = dataclasses.replace(each.structure, name=own)
        file = write_structure(structure, folder / f"{own}.cif", provenance={**text, "source": name})
        notes += filter(None, [write_ligands(structure, folder, own)[1]])
        rows.append(_row(own, name, each, file))
    record["rows"] += rows
    record["sequences"] += [_entry(row["name"], each) for row, each in zip(rows, designed, strict=True)]
    write_record(folder, record)
    return rows, notes


def write_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Writes NAME.sequences.json."""
    write_atomically(folder / f"{record['name']}{RECORD_SUFFIX}", json.dumps(record, indent=1) + "\n")


def remove_designed(folder: Path, name: str) -> None:
    """Removes what another run wrote for a backbone: the structures that its record lists, then the record."""
    try:
        rows = (read_record(folder, name) or {"rows": []})["rows"]
    except InputError:  # damaged: nobody knows what it listed
        rows = []
    for row in rows:
        file = folder / Path(row["file"]).name
        file.unlink(missing_ok=True)
        file.with_suffix(LIGANDS_SUFFIX).unlink(missing_ok=True)
    (folder / f"{name}{RECORD_SUFFIX}").unlink(missing_ok=True)


def read_record(folder: Path, name: str) -> dict[str, Any] | None:
    """What NAME.sequences.json holds; None where it is not there. Raises InputError when it is damaged."""
    path = folder / f"{name}{RECORD_SUFFIX}"
    if not path.is_file():
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        lists = [record[key] for key in ("rows", "sequences")]
        if isinstance(record["provenance"], dict) and all(isinstance(each, list) for each in lists):
            return record
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise InputError("this file was damaged; delete it, or use --overwrite", path=path)


def write_tables(folder: Path) -> Path:
    """Writes sequences.csv and sequences.fasta anew, of all records in a folder. Gives the path of the table."""
    names = sorted(path.name.removesuffix(RECORD_SUFFIX) for path in folder.glob(f"*{RECORD_SUFFIX}"))
    records = [record for name in names if (record := read_record(folder, name)) is not None]
    blocks = [
        _fasta_block(f"{entry['name']}_{chain} negative_log_likelihood={entry['negative_log_likelihood']:.4f}", letters)
        for record in records
        for entry in record["sequences"]
        for chain, letters in entry["chains"].items()
    ]
    write_atomically(folder / FASTA, "".join(blocks))
    text = io.StringIO()
    table = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    table.writeheader()
    table.writerows(row for record in records for row in record["rows"])
    return write_atomically(folder / TABLE, text.getvalue())


def _row(name: str, source: str, each: DesignedSequence, file: Path) -> dict[str, str]:
    return {
        "name": name,
        "source": source,
        "negative_log_likelihood": f"{each.negative_log_likelihood:.4f}",
        "recovery": "" if each.recovery is None else f"{each.recovery:.4f}",
        "designed_residues": str(int(each.designed.sum())),
        "model": str(each.provenance["model"]),
        "temperature": f"{each.provenance['temperature']}",
        "seed": f"{each.provenance['seed']}",
        "sequence": "/".join(f"{chain}:{letters}" for chain, letters in each.sequences.items()),
        "file": file.name,
    }


def _entry(name: str, each: DesignedSequence) -> dict[str, Any]:
    by_residue = each.residue_negative_log_likelihood.tolist()
    return {
        "name": name,
        "chains": dict(each.sequences),
        "negative_log_likelihood": round(each.negative_log_likelihood, 5),
        "residue_negative_log_likelihood": [None if math.isnan(value) else round(value, 4) for value in by_residue],
    }


def _fasta_block(header: str, letters: str) -> str:
    lines = [letters[start : start + _FASTA_WIDTH] for start in range(0, len(letters), _FASTA_WIDTH)]
    return "\n".join([f">{header}", *lines]) + "\n"
