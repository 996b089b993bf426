"""Local systems over the tiny models, and copies of their folders that a test may spoil."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from systems_plain import Plain

from gearsy.systems.local import LocalSystem


@pytest.fixture(scope="session")
def llama(tiny_model: Path) -> LocalSystem:
    return LocalSystem.open(tiny_model, dtype="fp32", device="cpu")


@pytest.fixture(scope="session")
def gpt2(tiny_gpt2: Path) -> LocalSystem:
    return LocalSystem.open(tiny_gpt2, dtype="fp32", device="cpu")


@pytest.fixture(scope="session")
def plain_llama(tiny_model: Path) -> Plain:
    return Plain(tiny_model)


@pytest.fixture(scope="session")
def plain_gpt2(tiny_gpt2: Path) -> Plain:
    return Plain(tiny_gpt2)


@pytest.fixture(params=["llama", "gpt2"])
def both(request: pytest.FixtureRequest) -> tuple[LocalSystem, Plain]:
    """Each architecture in turn, with its plain computation."""
    return request.getfixturevalue(request.param), request.getfixturevalue(f"plain_{request.param}")


@pytest.fixture
def copied(tiny_model: Path, tmp_path: Path) -> Callable[[str], Path]:
    """A copy of the tiny Llama that a test may spoil."""

    def copy(name: str) -> Path:
        return Path(shutil.copytree(tiny_model, tmp_path / name))

    return copy
