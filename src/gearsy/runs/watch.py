"""How a run tells what it is doing."""

from dataclasses import dataclass
from typing import Protocol


class Watch(Protocol):
    """Told of each stage as it begins and goes on; the command line draws it, tests record it."""

    def stage(self, name: str, total: int) -> None:
        """A stage begins, with `total` steps (0 where they are not known)."""
        ...

    def advance(self, steps: int, note: str = "") -> None:
        """`steps` more of the present stage are done; `note` says how it stands."""
        ...

    def say(self, text: str) -> None:
        """Something worth a line of its own."""
        ...


@dataclass(frozen=True, slots=True)
class Silent:
    """Tells nobody."""

    def stage(self, name: str, total: int) -> None:
        """Nothing."""

    def advance(self, steps: int, note: str = "") -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        """Nothing."""
