"""Evidence that may be looked at whenever one likes.

An e-value is a non-negative number whose mean is at most 1 if the null is true, so reaching 1/α has chance at most α
(Markov), at any stopping time (Ville). The unit is the prompt: fed single samples as if they were independent (ICC
.3, 10 samples a prompt) an e-process raises a false alarm in .53 of runs instead of .05.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaln, logsumexp

from gearsy.base.errors import BadRecord

Array = NDArray[np.float64]


def e_bh(e_values: ArrayLike, q: float) -> tuple[int, ...]:
    """Indices, ascending, of the nulls rejected at false discovery rate q, whatever the dependence of the e-values.

    The j largest are rejected, for the largest j with e_(j) >= M/(j·q) (Wang & Ramdas 2022, J. Royal Statistical
    Society B 84:822). `e_values` has shape (M,). Raises BadRecord for a negative or NaN e-value or a q outside (0,
    1).

    >>> e_bh([100.0, 1.0, 45.0, 0.2], q=0.1)
    (0, 2)
    """
    e = np.asarray(e_values, dtype=np.float64)
    if np.any(~(e >= 0)):
        raise BadRecord(f"an e-value is {e[~(e >= 0)].flat[0]}; it must be 0 or more (for logs use e_bh_from_logs).")
    with np.errstate(divide="ignore"):  # an e-value of 0 has the log -inf, which is what is meant
        return e_bh_from_logs(np.log(e), q)


def e_bh_from_logs(log_e_values: ArrayLike, q: float) -> tuple[int, ...]:
    """`e_bh` on natural logs, for e-values too large to write out.

    >>> e_bh_from_logs([2000.0, 0.0, -np.inf], q=0.05)
    (0,)
    """
    log_e = _log_e_values(log_e_values)
    if not 0 < q < 1:
        raise BadRecord(f"q is {q}; a false discovery rate lies strictly between 0 and 1, say 0.05.")
    order = np.argsort(-log_e, kind="stable")
    rank = np.arange(1, log_e.size + 1)
    passed = np.flatnonzero(log_e[order] >= np.log(log_e.size / (rank * q)))
    if not passed.size:
        return ()
    return tuple(sorted(int(index) for index in order[: passed[-1] + 1]))


def mean_e(log_e_values: ArrayLike) -> float:
    """Natural log of the mean of the e-values, itself an e-value for "at least one of them beats the baseline".

    Averaging is valid under every dependence and admissible (Vovk & Wang 2021, Annals of Statistics 49:1736); taking
    the best of M is not: with 1,000 junk theories the best reaches 20 in .81 of rounds, the mean in at most .005.
    `log_e_values` has shape (M,), -inf for an e-value of 0.

    >>> round(mean_e([np.log(30.0), np.log(10.0)]), 4) == round(float(np.log(20)), 4)
    True
    """
    log_e = _log_e_values(log_e_values)
    if np.max(log_e) == -np.inf:
        return -math.inf
    return float(logsumexp(log_e)) - math.log(log_e.size)


def beta_binomial_e_process(successes: ArrayLike, p0: float, prior: tuple[float, float] = (0.5, 0.5)) -> Array:
    """Natural log of the e-value after each outcome, against "the rate is exactly p0", for a Beta(prior) bet.

    Robbins' mixture after k successes of t: e = B(a + k, b + t - k) / (B(a, b)·p0^k·(1-p0)^(t-k)). `successes` are
    0/1 outcomes of *independent* units, in the order of asking, shape (…, T); so is the result. Reject once it
    reaches log(1/α), at any time. Raises BadRecord for other outcomes, a p0 outside (0, 1), or a prior that is not
    two finite numbers above 0.

    >>> beta_binomial_e_process([1, 1, 1], p0=0.5, prior=(1, 1)).round(3).tolist()
    [0.0, 0.288, 0.693]
    """
    outcomes = np.asarray(successes, dtype=np.float64)
    if outcomes.ndim == 0 or np.any((outcomes != 0) & (outcomes != 1)) or np.any(np.isnan(outcomes)):
        raise BadRecord("an outcome is neither 0 nor 1; give a list with one success or failure for each unit.")
    if not 0 < p0 < 1:
        raise BadRecord(f"p0 is {p0}; a null rate lies strictly between 0 and 1 (at 0 one success settles it).")
    a, b = prior
    if not (0 < a < math.inf and 0 < b < math.inf):
        raise BadRecord(f"prior is {prior}; give two finite Beta weights above 0, say (0.5, 0.5).")
    hits = np.cumsum(outcomes, axis=-1)
    misses = np.arange(1, outcomes.shape[-1] + 1) - hits
    null = hits * math.log(p0) + misses * math.log1p(-p0)
    return betaln(a + hits, b + misses) - float(betaln(a, b)) - null


def _log_e_values(log_e_values: ArrayLike) -> Array:
    log_e = np.asarray(log_e_values, dtype=np.float64)
    if log_e.ndim != 1 or not log_e.size:
        raise BadRecord(f"the e-values have shape {log_e.shape}; give a flat list of at least one.")
    if np.any(np.isnan(log_e)):
        raise BadRecord("an e-value is NaN; a theory without an e-value must be left out of the round, by name.")
    return log_e
