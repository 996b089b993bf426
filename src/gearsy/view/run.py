"""`gearsy.run`: a study from Python, with its frame, figure and report."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gearsy.base.results import RunResult

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run, and the ways to look at it."""

    result: RunResult
    folder: Path

    @property
    def answer(self) -> str:
        """The answer sentence, made of the numbers."""
        return self.result.answer

    def frame(self) -> "pl.DataFrame":
        """One row a condition and measure."""
        from gearsy.reports.frames import conditions_frame

        return conditions_frame(self.result)

    def theories(self) -> "pl.DataFrame":
        """The scoreboard, one row a theory or baseline."""
        from gearsy.reports.frames import theories_frame

        return theories_frame(self.result)

    def plot(self) -> Any:
        """The figure, as an Altair chart: `.save("figure.png")`, or the last line of a notebook cell."""
        from gearsy.reports.figure import draw

        return draw(self.result)

    def report(self) -> Path:
        """Write report.html, figure.png and result.json, and say where the page is."""
        from gearsy.reports.page import write_report

        return write_report(self.result, self.folder).html


def run(
    study: str, *, size: str | None = None, system: str = "smollm2-135m", lab: str | Path = "lab", **choices: Any
) -> Run:
    """Run or resume a study; `choices` are further fields of `gearsy.runs.RunOptions`, such as `seeds=3`.

    Raises `GearsyError` for what you can mend; interrupted work is resumed by the same call.
    """
    from gearsy.runs import RunOptions
    from gearsy.runs import run as run_study
    from gearsy.store import Lab
    from gearsy.systems.models import Models

    options = RunOptions(study=study, size=size, system=system, **choices)
    with Lab.open(lab) as opened:
        result = run_study(options, opened, Models())
        return Run(result, opened.reports / result.run_id)
