"""Floor 5: one file a question. `find_study` finds a study by name, also one that another package brings."""

from importlib import import_module
from importlib.metadata import entry_points

from gearsy.base.errors import GearsyError, unknown
from gearsy.designs.study import Study

BUILT_IN = {"reversal-curse": "gearsy.studies.reversal_curse"}


def study_names() -> list[str]:
    """Names of the studies that are here: our own, and those that packages offer as entry points `gearsy.studies`."""
    return sorted({*BUILT_IN, *(point.name for point in entry_points(group="gearsy.studies"))})


def find_study(name: str) -> Study:
    """The study called `name`; nothing of the others is imported."""
    if name in BUILT_IN:
        return import_module(BUILT_IN[name]).STUDY
    for point in entry_points(group="gearsy.studies"):
        if point.name == name:
            found = point.load()
            if not isinstance(found, Study):
                raise GearsyError(
                    f"entry point {name!r} of {point.value} is a {type(found).__name__}; a Study is wanted."
                )
            return found
    raise unknown("study", name, study_names())
