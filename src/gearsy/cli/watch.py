"""Progress on stderr: a live bar on a terminal, a line now and then elsewhere."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column

EVERY_S = 10.0


class LiveWatch:
    """Draws the present stage: how far, how long it took, how long to go."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.stage_name = "start"
        # Only the note may give way on a narrow terminal: how far and how long to go must stay readable.
        whole = Column(no_wrap=True)
        self._bar = Progress(
            TextColumn("{task.description}", table_column=Column(no_wrap=True, min_width=5)),
            BarColumn(bar_width=12),
            MofNCompleteColumn(table_column=whole),
            TimeElapsedColumn(table_column=Column(no_wrap=True, min_width=7)),
            TextColumn("left", table_column=Column(no_wrap=True, min_width=4)),
            TimeRemainingColumn(table_column=Column(no_wrap=True, min_width=7)),
            TextColumn("[dim]{task.fields[note]}", table_column=Column(no_wrap=True, ratio=1, overflow="ellipsis")),
            console=console,
            expand=True,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.stop()

    def stage(self, name: str, total: int) -> None:
        self.stage_name = name
        self._task = self._bar.add_task(name, total=total, note="") if total else None
        if not total:
            self.console.print(f"{name}", highlight=False)

    def advance(self, steps: int, note: str = "") -> None:
        if self._task is not None:
            self._bar.update(self._task, advance=steps, note=note)

    def say(self, text: str) -> None:
        self.console.print(f"  {text}", highlight=False, markup=False)


class PlainWatch:
    """The same in lines, for logs: at most one each ten seconds."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.stage_name = "start"
        self._total = self._done = 0
        self._begun = self._told = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        return None

    def stage(self, name: str, total: int) -> None:
        self.stage_name, self._total, self._done = name, total, 0
        self._begun = self._told = time.monotonic()
        self._line(f"{name}{f': {total} steps' if total else ''}")

    def advance(self, steps: int, note: str = "") -> None:
        self._done += steps
        now = time.monotonic()
        if now - self._told < EVERY_S or not self._done:
            return
        self._told, spent = now, now - self._begun
        left = spent / self._done * (self._total - self._done)
        self._line(f"{self.stage_name}: {self._done} of {self._total}, {spent:.0f} s, some {left:.0f} s to go; {note}")

    def say(self, text: str) -> None:
        self._line(f"  {text}")

    def _line(self, text: str) -> None:
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)


def watch_for(console: Console) -> LiveWatch | PlainWatch:
    """The live bar where there is a terminal to draw it on."""
    return LiveWatch(console) if console.is_terminal else PlainWatch(console)
