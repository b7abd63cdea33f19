"""The manifest: a small database that knows of each design what is done, what is being done, and what failed.

SQLite in WAL mode: several processes of one machine share it, and whatever is killed, at whatever moment, leaves it
whole. counts only once its files are written and its row says ``done``; work whose process is gone is done again.
"""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

from structdiff.campaign.opening import open_to_read, open_to_write, trouble
from structdiff.campaign.work import STAGES, NewWork, Share, Work, canonical, content_hash, difference
from structdiff.errors import InputError

MANIFEST = "manifest.sqlite"
#: Seconds without a sign of life after which work of another machine counts as abandoned.
SILENCE = 300.0
#: What of a run decides how its designs are called.
_NAMING = ("bare", "beside")
_HASHES = "SELECT stage, name, input_hash FROM work"
_COLUMNS = "id, run, stage, name, number, seed, parent, state, attempts, seconds, error"


class Manifest:
    """The manifest of a folder; made where there is none. To be used in ``with``, by one thread.

    create: False for a folder that must have one. read_only: only to look, also where nothing can be written. Raises
    InputError where the file is no manifest, is damaged, or cannot be written, also on leaving ``with``.
    """

    def __init__(self, folder: str | Path, *, create: bool = True, read_only: bool = False) -> None:
        self.folder = Path(folder)
        self.path = self.folder / MANIFEST
        self.worker = _worker_name()
        self._last: tuple[Mapping[str, Any], str] | None = None
        if not (create and not read_only) and not self.path.is_file():
            raise InputError(
                "there is no campaign in this folder", path=self.folder, allowed=f"a folder with {MANIFEST}"
            )
        self._database = open_to_read(self.path) if read_only else open_to_write(self.path)

    def __enter__(self) -> Manifest:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if isinstance(value, sqlite3.Error):
            raise trouble(value, self.path) from None

    def close(self) -> None:
        """Lets go of the file."""
        self._database.close()

    def add(self, work: Iterable[NewWork]) -> int:
        """Adds what is not there yet; how much that was.

        Raises InputError where a design of the same name was asked for differently.
        """
        with self._writing():
            return sum(self._add(each) for each in work)

    def conflict(self, work: Iterable[NewWork]) -> tuple[str, str] | None:
        """The first design that is there from another request, and in what the two differ."""
        for each in work:
            there = self._one("SELECT hash, text FROM work JOIN requests ON request = requests.id "
                              "WHERE stage = ? AND name = ?", (each.stage, each.name))  # fmt: skip
            if there is not None and there[0] != self._hash(each.asked):
                return each.name, difference(json.loads(there[1]), each.asked) or "another request"
        return None

    def claim(
        self, limit: int, stages: Sequence[str] = STAGES, share: Share | None = None, among: Mapping[str, int] = {}
    ) -> list[Work]:
        """Takes work of one stage to do it now, the furthest stage first; empty where nothing is waiting.

        share: only of this; what else waits in the folder was asked for by another command, and is left to that.
        among: how many workers a stage has; where there is not enough for all of them to have as much as the limit,
        each takes its part of it.
        """
        chosen, values = _of(share)
        with self._writing():
            for stage in reversed(stages):
                waiting = f"FROM work WHERE state = 'waiting' AND stage = ? AND {chosen}"
                workers, most = among.get(stage, 1), limit
                if workers > 1:
                    (count,) = self._database.execute(f"SELECT COUNT(*) {waiting}", (stage, *values)).fetchone()
                    most = min(limit, -(-count // workers))
                rows = self._database.execute(
                    f"SELECT {_COLUMNS} {waiting} ORDER BY number LIMIT ?", (stage, *values, most)
                ).fetchall()
                if rows:
                    self._beat()
                    self._database.executemany(
                        "UPDATE work SET state = 'running', worker = ?, attempts = attempts + 1 WHERE id = ?",
                        [(self.worker, row[0]) for row in rows],
                    )
                    return [_work(row) for row in rows]
        return []

    def finish(self, work: Work, result: Mapping[str, Any], seconds: float, following: Iterable[NewWork] = ()) -> None:
        """Records a result, whose files are written already, together with the work that follows from it."""
        text = json.dumps(result, default=str, allow_nan=False)
        with self._writing():
            self._database.execute(
                "UPDATE work SET state = 'done', seconds = ?, result = ?, error = NULL WHERE id = ?",
                (seconds, text, work.id),
            )
            for each in following:
                self._add(each)
            self._beat()

    def fail(self, work: Work, error: str, seconds: float = 0.0) -> None:
        """Records that work failed, and why."""
        with self._writing():
            self._database.execute(
                "UPDATE work SET state = 'failed', error = ?, seconds = ? WHERE id = ?", (error, seconds, work.id)
            )

    def give_back(self, work: Iterable[Work]) -> None:
        """Work that was taken and not done is waiting again, as if it had not been taken."""
        with self._writing():
            self._database.executemany(
                "UPDATE work SET state = 'waiting', worker = NULL, attempts = attempts - 1 WHERE id = ? AND "
                "state = 'running'", [(each.id,) for each in work],
            )  # fmt: skip

    def put_off(self, work: Work) -> None:
        """Work whose worker died waits again; that it was tried is kept."""
        with self._writing():
            self._database.execute("UPDATE work SET state = 'waiting', worker = NULL WHERE id = ?", (work.id,))

    def beat(self) -> None:
        """Says that this process is alive."""
        with self._writing():
            self._beat()

    def release_abandoned(self, *, most_attempts: int = 3) -> int:
        """Work of processes that are gone waits again; what took down that many of them has failed. How much it was."""
        with self._writing():
            rows = self._database.execute("SELECT id, worker, attempts FROM work WHERE state = 'running'").fetchall()
            beats = dict(self._database.execute("SELECT name, beat FROM workers").fetchall())
            gone = [(row, n) for row, worker, n in rows if not _alive(worker, beats.get(worker, 0.0))]
            for row, attempts in gone:
                state = "failed" if attempts >= most_attempts else "waiting"
                error = f"its process ended without a word {attempts} times" if state == "failed" else None
                self._database.execute("UPDATE work SET state = ?, worker = NULL, error = ? WHERE id = ?",
                                       (state, error, row))  # fmt: skip
            return len(gone)

    def retry_failed(self, share: Share | None = None) -> int:
        """What failed waits again, with as many attempts as before it was first tried. How much it was."""
        chosen, values = _of(share)
        with self._writing():
            return self._database.execute(
                f"UPDATE work SET state = 'waiting', error = NULL, attempts = 0 WHERE state = 'failed' AND {chosen}",
                values,
            ).rowcount

    def redo(self, work: Iterable[Work]) -> None:
        """Work that was done waits again."""
        with self._writing():
            self._database.executemany(
                "UPDATE work SET state = 'waiting', result = NULL, attempts = 0 WHERE id = ?",
                [(each.id,) for each in work],
            )

    def drop_open(self, run: str, stages: Sequence[str]) -> None:
        """Forgets unfinished work of a run in other stages than these: it is wanted no more."""
        marks = ", ".join("?" * len(stages))
        with self._writing():
            self._database.execute(
                f"DELETE FROM work WHERE run = ? AND state != 'done' AND stage NOT IN ({marks})", (run, *stages)
            )

    def remove(self, run: str) -> None:
        """Forgets a run with all of its designs."""
        with self._writing():
            self._database.execute("DELETE FROM work WHERE run = ?", (run,))
            self._database.execute("DELETE FROM runs WHERE name = ?", (run,))

    def note_run(self, run: str, facts: Mapping[str, Any]) -> None:
        """Keeps what is to be known of a run when its results are read: its stages, filter, and the like."""
        with self._writing():
            self._database.execute("INSERT OR REPLACE INTO runs VALUES (?, ?)", (run, json.dumps(facts, default=str)))

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
        columns = f"{_COLUMNS}, result" if results else _COLUMNS
        query = f"SELECT {columns} FROM work WHERE {where} ORDER BY stage, number, id"
        for row in self._database.execute(query, [value for _, value in chosen]):
            yield _work(row)

    def rows_of(self, stage: str, names: Iterable[str]) -> Iterator[Work]:
        """The finished rows of these names in a stage."""
        query = f"SELECT {_COLUMNS}, result FROM work WHERE stage = ? AND name = ? AND state = 'done'"
        for name in names:
            row = self._one(query, (stage, name))
            if row is not None:
                yield _work(row)

    def sequenced(self, run: str, number: int) -> list[Work]:
        """The finished rows of the stage of sequences of one backbone, in order of their sequences."""
        query = (f"SELECT {_COLUMNS}, result FROM work WHERE state = 'done' AND stage = 'sequence' AND number = ? "
                 "AND run = ? ORDER BY id")  # fmt: skip
        return [_work(row) for row in self._database.execute(query, (number, run))]

    def drop(self, work: Iterable[Work]) -> None:
        """Forgets rows."""
        with self._writing():
            self._database.executemany("DELETE FROM work WHERE id = ?", [(each.id,) for each in work])

    def counts(self, run: str | None = None, share: Share | None = None) -> dict[str, dict[str, int]]:
        """How much work there is of each stage and state, of one run, a share of one, or all."""
        found: dict[str, dict[str, int]] = {}
        chosen, values = _of(share)
        query = (f"SELECT stage, state, COUNT(*) FROM work WHERE (run = ? OR ? IS NULL) AND {chosen} "
                 "GROUP BY stage, state")  # fmt: skip
        for stage, state, count in self._database.execute(query, (run, run, *values)):
            found.setdefault(stage, {})[state] = count
        return {stage: found[stage] for stage in STAGES if stage in found}

    def seconds(self, run: str | None = None) -> dict[str, float]:
        """Mean time of finished work of each stage, of one run or of all."""
        query = "SELECT stage, AVG(seconds) FROM work WHERE state = 'done' AND (run = ? OR ? IS NULL) GROUP BY stage"
        return dict(self._database.execute(query, (run, run)).fetchall())

    def check_fits(self, other: Manifest) -> None:
        """Raises InputError where another manifest holds work that is here from another request or named otherwise."""
        here = {(stage, name): found for stage, name, found in self._database.execute(_HASHES)}
        for stage, name, found in other._database.execute(_HASHES):
            if here.get((stage, name), found) != found:
                raise InputError(f"{name} is in {self.folder} from another run", path=other.folder)
        begun = self.runs()
        for run, facts in other.runs().items():
            differs = [key for key in _NAMING if begun.get(run, facts).get(key) != facts.get(key)]
            if differs:
                raise InputError(f"{run} was begun with other sequences, or another number of them, in {self.folder}: "
                                 "its designs have other names there", path=other.folder)  # fmt: skip

    def take_over(self, other: Manifest) -> int:
        """Adds the rows of another manifest, by content, and what it has done of those that are here; how many.

        Raises InputError where two contradict.
        """
        names = [row[1] for row in self._database.execute("PRAGMA table_info(work)") if row[1] not in ("id", "request")]
        theirs = f"SELECT requests.text, {', '.join(f'work.{name}' for name in names)} FROM work JOIN requests " \
                 "ON request = requests.id ORDER BY work.id"  # fmt: skip
        taken = 0
        with self._writing():
            for text, *values in other._database.execute(theirs):
                row = dict(zip(names, values, strict=True))
                if row["state"] == "running":
                    row |= {"state": "waiting", "worker": None}
                taken += self._take(row, text, other.folder)
            for run, facts in other.runs().items():
                self._database.execute("INSERT OR IGNORE INTO runs VALUES (?, ?)", (run, json.dumps(facts)))
        return taken

    def _take(self, row: Mapping[str, Any], request: str, origin: Path) -> int:
        """One row of another manifest; 1 if it says anything new."""
        there = self._one("SELECT id, input_hash, state FROM work WHERE stage = ? AND name = ?",
                          (row["stage"], row["name"]))  # fmt: skip
        if there is None:
            self._database.execute("INSERT OR IGNORE INTO requests (hash, text) VALUES (?, ?)",
                                   (row["input_hash"], request))  # fmt: skip
            self._database.execute(
                f"INSERT INTO work ({', '.join(row)}, request) SELECT {', '.join('?' * len(row))}, id FROM requests "
                "WHERE hash = ?", (*row.values(), row["input_hash"]),
            )  # fmt: skip
            return 1
        if there[1] != row["input_hash"]:
            raise InputError(f"{row['name']} is in {self.folder} from another run", path=origin)
        if there[2] == "done" or row["state"] in ("waiting", there[2]):
            return 0
        self._database.execute("UPDATE work SET state = ?, seconds = ?, error = ?, result = ? WHERE id = ?",
                               (row["state"], row["seconds"], row["error"], row["result"], there[0]))  # fmt: skip
        return 1

    def errors(self, run: str | None = None) -> list[Work]:
        """What failed, in order."""
        return list(self.rows(run=run, state="failed", results=False))

    def at_work(self) -> bool:
        """Whether a process that is alive has work of this folder in hand."""
        rows = self._database.execute("SELECT DISTINCT worker FROM work WHERE state = 'running'").fetchall()
        beats = dict(self._database.execute("SELECT name, beat FROM workers").fetchall())
        return any(_alive(worker, beats.get(worker, 0.0)) for (worker,) in rows)

    def machines_elsewhere(self) -> list[str]:
        """Other machines with work of this folder in hand: whether their processes live, only their silence tells."""
        rows = self._database.execute("SELECT DISTINCT worker FROM work WHERE state = 'running'").fetchall()
        return sorted({worker.split("|")[0] for (worker,) in rows if worker} - {socket.gethostname()})

    def is_open(self, share: Share | None = None) -> bool:
        """Whether anything of a share, or at all, is waiting or being done."""
        chosen, values = _of(share)
        query = f"SELECT 1 FROM work WHERE state IN ('waiting', 'running') AND {chosen} LIMIT 1"
        return self._one(query, values) is not None

    def _add(self, work: NewWork) -> int:
        hashed = self._hash(work.asked)
        there = self._one("SELECT input_hash FROM work WHERE stage = ? AND name = ?", (work.stage, work.name))
        if there is not None:
            if there[0] != hashed:
                found = self.conflict([work])
                raise InputError(
                    f"{work.name} is here from another run ({found[1] if found else ''})", path=self.folder
                )
            return 0
        text = json.dumps(json.loads(canonical(work.asked)) | {"spec": work.asked.get("spec")}, default=str)
        self._database.execute("INSERT OR IGNORE INTO requests (hash, text) VALUES (?, ?)", (hashed, text))
        self._database.execute(
            "INSERT INTO work (run, stage, name, number, seed, input_hash, weights_hash, request, parent) "
            "SELECT ?, ?, ?, ?, ?, ?, ?, id, ? FROM requests WHERE hash = ?",
            (work.run, work.stage, work.name, work.number, work.seed, hashed, work.weights_hash, work.parent, hashed),
        )
        return 1

    def _hash(self, asked: Mapping[str, Any]) -> str:
        """The hash of a request; thousands of designs in a row share one."""
        if self._last is None or self._last[0] is not asked:
            self._last = (asked, content_hash(asked))
        return self._last[1]

    def _beat(self) -> None:
        self._database.execute("INSERT OR REPLACE INTO workers VALUES (?, ?)", (self.worker, time.time()))

    def _one(self, query: str, values: Sequence[Any]) -> tuple | None:
        return self._database.execute(query, values).fetchone()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """All of it or nothing, and nobody else in between."""
        try:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:  # SQLite has ended it itself where the disk is full
                    self._database.execute("ROLLBACK")
                raise
        except sqlite3.OperationalError as error:
            raise trouble(error, self.path) from None


def _work(row: Sequence[Any]) -> Work:
    """A row of the columns ``_COLUMNS``, and of the result if that was asked for, in the order of Work's own."""
    known = len(Work._fields) - 1
    if len(row) == known or row[known] is None:
        return Work(*row[:known])
    return Work(*row[:known], result=json.loads(row[known]))


def _of(share: Share | None) -> tuple[str, tuple[str | int, ...]]:
    """A condition on rows, in SQL, and its values."""
    if share is None:
        return "1", ()
    run, numbers = share
    return ("run = ? AND number >= ? AND number < ? AND (number - ?) % ? = 0",
            (run, numbers.start, numbers.stop, numbers.start, numbers.step))  # fmt: skip


def _worker_name() -> str:
    """Machine, process and when it began: a number that was given to a process again is another process."""
    return f"{socket.gethostname()}|{os.getpid()}|{psutil.Process().create_time():.2f}"


def _alive(worker: str | None, beat: float) -> bool:
    if worker is None:
        return False
    host, pid, began = worker.split("|")
    if host != socket.gethostname():
        return abs(time.time() - beat) < SILENCE  # a sign of life from the future: a clock was set back
    try:
        return abs(psutil.Process(int(pid)).create_time() - float(began)) < 2.0  # the clock may have been set
    except psutil.Error:
        return False
