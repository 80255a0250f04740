"""One SQLite file behind one thread; concurrent writes share one transaction and one flush to disk."""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from contracts.errors import StoreUnavailableError, TransientError

T = TypeVar("T")

GROUP_LIMIT = 512
# Errors of a single function; any other error of SQLite (locked, disk full, damaged) concerns the whole group.
FAULTS_OF_A_JOB = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError, sqlite3.ProgrammingError)
BUSY_TIMEOUT_MS = 5_000
IN_MEMORY = ":memory:"
# A message with its deduplication key and the changed pages of the indexes.
ROOM_BYTES = 32 * 1024


@dataclass(slots=True)
class _Job:
    work: Callable[[sqlite3.Connection], Any]
    unavailable: type[TransientError]
    loop: asyncio.AbstractEventLoop
    future: "asyncio.Future[Any]"
    result: Any = None
    error: BaseException | None = None


class Database:
    """Executor of functions of a connection on one thread, in order.

    Functions that wait in the queue together run in one transaction, each inside its own savepoint, so that a failing
    one does not affect the others. A future resolves after the commit: an awaited result is on the disk (write-ahead
    log, `synchronous=FULL`).
    """

    def __init__(self, path: Path | str, *prepare: Callable[[sqlite3.Connection], object]) -> None:
        """Open the file (`:memory:` for none) and make its tables, each with one of `prepare`.

        Raises:
            StoreUnavailableError: it cannot be opened, or holds what this release cannot read.
        """
        self.path = str(path)
        self._prepare = prepare
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._ready: queue.SimpleQueue[Exception | None] = queue.SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="prosa-sqlite", daemon=True)
        self._thread.start()
        error = self._ready.get()
        if error is not None:
            raise StoreUnavailableError(f"{self.path} cannot be opened: {error}") from error

    async def run(
        self, work: Callable[[sqlite3.Connection], T], *, unavailable: type[TransientError] = StoreUnavailableError
    ) -> T:
        """Run `work` in a transaction and return its result once it is durable.

        Raises:
            `unavailable`: SQLite could not (locked for too long, disk full, closed).
            Whatever `work` raises, with nothing of it written.
        """
        if self._closed:
            raise unavailable("the database is closed")
        loop = asyncio.get_running_loop()
        job = _Job(work, unavailable, loop, loop.create_future())
        self._queue.put(job)
        result: T = await job.future
        return result

    async def prove_writable(self, *, unavailable: type[TransientError] = StoreUnavailableError) -> None:
        """Return if the disk has room for a message: one is written, and the previous one is deleted.

        Raises:
            `unavailable`: the disk is full, the file is read-only, or as `run`.
        """

        def work(c: sqlite3.Connection) -> None:
            c.execute("CREATE TABLE IF NOT EXISTS room (id INTEGER PRIMARY KEY, filler BLOB NOT NULL)")
            # In this order: a deletion first would make room that a message does not have.
            kept = c.execute("INSERT INTO room (filler) VALUES (zeroblob(?))", (ROOM_BYTES,)).lastrowid
            c.execute("DELETE FROM room WHERE id <> ?", (kept,))

        await self.run(work, unavailable=unavailable)

    def close(self) -> None:
        """Finish the queue and close the file."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
            self._thread.join()

    def _serve(self) -> None:
        try:
            connection = self._open()
        except (sqlite3.Error, ValueError) as exc:
            self._ready.put(exc)
            return
        self._ready.put(None)
        running = True
        while running:
            group, running = self._next_group()
            if group:
                self._run_group(connection, group)
                by_loop: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
                for job in group:
                    by_loop.setdefault(job.loop, []).append(job)
                for loop, jobs in by_loop.items():
                    # The loop may be closed when a test or a process ends early; then no caller waits for the result.
                    with suppress(RuntimeError):
                        loop.call_soon_threadsafe(_set_results, jobs)
        connection.close()

    def _open(self) -> sqlite3.Connection:
        # SQLite gives its own further files the same mode, and says itself what it cannot open.
        if self.path != IN_MEMORY:
            with suppress(OSError):
                Path(self.path).touch(mode=0o600)
                Path(self.path).chmod(0o600)
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA secure_delete=ON")
        connection.execute("BEGIN IMMEDIATE")
        for prepare in self._prepare:
            prepare(connection)
        connection.execute("COMMIT")
        return connection

    def _next_group(self) -> tuple[list[_Job], bool]:
        group: list[_Job] = []
        job = self._queue.get()
        while True:
            if job is None:
                return group, False
            group.append(job)
            if len(group) >= GROUP_LIMIT:
                return group, True
            try:
                job = self._queue.get_nowait()
            except queue.Empty:
                return group, True

    def _run_group(self, connection: sqlite3.Connection, group: list[_Job]) -> None:
        try:
            connection.execute("BEGIN IMMEDIATE")
            for job in group:
                connection.execute("SAVEPOINT job")
                try:
                    job.result = job.work(connection)
                except BaseException as exc:
                    if isinstance(exc, sqlite3.Error) and not isinstance(exc, FAULTS_OF_A_JOB):
                        raise
                    job.error = exc
                    connection.execute("ROLLBACK TO job")
                connection.execute("RELEASE job")
            connection.execute("COMMIT")
        except sqlite3.Error as exc:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            for job in group:
                job.error = job.unavailable(f"SQLite: {exc}")
                job.error.__cause__ = exc


def _set_results(jobs: list[_Job]) -> None:
    for job in jobs:
        if job.future.cancelled():
            continue
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.result)
