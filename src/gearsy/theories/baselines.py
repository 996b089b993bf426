"""The dull rivals that a theory must beat. A baseline may learn from the conditions settled before, in their order."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gearsy.base.bets import Cell, Rate
from gearsy.base.records import Condition
from gearsy.theories.theory import KNOWS_NOTHING


class Baseline(Protocol):
    """States a rate for the next condition from those settled so far: a proper sequential forecast."""

    @property
    def name(self) -> str: ...

    def next(self, condition: Condition, settled: Sequence[Cell]) -> Rate:
        """The forecast for `condition`, knowing the outcomes in `settled` and nothing else."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignorance:
    """Every rate is as likely as any other."""

    name: str = "ignorance"

    def next(self, condition: Condition, settled: Sequence[Cell]) -> Rate:  # noqa: ARG002 - the seam's signature
        return KNOWS_NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class PooledMean:
    """Every condition is like the others: the mean and scatter of the rates seen so far, begun from ignorance.

    Ignorance weighs as two conditions, so that two equal rates do not already make a certainty.
    """

    name: str = "pooled mean"
    prior_conditions: float = 2.0

    def next(self, condition: Condition, settled: Sequence[Cell]) -> Rate:  # noqa: ARG002 - the seam's signature
        rates = [cell.successes / (cell.m * cell.r) for cell in settled]
        weight, n = self.prior_conditions, len(rates)
        mean = (weight * KNOWS_NOTHING.mean + sum(rates)) / (weight + n)
        scatter = sum((rate - mean) ** 2 for rate in rates)
        variance = (weight * KNOWS_NOTHING.sd**2 + scatter) / (weight + n)
        return Rate(mean=mean, sd=min(math.sqrt(variance), 0.99 * math.sqrt(mean * (1 - mean))))


LADDER: tuple[Baseline, ...] = (Ignorance(), PooledMean())
