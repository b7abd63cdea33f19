"""What ``structdiff sequence`` does with its backbones: one after another, some sequences at a time."""

from __future__ import annotations

import hashlib
import json
import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from structdiff.campaign.finished_files import damage_note, is_whole
from structdiff.campaign.work import difference
from structdiff.cli.failures import Interrupted
from structdiff.cli.progress import counted_progress
from structdiff.cli.sequence_asked import Asked
from structdiff.errors import InputError, ResourceError, StructdiffError, disk_is_full
from structdiff.packed_files import plain_name

if TYPE_CHECKING:
    import numpy as np

    from structdiff.inverse_folding.design import SequenceConfig
    from structdiff.structure.tables import Structure

#: Seconds between two writings of the tables, which are put together from all records of the folder.
_TABLES_SECONDS = 10.0
#: Residues of the sequences that are packed and written together: some seconds of work, lost when it is interrupted.
_PACKED_AT_ONCE = 1024
#: How many bonds a note names.
_NAMED = 5
ELSEWHERE = "choose another --out, or --overwrite"


@dataclass(frozen=True, kw_only=True)
class SequenceRun:
    """What all backbones of one call share. rows: of the table, of the sequences that are there. said: errors."""

    config: SequenceConfig
    asked: Asked
    out: Path
    pack: bool
    device: str
    overwrite: bool
    quiet: bool
    rows: list[dict[str, str]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def all(self, files: Sequence[Path]) -> None:
        """Designs for file after file; what fails is said, and the others go on."""
        names = names_of(files)
        self._check_folder(names)
        wanted, written = self.config.num_sequences, time.monotonic()
        with counted_progress("designing sequences", len(names) * wanted, quiet=self.quiet) as report:
            try:
                for number, (name, file) in enumerate(names.items()):
                    try:
                        self._one(name, file, lambda done, before=number * wanted: report(before + done))
                    except StructdiffError as error:
                        if disk_is_full(error):  # none of those that follow could be kept
                            raise ResourceError(f"{self.out}: the disk is full; what is finished is safe") from None
                        self._say(error)
                    report((number + 1) * wanted)
                    if time.monotonic() - written > _TABLES_SECONDS:
                        self._write_tables()
                        written = time.monotonic()
            except KeyboardInterrupt:
                self._write_tables()
                raise Interrupted(f"interrupted: {len(self.rows)} finished sequences in {self.out}") from None
        self._write_tables()

    def _one(self, name: str, file: Path, report: Callable[[int], None]) -> None:
        """The sequences of a backbone that are not there yet. report: called with how many are."""
        from structdiff.inverse_folding.design import ROWS_AT_ONCE, design_for_backbones
        from structdiff.inverse_folding.files import write_designed
        from structdiff.structure.files import read_structure

        structure = read_structure(file)
        record = self._record(name, self._provenance(file))
        left = self.config.numbers[len(record["rows"]) :]
        self.rows.extend(record["rows"])
        if not left:
            return
        try:
            asked = self.asked.of(structure)
            at_once = max(1, (_PACKED_AT_ONCE if self.pack else ROWS_AT_ONCE) // len(structure.residues))
            for first in left[::at_once]:
                report(first)
                some = replace(self.config, first=first, num_sequences=min(at_once, left.stop - first))
                designed = design_for_backbones([(structure, asked)], some, pack=self.pack, device=self.device)[0]
                if not record["rows"]:
                    self._begin(record, structure, designed[0].designed)
                rows, lacking = write_designed(self.out, record, designed)
                self.rows.extend(rows)
                for note in lacking if not self.quiet else ():
                    print(f"note: {note}", file=sys.stderr, flush=True)
        except InputError as error:
            raise InputError(str(error), path=None if error.path else file) from None

    def _record(self, name: str, provenance: Mapping[str, Any]) -> dict[str, Any]:
        """The record of a backbone: what is there of this run, up to the first structure that was removed.

        Raises InputError where its sequences are from another run, or structures of their names from elsewhere.
        """
        from structdiff.inverse_folding.files import new_record, read_record

        if self.overwrite:
            return new_record(name, provenance)
        record = read_record(self.out, name)
        if record is None:
            for number in self.config.numbers:
                path = self.out / f"{name}_{number + 1}.cif"
                if path.exists():
                    raise _foreign(path)
            return new_record(name, provenance)
        changed = difference(record["provenance"], provenance)
        if changed is not None:
            raise InputError(f"{name} is here from another run ({changed}); {ELSEWHERE}", path=self.out)
        paths = [self.out / Path(row["file"]).name for row in record["rows"]]
        whole = [path.is_file() and is_whole(path) for path in paths]
        count = whole.index(False) if False in whole else len(whole)
        damaged = [path for path, good in zip(paths, whole, strict=True) if not good and path.is_file()]
        if damaged and not self.quiet:
            print(f"note: {damage_note(damaged)}", file=sys.stderr, flush=True)
        return {**record, "rows": record["rows"][:count], "sequences": record["sequences"][:count]}

    def _begin(self, record: Mapping[str, Any], structure: Structure, designed: np.ndarray) -> None:
        """What comes before the first sequence of a backbone is written. designed: (residue,) bool."""
        from structdiff.inverse_folding.files import remove_designed, write_record

        self.out.mkdir(parents=True, exist_ok=True)
        remove_designed(self.out, record["name"])
        write_record(self.out, record)  # structures without it are taken for files of others
        bonds = _lost_bonds(structure, designed)
        if bonds and not self.quiet:
            text = f"bonds of side chains that are designed lead to what stays, and are left out: {', '.join(bonds)}"
            print(f"note: {record['name']}: {text}", file=sys.stderr, flush=True)

    def _check_folder(self, names: Mapping[str, Path]) -> None:
        """Raises InputError where files that are no results of this command would be replaced, or of another name."""
        from structdiff.inverse_folding.files import FASTA, RECORD_SUFFIX, TABLE

        refuse_other_spellings(self.out, names, RECORD_SUFFIX)
        for file in names.values():
            name, _, number = file.stem.rpartition("_")
            wanted = re.fullmatch(r"[1-9]\d*", number) and int(number) <= self.config.num_sequences
            if wanted and name in names and file.suffix == ".cif" and file.resolve().parent == self.out.resolve():
                message = f"a sequence of {names[name]} would take the place of this backbone; choose another --out"
                raise InputError(message, path=file)
        if self.overwrite or any(self.out.glob(f"*{RECORD_SUFFIX}")):
            return
        for path in (self.out / TABLE, self.out / FASTA):
            if path.exists():
                raise _foreign(path)

    def _write_tables(self) -> None:
        from structdiff.inverse_folding.files import write_tables

        if self.rows:
            try:
                write_tables(self.out)
            except StructdiffError as error:
                self._say(error)

    def _say(self, error: StructdiffError) -> None:
        if str(error) not in self.said:
            self.said.append(str(error))
            print(f"error: {error}", file=sys.stderr, flush=True)

    def _provenance(self, file: Path) -> dict[str, Any]:
        from structdiff.inverse_folding.library import model_name
        from structdiff.inverse_folding.packing import PACKER
        from structdiff.published_weights import full_names
        from structdiff.published_weights.catalogue import CATALOGUE
        from structdiff.version import __version__

        weights = CATALOGUE.weights[model_name(self.config.model)]
        packer = CATALOGUE.weights[full_names(PACKER)[0]]
        facts = {
            "structdiff": __version__,
            **asdict(self.config),
            "model": weights.name,
            "model_sha256": weights.sha256,
            "packed": self.pack,
            **({"side_chains": packer.name, "side_chains_sha256": packer.sha256} if self.pack else {}),
            "asked": asdict(self.asked),
            "source_sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        }
        return json.loads(json.dumps(facts))


def _foreign(path: Path) -> InputError:
    message = f"this file would be replaced, and is not from structdiff sequence; {ELSEWHERE}"
    return InputError(message, path=path)


def names_of(files: Sequence[Path]) -> dict[str, Path]:
    """What the sequences of each file are called. Raises InputError for two files of one name."""
    from structdiff.spec.file_name import check_spelling, folded

    found: dict[str, Path] = {}
    spelt: dict[str, str] = {}
    for file in files:
        name = plain_name(file).rsplit(".", 1)[0]
        if name in found:
            raise InputError(f"two files have this name, the other is {found[name]}", path=file, found=name)
        check_spelling(name, [spelt.setdefault(folded(name), name)], file)
        found[name] = file
    return found


def refuse_other_spellings(out: Path, names: Iterable[str], suffix: str) -> None:
    """Raises InputError where a folder has a record (NAME and a suffix) of a name that differs in case only."""
    from structdiff.spec.file_name import check_spelling, folded

    records = [path.name.removesuffix(suffix) for path in out.glob(f"*{suffix}")]
    there = {folded(each): each for each in records}
    for name in names:
        check_spelling(name, [there.get(folded(name), name)], out)


def _lost_bonds(structure: Structure, designed: np.ndarray) -> list[str]:
    """The first bonds that are left out, in words, and how many more there are."""
    from structdiff.inverse_folding.mutation import lost_bonds
    from structdiff.structure.keys import residue_keys

    keys = residue_keys(structure)
    bonds = lost_bonds(structure, designed).tolist()
    named = [" - ".join("{}{}{}".format(*keys[structure.atoms.residue[row]]) + f" {structure.atoms.name[row]}"
                        for row in bond) for bond in bonds[:_NAMED]]  # fmt: skip
    return named + ([f"{len(bonds) - _NAMED} more"] if len(bonds) > _NAMED else [])
