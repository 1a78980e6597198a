"""Jobs in an embedded database that one process holds open; it survives a restart."""

import json
import math
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import Any, Literal, Self

from dfgame.records import UserError

Status = Literal["queued", "running", "done", "failed", "cancelled"]
ENDED: tuple[Status, ...] = ("done", "failed", "cancelled")
VERSION = 1

_TABLE = """
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL, name TEXT NOT NULL, size INTEGER NOT NULL,
    status TEXT NOT NULL, progress REAL NOT NULL DEFAULT 0, created REAL NOT NULL, ended REAL,
    verdict TEXT, result TEXT, words TEXT NOT NULL DEFAULT '[]', problem TEXT
);
CREATE INDEX IF NOT EXISTS by_status ON jobs (status, number);
"""
_COLUMNS = "id, name, size, status, progress, created, ended, verdict, result, words, problem"


@dataclass(frozen=True, slots=True)
class Job:
    """An uploaded file and what became of it.

    `name` is what its sender called it, text and nothing else. `progress` is 0 to 1; `created` and `ended` are seconds
    since 1970. `result` is a verdict as JSON values; `words` are sentences that say it, the verdict first; `problem`
    says why there is none.
    """

    id: str
    name: str
    size: int
    status: Status
    progress: float
    created: float
    ended: float | None
    verdict: str | None
    result: dict[str, Any] | None
    words: tuple[str, ...]
    problem: str | None


class Store:
    """All jobs, oldest first in the queue. Its methods may be called from any thread.

    A job that was running when the process ended is queued again when the store is opened.
    """

    def __init__(self, path: Path) -> None:
        """Open the database, which is made if it is missing.

        Nobody but its owner can read it.

        Raises:
            UserError: another process holds it, or it is none of ours.
            OSError: it cannot be written.
        """
        self._lock = RLock()
        path.touch(mode=0o600)
        for end in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                path.with_name(path.name + end).chmod(0o600)
        self._connection = sqlite3.connect(path, timeout=1, isolation_level=None, check_same_thread=False)
        try:
            self._prepare(path)
        except sqlite3.OperationalError as error:
            self.close()
            raise UserError(f"{path}: {error}", "is another server running? --data names another folder") from None
        except sqlite3.DatabaseError as error:
            self.close()
            raise UserError(f"{path}: not a database of this program ({error})", "move it away") from None
        except UserError:
            self.close()
            raise

    def _prepare(self, path: Path) -> None:
        run = self._connection.execute
        run("PRAGMA locking_mode = EXCLUSIVE")
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA secure_delete = ON")
        version = run("PRAGMA user_version").fetchone()[0]
        if version not in (0, VERSION):
            raise UserError(f"{path}: made by another version of this program", "name another folder with --data")
        self._connection.executescript(f"{_TABLE} PRAGMA user_version = {VERSION};")
        self.requeue_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database; closing it again does nothing."""
        with self._lock:
            self._connection.close()

    def add(self, id: str, name: str, size: int) -> None:
        """Put a file at the end of the queue."""
        values = (id, name, size, time.time())
        self._change("INSERT INTO jobs (id, name, size, status, created) VALUES (?, ?, ?, 'queued', ?)", values)

    def get(self, id: str) -> Job | None:
        """The job with this id."""
        return next(self._jobs("WHERE id = ?", (id,)), None)

    def page(self, first: int, most: int) -> list[Job]:
        """Jobs, newest first, from the one with this place (the newest has 0), without their results."""
        return list(self._jobs("ORDER BY number DESC LIMIT ? OFFSET ?", (most, first), results=False))

    def count(self, status: Status | None = None) -> int:
        """How many jobs there are, or how many have this status."""
        where, values = ("WHERE status = ?", (status,)) if status else ("", ())
        return int(self._value(f"SELECT count(*) FROM jobs {where}", values))

    def place(self, id: str) -> int:
        """How many queued jobs come before this one, and itself: 1 is next. 0 if it does not wait."""
        query = (
            "SELECT count(*) FROM jobs WHERE status = 'queued' AND number <= "
            "(SELECT number FROM jobs WHERE id = ? AND status = 'queued')"
        )
        return int(self._value(query, (id,)))

    def ids(self) -> set[str]:
        """The ids of all jobs."""
        with self._open() as connection:
            return {row[0] for row in connection.execute("SELECT id FROM jobs")}

    def start_next(self) -> Job | None:
        """Take the oldest queued job, which is running from now on."""
        with self._lock:
            job = next(self._jobs("WHERE status = 'queued' ORDER BY number LIMIT 1", ()), None)
            if job is not None:
                self._change("UPDATE jobs SET status = 'running', progress = 0 WHERE id = ?", (job.id,))
            return job

    def advance(self, id: str, progress: float) -> bool:
        """Note how far a running job is, in whole percents; False if it was ended, and does not run any more."""
        percents = math.floor(progress * 100) / 100
        with self._open() as connection:
            query = "SELECT progress FROM jobs WHERE id = ? AND status = 'running'"
            before = connection.execute(query, (id,)).fetchone()
            if before is not None and before[0] != percents:  # a change waits for the disk
                connection.execute("UPDATE jobs SET progress = ? WHERE id = ?", (percents, id))
        return before is not None

    def finish(self, id: str, result: dict[str, Any], words: Sequence[str]) -> bool:
        """Note the result of a running job; False as in `advance`."""
        values = (time.time(), result["verdict"], json.dumps(result, allow_nan=False), json.dumps(list(words)), id)
        query = (
            "UPDATE jobs SET status = 'done', progress = 1, ended = ?, verdict = ?, result = ?, words = ? "
            "WHERE id = ? AND status = 'running'"
        )
        return self._change(query, values)

    def fail(self, id: str, problem: str) -> bool:
        """Note why a running job has no result; False as in `advance`."""
        query = "UPDATE jobs SET status = 'failed', ended = ?, problem = ? WHERE id = ? AND status = 'running'"
        return self._change(query, (time.time(), problem, id))

    def cancel(self, id: str) -> bool:
        """End a job that waits or runs; False if it has ended already."""
        query = "UPDATE jobs SET status = 'cancelled', ended = ? WHERE id = ? AND status IN ('queued', 'running')"
        return self._change(query, (time.time(), id))

    def requeue(self, id: str) -> bool:
        """Put a running job back to where it was in the queue; False as in `advance`."""
        return self._change(
            "UPDATE jobs SET status = 'queued', progress = 0 WHERE id = ? AND status = 'running'", (id,)
        )

    def requeue_all(self) -> None:
        """Put whatever is running back to where it was in the queue."""
        self._change("UPDATE jobs SET status = 'queued', progress = 0 WHERE status = 'running'", ())

    def delete(self, id: str) -> bool:
        """Forget a job, whatever its status; False if there is none."""
        return self._change("DELETE FROM jobs WHERE id = ?", (id,))

    def ended_before(self, when: float) -> list[str]:
        """The ids of jobs that ended before a time, in seconds since 1970."""
        with self._open() as connection:
            return [row[0] for row in connection.execute("SELECT id FROM jobs WHERE ended < ?", (when,))]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            yield self._connection

    def _change(self, query: str, values: Sequence[Any]) -> bool:
        with self._open() as connection:
            return connection.execute(query, values).rowcount > 0

    def _value(self, query: str, values: Sequence[Any]) -> Any:
        with self._open() as connection:
            return connection.execute(query, values).fetchone()[0]

    def _jobs(self, rest: str, values: Sequence[Any], results: bool = True) -> Iterator[Job]:
        columns = _COLUMNS if results else _COLUMNS.replace("result", "NULL")
        with self._open() as connection:
            rows = connection.execute(f"SELECT {columns} FROM jobs {rest}", values).fetchall()
        for row in rows:
            named: dict[str, Any] = dict(zip(_COLUMNS.split(", "), row, strict=True))
            result, words = named.pop("result"), tuple(json.loads(named.pop("words")))
            yield Job(**named, result=json.loads(result) if result else None, words=words)
