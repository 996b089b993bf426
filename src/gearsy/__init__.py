"""gearsy: prosaic interpretability, by experiment.

A theory is a function from a condition to a distribution over what a system will do in it. gearsy gets the
system's answers and settles the bet.

    import gearsy as g
    run = g.run("reversal-curse", system="toy")
    print(run.answer)
    print(run.frame())
    run.plot().save("figure.png")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gearsy.base.bets import Abstain, Rate
from gearsy.base.records import Condition, Factor, Question, Recipe, Sampling

if TYPE_CHECKING:  # the same names as _LATER, for editors and type checkers
    from gearsy.designs import Control, Gate, Material, Size, Study
    from gearsy.store import Lab
    from gearsy.systems import Scripted
    from gearsy.theories import Theory
    from gearsy.view.run import Run, run

__version__ = "0.1.0"

_LATER = {
    "Theory": "gearsy.theories",
    "Study": "gearsy.designs",
    "Size": "gearsy.designs",
    "Material": "gearsy.designs",
    "Control": "gearsy.designs",
    "Gate": "gearsy.designs",
    "Scripted": "gearsy.systems",
    "Lab": "gearsy.store",
    "run": "gearsy.view.run",
    "Run": "gearsy.view.run",
}

__all__ = [
    "Abstain",
    "Condition",
    "Control",
    "Factor",
    "Gate",
    "Lab",
    "Material",
    "Question",
    "Rate",
    "Recipe",
    "Run",
    "Sampling",
    "Scripted",
    "Size",
    "Study",
    "Theory",
    "__version__",
    "run",
]


def __getattr__(name: str) -> Any:
    """Heavier names are imported when they are first used, so that `import gearsy` stays quick."""
    if name in _LATER:
        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module 'gearsy' has no attribute {name!r}")
