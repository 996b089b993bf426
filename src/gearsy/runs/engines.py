"""Where tasks are carried out. Today in this process; an engine for processes or a cluster plugs in here."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from gearsy.base.errors import ContractBroken
from gearsy.base.protocols import Engine, Result, Task


@dataclass(frozen=True, slots=True)
class InProcess:
    """One task after the other, here."""

    def map(self, work: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
        for task in tasks:
            yield work(task)


def check_engine(engine: Engine) -> int:
    """Check that `engine` keeps order, streams, and lets errors through; returns the number of checks."""
    if list(engine.map(lambda x: x * x, [3, 1, 2])) != [9, 1, 4]:
        raise ContractBroken(f"{engine!r}: results are not in the tasks' order.")
    if list(engine.map(lambda x: x, [])) != []:
        raise ContractBroken(f"{engine!r}: no task gave a result.")

    def divide(x: int) -> float:
        return 1 / x

    landed = []
    try:
        for result in engine.map(divide, [1, 0]):
            landed.append(result)
    except ZeroDivisionError:
        if landed != [1]:
            raise ContractBroken(f"{engine!r}: the first result did not come before the second failed.") from None
        return 4
    raise ContractBroken(f"{engine!r}: swallowed an error of its work.")
