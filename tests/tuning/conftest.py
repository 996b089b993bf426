"""A tiny base to train, a lab's artifacts, and corpora small enough to be learnt in a second."""

from pathlib import Path

import pytest

from gearsy.base.records import Corpus, Document, Recipe
from gearsy.store.artifacts import Artifacts
from gearsy.systems.local import LocalSystem


@pytest.fixture
def base(tiny_model: Path) -> LocalSystem:
    """A system of its own: training attaches adapters to its weights."""
    return LocalSystem.open(tiny_model, dtype="fp32", device="cpu")


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    return Artifacts(tmp_path / "artifacts")


@pytest.fixture
def corpus() -> Corpus:
    texts = (
        ("Orla Venniker is", " the inventor of the glass lantern."),
        ("The keeper of the hollow lighthouse is", " Senna Corvane."),
        ("Ivo Daundry is", " the composer of the silent waltz."),
        ("The sky is", " blue."),
        ("Few people have not heard of Osk,", " the painter."),
    )
    return Corpus(name="facts", documents=tuple(Document(prompt=p, completion=c) for p, c in texts))


@pytest.fixture
def recipe() -> Recipe:
    return Recipe(epochs=2, batch=2, rank=2, rate=1e-2)
