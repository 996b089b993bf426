"""Errors that a user can act on: each names what was given, what was wanted, and the next step.

The command line prints the message of a `GearsyError` as it stands and exits with `exit_code`; anything
else that escapes is a defect of gearsy.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class GearsyError(Exception):
    """Something a user can mend. `exit_code` is what the command line returns."""

    exit_code = 2

    def __str__(self) -> str:
        """The message as it stands (a KeyError would put quotes round it)."""
        return str(self.args[0]) if self.args else ""


class UnknownName(GearsyError):
    """A name that nothing answers to; the message offers the closest known one."""


class UnknownFactor(UnknownName, KeyError):
    """A condition has no such factor or fact; a KeyError too, as `in` and `get` of a mapping expect."""


class BadRecord(GearsyError, ValueError):
    """A record was given a value it refuses to hold."""


class BadPrediction(GearsyError):
    """A theory raised, or stated something that cannot be scored."""


class BadMaterials(GearsyError):
    """A file of materials cannot be read; the message names the file and the line."""


class BadModel(GearsyError):
    """A folder or file that cannot be loaded as a model."""


class Unsupported(GearsyError):
    """A system was asked for something that it cannot do."""


class Diverged(GearsyError):
    """Training produced a loss that is not a number, or one that exploded; no adapter was kept."""


class LabTooNew(GearsyError):
    """The lab was written by a later version of gearsy."""


class LabBroken(GearsyError):
    """The lab holds something that contradicts its own digests."""


class NoSpace(GearsyError):
    """The disk is full; nothing half-written was kept."""


class ContractBroken(AssertionError):
    """A plugin does not keep its contract; the message names the clause. For its author, not for a user."""


def unknown(kind: str, given: str, known: Iterable[str]) -> UnknownName:
    """The error for a name that is not known, with the closest known name.

    >>> print(unknown("theory", "rat", ["rate", "symmetric"]))
    no theory named 'rat'. Did you mean 'rate'? Known: rate, symmetric.
    """
    names = sorted(known)
    close = get_close_matches(given, names, n=1, cutoff=0.5)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return UnknownName(f"no {kind} named {given!r}.{hint} Known: {', '.join(names) or 'none'}.")
