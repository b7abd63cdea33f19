"""The manifest: a small database that knows of each design what is done, what is being done, and what failed.

SQLite in WAL mode: several processes of one machine share it, and whatever is killed, at whatever moment, leaves it
whole. Work counts only once its files are written and its row says ``done``; that of a process that is gone is done
again.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from structdiff.campaign.opening import open_to_read, open_to_write, trouble
from structdiff.campaign.records import COLUMNS, Records, chosen_rows, work_of
from structdiff.campaign.signs_of_life import is_alive, worker_name
from structdiff.campaign.work import STAGES, NewWork, Share, Work, canonical
from structdiff.errors import InputError

MANIFEST = "manifest.sqlite"


class Manifest(Records):
    """The manifest of a folder; made where there is none. To be used in ``with``, by one thread.

    create: False for a folder that must have one. read_only: only to look, also where nothing can be written. Raises
    InputError where the file is no manifest, is damaged, or cannot be written, also on leaving ``with``.
    """

    def __init__(self, folder: str | Path, *, create: bool = True, read_only: bool = False) -> None:
        folder = Path(folder)
        self.path = folder / MANIFEST
        self.worker = worker_name()
        if (read_only or not create) and not self.path.is_file():
            raise InputError("there is no campaign in this folder", path=folder, allowed=f"a folder with {MANIFEST}")
        super().__init__(folder, open_to_read(self.path) if read_only else open_to_write(self.path))

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

    def claim(
        self,
        limit: int | Mapping[str, int],
        stages: Sequence[str] = STAGES,
        share: Share | None = None,
        among: Mapping[str, int] = {},
    ) -> list[Work]:
        """Takes work of one stage to do it now, the furthest stage first; empty where nothing is waiting.

        limit: how much at most, or how much of each stage. share: only of this; what else waits in the folder was asked
        for by another command, and is left to that. among: how many workers a stage has; where there is not enough for
        all of them to have as much as the limit, each takes its part of it.
        """
        chosen, values = chosen_rows(share)
        with self._writing():
            for stage in reversed(stages):
                waiting = f"FROM work WHERE state = 'waiting' AND stage = ? AND {chosen}"
                workers, most = among.get(stage, 1), limit if isinstance(limit, int) else limit.get(stage, 1)
                if workers > 1:
                    (count,) = self._database.execute(f"SELECT COUNT(*) {waiting}", (stage, *values)).fetchone()
                    most = min(most, -(-count // workers))
                rows = self._database.execute(
                    f"SELECT {COLUMNS} {waiting} ORDER BY number LIMIT ?", (stage, *values, most)
                ).fetchall()
                if rows:
                    self._beat()
                    self._database.executemany(
                        "UPDATE work SET state = 'running', worker = ?, attempts = attempts + 1 WHERE id = ?",
                        [(self.worker, row[0]) for row in rows],
                    )
                    return [work_of(row) for row in rows]
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
            gone = [(row, n) for row, worker, n in rows if not is_alive(worker, beats.get(worker, 0.0))]
            for row, attempts in gone:
                state = "failed" if attempts >= most_attempts else "waiting"
                error = f"its process ended without a word {attempts} times" if state == "failed" else None
                self._database.execute("UPDATE work SET state = ?, worker = NULL, error = ? WHERE id = ?",
                                       (state, error, row))  # fmt: skip
            return len(gone)

    def retry_failed(self, share: Share | None = None) -> int:
        """What failed waits again, with as many attempts as before it was first tried. How much it was."""
        chosen, values = chosen_rows(share)
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

    def drop(self, work: Iterable[Work]) -> None:
        """Forgets rows."""
        with self._writing():
            self._database.executemany("DELETE FROM work WHERE id = ?", [(each.id,) for each in work])

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

    def _beat(self) -> None:
        self._database.execute("INSERT OR REPLACE INTO workers VALUES (?, ?)", (self.worker, time.time()))

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
