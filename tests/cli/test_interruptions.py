"""Ctrl-C at every stage, and kill -9 in tuning and asking: one line, exit code 130, and the same estimates after all."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from cli_words import TINY

REPOSITORY = Path(__file__).parents[2]
STAGES = ("plan", "register", "tune", "ask", "measure and score", "report")
PRESS = """
import os, signal, sys
from gearsy.cli import main, watch

stop, sys.argv[:] = sys.argv[1], ["gearsy", *sys.argv[2:]]
real = watch.PlainWatch.stage
def stage(self, name, total):
    real(self, name, total)
    if name == stop:
        os.kill(os.getpid(), signal.SIGINT)
watch.PlainWatch.stage = stage
main()
"""


def gearsy(*words: object, press_at: str = "never") -> subprocess.CompletedProcess[str]:
    """`gearsy …` in a process of its own, which is sent SIGINT when the stage `press_at` begins."""
    program = [sys.executable, "-c", PRESS, press_at, *map(str, words)]
    return subprocess.run(program, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("stage", STAGES)
def test_ctrl_c_is_one_line_and_exit_code_130(tiny_model: Path, tmp_path: Path, stage: str):
    told = gearsy("run", TINY, "--quick", "--system", tiny_model, "--lab", tmp_path / "lab", press_at=stage)
    assert told.returncode == 130
    assert told.stdout == ""
    assert told.stderr.splitlines()[-1] == (
        f"interrupted while: {stage}. Nothing that was kept is lost; run the same command to resume."
    )
    assert "Traceback" not in told.stderr


def test_what_was_interrupted_everywhere_ends_like_what_was_not(tiny_model: Path, tmp_path: Path):
    words = ("run", TINY, "--quick", "--system", tiny_model, "--json", "--lab")
    alone = gearsy(*words, tmp_path / "alone")
    assert alone.returncode == 0
    for stage in ("tune", "ask"):
        assert gearsy(*words, tmp_path / "pressed", press_at=stage).returncode == 130
    resumed = gearsy(*words, tmp_path / "pressed")
    assert conditions(resumed.stdout) == conditions(alone.stdout)


def conditions(text: str) -> object:
    """The estimates and the scoreboard of a printed result."""
    result = json.loads(text)
    return result["conditions"], result["theories"], result["signatures"], result["answer"]


def test_kill_9_changes_no_estimate(tiny_model: Path):
    script = REPOSITORY / "benchmarks" / "kill_resume.py"
    words = [sys.executable, str(script), "--study", str(TINY), "--system", str(tiny_model), "--times", "3"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "every estimate is the same to the last digit" in done.stdout
    assert done.stdout.count("killed") >= 2
