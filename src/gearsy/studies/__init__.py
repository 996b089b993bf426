"""Floor 5: one file or folder a question. `find_study` finds a study by name, or in a user's own file."""

import sys
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from traceback import extract_tb

from gearsy.base.errors import GearsyError, unknown
from gearsy.designs.study import Study

BUILT_IN = {"reversal-curse": "gearsy.studies.reversal_curse"}


def study_names() -> list[str]:
    """Names of the studies that are here: our own, and those that packages offer as entry points `gearsy.studies`."""
    return sorted({*BUILT_IN, *(point.name for point in entry_points(group="gearsy.studies"))})


def find_study(name: str) -> Study:
    """The study called `name`, or the STUDY of the Python file `name`; nothing of the others is imported."""
    if name.endswith(".py"):
        return _from_file(Path(name))
    if name in BUILT_IN:
        return import_module(BUILT_IN[name]).STUDY
    for point in entry_points(group="gearsy.studies"):
        if point.name == name:
            return _checked(point.load(), f"entry point {name!r} ({point.value})")
    raise unknown("study", name, study_names())


def _from_file(path: Path) -> Study:
    if not path.is_file():
        raise GearsyError(f"no file {path}; give a Python file that defines STUDY, or a name from `gearsy studies`.")
    spec = spec_from_file_location(f"gearsy_user_study_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise GearsyError(f"{path} cannot be loaded as Python; give a file that ends in .py.")
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # so that dataclasses and inspect find the file's own definitions
    try:
        spec.loader.exec_module(module)
    except GearsyError:
        raise
    except Exception as error:
        line = next((f.lineno for f in reversed(extract_tb(error.__traceback__)) if f.filename == str(path)), None)
        where = f"{path}, line {line}" if line else str(path)
        raise GearsyError(f"{where}: {type(error).__name__}: {error}. Mend the study file and run it again.") from error
    return _checked(getattr(module, "STUDY", None), f"STUDY of {path}")


def _checked(found: object, what: str) -> Study:
    if not isinstance(found, Study):
        raise GearsyError(f"{what} is a {type(found).__name__}; a gearsy.Study is wanted.")
    return found
