"""The hash chain on which bets are sealed before anything is asked.

Each entry's hash covers its number, time, kind, body and the hash before it, so that a change anywhere breaks
the chain from there on. A chain alone allows a rewrite of the whole ledger, and of its newest entries: whoever
holds the file can compute new hashes. So publish the head (in a commit, a post, a mail to a colleague): what
leads up to a published head can no longer be changed unnoticed.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gearsy.base.digests import canonical, digest
from gearsy.base.errors import BadRecord, LabBroken
from gearsy.store.database import Database
from gearsy.store.responses import DIGEST

GENESIS = "0" * 64
COLUMNS = ("created_at", "kind", "body", "prev", "hash")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One link of the chain; `prev` is the hash of the entry before it, 64 zeros for the first."""

    seq: int
    created_at: str
    kind: str
    body: dict[str, Any]
    prev: str
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerCheck:
    """What a full check found. `head` is the hash of the last sound entry; `first_bad` the number of the first bad one."""

    ok: bool
    n_entries: int
    head: str
    first_bad: int | None
    why: str


class Ledger:
    """An append-only chain of entries."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, kind: str, body: Mapping[str, Any]) -> Entry:
        """Seal `body` at the end of the chain; on the disk when this returns."""
        if not kind:
            raise BadRecord("a ledger entry has no kind; give it one word, such as 'registration'.")
        try:
            text = canonical(body).decode()
        except (ValueError, TypeError) as error:
            raise BadRecord(f"a ledger entry of kind {kind!r} cannot be written as canonical JSON: {error}") from error
        with self._database.writing() as connection:
            last, prev = self._last(connection)
            seq = last + 1
            content = {"seq": seq, "created_at": self._database.now(), "kind": kind, "body": json.loads(text)}
            entry = Entry(**content, prev=prev, hash=digest("ledger", {**content, "prev": prev}))
            connection.execute(
                "INSERT INTO ledger (seq, created_at, kind, body, prev, hash) VALUES (?, ?, ?, ?, ?, ?)",
                (seq, entry.created_at, kind, text, prev, entry.hash),
            )
        return entry

    def entries(self, kind: str | None = None) -> list[Entry]:
        """The entries in order, all or of one kind. They are read, not checked: `verify` does that."""
        query = "SELECT seq, created_at, kind, body, prev, hash FROM ledger WHERE ?1 IS NULL OR kind = ?1 ORDER BY seq"
        with self._database.reading() as connection:
            rows = connection.execute(query, (kind,)).fetchall()
        return [self._entry(row) for row in rows]

    def head(self) -> str:
        """The hash of the newest entry: the one line to publish. 64 zeros while the ledger is empty."""
        with self._database.reading() as connection:
            return self._last(connection)[1]

    def verify(self) -> LedgerCheck:
        """Read every stored byte of the chain again and name the first entry that does not hold."""
        head, seq = GENESIS, 0
        with self._database.reading() as connection:
            n_entries = connection.execute("SELECT count(*) FROM ledger").fetchone()[0]
            # As bytes with their types: SQLite hands out a damaged cell as another type, or not at all as text.
            cells = ", ".join(f"typeof({name}), CAST({name} AS BLOB)" for name in COLUMNS)
            for row in connection.execute(f"SELECT seq, {cells} FROM ledger ORDER BY seq"):
                seq += 1
                why = _fault(row, seq, head)
                if why:
                    return LedgerCheck(ok=False, n_entries=n_entries, head=head, first_bad=seq, why=why)
                head = row[-1].decode()
            # A row can also vanish from its page, and the last one leaves no gap; SQLite's own check sees that.
            (state,) = connection.execute("PRAGMA integrity_check('ledger')").fetchone()
        if state != "ok":
            why = f"entry {seq + 1} may be lost: {self._database.path} is damaged ({state})."
            return LedgerCheck(ok=False, n_entries=n_entries, head=head, first_bad=seq + 1, why=why)
        return LedgerCheck(ok=True, n_entries=n_entries, head=head, first_bad=None, why="every entry holds.")

    def _last(self, connection: sqlite3.Connection) -> tuple[int, str]:
        """Number and hash of the newest entry; 0 and 64 zeros if there is none."""
        row = connection.execute("SELECT seq, hash FROM ledger ORDER BY seq DESC LIMIT 1").fetchone()
        if row is None:
            return 0, GENESIS
        if not isinstance(row[1], str) or not DIGEST.fullmatch(row[1]):
            raise LabBroken(
                f"{self._database.path}, ledger entry {row[0]}: its hash is {row[1]!r}, not a digest. "
                "Verify the ledger to see the first entry that does not hold, and restore the lab from a copy."
            )
        return row

    def _entry(self, row: tuple[Any, ...]) -> Entry:
        seq, created_at, kind, text, prev, hash_ = row
        try:
            body = json.loads(text)
        except (ValueError, TypeError) as error:
            raise LabBroken(
                f"{self._database.path}, ledger entry {seq}: its body cannot be read ({error}). "
                "Verify the ledger to see the first entry that does not hold."
            ) from error
        return Entry(seq=seq, created_at=created_at, kind=kind, body=body, prev=prev, hash=hash_)


def _fault(row: tuple[Any, ...], seq: int, head: str) -> str:
    """What is wrong with a stored row where entry `seq` should stand, after hash `head`; empty if nothing is."""
    found, *cells = row
    if found != seq:
        return f"entry {seq} is missing: entry {found} stands in its place."
    texts = dict(_texts(cells))
    bad = [name for name in COLUMNS if name not in texts]
    if bad:
        return f"entry {seq} is damaged: its {bad[0]} is not text."
    try:
        body = json.loads(texts["body"])
        sound = canonical(body).decode() == texts["body"]
    except (ValueError, TypeError, RecursionError) as error:
        return f"entry {seq} is damaged: its body is not JSON ({error})."
    if not sound:
        return f"entry {seq} was changed: its body is not in canonical form."
    if texts["prev"] != head:
        return f"entry {seq} does not follow entry {seq - 1}: its prev is {texts['prev']}, not {head}."
    content = {"seq": seq, "created_at": texts["created_at"], "kind": texts["kind"], "body": body, "prev": head}
    if digest("ledger", content) != texts["hash"]:
        return f"entry {seq} was changed: its content does not give its hash {texts['hash']}."
    return ""


def _texts(cells: list[Any]) -> Iterator[tuple[str, str]]:
    """The columns that hold UTF-8 text, by name."""
    for name, storage, data in zip(COLUMNS, cells[::2], cells[1::2], strict=True):
        if storage == "text":
            try:
                yield name, data.decode()
            except UnicodeDecodeError:
                continue  # left out, which `_fault` reports by name
