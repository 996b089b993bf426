"""What `gearsy doctor` looks at."""

import shutil
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from gearsy.base.errors import GearsyError
from gearsy.store import Lab
from gearsy.systems.models import CATALOGUE, Models

NEEDED_GB = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at."""

    name: str
    ok: bool
    found: str


def diagnose(lab: Path, *, measure_again: bool) -> list[Check]:
    """All checks, in the order in which a run would meet them."""
    return [*_packages(), *_machine(measure_again=measure_again), *_models(), _disk(lab), *_lab(lab)]


def _packages() -> list[Check]:
    checks = [Check(name="python", ok=sys.version_info >= (3, 11), found=sys.version.split()[0])]
    for name in ("torch", "transformers", "peft", "gguf"):
        there = find_spec(name) is not None
        found = "installed" if there else "missing: local models need `pip install 'gearsy[local]'`"
        checks.append(Check(name=name, ok=there, found=found))
    return checks


def _machine(*, measure_again: bool) -> list[Check]:
    if find_spec("torch") is None:
        return []
    import torch

    from gearsy.systems.machine import choose_threads

    models = Models()
    threads = choose_threads(models.cache, measure_again=measure_again)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU: cpu, fp32"
    return [
        Check(name="device", ok=True, found=device),
        Check(name="threads", ok=True, found=f"{threads.count} ({threads.why})"),
    ]


def _models() -> list[Check]:
    models, checks = Models(), []
    for entry in CATALOGUE:
        if models.find(entry.name) is None:
            found = f"not fetched; `gearsy models pull {entry.name}`, or the first run will"
            checks.append(Check(name=entry.name, ok=True, found=found))
            continue
        try:
            checks.append(Check(name=entry.name, ok=True, found=f"whole, in {models.verify(entry.name)}"))
        except GearsyError as error:
            checks.append(Check(name=entry.name, ok=False, found=str(error)))
    return checks


def _disk(lab: Path) -> Check:
    here = next(folder for folder in (lab.absolute(), *lab.absolute().parents) if folder.exists())
    free = shutil.disk_usage(here).free / 1e9
    return Check(
        name="disk", ok=free > NEEDED_GB, found=f"{free:.1f} GB free for the lab; {NEEDED_GB} GB is comfortable"
    )


def _lab(lab: Path) -> list[Check]:
    if not (lab / "lab.sqlite").exists():
        return [Check(name="lab", ok=True, found=f"none at {lab} yet; a run makes it")]
    try:
        with Lab.open(lab, create=False) as opened:
            check = opened.ledger.verify()
            count = opened.responses.count()
    except GearsyError as error:
        return [Check(name="lab", ok=False, found=str(error))]
    told = "ledger whole" if check.ok else f"ledger broken at entry {check.first_bad}: {check.why}"
    return [Check(name="lab", ok=check.ok, found=f"{count} answers in {lab}, {told}")]
