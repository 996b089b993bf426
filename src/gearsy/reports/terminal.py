"""The same tables for a terminal: rich renderables that read well at 80 columns and without colour.

Nothing is printed here. Every word goes in as `Text`, so that no name is taken for rich's markup.
"""

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from gearsy.base.bets import Scorecard, VerdictName
from gearsy.base.results import MeasureInfo, Row, RunResult
from gearsy.reports import spelling
from gearsy.reports.layout import control_names, measure_info, primary_rows
from gearsy.reports.paths import ReportPaths

_STYLES: dict[VerdictName, str] = {
    "SUPPORTED": "green",
    "REFUTED": "red",
    "INCONCLUSIVE": "yellow",
    "INADMISSIBLE": "dim",
    "DEVIATED": "magenta",
}


def conditions_table(result: RunResult) -> RenderableType:
    """The primary measure: a row a condition, the treatment with its interval and the controls beside it."""
    info = measure_info(result, result.primary)
    controls = control_names(result)
    table = _table()
    together = len(result.factors) > 2  # 80 columns do not hold three factors beside three controls
    for name in ["condition"] if together else [name for name, _ in result.factors]:
        table.add_column(Text(name), overflow="fold", min_width=10 if together else _longest_word(result, name))
    table.add_column(Text("treatment"), justify="right", no_wrap=True)
    for name in controls:
        table.add_column(Text(name), justify="right", overflow="fold", style="dim", min_width=_longest(name.split()))
    found = {(row.condition.control, row.condition.levels): row for row in result.rows if row.measure == info.name}
    for row in primary_rows(result):
        levels = row.condition.levels
        words = [level for _, level in levels]
        table.add_row(
            *(Text(word) for word in ([", ".join(words)] if together else words)),
            Text.assemble((spelling.value_of(row.estimate, info), "bold"), " ", _interval(row, info)),
            *(_value(found.get((control, levels)), info) for control in controls),
        )
    chance = f"; chance {spelling.chance_of(info)}" if info.chance is not None else ""
    return Group(Text(f"{info.name}: {info.title}{chance}"), table)


def scoreboard(result: RunResult) -> RenderableType:
    """Theories first, baselines dimmed below them; what each gear is worth stands under its theory's name."""
    table = _table()
    table.add_column(Text("theory"), overflow="fold", ratio=1)
    table.add_column(Text("verdict"), no_wrap=True)
    for name in ("bits", "CRPS", "e-value", "power"):
        table.add_column(Text(name), justify="right", no_wrap=True)
    ordered = sorted(result.theories, key=lambda card: card.baseline)
    for card in ordered:
        table.add_row(*_scored(card), style="dim" if card.baseline else None)
    against = dict.fromkeys(card.against for card in ordered if not card.baseline and card.against)
    note = f"bits over {', '.join(against)}; " if against else ""
    return Group(table, Text(f"{note}CRPS in percentage points", style="dim"))


def closing(result: RunResult, paths: ReportPaths) -> RenderableType:
    """The answer, why, what it does not show, and where the report lies."""
    failed = [gate for gate in result.gates if not gate.passed]
    lines: list[RenderableType] = [
        Text(result.asks, style="bold"),
        Text(result.answer),
        Text.assemble(_verdict(result.verdict.name), ": ", result.verdict.because),
    ]
    lines += [Text(f"gate failed: {gate.name}: wanted {gate.wanted}, found {gate.found}") for gate in failed]
    if result.limits:
        lines.append(Text("What this does not show:"))
        limits = Table.grid(padding=(0, 1))
        for limit in result.limits:
            limits.add_row(Text("  -"), Text(limit))
        lines.append(limits)
    named = (("report", paths.html), ("figure", paths.png), ("numbers", paths.json))
    lines += [Text(f"{name:<8}{path}", no_wrap=True, overflow="ignore") for name, path in named]
    return Group(*lines)


def _longest_word(result: RunResult, factor: str) -> int:
    return _longest([factor, *(level for name, levels in result.factors if name == factor for level in levels)])


def _longest(names: list[str]) -> int:
    """The longest word, so that a column never breaks one in two; at most 14 characters."""
    return min(14, max(len(word) for name in names for word in (name.split() or [""])))


def _table() -> Table:
    return Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")


def _interval(row: Row, info: MeasureInfo) -> str:
    return f"{spelling.interval_of(row.estimate, info):>8}"


def _value(row: Row | None, info: MeasureInfo) -> Text:
    return Text(spelling.value_of(row.estimate, info) if row is not None else "")


def _verdict(name: VerdictName) -> Text:
    return Text(name.lower(), style=_STYLES[name])


def _scored(card: Scorecard) -> tuple[Text, ...]:
    name = Text(card.theory)
    for gear in card.gears:
        name.append(f"\n  {gear.name} {spelling.bits(gear.bits_lost).removeprefix('+')}", style="dim")
    return (
        name,
        Text("baseline") if card.baseline else _verdict(card.verdict.name),
        Text(spelling.bits(card.bits)),
        Text(spelling.points(card.crps)),
        Text(spelling.e_value(card.log_e)),
        Text("" if card.baseline else spelling.percent(card.power)),
    )
