"""The terminal's tables hold at 80 columns without colour."""

import io
from dataclasses import replace
from pathlib import Path

from rich.console import Console, RenderableType

from gearsy.base.results import RunResult
from gearsy.reports.paths import ReportPaths
from gearsy.reports.terminal import closing, conditions_table, scoreboard


def shown(renderable: RenderableType) -> str:
    console = Console(file=io.StringIO(), width=80, no_color=True)
    console.print(renderable)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_conditions(result: RunResult) -> None:
    text = shown(conditions_table(result))
    assert "chance 8.3%" in text
    assert "94% [87, 98]" in text
    assert "shuffled pairs" in text
    assert max(map(len, text.splitlines())) <= 80


def test_no_word_is_broken(result: RunResult) -> None:
    words = set(shown(conditions_table(result)).split())
    assert {"name", "→", "description", "forward", "reverse", "both"} <= words


def test_scoreboard(result: RunResult) -> None:
    text = shown(scoreboard(result))
    order = [text.index(card.theory) for card in result.theories]
    assert order == sorted(order)
    for words in (
        "+18.3",
        "−41.2",
        "3.2e5",
        "<0.001",
        "97%",
        "storage 61.2",
        "leakage −6.1",
        "bits over pooled mean",
    ):
        assert words in text


def test_e_values_beyond_a_float(result_with_holes: RunResult) -> None:
    text = shown(scoreboard(result_with_holes))
    assert "3.0e2171" in text
    assert "inf" not in text


def test_closing(result: RunResult) -> None:
    text = shown(closing(result, ReportPaths.within(Path("/lab/reports/run"))))
    assert "supported: " in text
    assert "/lab/reports/run/report.html" in text
    assert "What this does not show:" in text
    assert "gate failed" not in text


def test_a_failed_gate_is_said(result: RunResult) -> None:
    broken = replace(result, gates=(replace(result.gates[0], passed=False, found="41%"),))
    text = shown(closing(broken, ReportPaths.within(Path("r"))))
    assert "gate failed: instrument: wanted in context ≥ 80%, found 41%" in text


def test_markup_in_a_name_is_text(result: RunResult) -> None:
    odd = replace(result, theories=(replace(result.theories[0], theory="[red]loud[/red]"),))
    assert "[red]loud[/red]" in shown(scoreboard(odd))
