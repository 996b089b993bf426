"""Every answer ever paid for, by the digest of what was asked."""

import re
from collections.abc import Iterable, Mapping
from itertools import islice

from gearsy.base.errors import BadRecord, LabBroken
from gearsy.base.records import Failure, Reply, Response, Scored
from gearsy.store.codec import decode, encode
from gearsy.store.database import Database

CHUNK = 500  # SQLite before 3.32 takes 999 parameters a statement
DIGEST = re.compile("[0-9a-f]{64}")


class Responses:
    """Answers are kept for good and the first one wins; failures are counted, and asked again next time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, keys: Iterable[str]) -> dict[str, Reply]:
        """The answers there are to `keys`, in the order of `keys`; a key that has none is left out."""
        wanted = list(dict.fromkeys(keys))
        bodies: dict[str, bytes] = {}
        rest = iter(wanted)
        with self._database.reading() as connection:
            while chunk := list(islice(rest, CHUNK)):
                marks = ",".join("?" * len(chunk))
                bodies.update(connection.execute(f"SELECT key, body FROM responses WHERE key IN ({marks})", chunk))
        return {key: self._reply(key, bodies[key]) for key in wanted if key in bodies}

    def keep(self, system: str, replies: Mapping[str, Reply]) -> None:
        """Store what `system` answered, all of it or nothing; an answer that is there already stays as it is."""
        answers, failures = [], []
        for key, reply in replies.items():
            full_digest("a response's key", key)
            if isinstance(reply, Failure):
                failures.append((key, system, encode(reply)))
            else:
                answers.append((key, system, type(reply).__name__.lower(), encode(reply)))
        with self._database.writing() as connection:
            now = self._database.now()  # once no other process can seal a bet before it
            connection.executemany(  # the table's trigger passes over a key that has its answer
                "INSERT INTO responses (key, system, kind, body, created_at) VALUES (?, ?, ?, ?, ?)",
                [(*answer, now) for answer in answers],
            )
            connection.executemany(
                "INSERT INTO failures (key, system, body, created_at) VALUES (?, ?, ?, ?)",
                [(*failure, now) for failure in failures],
            )

    def count(self, system: str | None = None) -> int:
        """How many answers are kept, of one system or of all."""
        return self._count("responses", system)

    def count_failures(self, system: str | None = None) -> int:
        """How many times a system broke instead of answering; a key that failed twice counts twice."""
        return self._count("failures", system)

    def _count(self, table: str, system: str | None) -> int:
        with self._database.reading() as connection:
            query = f"SELECT count(*) FROM {table} WHERE ?1 IS NULL OR system = ?1"
            return connection.execute(query, (system,)).fetchone()[0]

    def _reply(self, key: str, body: bytes) -> Reply:
        try:
            return decode(body, Response, Scored)
        except LabBroken as error:
            raise LabBroken(f"{self._database.path}, response {key}: {error}") from error


def full_digest(what: str, value: str) -> str:
    """`value`, if it is all 64 digits of a SHA-256; a shortened one could stand for two things."""
    if not DIGEST.fullmatch(value):
        raise BadRecord(f"{what} is {value!r}; it must be the full digest, 64 hexadecimal digits.")
    return value
