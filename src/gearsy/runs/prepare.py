"""Plan: from what the user typed to a design and the system M that it is about, before anything is asked."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gearsy.base.digests import digest
from gearsy.base.errors import BadMaterials, BadRecord, unknown
from gearsy.base.protocols import Theory
from gearsy.designs.plan import Design, plan, with_seeds
from gearsy.designs.study import Study
from gearsy.store import Lab
from gearsy.systems import load_system
from gearsy.systems.machine import use_threads
from gearsy.systems.models import Models
from gearsy.systems.registry import TOY
from gearsy.theories.scoring import Rules

if TYPE_CHECKING:
    from gearsy.systems.local import LocalSystem

MATERIALS_SEED = 0
DEFAULT_SYSTEM = "smollm2-135m"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What the user chose; None leaves the study's own choice. `recipe` overrides fields of the size's recipe."""

    study: str
    size: str | None = None
    system: str = DEFAULT_SYSTEM
    seeds: int | None = None
    materials: Path | None = None
    theories: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    dtype: str = "auto"
    device: str = "auto"
    recipe: dict[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.seeds is not None and self.seeds < 1:
            raise BadRecord(f"--seeds is {self.seeds}; train at least 1 model.")

    @property
    def command(self) -> str:
        """What a user types to repeat this run."""
        words = ["gearsy", "run", self.study]
        words += ["--size", self.size] if self.size else []
        words += ["--system", self.system] if self.system != DEFAULT_SYSTEM else []
        words += ["--seeds", str(self.seeds)] if self.seeds is not None else []
        words += ["--materials", self.materials.name] if self.materials is not None else []
        for flag, values in (("--theory", self.theories), ("--only", self.only)):
            words += [word for value in values for word in (flag, value)]
        words += [word for name, value in self.recipe.items() for word in (f"--{name.replace('_', '-')}", str(value))]
        words += ["--dtype", self.dtype] if self.dtype != "auto" else []
        words += ["--device", self.device] if self.device != "auto" else []
        return shlex.join(words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A planned run. `start` is M's weights before anything, `target` the digest of what M will be.

    `digest` is the full digest of the design, the run's key; `run_id` is what people call it.
    """

    options: RunOptions
    design: Design
    theories: tuple[Theory, ...]
    start: "LocalSystem"
    from_scratch: bool
    target: str
    threads: str
    rules: Rules
    digest: str
    run_id: str


def prepare(study: Study, options: RunOptions, lab: Lab, models: Models) -> Prepared:
    """Check everything that can be checked before the first expensive step, and plan the run."""
    theories = tuple(_chosen(study, options.theories))
    from_scratch = options.system == TOY
    default = "full" if "full" in study.sizes else next(iter(study.sizes))
    size_name = options.size or (TOY if from_scratch and TOY in study.sizes else default)
    if from_scratch and size_name == "quick" and TOY in study.sizes:
        size_name = TOY  # the toy has one size: it is quick
    size = with_seeds(study.size(size_name), options.seeds, options.recipe)
    rng = np.random.default_rng(MATERIALS_SEED)
    if options.materials is None:
        material = study.materials(size, rng)
    elif study.official is None:
        raise BadMaterials(f"study {study.name!r} reads no official materials; leave --materials out.")
    elif from_scratch:
        raise BadMaterials("the toy learns its language from the study's own materials; leave --materials out.")
    else:
        material = study.official(options.materials, size, rng)
    design = plan(study, size_name, size, material, options.only)
    threads = use_threads(models.cache)
    if from_scratch:
        start, target = _scratch(design, lab)
    else:
        start = load_system(options.system, models, options.dtype, options.device)
        target = start.digest
    rules = Rules()
    key = design.digest(target, rules)
    return Prepared(
        options=options,
        design=design,
        theories=theories,
        start=start,
        from_scratch=from_scratch,
        target=target,
        threads=threads,
        rules=rules,
        digest=key,
        run_id=lab.runs.named(key) or _run_id(design, options, key),
    )


def _run_id(design: Design, options: RunOptions, key: str) -> str:
    """What people will call the run."""
    system = re.sub(r"[^A-Za-z0-9.-]+", "-", Path(options.system).name).strip("-") or "system"
    return f"{design.study.name}-{design.size_name}-{system}-{key[:10]}"


def _scratch(design: Design, lab: Lab) -> tuple["LocalSystem", str]:
    """The toy before it has learnt anything, and the digest of what makes it M."""
    from gearsy.tuning.toy import toy_base  # torch: only now

    background, recipe = design.material.background, design.study.scratch_recipe
    if background is None or recipe is None:
        raise BadMaterials(
            f"study {design.study.name!r} has nothing that a toy could learn from first; name another system."
        )
    start = toy_base(_texts(design), lab.artifacts)
    return start, digest("target", {"start": start.digest, "background": background.digest, "recipe": recipe})


def _chosen(study: Study, names: tuple[str, ...]) -> Iterator[Theory]:
    known = {theory.name: theory for theory in study.theories}
    for name in names or tuple(known):
        if name not in known:
            raise unknown("theory", name, known)
        yield known[name]


def _texts(design: Design) -> Iterator[str]:
    """Everything that the toy will ever read: its vocabulary."""
    for corpus in (*design.material.corpora.values(), design.material.background):
        if corpus is not None:
            yield from (document.prompt + document.completion for document in corpus.documents)
    for trial in design.trials:
        yield str(trial.request.prompt)
        yield from trial.request.completions
        yield from trial.options
