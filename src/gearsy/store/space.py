"""A full disk becomes one clear error, wherever gearsy writes."""

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gearsy.base.errors import NoSpace

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # the disk, the user's quota, and `ulimit -f`


@contextmanager
def guard_space(what: str | Path) -> Iterator[None]:
    """Whatever is written inside raises `NoSpace`, naming `what`, when the disk or the quota is full.

    The caller keeps the other half of the promise: it writes in a transaction, or beside and then renames.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise _no_space(what, os.strerror(error.errno)) from error
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_FULL and "disk is full" not in str(error):
            raise
        raise _no_space(what, str(error)) from error


def _no_space(what: str | Path, why: str) -> NoSpace:
    return NoSpace(
        f"no space left to write {what} ({why}). Nothing half-written was kept, and what was finished is still there: "
        "free some space, then run again."
    )
