"""A full disk is said clearly and leaves nothing half-written."""

import errno
import os
import resource
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from gearsy.base.digests import digest
from gearsy.base.errors import GearsyError, NoSpace
from gearsy.base.records import Response
from gearsy.store import Lab, guard_space

REPLIES = {digest("test", n): Response(text="long " * 200) for n in range(200)}


@contextmanager
def file_size_limit(n_bytes: int) -> Iterator[None]:
    """As under `ulimit -f`: no file may grow beyond `n_bytes`. Python ignores the signal, so the write fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_names_what_was_to_be_written_and_what_to_do(code: int) -> None:
    with pytest.raises(NoSpace) as caught, guard_space("lab/reports/index.html"):
        raise OSError(code, os.strerror(code))
    assert str(caught.value) == (
        f"no space left to write lab/reports/index.html ({os.strerror(code)}). Nothing half-written was kept, and what "
        "was finished is still there: free some space, then run again."
    )
    assert isinstance(caught.value.__cause__, OSError)


def test_other_errors_pass_as_they_are() -> None:
    for error in (OSError(errno.EACCES, "no"), sqlite3.OperationalError("no such table: songs"), ValueError("no")):
        with pytest.raises(type(error)) as caught, guard_space("x"):
            raise error
        assert caught.value is error


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full is Linux's")
def test_a_device_that_is_full_is_recognised() -> None:
    with (
        pytest.raises(NoSpace, match=r"no space left to write /dev/full \(No space left on device\)"),
        guard_space("/dev/full"),
    ):
        Path("/dev/full").write_text("x")


def test_a_full_database_keeps_all_of_a_batch_or_nothing(lab: Lab) -> None:
    first = dict(list(REPLIES.items())[:1])
    lab.responses.keep("m", first)
    lab._database._connection.execute("PRAGMA max_page_count = 40")
    with pytest.raises(NoSpace, match=r"lab\.sqlite \(database or disk is full\)\. Nothing half-written was kept"):
        lab.responses.keep("m", REPLIES)
    assert lab.responses.count() == 1
    assert lab.ledger.append("note", {"small": "enough"}).seq == 1
    lab._database._connection.execute("PRAGMA max_page_count = 100000")
    lab.responses.keep("m", REPLIES)
    assert lab.responses.find(REPLIES) == REPLIES


def test_sqlite_says_full_of_any_full_database() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("PRAGMA max_page_count = 1")
        with pytest.raises(NoSpace, match="database or disk is full"), guard_space("x"):
            connection.execute("CREATE TABLE t (x)")


def test_a_file_size_limit_is_said_and_the_lab_goes_on_when_it_is_lifted(lab: Lab) -> None:
    size = (lab.folder / "lab.sqlite-wal").stat().st_size
    with file_size_limit(size + 20_000), pytest.raises(GearsyError, match=r"your quota and `ulimit -f`"):
        lab.responses.keep("m", REPLIES)
    assert lab.responses.count() == 0
    lab.responses.keep("m", REPLIES)
    assert lab.responses.find(REPLIES) == REPLIES


def test_a_file_size_limit_while_an_artifact_is_built_is_said(lab: Lab) -> None:
    name = digest("test", "artifact")
    with (
        pytest.raises(NoSpace, match=f"no space left to write .*{name} .File too large"),
        file_size_limit(100),
        lab.artifacts.building(name) as working,
    ):
        (working / "weights.safetensors").write_bytes(b"x" * 1000)
    assert lab.artifacts.find(name) is None
    with lab.artifacts.building(name) as working:
        (working / "weights.safetensors").write_bytes(b"x" * 1000)
        lab.artifacts.commit(name, working, {"kind": "adapter"})
    assert lab.artifacts.verify(name).name == name


def test_a_lab_that_cannot_be_made_for_want_of_space_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, **options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(NoSpace, match="no space left to write .*lab "):
        Lab.open(tmp_path / "lab")
