"""What this machine does best: the number of threads, measured once and kept, since two can be slower than one."""

import json
import os
import platform
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from gearsy.base.errors import BadRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Threads:
    """The thread count in use, and why."""

    count: int
    why: str


def choose_threads(cache: Path, *, measure_again: bool = False) -> Threads:
    """The fastest torch thread count here: `GEARSY_THREADS`, else what was measured on this machine, else measure.

    The choice is kept in `cache`, because a resumed training must repeat the arithmetic of the run that it resumes.
    """
    if given := os.environ.get("GEARSY_THREADS"):
        if not given.isdecimal() or int(given) < 1:
            raise BadRecord(f"GEARSY_THREADS is {given!r}; it must be a whole number of 1 or more.")
        return Threads(count=int(given), why="set by GEARSY_THREADS")
    kept, machine = cache / "threads.json", f"{platform.machine()} {platform.node()} {os.cpu_count()} cores"
    if kept.exists() and not measure_again:
        with suppress(KeyError, TypeError, ValueError):  # a broken note is measured anew
            known = json.loads(kept.read_text())
            if known["machine"] == machine:
                return Threads(count=int(known["count"]), why=known["why"])
    chosen = _measure()
    cache.mkdir(parents=True, exist_ok=True)
    partial = kept.with_suffix(".partial")
    partial.write_text(json.dumps({"machine": machine, **asdict(chosen)}))
    partial.replace(kept)
    return chosen


def _measure() -> Threads:
    """Time the matrix products of a small transformer's layer at each thread count, interleaved, best of five."""
    import torch

    counts = sorted(
        {1, 2, (os.cpu_count() or 1) // 2 or 1, os.cpu_count() or 1} & set(range(1, (os.cpu_count() or 1) + 1))
    )
    if len(counts) == 1:
        return Threads(count=1, why="the machine has one core")
    before = torch.get_num_threads()
    x, up, down = torch.randn(160, 576), torch.randn(576, 1536), torch.randn(1536, 576)
    best = dict.fromkeys(counts, float("inf"))
    for _ in range(5):
        for count in counts:
            torch.set_num_threads(count)
            started = time.perf_counter()
            for _ in range(40):
                x = torch.tanh(torch.relu(x @ up) @ down)
            best[count] = min(best[count], time.perf_counter() - started)
    torch.set_num_threads(before)
    fastest = min(counts, key=lambda count: best[count])
    others = ", ".join(
        f"{best[count] / best[fastest]:.2f}x the time with {count}" for count in counts if count != fastest
    )
    return Threads(count=fastest, why=f"measured: {others}")


def use_threads(cache: Path) -> str:
    """Set torch to the chosen number of threads, and say which and why."""
    import torch

    chosen = choose_threads(cache)
    torch.set_num_threads(chosen.count)
    return f"{chosen.count} ({chosen.why})"
