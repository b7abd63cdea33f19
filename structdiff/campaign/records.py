"""What a manifest tells: questions about the work of a campaign, none of which changes anything."""

from __future__ import annotations

import json
import socket
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from structdiff.campaign.signs_of_life import is_alive
from structdiff.campaign.work import STAGES, NewWork, Share, Work, content_hash, difference
from structdiff.errors import InputError
from structdiff.spec.file_name import check_spelling

#: What of a run decides how its designs are called.
_NAMING = ("bare", "beside")
_HASHES = "SELECT stage, name, input_hash FROM work"
#: The columns of a row, in the order of Work's own fields.
COLUMNS = "id, run, stage, name, number, seed, parent, state, attempts, seconds, error"


class Records:
    """The rows of an open database of a campaign, to be asked; one thread may."""

    def __init__(self, folder: Path, database: sqlite3.Connection) -> None:
        self.folder = folder
        self._database = database
        self._last: tuple[Mapping[str, Any], str] | None = None

    def runs(self) -> dict[str, dict[str, Any]]:
        """What is known of each run of this folder, by its name."""
        rows = self._database.execute("SELECT name, facts FROM runs ORDER BY rowid").fetchall()
        return {name: json.loads(facts) for name, facts in rows}

    def rows(
        self, *, run: str | None = None, stage: str | None = None, state: str | None = None, results: bool = True
    ) -> Iterator[Work]:
        """Rows in order of stage and number; without their results where only the state is of interest."""
        asked = (("run", run), ("stage", stage), ("state", state))
        chosen = [(column, value) for column, value in asked if value is not None]
        where = " AND ".join(f"{column} = ?" for column, _ in chosen) or "1"
        columns = f"{COLUMNS}, result" if results else COLUMNS
        query = f"SELECT {columns} FROM work WHERE {where} ORDER BY stage, number, id"
        for row in self._database.execute(query, [value for _, value in chosen]):
            yield work_of(row)

    def rows_of(self, stage: str, names: Iterable[str]) -> Iterator[Work]:
        """The finished rows of these names in a stage."""
        query = f"SELECT {COLUMNS}, result FROM work WHERE stage = ? AND name = ? AND state = 'done'"
        for name in names:
            row = self._one(query, (stage, name))
            if row is not None:
                yield work_of(row)

    def sequenced(self, run: str, number: int) -> list[Work]:
        """The finished rows of the stage of sequences of one backbone, in order of their sequences."""
        query = (f"SELECT {COLUMNS}, result FROM work WHERE state = 'done' AND stage = 'sequence' AND number = ? "
                 "AND run = ? ORDER BY id")  # fmt: skip
        return [work_of(row) for row in self._database.execute(query, (number, run))]

    def errors(self, run: str | None = None) -> list[Work]:
        """What failed, in order."""
        return list(self.rows(run=run, state="failed", results=False))

    def counts(self, run: str | None = None, share: Share | None = None) -> dict[str, dict[str, int]]:
        """How much work there is of each stage and state, of one run, a share of one, or all."""
        found: dict[str, dict[str, int]] = {}
        chosen, values = chosen_rows(share)
        query = (f"SELECT stage, state, COUNT(*) FROM work WHERE (run = ? OR ? IS NULL) AND {chosen} "
                 "GROUP BY stage, state")  # fmt: skip
        for stage, state, count in self._database.execute(query, (run, run, *values)):
            found.setdefault(stage, {})[state] = count
        return {stage: found[stage] for stage in STAGES if stage in found}

    def seconds(self, run: str | None = None) -> dict[str, float]:
        """Mean time of finished work of each stage, of one run or of all."""
        query = "SELECT stage, AVG(seconds) FROM work WHERE state = 'done' AND (run = ? OR ? IS NULL) GROUP BY stage"
        return dict(self._database.execute(query, (run, run)).fetchall())

    def is_open(self, share: Share | None = None) -> bool:
        """Whether anything of a share, or at all, is waiting or being done."""
        chosen, values = chosen_rows(share)
        query = f"SELECT 1 FROM work WHERE state IN ('waiting', 'running') AND {chosen} LIMIT 1"
        return self._one(query, values) is not None

    def at_work(self) -> bool:
        """Whether a process that is alive has work of this folder in hand."""
        rows = self._database.execute("SELECT DISTINCT worker FROM work WHERE state = 'running'").fetchall()
        beats = dict(self._database.execute("SELECT name, beat FROM workers").fetchall())
        return any(is_alive(worker, beats.get(worker, 0.0)) for (worker,) in rows)

    def machines_elsewhere(self) -> list[str]:
        """Other machines with work of this folder in hand: whether their processes live, only their silence tells."""
        rows = self._database.execute("SELECT DISTINCT worker FROM work WHERE state = 'running'").fetchall()
        return sorted({worker.split("|")[0] for (worker,) in rows if worker} - {socket.gethostname()})

    def conflict(self, work: Iterable[NewWork]) -> tuple[str, str] | None:
        """The first design that is there from another request, and in what the two differ."""
        for each in work:
            there = self._one("SELECT hash, text FROM work JOIN requests ON request = requests.id "
                              "WHERE stage = ? AND name = ?", (each.stage, each.name))  # fmt: skip
            if there is not None and there[0] != self._hash(each.asked):
                return each.name, difference(json.loads(there[1]), each.asked) or "another request"
        return None

    def check_spelling(self, run: str) -> None:
        """Raises InputError where a run of this folder has that name but for upper and lower case."""
        check_spelling(run, self.runs(), self.folder)

    def check_fits(self, other: Records) -> None:
        """Raises InputError where another manifest holds work that is here from another request or named otherwise."""
        here = {(stage, name): found for stage, name, found in self._database.execute(_HASHES)}
        for stage, name, found in other._database.execute(_HASHES):
            if here.get((stage, name), found) != found:
                raise InputError(f"{name} is in {self.folder} from another run", path=other.folder)
        begun = self.runs()
        for run, facts in other.runs().items():
            self.check_spelling(run)
            differs = [key for key in _NAMING if begun.get(run, facts).get(key) != facts.get(key)]
            if differs:
                raise InputError(f"{run} was begun with other sequences, or another number of them, in {self.folder}: "
                                 "its designs have other names there", path=other.folder)  # fmt: skip

    def _hash(self, asked: Mapping[str, Any]) -> str:
        """The hash of a request; thousands of designs in a row share one."""
        if self._last is None or self._last[0] is not asked:
            self._last = (asked, content_hash(asked))
        return self._last[1]

    def _one(self, query: str, values: Sequence[Any]) -> tuple | None:
        return self._database.execute(query, values).fetchone()


def work_of(row: Sequence[Any]) -> Work:
    """A row of the columns ``COLUMNS``, and of the result if that was asked for, in the order of Work's own."""
    known = len(Work._fields) - 1
    if len(row) == known or row[known] is None:
        return Work(*row[:known])
    return Work(*row[:known], result=json.loads(row[known]))


def chosen_rows(share: Share | None) -> tuple[str, tuple[str | int, ...]]:
    """A condition on rows, in SQL, and its values."""
    if share is None:
        return "1", ()
    run, numbers = share
    return ("run = ? AND number >= ? AND number < ? AND (number - ?) % ? = 0",
            (run, numbers.start, numbers.stop, numbers.start, numbers.step))  # fmt: skip
