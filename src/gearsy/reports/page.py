"""`report.html`: one file that holds everything, asks the network for nothing, and runs no script.

Whatever a model or a study wrote reaches the page through Jinja's autoescape, or through Vega's own escaping in the
figure. A content policy in the page forbids scripts and loading besides.
"""

import json
import shlex
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from gearsy.base.results import RunResult, Training
from gearsy.reports import figure, spelling, tables
from gearsy.reports.layout import entrants, measure_info
from gearsy.reports.paths import ReportPaths, write_whole
from gearsy.reports.result_json import to_public_json
from gearsy.reports.sparkline import sparkline


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """One line of the scoreboard, spelled."""

    name: str
    claim: str
    colour: str
    baseline: bool
    verdict: str
    because: str
    bits: str
    against: str
    crps: str
    e_value: str
    power: str
    abstained: int
    gears: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """One trained model, spelled, with its loss curve as an SVG element."""

    name: str
    seed: int
    documents: str
    tokens: str
    time: str
    first: str
    last: str
    curve: Markup
    artifact: str


def write_report(result: RunResult, folder: Path) -> ReportPaths:
    """Write `result.json`, `figure.png` and `report.html` into the folder, each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = ReportPaths.within(folder)
    public = json.dumps(to_public_json(result), allow_nan=False, ensure_ascii=False, indent=1)
    write_whole(paths.json, f"{public}\n".encode(errors="backslashreplace"))  # half a surrogate pair: \\ud83d is JSON
    figure.write_png(figure.draw(result), paths.png, 2.0)
    write_whole(paths.html, render(result).encode(errors="replace"))
    return paths


def render(result: RunResult) -> str:
    """The page as text."""
    environment = Environment(
        loader=PackageLoader("gearsy.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    primary = measure_info(result, result.primary)
    return environment.get_template("report.html.j2").render(
        result=result,
        primary=primary,
        chance=spelling.chance_of(primary),
        prompts=_prompts(result),
        figures={
            width: Markup(figure.svg(figure.draw(result, width=width, heading=False)))  # noqa: S704 — Vega escaped it
            for width in ("wide", "narrow")
        },
        scoreboard=[_scored(result, i) for i in _theories_first(result)],
        tables=tables,
        others=[info for info in result.measures if info.name != result.primary],
        trained=[_trained(training) for training in result.trainings],
        command=dict(result.settings).get("command", f"gearsy run {shlex.quote(result.study)} --size {result.size}"),
        sealed=_sealed(result),
    )


def _prompts(result: RunResult) -> str:
    counts = sorted({row.n_prompts for row in result.rows if row.measure == result.primary})
    return " to ".join(dict.fromkeys(spelling.count(n) for n in counts[:1] + counts[-1:])) or "no"


def _theories_first(result: RunResult) -> list[int]:
    return sorted(range(len(result.theories)), key=lambda i: result.theories[i].baseline)


def _scored(result: RunResult, i: int) -> Scored:
    card = result.theories[i]
    colours = {entrant.name: entrant.colour for entrant in entrants(result)}
    return Scored(
        name=card.theory,
        claim=dict(result.claims).get(card.theory, ""),
        colour=colours[card.theory],
        baseline=card.baseline,
        verdict=card.verdict.name,
        because=card.verdict.because,
        bits=spelling.bits(card.bits),
        against=card.against,
        crps=spelling.points(card.crps),
        e_value=spelling.e_value(card.log_e),
        power="" if card.baseline else spelling.percent(card.power),
        abstained=card.abstained,
        gears=tuple((gear.name, spelling.bits(gear.bits_lost).removeprefix("+")) for gear in card.gears),
    )


def _trained(training: Training) -> Trained:
    losses = [loss for _, loss in training.losses]
    return Trained(
        name=training.name,
        seed=training.seed,
        documents=spelling.count(training.n_documents),
        tokens=spelling.count(training.n_tokens),
        time=spelling.duration(training.seconds),
        first=spelling.fixed(losses[0], 2) if losses else spelling.NOTHING,
        last=spelling.fixed(losses[-1], 2) if losses else spelling.NOTHING,
        curve=Markup(sparkline(training.losses)),  # noqa: S704 — numbers only
        artifact=training.artifact,
    )


def _sealed(result: RunResult) -> str:
    """One sentence on what stood in the ledger before anything was asked."""
    predictions = [entry for entry in result.registrations if entry.kind == "prediction"]
    early = sum(entry.before_answers for entry in predictions)
    if not predictions:
        return "No prediction stands in the ledger."
    if early == len(predictions):
        return f"All {early} predictions were sealed before any answer existed."
    return f"{early} of {len(predictions)} predictions were sealed before any answer existed."
