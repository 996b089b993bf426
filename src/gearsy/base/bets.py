"""What theories state, and what becomes of it.

A theory predicts the *latent* rate of a condition together with its uncertainty; `gearsy.stats` pushes it
through the registered design and scores the observed counts. A bare point is refused: with a true scatter of
0.05 a point that is right on average loses 67 nats a condition at n = 10,000.
"""

import math
from dataclasses import dataclass, field
from typing import Literal

from gearsy.base.errors import BadRecord, unknown
from gearsy.base.records import Condition

VerdictName = Literal["SUPPORTED", "REFUTED", "INCONCLUSIVE", "INADMISSIBLE", "DEVIATED"]
VERDICTS: tuple[VerdictName, ...] = ("SUPPORTED", "REFUTED", "INCONCLUSIVE", "INADMISSIBLE", "DEVIATED")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A latent rate: mean and standard deviation of what the theory believes, 0 < sd < sqrt(mean(1 - mean)).

    >>> Rate(mean=0.95, sd=0.05)
    Rate(mean=0.95, sd=0.05)
    """

    mean: float
    sd: float

    def __post_init__(self) -> None:
        if not 0 <= self.mean <= 1:  # also refuses NaN
            raise BadRecord(f"Rate(mean={self.mean}): a rate lies in [0, 1].")
        if not self.sd > 0:
            raise BadRecord(
                f"Rate(mean={self.mean}, sd={self.sd}): a point is refused; say how sure the theory is with sd > 0."
            )
        widest = math.sqrt(self.mean * (1 - self.mean))
        if self.sd >= widest:
            raise BadRecord(
                f"Rate(mean={self.mean}, sd={self.sd}): no rate has that mean and spread; sd must be below {widest:.3g}."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Categories:
    """A latent distribution over labels, as Dirichlet weights: `alpha` pairs each label with its weight > 0."""

    alpha: tuple[tuple[str, float], ...]

    def __post_init__(self) -> None:
        if len(self.alpha) < 2 or any(not (weight > 0 and math.isfinite(weight)) for _, weight in self.alpha):
            raise BadRecord(f"Categories(alpha={self.alpha}): give two or more labels, each with a weight above 0.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantiles:
    """A latent scalar by its quantiles: increasing `levels` in (0, 1) and non-decreasing `values`."""

    levels: tuple[float, ...]
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        rising = all(a < b for a, b in zip(self.levels, self.levels[1:], strict=False))
        sorted_values = all(a <= b for a, b in zip(self.values, self.values[1:], strict=False))
        if len(self.levels) != len(self.values) or len(self.levels) < 2 or not rising or not sorted_values:
            raise BadRecord("Quantiles: give two or more rising levels, and a non-decreasing value for each.")
        if not (self.levels[0] > 0 and self.levels[-1] < 1 and all(map(math.isfinite, self.values))):
            raise BadRecord("Quantiles: levels lie strictly between 0 and 1, values are finite.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Draws:
    """A latent scalar by at least 20 draws from the theory's belief."""

    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.values) < 20 or not all(map(math.isfinite, self.values)):
            raise BadRecord(f"Draws holds {len(self.values)} values; give at least 20, all finite.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Abstain:
    """The theory does not speak about this condition: 0 bits, and shown as an abstention."""

    why: str


Latent = Rate | Categories | Quantiles | Draws


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """One theory's bet on one condition, with its bet when each gear is idled (`gearless`, by gear name)."""

    theory: str
    condition: str
    latent: Rate | Abstain
    gearless: tuple[tuple[str, Rate | Abstain], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What a bet on a rate is settled on: `successes` of `m` independent prompts × `r` samples each."""

    condition: Condition
    successes: int
    m: int
    r: int

    def __post_init__(self) -> None:
        if not (self.m >= 1 and self.r >= 1 and 0 <= self.successes <= self.m * self.r):
            raise BadRecord(f"{self.successes} successes of {self.m} prompts × {self.r} samples is impossible.")


@dataclass(frozen=True, slots=True, kw_only=True)
class GearWorth:
    """Bits that the theory loses when this gear is idled; a negative number says that the gear does harm."""

    name: str
    bits_lost: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The outcome, computed from numbers, with the rule that gave it."""

    name: VerdictName
    because: str

    def __post_init__(self) -> None:
        if self.name not in VERDICTS:
            raise unknown("verdict", self.name, VERDICTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorecard:
    """How one theory fared against each rung of the baseline ladder.

    `bits`: log-score skill over the strongest baseline, in bits, over all registered conditions. `crps`: mean, in
    rate units (lower is better). `log_e`: natural log of the e-value against that baseline.
    """

    theory: str
    bits: float
    crps: float
    log_e: float
    against: str
    bits_over: tuple[tuple[str, float], ...]
    bits_by_condition: tuple[tuple[str, float], ...]
    gears: tuple[GearWorth, ...]
    abstained: int
    power: float
    verdict: Verdict
    baseline: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A stored claim: an effect with its interval, the moderators it held under, and where it comes from."""

    estimand: str
    effect: float
    low: float
    high: float
    n: int
    moderators: tuple[tuple[str, str], ...]
    source: str
    registered: bool = field(default=False)

    def __post_init__(self) -> None:
        if not self.low <= self.effect <= self.high:
            raise BadRecord(f"finding {self.estimand!r}: {self.effect} lies outside [{self.low}, {self.high}].")
