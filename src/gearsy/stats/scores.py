"""Log scores: what a theory won over a baseline, in nats, bits, and as an e-value.

With d = log p_theory(y) - log p_baseline(y) for each condition, Σ d is at once the log-score skill, ln 2 × the bits
saved, the prequential codelength gain, and the log of an e-value against that baseline: by Ville's inequality,
P_baseline(e ever reaches 1/α) <= α.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gearsy.base.errors import BadRecord

Array = NDArray[np.float64]


def mixed(logp_theory: ArrayLike, logp_baseline: ArrayLike, epsilon: float = 1e-3) -> Array:
    """log((1 - ε)·p_theory + ε·p_baseline) in nats, elementwise: a theory that said "impossible" loses at most log ε.

    Every theory is mixed with a registered ε of the baseline, so that a probability of 0 is never clipped silently.
    Inputs broadcast; `logp_theory` may be -inf. Raises BadRecord for NaN or +inf, for a baseline of -inf (nothing
    can be scored against a baseline that says "impossible"), and for an ε outside (0, 1).

    >>> float(mixed(-np.inf, np.log(0.5)).round(4)), float(mixed(np.log(0.9), np.log(0.5)).round(4))
    (-7.6009, -0.1058)
    """
    if not 0 < epsilon < 1:
        raise BadRecord(f"epsilon is {epsilon}; the baseline's share of the mixture lies strictly between 0 and 1.")
    theory, baseline = np.asarray(logp_theory, dtype=np.float64), np.asarray(logp_baseline, dtype=np.float64)
    if np.any(np.isnan(theory) | (theory == np.inf)):
        raise BadRecord("a theory's log-probability is NaN or +inf; give log p in nats, -inf for probability 0.")
    if not np.all(np.isfinite(baseline)):
        raise BadRecord("a baseline's log-probability is not finite; a baseline must give what happened some chance.")
    return np.logaddexp(math.log1p(-epsilon) + theory, math.log(epsilon) + baseline)


def bits(nats: ArrayLike) -> Array:
    """Nats in bits, elementwise.

    >>> float(bits(np.log(8)))
    3.0
    """
    return np.asarray(nats, dtype=np.float64) / math.log(2)


def log_e_value(differences: ArrayLike) -> Array:
    """Natural log of the e-value of the conditions together: the sum of their d over the last axis.

    `differences` has shape (…, conditions), in nats, one d for each of the *independent* conditions; what comes back
    has shape (…). Raises BadRecord for a NaN or infinite d: mix the theory with its baseline first.

    >>> float(log_e_value([1.0, 0.5, -0.25]))
    1.25
    """
    d = np.asarray(differences, dtype=np.float64)
    if d.ndim == 0:
        raise BadRecord(f"differences is the single number {d}; give one value for each condition, in a list.")
    if not np.all(np.isfinite(d)):
        raise BadRecord("a log-score difference is not finite; mix the theory with its baseline first (scores.mixed).")
    return d.sum(axis=-1)
