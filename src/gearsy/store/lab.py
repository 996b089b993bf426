"""The lab folder: one SQLite file, the artifacts beside it, and a place for reports."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from gearsy.base.errors import GearsyError
from gearsy.store.artifacts import Artifacts
from gearsy.store.database import Clock, Database
from gearsy.store.ledger import Ledger
from gearsy.store.responses import Responses
from gearsy.store.runs import Findings, Runs
from gearsy.store.space import guard_space


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """Everything a study leaves behind. Open it in a `with`, and use it from the thread that opened it.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, Lab.open(folder) as lab:
    ...     lab.responses.count()
    0
    """

    folder: Path
    responses: Responses
    ledger: Ledger
    runs: Runs
    findings: Findings
    artifacts: Artifacts
    reports: Path
    _database: Database

    @classmethod
    def open(cls, folder: str | Path, *, create: bool = True, clock: Clock = lambda: datetime.now(UTC)) -> "Lab":
        """The lab in `folder`, made if there is none; without `create`, a lab that is not there is an error."""
        folder = Path(folder)
        path = folder / "lab.sqlite"
        if not create and not path.is_file():
            raise GearsyError(f"no lab at {folder}; run a study first, or name one with --lab.")
        try:
            with guard_space(folder):
                for name in ("artifacts", "reports"):
                    (folder / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise GearsyError(
                f"the lab folder {folder} cannot be made ({error.strerror}). Name another with --lab."
            ) from error
        database = Database(path, clock)
        return cls(
            folder=folder,
            responses=Responses(database),
            ledger=Ledger(database),
            runs=Runs(database),
            findings=Findings(database),
            artifacts=Artifacts(folder / "artifacts"),
            reports=folder / "reports",
            _database=database,
        )

    def close(self) -> None:
        """Give the lab back. To close it twice is no error."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
