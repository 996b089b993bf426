"""Several processes share a lab, and one that is killed takes nothing with it."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from writer import ARTIFACT

from gearsy.base.digests import digest
from gearsy.base.records import Response
from gearsy.store import Lab

WRITER = Path(__file__).with_name("writer.py")


@contextmanager
def process(*arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    """A fresh interpreter that runs `writer.py`; killed at the latest when the test ends."""
    command = [sys.executable, "-W", "error", str(WRITER), *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as started:
        try:
            yield started
        finally:
            started.kill()


def line(started: subprocess.Popen[str]) -> str:
    assert started.stdout is not None
    return started.stdout.readline().strip()


def tell(started: subprocess.Popen[str]) -> None:
    assert started.stdin is not None
    started.stdin.write("go on\n")
    started.stdin.flush()


def test_two_processes_that_make_and_fill_one_lab_lose_nothing(tmp_path: Path) -> None:
    with process("write", tmp_path / "lab", "a") as first, process("write", tmp_path / "lab", "b") as second:
        for started in (first, second):
            _, errors = started.communicate(timeout=60)
            assert (started.returncode, errors) == (0, "")
    with Lab.open(tmp_path / "lab", create=False) as lab:
        check = lab.ledger.verify()
        assert (check.ok, check.n_entries, check.head) == (True, 400, lab.ledger.head())
        written = [(entry.body["by"], entry.body["n"]) for entry in lab.ledger.entries()]
        assert Counter(written) == Counter((name, n) for name in "ab" for n in range(200))
        for name in "ab":
            assert [n for by, n in written if by == name] == list(range(200))
        shared = lab.responses.find(digest("test", [n, "all"]) for n in range(1, 200, 2))
        assert len(shared) == 100
        assert lab.responses.count() == 300


@pytest.mark.parametrize("n_batches", [1, 7, 30])
def test_a_process_killed_while_it_writes_loses_no_committed_batch(tmp_path: Path, n_batches: int) -> None:
    with process("endless", tmp_path) as started:
        for n in range(n_batches):
            assert line(started) == str(n)
        started.kill()
        assert started.wait() == -9
    with Lab.open(tmp_path, create=False) as lab:
        check = lab.ledger.verify()
        assert check.ok
        assert check.n_entries >= n_batches
        assert lab.responses.count() in (10 * check.n_entries, 10 * check.n_entries + 10)  # whole batches only
        found = lab.responses.find(digest("test", [n, part]) for n in range(check.n_entries) for part in range(10))
        assert [reply.text for reply in found.values() if isinstance(reply, Response)] == [
            str(n) for n in range(check.n_entries) for _ in range(10)
        ]
        assert lab.ledger.append("note", {"after": "the kill"}).seq == check.n_entries + 1


def test_a_process_killed_inside_a_transaction_loses_that_one_only(tmp_path: Path) -> None:
    with process("unfinished", tmp_path) as started:
        assert line(started) == "open"
        assert (tmp_path / "lab.sqlite-wal").stat().st_size > 1_000_000
        started.kill()
        started.wait()
    with Lab.open(tmp_path, create=False) as lab:
        assert lab.responses.count() == 1
        assert lab.responses.find([digest("test", 0)]) == {digest("test", 0): Response(text="kept")}
        lab.responses.keep("m", {digest("test", 1): Response(text="again")})
        assert lab.responses.count() == 2


def test_two_processes_never_build_the_same_artifact(tmp_path: Path) -> None:
    waited = []
    with process("build", tmp_path, "first") as started, Lab.open(tmp_path) as lab:
        assert line(started) == "building"

        def on_wait() -> None:
            waited.append(lab.artifacts.find(ARTIFACT))
            tell(started)

        with lab.artifacts.building(ARTIFACT, on_wait) as working:
            folder = lab.artifacts.find(ARTIFACT)
            assert folder is not None
            assert (folder / "weights.safetensors").read_text() == "first"
            assert list(working.iterdir()) == []
        assert waited == [None]
        assert lab.artifacts.manifest(ARTIFACT).about == {"by": "first"}
        assert started.wait(timeout=10) == 0


def test_a_builder_that_is_killed_leaves_its_checkpoint_and_no_lock(tmp_path: Path) -> None:
    with process("build", tmp_path, "killed") as started, Lab.open(tmp_path) as lab:
        assert line(started) == "building"
        started.kill()
        started.wait()
        waited = []
        with lab.artifacts.building(ARTIFACT, lambda: waited.append(1)) as working:
            assert lab.artifacts.find(ARTIFACT) is None
            assert (working / "weights.safetensors").read_text() == "killed"
            lab.artifacts.commit(ARTIFACT, working, {"kind": "adapter"})
        assert waited == []
        assert lab.artifacts.verify(ARTIFACT).name == ARTIFACT
