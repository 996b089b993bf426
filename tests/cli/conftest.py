"""The command line, called as a user calls it but in this process, and a lab with one finished toy run."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from cli_words import TINY

from gearsy.cli.main import main


@dataclass(frozen=True)
class Outcome:
    """What a command left: exit code, stdout, stderr."""

    code: int
    out: str
    err: str


@pytest.fixture
def gearsy(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    def call(*words: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["gearsy", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            main()
        told = capsys.readouterr()
        assert "Traceback" not in told.err + told.out
        return Outcome(int(stop.value.code or 0), told.out, told.err)

    return call


@pytest.fixture(scope="session")
def toy_lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lab in which the tiny study was run on the toy, from Python."""
    import gearsy

    lab = tmp_path_factory.mktemp("toy") / "lab"
    gearsy.run(str(TINY), system="toy", lab=lab)
    return lab
