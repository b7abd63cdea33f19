"""Are these structures such as proteins have? The checks of validity on any PDB or mmCIF files, beside natural chains.

    python benchmarks/validity.py FILE|FOLDER ... [--json OUT] [--against SET ...]

Every file is judged; the table shows means over files with bootstrap 95 % intervals. The columns of natural chains come
from benchmarks/results/natural.json (made by natural_reference.py). Works on the designs of any program.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path

from structdiff.errors import InputError, StructdiffError
from structdiff.evaluation.summary import Summary
from structdiff.evaluation.validity import LABELS, Validity, format_table, summarise_validity, validity
from structdiff.structure.files import read_structure, write_atomically

NATURAL = Path(__file__).resolve().parent / "results" / "natural.json"
AGAINST = ("all", "2.0 Å or better, any length")
SUFFIXES = (".pdb", ".ent", ".cif", ".mmcif")


def structure_files(paths: list[Path]) -> list[Path]:
    """The files named, and those in the folders named, in order of name."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = [p for p in path.rglob("*") if p.name.lower().removesuffix(".gz").endswith(SUFFIXES)]
            found += sorted(inside)
        elif path.exists():
            found.append(path)
        else:
            raise InputError("no such file or folder", path=path)
    if not found:
        raise InputError("no structures found", found=[str(path) for path in paths], allowed=SUFFIXES)
    return found


def natural_columns(names: list[str]) -> dict[str, dict[str, Summary]]:
    """Stored sets of natural chains, as they were summarised, by title."""
    sets = json.loads(NATURAL.read_text())["sets"]
    columns = {}
    for name in names:
        if name not in sets:
            raise InputError("no such natural chains", key="--against", found=name, allowed=sets, suggest_from=sets)
        values = {k: Summary(**{**value, "quartiles": tuple(value["quartiles"])}) for k, value in sets[name].items()}
        columns[f"natural, {name} ({values['residues'].count})"] = values
    return columns


def judge(files: list[Path]) -> tuple[list[Validity], list[str]]:
    """The checks of every file that can be read, and a line about each that cannot."""
    checks, failures = [], []
    for file in files:
        try:
            checks.append(dataclasses.replace(validity(read_structure(file)), name=str(file)))
        except StructdiffError as error:
            failures.append(str(error))
    return checks, failures


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("paths", nargs="+", type=Path, metavar="FILE|FOLDER")
    parser.add_argument("--json", type=Path, help="write the checks of every file and their summary here")
    parser.add_argument("--against", nargs="+", default=list(AGAINST), metavar="SET", help="sets of natural.json")
    arguments = parser.parse_args()
    try:
        natural = natural_columns(arguments.against)
        checks, failures = judge(structure_files(arguments.paths))
    except StructdiffError as error:
        print(error, file=sys.stderr)
        return 2
    summary = summarise_validity(checks)
    columns = {f"these files ({len(checks)})": summary, **natural}
    print("mean [95 % interval]\n" + format_table(columns))
    print("\nmedian (quartiles)\n" + format_table(columns, show="quartiles"))
    for failure in failures:
        print(f"not judged: {failure}", file=sys.stderr)
    if arguments.json:
        result = {
            "summary": {key: dataclasses.asdict(value) for key, value in summary.items()},
            "labels": dict(LABELS),
            "files": [dataclasses.asdict(check) for check in checks],
            "not_judged": failures,
        }
        write_atomically(arguments.json, json.dumps(result, indent=1) + "\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
