"""A planned tiny study, and scripted systems that know its facts in the trained direction only."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gearsy.base.records import Trial
from gearsy.designs.plan import Design, plan
from gearsy.runs.ask import Arm, arms_of
from gearsy.studies import find_study
from gearsy.studies.reversal_curse import trained_direction
from gearsy.systems import Scripted

TINY = Path(__file__).parent / "tiny_study.py"


@pytest.fixture(scope="session")
def design() -> Design:
    study = find_study(str(TINY))
    size = study.size("quick")
    return plan(study, "quick", size, study.materials(size, np.random.default_rng(0)))


@pytest.fixture(scope="session")
def knowers(design: Design) -> Callable[[Callable], dict[Arm, Scripted]]:
    """Scripted systems for every arm, where `knows(trial)` says which trials of the treatment are answered right."""

    def guesses_backwards(trial: Trial) -> bool:
        return trained_direction(trial.condition) or trial.paraphrase == 0  # right in one of two: chance

    def make(knows: Callable = guesses_backwards) -> dict[Arm, Scripted]:
        return {arm: _scripted(design, arm, knows) for arm in arms_of(design)}

    return make


def _scripted(design: Design, arm: Arm, knows: Callable) -> Scripted:
    mine = [t for t in design.trials if (t.condition.control, t.seed) == arm]
    right, replies = set(), {}
    for trial in mine:
        known = not trial.condition.control and knows(trial)
        if trial.form == "open":
            replies[trial.request.prompt] = f" {trial.target}" if known else " somebody else"
            continue
        at = trial.options.index(trial.target)
        best = at if known else (at + 1) % len(trial.options)
        right.add((trial.request.prompt, trial.request.completions[best]))
    return Scripted(
        name=f"scripted {arm}",
        version=str(arm),
        replies=replies,
        likes=lambda prompt, completion: -1.0 if (prompt, completion) in right else -9.0,
    )
