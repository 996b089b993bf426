"""The lab's SQLite file: its schema, its transactions, and SQLite's errors said in words.

WAL with synchronous=FULL: a reader never waits for the writer; a killed process loses its open transaction
and nothing else; and neither does a power cut, so a registration is on the disk before anything is asked.
That is one fsync a transaction, hence batches. A connection belongs to the thread that opened it.
"""

import fcntl
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from gearsy.base.errors import BadRecord, GearsyError, LabBroken, LabTooNew
from gearsy.store.space import guard_space

SCHEMA_VERSION = 1
APPLICATION_ID = 0x67656172  # "gear": tells a lab from another program's SQLite file
BUSY_TIMEOUT_S = 30.0
Clock = Callable[[], datetime]

TABLES = """
CREATE TABLE responses (key TEXT PRIMARY KEY NOT NULL CHECK (length(key) = 64), system TEXT NOT NULL,
    kind TEXT NOT NULL, body BLOB NOT NULL, created_at TEXT NOT NULL);
CREATE INDEX responses_system ON responses (system);
CREATE TABLE failures (id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL CHECK (length(key) = 64),
    system TEXT NOT NULL, body BLOB NOT NULL, created_at TEXT NOT NULL);
CREATE TABLE ledger (seq INTEGER PRIMARY KEY, created_at TEXT NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL,
    prev TEXT NOT NULL, hash TEXT NOT NULL);
CREATE TABLE runs (run_id TEXT PRIMARY KEY NOT NULL, design TEXT NOT NULL UNIQUE CHECK (length(design) = 64),
    study TEXT NOT NULL, size TEXT NOT NULL, created_at TEXT NOT NULL, spec BLOB NOT NULL);
CREATE TABLE run_results (id INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT NOT NULL REFERENCES runs (run_id),
    created_at TEXT NOT NULL, body BLOB NOT NULL);
CREATE INDEX run_results_run ON run_results (run_id, id);
CREATE TABLE findings (id INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT NOT NULL, body BLOB NOT NULL)
"""
KEYS = {
    "responses": "key",
    "failures": "id",
    "ledger": "seq",
    "runs": "run_id",
    "run_results": "id",
    "findings": "id",
}


def append_only_triggers() -> Iterator[str]:
    """The triggers by which the database itself refuses to change or delete anything: a lab only grows.

    The third refuses INSERT OR REPLACE, whose deletions fire no trigger.
    """
    for table, key in KEYS.items():
        refuse = f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        yield f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {refuse}"
        yield f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {refuse}"
        taken = f"EXISTS (SELECT 1 FROM {table} WHERE {key} = NEW.{key})"
        if table == "responses":  # the first answer wins, quietly: two processes may have asked the same
            refuse = "BEGIN SELECT RAISE(IGNORE); END"
        yield f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} WHEN {taken} {refuse}"


class Database:
    """One connection to a lab's file."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self.path = path
        self._clock = clock
        with self.guarded():
            # isolation_level=None: transactions begin where this module says, not where sqlite3 guesses.
            self._connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        try:
            with self.guarded():
                self._prepare()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give the file back; the last one to close folds the WAL into the main file."""
        self._connection.close()

    def now(self) -> str:
        """The clock's time as ISO 8601 in UTC."""
        moment = self._clock()
        if moment.tzinfo is None:
            raise BadRecord(f"the clock gave {moment.isoformat()} without a time zone; give datetime.now(UTC).")
        return moment.astimezone(UTC).isoformat(timespec="milliseconds")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One consistent view of the lab, whatever others write meanwhile."""
        with self.guarded(), self._transaction("BEGIN"):
            yield self._connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction, kept whole or not at all; one writer at a time, the others wait up to 30 s."""
        with self.guarded(), self._transaction("BEGIN IMMEDIATE"):
            yield self._connection

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """SQLite's errors as ones a user can act on; a defect of gearsy stays a `sqlite3` error."""
        try:
            with guard_space(self.path):
                yield
        except sqlite3.Error as error:
            said = _in_words(error, self.path)
            if said is None:
                raise
            raise said from error

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[None]:
        self._connection.execute(begin)
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:  # SQLite has rolled back by itself where the disk was full
                self._connection.execute("ROLLBACK")
            raise

    def _prepare(self) -> None:
        for pragma in ("synchronous = FULL", "foreign_keys = ON", "recursive_triggers = ON"):
            self._connection.execute(f"PRAGMA {pragma}")
        if self._version() == 0:
            # SQLite does not wait for the lock that turning WAL on needs, so newcomers queue here instead.
            with self.path.with_suffix(".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if self._version() == 0:
                    self._create()
        if self._version() > SCHEMA_VERSION:
            raise LabTooNew(
                f"{self.path} has schema version {self._version()}, and this gearsy reads up to {SCHEMA_VERSION}. "
                "Upgrade gearsy, or name another lab with --lab."
            )

    def _version(self) -> int:
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        tables = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        application = self._connection.execute("PRAGMA application_id").fetchone()[0]
        if application != APPLICATION_ID and (version or tables):
            raise LabBroken(f"{self.path} is another program's database, not a lab. Name another folder with --lab.")
        return version

    def _create(self) -> None:
        self._connection.execute("PRAGMA journal_mode = WAL")
        with self._transaction("BEGIN IMMEDIATE"):
            for statement in (*TABLES.split(";"), *append_only_triggers()):
                self._connection.execute(statement)
            self._connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            self._connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _in_words(error: sqlite3.Error, path: Path) -> GearsyError | None:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return GearsyError(
            f"{path} is locked: another process has been writing to it for {BUSY_TIMEOUT_S:.0f} s. "
            "Wait until that has ended, then run again."
        )
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH):
        return GearsyError(f"{path} cannot be opened for writing ({error}). Check who may write in that folder.")
    if code == sqlite3.SQLITE_IOERR:  # also what SQLite makes of a full quota or file-size limit
        return GearsyError(
            f"{path} cannot be read or written ({error}). Check the disk, your quota and `ulimit -f`; "
            "nothing half-written was kept."
        )
    damaged = code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    if damaged or str(error).startswith(("Could not decode to UTF-8", "no such table", "no such column")):
        return LabBroken(
            f"{path} is damaged ({error}). Restore it from a copy, or save what can be read with "
            f"`sqlite3 {path.name} .recover`."
        )
    return None
