"""`Theory`: a short pipeline of gears, each of which can be idled."""

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from types import CodeType

from gearsy.base import protocols
from gearsy.base.bets import Abstain, Prediction, Rate
from gearsy.base.digests import digest
from gearsy.base.errors import BadPrediction, BadRecord, GearsyError, unknown
from gearsy.base.records import Condition

Belief = Rate | Abstain
Gear = Callable[[Condition, Rate], Belief]

KNOWS_NOTHING = Rate(mean=0.5, sd=math.sqrt(1 / 12))
"""Every rate between 0 and 1 is as likely as any other: what the first gear is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Theory:
    """A claim and the gears that make it executable; `predict` passes a belief through them in order.

    A gear takes the condition and what is believed so far, and returns what it makes of it.

    >>> def always(condition, belief):
    ...     return Rate(mean=0.9, sd=0.05)
    >>> Theory(name="sure", claim="It always knows.", gears=(always,)).predict(Condition(levels=()))
    Rate(mean=0.9, sd=0.05)
    """

    name: str
    claim: str
    gears: tuple[Gear, ...]
    scope: str = "all conditions of the study"
    idled: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.gears:
            raise BadRecord(f"theory {self.name!r} has no gears; give at least one function of (condition, belief).")
        if len(set(self.gear_names)) != len(self.gears):
            raise BadRecord(f"theory {self.name!r} has two gears of one name: {self.gear_names}.")

    @property
    def gear_names(self) -> tuple[str, ...]:
        return tuple(gear.__name__ for gear in self.gears)

    @property
    def source(self) -> str:
        """Digest of the claim and of what each gear computes with: text, defaults, and what it closes over or calls."""
        texts = [_text(gear) for gear in self.gears]
        return digest("theory", {"name": self.name, "claim": self.claim, "gears": texts, "idled": self.idled})

    def predict(self, condition: Condition) -> Belief:
        belief = KNOWS_NOTHING
        for gear in self.gears:
            if gear.__name__ in self.idled:
                continue
            made = gear(condition, belief)
            if isinstance(made, Abstain):
                return made
            belief = made
        return belief

    def idle(self, gear: str) -> "Theory":
        if gear not in self.gear_names:
            raise unknown(f"gear of {self.name!r}", gear, self.gear_names)
        return replace(self, idled=(*self.idled, gear))


def _text(function: Callable, seen: frozenset[str] = frozenset()) -> list[object]:
    """What a function computes with: its text (or bytecode), its defaults, and what it closes over or calls."""
    code = getattr(function, "__code__", None)
    if code is None or function.__qualname__ in seen:
        return [repr(type(function)), getattr(function, "__qualname__", "")]
    try:
        text = inspect.getsource(function)
    except (OSError, TypeError):  # typed at a prompt that keeps no text
        text = _bytecode(code)
    used = inspect.getclosurevars(function)
    seen |= {function.__qualname__}
    around = {name: _value(value, seen) for name, value in sorted({**used.globals, **used.nonlocals}.items())}
    return [text, _value(function.__defaults__, seen), _value(function.__kwdefaults__, seen), around]


def _value(value: object, seen: frozenset[str]) -> object:
    """A value by what it says, never by where it lies in memory."""
    if inspect.isfunction(value):
        return _text(value, seen)
    if isinstance(value, dict):
        return {str(key): _value(item, seen) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [
            _value(item, seen) for item in (sorted(value, key=str) if isinstance(value, set | frozenset) else value)
        ]
    if value is None or isinstance(value, str | bool | int | float):
        return repr(value)
    if is_dataclass(value) and not isinstance(value, type):
        return [type(value).__name__, *(_value(getattr(value, f.name), seen) for f in fields(value))]
    return getattr(value, "__name__", type(value).__qualname__)


def _bytecode(code: CodeType) -> str:
    constants = [_bytecode(one) if isinstance(one, CodeType) else repr(one) for one in code.co_consts]
    return f"{code.co_code.hex()} {code.co_names} {constants}"


def predictions(theory: protocols.Theory, conditions: Sequence[Condition]) -> list[Prediction]:
    """The theory's bets on all `conditions`, whole and with each gear idled; `BadPrediction` names which broke."""
    return [
        Prediction(
            theory=theory.name,
            condition=condition.key,
            latent=_bet(theory, condition),
            gearless=tuple((gear, _bet(theory.idle(gear), condition, gear)) for gear in theory.gear_names),
        )
        for condition in conditions
    ]


def _bet(theory: protocols.Theory, condition: Condition, gear: str = "") -> Belief:
    idled = f" with gear {gear!r} idled" if gear else ""
    where = f"theory {theory.name!r}{idled}, on {condition.key}"
    try:
        made = theory.predict(condition)
    except GearsyError as error:
        raise BadPrediction(f"{where}: {error}") from error
    except Exception as error:
        raise BadPrediction(f"{where}: raised {type(error).__name__}: {error}") from error
    if not isinstance(made, Rate | Abstain):
        raise BadPrediction(
            f"{where}: predicted {made!r}; wanted is a rate with its uncertainty, Rate(mean=…, sd=…), or Abstain(why=…)."
        )
    return made
