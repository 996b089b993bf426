"""The runs of a lab: what each set out to do, what it ended with, and the findings that it left."""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gearsy.base.bets import Finding
from gearsy.base.digests import canonical
from gearsy.base.errors import BadRecord, GearsyError, LabBroken, unknown
from gearsy.base.results import RunResult
from gearsy.store.codec import decode, encode
from gearsy.store.database import Database
from gearsy.store.responses import full_digest


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """One line of the list of runs."""

    run_id: str
    study: str
    size: str
    created_at: str
    finished: bool


class Runs:
    """Runs by id. A run's results are append-only, and the latest counts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def start(self, run_id: str, *, design: str, study: str, size: str, spec: Mapping[str, Any]) -> None:
        """Note that a run of `design` (its full digest) has begun; to note the same run again changes nothing."""
        full_digest("a run's design", design)
        body = canonical(spec)
        with self._database.writing() as connection:
            query = "SELECT run_id, design FROM runs WHERE run_id = ? OR design = ?"
            known = connection.execute(query, (run_id, design)).fetchall()
            for other_id, other_design in known:
                if (other_id, other_design) != (run_id, design):
                    raise LabBroken(
                        f"run {run_id!r} has design {design}, and {self._database.path} holds run {other_id!r} with "
                        f"design {other_design}; a run is one design. Name another lab with --lab."
                    )
            if not known:
                connection.execute(
                    "INSERT INTO runs (run_id, design, study, size, created_at, spec) VALUES (?, ?, ?, ?, ?, ?)",
                    (run_id, design, study, size, self._database.now(), body),
                )

    def named(self, design: str) -> str | None:
        """What the run of this design (its full digest) is called in this lab, if it has begun."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT run_id FROM runs WHERE design = ?", (design,)).fetchone()
        return row[0] if row else None

    def spec(self, run_id: str) -> dict[str, Any]:
        """What the run was started with, as JSON types."""
        with self._database.reading() as connection:
            self._require(connection, run_id)
            (body,) = connection.execute("SELECT spec FROM runs WHERE run_id = ?", (run_id,)).fetchone()
        try:
            return json.loads(body)
        except (ValueError, TypeError) as error:
            raise LabBroken(
                f"{self._database.path}, run {run_id}: its spec cannot be read ({error}). Restore the lab from a copy."
            ) from error

    def finish(self, run_id: str, result: RunResult) -> None:
        """Keep the run's result; a later one counts instead of it, and does not erase it."""
        if result.run_id != run_id:
            raise BadRecord(f"the result of run {result.run_id!r} was given for run {run_id!r}; give its own.")
        body = encode(result)
        with self._database.writing() as connection:
            self._require(connection, run_id)
            connection.execute(
                "INSERT INTO run_results (run_id, created_at, body) VALUES (?, ?, ?)",
                (run_id, self._database.now(), body),
            )

    def result(self, run_id: str) -> RunResult:
        """The run's latest result."""
        with self._database.reading() as connection:
            study, size = self._require(connection, run_id)
            query = "SELECT body FROM run_results WHERE run_id = ? ORDER BY id DESC LIMIT 1"
            row = connection.execute(query, (run_id,)).fetchone()
        if row is None:
            raise GearsyError(
                f"run {run_id!r} is not finished. Run study {study!r} at size {size!r} again in this lab: it goes on "
                "where it stopped, and asks nothing twice."
            )
        try:
            return decode(row[0], RunResult)
        except LabBroken as error:
            raise LabBroken(f"{self._database.path}, result of run {run_id}: {error}") from error

    def list(self) -> list[RunRow]:
        """All runs, the oldest first."""
        query = (
            "SELECT run_id, study, size, created_at, EXISTS (SELECT 1 FROM run_results WHERE run_id = runs.run_id) "
            "FROM runs ORDER BY created_at, rowid"
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).fetchall()
        return [
            RunRow(run_id=run_id, study=study, size=size, created_at=created_at, finished=bool(finished))
            for run_id, study, size, created_at, finished in rows
        ]

    def _require(self, connection: sqlite3.Connection, run_id: str) -> tuple[str, str]:
        row = connection.execute("SELECT study, size FROM runs WHERE run_id = ?", (run_id,)).fetchone()
        if row is None:
            raise unknown("run", run_id, [known for (known,) in connection.execute("SELECT run_id FROM runs")])
        return row


class Findings:
    """What the runs claim. The latest set of a run counts, so a run that is repeated is not counted twice."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, run_id: str, findings: Iterable[Finding]) -> None:
        """Keep all findings of a run, in place of those it gave before."""
        body = encode(tuple(findings))
        with self._database.writing() as connection:
            connection.execute("INSERT INTO findings (run_id, body) VALUES (?, ?)", (run_id, body))

    def all(self) -> list[Finding]:
        """Every run's latest findings, in the order in which the runs gave them."""
        query = (
            "SELECT run_id, body FROM findings WHERE id IN (SELECT max(id) FROM findings GROUP BY run_id) ORDER BY id"
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).fetchall()
        found: list[Finding] = []
        for run_id, body in rows:
            try:
                found.extend(decode(body, tuple[Finding, ...]))
            except LabBroken as error:
                raise LabBroken(f"{self._database.path}, findings of run {run_id}: {error}") from error
        return found
