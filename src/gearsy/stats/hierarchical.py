"""A rate observed in clusters: how wide its interval must be when nobody knows how alike a cluster's answers are.

    k_c ~ BetaBinomial(n_c, mean mu, intra-cluster correlation rho),   mu ~ Beta(1/2, 1/2),   rho ~ Uniform(0, 1)
    p(rho | k)      by quadrature over mu on a fixed grid
    mu | rho, k     ~ Beta(kbar·n_eff + 1/2 ∓ 1/4, (1 - kbar)·n_eff + 1/2 ± 1/4)      lower bound −, upper bound +
    n_eff(rho)      = n² / Σ_c n_c (1 + (n_c - 1) rho)                                (Kish 1965; Rao & Scott 1992)

Three choices were made by simulation; `tests/stats/test_coverage.py` repeats the figures for what is built:

- **mu given rho rests on the effective sample size**, not on the beta-binomial's own likelihood. Where cluster rates
  are beta-distributed the two are alike. Where they are a spike and a bulk (30 % of facts known or unknown for good,
  the others guessed at p = .2) the full likelihood covers .85 with 50 clusters × 10 and .65 with 50 × 50, this one
  .93 and .96. And the mean stays the plain mean, whatever the clusters' sizes.
- **rho ~ Uniform(0, 1).** With 12 clusters × 4 at ICC .6 the lowest coverage over p is .942; under Beta(1, 3) and
  Beta(1/2, 2), which favour a small rho, it is .918 and .921.
- **Each bound leans a quarter of a count outwards**, halfway from Jeffreys to Clopper–Pearson. Jeffreys itself covers
  .912 for p = .2 and n = 12, .885 for p = .05 and n = 50 (Brown, Cai & DasGupta 2001, Statistical Science 16:101, on
  such dips).
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import elementwise
from scipy.special import betainc, gammaln

N_RHO = 32
MIN_MU = 128
LEAN = 0.25

Array = NDArray[np.float64]


def rate_bounds(successes: NDArray[np.intp], sizes: NDArray[np.intp], level: float) -> tuple[Array, Array]:
    """Bounds of the mean rate for each row of `successes`, in [0, 1].

    Shapes: `successes` (rows, clusters), `sizes` (clusters,), both bounds (rows,). Rows are independent data sets
    with the same cluster sizes; one call on many rows is how the tests measure coverage. The caller has checked that
    0 <= successes <= sizes and that there are 2 clusters or more. At no success the lower bound is exactly 0, at no
    failure the upper bound exactly 1.
    """
    rho, prior = _rho_grid()
    weights = _rho_posterior(successes, sizes, rho, prior)
    n = sizes.sum()
    n_eff = n**2 / np.sum(sizes[:, None] * (1 + (sizes[:, None] - 1) * rho), axis=0)
    mean = successes.sum(axis=1) / n
    hits, misses = mean[:, None] * n_eff, (1 - mean[:, None]) * n_eff
    low = _mixture_quantile(weights, hits + 0.5 - LEAN, misses + 0.5 + LEAN, (1 - level) / 2)
    high = _mixture_quantile(weights, hits + 0.5 + LEAN, misses + 0.5 - LEAN, (1 + level) / 2)
    low = np.where(mean == 0, 0.0, np.minimum(low, mean))
    high = np.where(mean == 1, 1.0, np.maximum(high, mean))
    return low, high


def _rho_grid() -> tuple[Array, Array]:
    """Nodes of rho in (0, 1) and their share of its uniform prior, both of shape (N_RHO,)."""
    x, w = np.polynomial.legendre.leggauss(N_RHO)
    u = (x + 1) / 2
    # rho = u³ crowds the nodes near 0, where clusters of hundreds of samples already tell .001 from .01
    return u**3, w / 2 * 3 * u**2


def _rho_posterior(successes: NDArray[np.intp], sizes: NDArray[np.intp], rho: Array, prior: Array) -> Array:
    """Posterior weight of each rho with mu integrated out, shape (rows, N_RHO), rows summing to 1.

    With mu = sin²(theta), the prior Beta(1/2, 1/2) is uniform in theta, and midpoints in theta are symmetric in
    mu and 1 - mu. The grid is no coarser than the narrowest posterior, whose deviation in theta is 1 / (2·sqrt(n)).
    """
    n_mu = max(MIN_MU, int(np.ceil(3 * np.sqrt(sizes.sum()))))
    mu = np.sin((np.arange(n_mu) + 0.5) * (np.pi / 2 / n_mu)) ** 2
    strength = 1 / rho - 1
    failures = sizes - successes
    counts = np.unique(np.concatenate([successes.ravel(), failures.ravel()]))
    a = mu[:, None] * strength
    rising = gammaln(a + counts[:, None, None]) - gammaln(a)  # (counts, n_mu, N_RHO); of 1 - mu: reversed in mu
    evidence = _tally(successes, counts) @ rising.reshape(counts.size, -1)
    evidence += _tally(failures, counts) @ rising[:, ::-1].reshape(counts.size, -1)
    evidence = evidence.reshape(len(successes), n_mu, N_RHO)
    evidence -= np.sum(gammaln(strength + sizes[:, None]) - gammaln(strength), axis=0)
    evidence -= evidence.max(axis=(1, 2), keepdims=True)
    weights = prior * np.exp(evidence).sum(axis=1)
    return weights / weights.sum(axis=1, keepdims=True)


def _tally(rows: NDArray[np.intp], counts: NDArray[np.intp]) -> Array:
    """How often each of `counts` occurs in each row, shape (rows, counts)."""
    return np.stack([(rows == count).sum(axis=1) for count in counts], axis=1).astype(np.float64)


def _mixture_quantile(weights: Array, a: Array, b: Array, q: float) -> Array:
    """The q quantile of the mixture of Beta(a, b) with `weights`, each of shape (rows, N_RHO); shape (rows,)."""

    def excess(x: Array, row: Array) -> Array:
        rows = row.astype(np.intp)
        return np.sum(weights[rows] * betainc(a[rows], b[rows], x[:, None]), axis=1) - q

    rows = np.arange(len(weights), dtype=np.float64)
    return elementwise.find_root(excess, (np.zeros_like(rows), np.ones_like(rows)), args=(rows,)).x
