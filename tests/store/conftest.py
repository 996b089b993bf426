"""A lab in a temporary folder, with a clock that ticks one second a look."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gearsy.store import Lab


@pytest.fixture
def clock() -> Callable[[], datetime]:
    moments = (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=n) for n in range(1_000_000))
    return lambda: next(moments)


@pytest.fixture
def lab(tmp_path: Path, clock: Callable[[], datetime]) -> Iterator[Lab]:
    with Lab.open(tmp_path / "lab", clock=clock) as lab:
        yield lab
