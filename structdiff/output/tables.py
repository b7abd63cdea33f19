"""The tables of a folder: a row a structure, to sort and to choose by, written by several processes in turn."""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

from structdiff.errors import InputError
from structdiff.output.prediction import Prediction
from structdiff.structure.files import write_atomically

PREDICTIONS_TABLE, DESIGNS_TABLE = "predictions.csv", "designs.csv"


def table_row(prediction: Prediction, name: str) -> dict[str, str]:
    """A row of the table: what to sort and to choose by; a verdict a column."""
    verdicts = verdict_cells([each.as_data() for each in prediction.verdicts])
    ligands = {**_affinity_cells(prediction), **_ligand_cells(prediction)}
    return as_text({"name": name, **score_columns(prediction), **ligands, **verdicts})


def _affinity_cells(prediction: Prediction) -> dict[str, float]:
    """How strongly the ligand binds, and how likely it does, where that was asked."""
    if prediction.affinity is None:
        return {}
    found = prediction.affinity.as_data()
    return {f"affinity_{key}": found[key] for key in ("log10_ic50_um", "binder_probability")}


def _ligand_cells(prediction: Prediction) -> dict[str, float]:
    """A column for each free ligand, by its chains; of several in one chain the others with a number."""
    cells: dict[str, float] = {}
    seen: Counter[str] = Counter()
    for each in prediction.ligand_scores:
        name = "+".join(each.chains)
        seen[name] += 1
        number = f" ({seen[name]})" if seen[name] > 1 else ""
        cells[f"ligand_score: {name}{number}"] = round(each.affinity, 2)
    return cells


def score_columns(prediction: Prediction) -> dict[str, Any]:
    """What a table says of every structure: where it comes from, the network's scores, and what was met."""
    summary = prediction.confidence.summary()
    return {
        "seed": prediction.provenance.seed,
        "sample": prediction.provenance.sample,
        "polymer_residues": sum(map(len, prediction.sequences.values())),
        "ranking_score": summary["ranking_score"],
        "plddt": summary["mean_plddt_0_to_100"],
        "ptm": summary["ptm"],
        "iptm": summary["iptm"],
        "ipsae": summary["ipsae"],
        "pae": summary["mean_pae_angstrom"],
        "has_clash": summary["has_clash"],
        "all_met": prediction.all_met,
    }


def verdict_cells(verdicts: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """A column for each verdict (plain data); of a fold plan that was drawn, only what was reached."""
    return {
        f"verdict: {each['name']}": f"{each['reached']} ({'met' if each['met'] else 'not met'})"
        if each.get("requested", True) else str(each["reached"])
        for each in verdicts
    }  # fmt: skip


def as_text(row: Mapping[str, Any]) -> dict[str, str]:
    """A row of a table as text: nothing for what is not defined, true and false in small letters."""
    return {key: "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
            for key, value in row.items()}  # fmt: skip


def write_row(path: Path, row: Mapping[str, str]) -> Path:
    """The table with this row in the place of the one of the same name, or at its end; other columns are kept."""
    with tables_alone(path.parent):
        rows = read_table(path)
        kept = [row if old["name"] == row["name"] else old for old in rows]
        kept += [] if any(old["name"] == row["name"] for old in rows) else [row]
        return write_table(path, kept)


@contextmanager
def tables_alone(folder: Path) -> Iterator[None]:
    """No other process changes the tables of a folder meanwhile: each reads them, and writes them anew.

    The lock is on the folder itself, so that nothing is left behind, whatever ends the process. Where there are no such
    locks (some network disks, Windows) nothing is kept apart.
    """
    if fcntl is None or not folder.is_dir():
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def write_table(path: Path, rows: Sequence[Mapping[str, str]]) -> Path:
    """The table of these rows, with a column for everything that any of them has."""
    columns = list(dict.fromkeys(key for each in rows for key in each)) or ["name"]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return write_atomically(path, text.getvalue())


def read_table(path: Path) -> list[dict[str, str]]:
    """The rows of a table, none where there is no file; raises InputError for a table of others."""
    text = read_if_there(path)
    if not text.strip():
        return []
    reader = csv.DictReader(io.StringIO(text))
    if "name" not in (reader.fieldnames or ()):
        raise InputError("there is a table here that structdiff did not write; move it or choose another folder",
                         path=path, found=", ".join(reader.fieldnames or ())[:60])  # fmt: skip
    return [{key: value or "" for key, value in row.items() if key is not None} for row in reader]


def read_if_there(path: Path) -> str:
    """The text of a file, empty where there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read: {getattr(error, 'strerror', None) or error}", path=path) from None
