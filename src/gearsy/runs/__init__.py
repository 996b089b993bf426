"""Floor 6: the main path, `plan → register → tune → ask → measure → score → weave`, and where tasks are carried out."""

from gearsy.runs.main import RunOptions, run
from gearsy.runs.watch import Silent, Watch

__all__ = ["RunOptions", "Silent", "Watch", "run"]
