"""Values grouped by the unit that was drawn independently: the question or the trained model, never the sample."""

import math
from collections.abc import Hashable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gearsy.base.errors import BadRecord, GearsyError


class TooFewClusters(GearsyError, ValueError):
    """One cluster says nothing about how clusters differ, so no interval or test can rest on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouped:
    """Finite `values`, shape (n,), with the cluster of each as `index` in 0 … n_clusters - 1, shape (n,)."""

    values: NDArray[np.float64]
    index: NDArray[np.intp]
    n_clusters: int

    def __post_init__(self) -> None:
        if self.values.ndim != 1 or not self.values.size:
            raise BadRecord(f"the values have shape {self.values.shape}; give a flat list of at least one.")
        if not np.all(np.isfinite(self.values)):
            wrong = int(np.flatnonzero(~np.isfinite(self.values))[0])
            raise BadRecord(
                f"value {wrong} is {self.values[wrong]}; give finite numbers and count failures separately."
            )
        if self.index.shape != self.values.shape:
            raise BadRecord(
                f"{self.values.size} values with {self.index.size} cluster labels; give one label for each value."
            )

    def refuse_one_cluster(self, unit: str = "cluster") -> None:
        """Raises TooFewClusters where a spread between clusters is undefined."""
        if self.n_clusters < 2:
            raise TooFewClusters(
                f"all {self.values.size} values come from 1 {unit}, so how {plural(unit)} differ is unknown; "
                f"ask at least 2 (better 50) different {plural(unit)}."
            )

    def sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum of `values`, shape (n,), within each cluster, shape (n_clusters,)."""
        return np.bincount(self.index, weights=values, minlength=self.n_clusters).astype(np.float64)

    def sizes(self) -> NDArray[np.intp]:
        """Number of values in each cluster, shape (n_clusters,)."""
        return np.bincount(self.index, minlength=self.n_clusters).astype(np.intp)


def group(values: ArrayLike, clusters: Iterable[Hashable]) -> Grouped:
    """Values with equal labels are in one cluster, numbered in order of first appearance.

    >>> group([1, 0, 1], ["a", "b", "a"]).sizes().tolist()
    [2, 1]
    """
    number: dict[Hashable, int] = {}
    index = np.array([number.setdefault(label, len(number)) for label in clusters], dtype=np.intp)
    return Grouped(values=np.asarray(values, dtype=np.float64), index=index, n_clusters=len(number))


def check_level(level: float) -> None:
    """Raises BadRecord unless `level` is a probability strictly between 0 and 1."""
    if not (math.isfinite(level) and 0 < level < 1):
        raise BadRecord(f"level is {level}; a confidence level lies strictly between 0 and 1, say 0.95.")


def plural(unit: str) -> str:
    """The unit in the plural, as method strings name it.

    >>> plural("question"), plural("family")
    ('questions', 'families')
    """
    return f"{unit[:-1]}ies" if unit.endswith("y") else f"{unit}s"
